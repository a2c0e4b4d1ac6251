//! Notices when something else is deployed, without a restart.

use host::deployments::{DeployedService, DeploymentError, Deployments, Stamp};

/// Looks at the deployment's stamp, and reads it when that has changed.
#[derive(Debug)]
pub(crate) struct DeploymentWatch {
    deployments: Deployments,
    stamp: Option<Stamp>,
}

impl DeploymentWatch {
    /// A watch over what is deployed, and the services that are now.
    ///
    /// # Errors
    /// The deployment cannot be read.
    pub(crate) fn begin(
        deployments: Deployments,
    ) -> Result<(Self, Vec<DeployedService>), DeploymentError> {
        // Before the reading, so that what is deployed in between is read again and not missed.
        let stamp = deployments.stamp();
        let deployed = deployments.load()?.deployed()?;
        Ok((Self { deployments, stamp }, deployed))
    }

    /// The services, if something else has been deployed since. What cannot be read is reported
    /// once, and the services go on as they are.
    pub(crate) fn changed(&mut self) -> Option<Vec<DeployedService>> {
        let stamp = self.deployments.stamp();
        // `down` removes the file after it has ended the scaler.
        if stamp.is_none() || std::mem::replace(&mut self.stamp, stamp) == stamp {
            return None;
        }
        let deployed = self.deployments.load().and_then(|deployment| deployment.deployed());
        deployed.inspect_err(|error| tracing::error!(%error, "the services go on as they are")).ok()
    }
}
