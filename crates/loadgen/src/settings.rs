//! What an operator sets while the system runs: read, changed, and put back.

use std::fmt::Write as _;

use policy::bounds::Bounds;
use policy::spec::PolicySpec;
use policy::status::{Membership, ServiceOverrides};
use serde_json::json;

use crate::scaler::{Scaler, ScalerError};

/// One of them; nothing where the file's holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Setting {
    /// The service's policy.
    Policy(Option<PolicySpec>),
    /// The service's bounds.
    Bounds(Option<Bounds>),
    /// How HAProxy learns of members, for the whole host.
    Membership(Option<Membership>),
}

/// All of them, for one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// The service's own.
    pub(crate) service: ServiceOverrides,
    /// The host's.
    pub(crate) membership: Option<Membership>,
}

/// Settings are not as they were.
#[derive(Debug, thiserror::Error)]
#[error(
    "what the experiment changed could not be set back. Once the scaler answers, these commands do \
     it:{commands}"
)]
pub struct RestoreError {
    commands: String,
    source: Box<ScalerError>,
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
    pub(crate) fn body(&self) -> Option<String> {
        let body = match self {
            Self::Policy(policy) => policy.as_ref().map(|policy| json!(policy)),
            Self::Bounds(bounds) => bounds.as_ref().map(|bounds| json!(bounds)),
            Self::Membership(way) => way.map(|way| json!({ "membership": way })),
        };
        body.map(|body| body.to_string())
    }
}

impl Settings {
    /// Those that hold now.
    pub(crate) async fn read(scaler: &Scaler, service: &str) -> Result<Self, ScalerError> {
        let membership = scaler.membership().await?.set;
        Ok(Self { service: scaler.service(service).await?.set, membership })
    }

    /// Makes these hold, whatever holds now.
    pub(crate) async fn establish(
        &self,
        scaler: &Scaler,
        service: &str,
    ) -> Result<(), ScalerError> {
        let now = scaler.patiently(async |scaler| Self::read(scaler, service).await).await?;
        for setting in self.all().iter().zip(&now.all()).filter(|(own, now)| own != now) {
            scaler.patiently(async |scaler| scaler.set(service, setting.0).await).await?;
        }
        Ok(())
    }

    /// The same after an experiment; the error says what a person can do.
    pub(crate) async fn restore(&self, scaler: &Scaler, service: &str) -> Result<(), RestoreError> {
        self.establish(scaler, service).await.map_err(|error| {
            let mut commands = String::new();
            for setting in self.all() {
                // Writing into a string cannot fail.
                let _ = write!(commands, "\n  {}", scaler.command(service, &setting));
            }
            RestoreError { commands, source: Box::new(error) }
        })
    }

    fn all(&self) -> [Setting; 3] {
        let ServiceOverrides { bounds, policy } = &self.service;
        [
            Setting::Policy(policy.clone()),
            Setting::Bounds(*bounds),
            Setting::Membership(self.membership),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_told_and_what_was_not_is_taken_back() {
        let scaler = Scaler::new("http://127.0.0.1:8090").unwrap();
        let bounds = Some(Bounds::new(1, 4).unwrap());
        let service = ServiceOverrides { bounds, policy: None };
        let settings = Settings { service, membership: Some(Membership::Reload) };
        let commands = settings.all().map(|setting| scaler.command("store", &setting));
        insta::assert_snapshot!(commands.join("\n"), @r#"
        curl -X DELETE http://127.0.0.1:8090/v1/services/store/policy
        curl -X PUT -H 'content-type: application/json' --data '{"max":4,"min":1}' http://127.0.0.1:8090/v1/services/store/bounds
        curl -X PUT -H 'content-type: application/json' --data '{"membership":"reload"}' http://127.0.0.1:8090/v1/membership
        "#);
    }
}
