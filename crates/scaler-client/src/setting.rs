//! What an operator sets while the system runs.

use model::bounds::Bounds;
use model::policies::PolicySpec;
use model::status::Membership;
use serde_json::{Value, json};

/// One of the settings; `None` goes back to what the service's file or the host's settings say.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting<'a> {
    /// The policy of the service of that name.
    Policy(&'a str, Option<PolicySpec>),
    /// The bounds of the service of that name.
    Bounds(&'a str, Option<Bounds>),
    /// How HAProxy learns of members, for the whole host.
    Membership(Option<Membership>),
}

impl Setting<'_> {
    /// Where the API has it.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Policy(service, _) => format!("/v1/services/{service}/policy"),
            Self::Bounds(service, _) => format!("/v1/services/{service}/bounds"),
            Self::Membership(_) => "/v1/membership".to_owned(),
        }
    }

    /// What the API is told, as JSON; `None` takes it back.
    pub(crate) fn body(&self) -> Option<Value> {
        match self {
            Self::Policy(_, policy) => policy.as_ref().map(|policy| json!(policy)),
            Self::Bounds(_, bounds) => bounds.map(|bounds| json!(bounds)),
            Self::Membership(way) => way.map(|way| json!({ "membership": way })),
        }
    }
}
