//! What an operator sets while the system runs.

use policy::bounds::Bounds;
use policy::spec::PolicySpec;
use policy::status::Membership;
use serde_json::{Value, json};

/// One of the settings; nothing goes back to what the service's file or the host's settings say.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// The service's policy.
    Policy(Option<PolicySpec>),
    /// The service's bounds.
    Bounds(Option<Bounds>),
    /// How HAProxy learns of members, for the whole host.
    Membership(Option<Membership>),
}

impl Setting {
    /// Where the API has it.
    pub(crate) fn path(&self, service: &str) -> String {
        match self {
            Self::Policy(_) => format!("/v1/services/{service}/policy"),
            Self::Bounds(_) => format!("/v1/services/{service}/bounds"),
            Self::Membership(_) => "/v1/membership".to_owned(),
        }
    }

    /// What the API is told, as JSON; nothing takes it back.
    pub(crate) fn body(&self) -> Option<Value> {
        match self {
            Self::Policy(policy) => policy.as_ref().map(|policy| json!(policy)),
            Self::Bounds(bounds) => bounds.map(|bounds| json!(bounds)),
            Self::Membership(way) => way.map(|way| json!({ "membership": way })),
        }
    }
}
