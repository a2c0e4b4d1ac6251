//! What an operator set while the system runs, in the place of what the files say: read, changed, and
//! put back.

use std::fmt::Write as _;

use model::status::{Membership, ServiceOverrides};
use scaler_client::{Scaler, ScalerError, Setting};

use crate::error::Error;

/// All of them, for one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Overrides {
    /// The service's own.
    pub(crate) service: ServiceOverrides,
    /// The host's.
    pub(crate) membership: Option<Membership>,
}

impl Overrides {
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
        let both = self.all(service).into_iter().zip(now.all(service));
        for (setting, _) in both.filter(|(own, now)| own != now) {
            scaler.patiently(async |scaler| scaler.set(&setting).await).await?;
        }
        Ok(())
    }

    /// The same after an experiment; the error says what a person can do.
    pub(crate) async fn restore(&self, scaler: &Scaler, service: &str) -> Result<(), Error> {
        self.establish(scaler, service).await.map_err(|source| {
            let mut commands = String::new();
            for setting in self.all(service) {
                // Writing into a string cannot fail.
                let _ = write!(commands, "\n  {}", scaler.command(&setting));
            }
            Error::Restore { commands, source }
        })
    }

    fn all<'a>(&self, service: &'a str) -> [Setting<'a>; 3] {
        let ServiceOverrides { bounds, policy } = &self.service;
        [
            Setting::Policy(service, policy.clone()),
            Setting::Bounds(service, *bounds),
            Setting::Membership(self.membership),
        ]
    }
}
