//! Notices when something else is deployed, without a restart.

use host::deployments::{DeployedService, Deployment, DeploymentError, Deployments, Stamp};
use model::access::Deploy;

/// What is deployed, and what the last deploys changed.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) services: Vec<DeployedService>,
    pub(crate) deploys: Vec<Deploy>,
}

impl TryFrom<Deployment> for Read {
    type Error = DeploymentError;

    fn try_from(deployment: Deployment) -> Result<Self, DeploymentError> {
        let services = deployment.deployed()?;
        for DeployedService { spec, unreadable, .. } in &services {
            for (version, problem) in unreadable {
                tracing::warn!(service = %spec.name, %version, problem, "cannot be gone back to");
            }
        }
        Ok(Self { services, deploys: deployment.deploys().to_vec() })
    }
}

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
    pub(crate) fn begin(deployments: Deployments) -> Result<(Self, Read), DeploymentError> {
        // Before the reading, so that what is deployed in between is read again and not missed.
        let stamp = deployments.stamp();
        let read = deployments.load()?.try_into()?;
        Ok((Self { deployments, stamp }, read))
    }

    /// The services, if something else has been deployed since. What cannot be read is reported
    /// once, and the services go on as they are.
    pub(crate) fn changed(&mut self) -> Option<Read> {
        let stamp = self.deployments.stamp();
        // `down` removes the file after it has ended the scaler.
        if stamp.is_none() || std::mem::replace(&mut self.stamp, stamp) == stamp {
            return None;
        }
        let read = self.deployments.load().and_then(Read::try_from);
        read.inspect_err(|error| tracing::error!(%error, "the services go on as they are")).ok()
    }
}
