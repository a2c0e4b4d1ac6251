//! Notices when something else is deployed, without a restart.

use host::deployments::{DeployedService, Deployment, DeploymentError, Deployments, Stamp};
use model::access::Deploy;

/// What is deployed, and what the last deploys changed.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) services: Vec<DeployedService>,
    pub(crate) deploys: Vec<Deploy>,
}

impl Read {
    /// What can be used of a deployment. A service that cannot be stays as it is `known`, and holds up no other.
    fn new(deployment: &Deployment, known: &[DeployedService]) -> Self {
        let readable = deployment.readable();
        for (service, error) in &readable.problems {
            tracing::error!(%service, %error, "is not as it was deployed");
        }
        let services = readable.or_known(known).services;
        for DeployedService { spec, unreadable, .. } in &services {
            for (version, problem) in unreadable {
                tracing::warn!(service = %spec.name, %version, problem, "cannot be gone back to");
            }
        }
        Self { services, deploys: deployment.deploys().to_vec() }
    }
}

/// Looks at the deployment's stamp, and reads it when that has changed.
#[derive(Debug)]
pub(crate) struct DeploymentWatch {
    deployments: Deployments,
    stamp: Option<Stamp>,
    known: Vec<DeployedService>,
}

impl DeploymentWatch {
    /// A watch over what is deployed, and the services that are now.
    ///
    /// # Errors
    /// The deployment cannot be read.
    pub(crate) fn begin(deployments: Deployments) -> Result<(Self, Read), DeploymentError> {
        // Before the reading, so that what is deployed in between is read again and not missed.
        let stamp = deployments.stamp();
        let read = Read::new(&deployments.load()?, &[]);
        let known = read.services.clone();
        Ok((Self { deployments, stamp, known }, read))
    }

    /// The services, if something else has been deployed since. What cannot be read is reported
    /// once, and the services go on as they are.
    pub(crate) fn changed(&mut self) -> Option<Read> {
        let stamp = self.deployments.stamp();
        // `down` removes the file after it has ended the scaler.
        if stamp.is_none() || std::mem::replace(&mut self.stamp, stamp) == stamp {
            return None;
        }
        let deployment = self.deployments.load();
        let deployment = deployment
            .inspect_err(|error| tracing::error!(%error, "the services go on as they are"))
            .ok()?;
        let read = Read::new(&deployment, &self.known);
        self.known.clone_from(&read.services);
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use host::deployments::NewService;
    use model::names::ServiceName;
    use model::time::Timestamp;
    use model::version::Version;

    use super::*;

    const STORE: &str = include_str!("../../../services/object-store.toml");

    /// The same with a service of a folder.
    fn with(before: &Deployment, name: &str, file: &str) -> Deployment {
        let name: ServiceName = name.parse().unwrap();
        let version = Version::new(1);
        let new = NewService { name: &name, file, version, serving: None, again: false };
        before.clone().with_folder(&new, Path::new("/srv/a"), 3, Timestamp::from_millis(1))
    }

    fn names(read: &Read) -> Vec<&str> {
        read.services.iter().map(|service| service.spec.name.as_str()).collect()
    }

    #[test]
    fn a_service_that_cannot_be_used_goes_on_as_it_was_and_holds_up_no_other() {
        let state = tempfile::tempdir().unwrap();
        let deployments = Deployments::new(state.path());
        let shop = STORE.replacen("name = \"object-store\"", "name = \"shop\"", 1).replacen(
            "path_prefix = \"/\"",
            "path_prefix = \"/shop\"",
            1,
        );
        let first = with(&Deployment::default(), "shop", &shop);
        deployments.deploy(&first).unwrap();
        let (mut watch, read) = DeploymentWatch::begin(deployments.clone()).unwrap();
        assert_eq!(names(&read), ["shop"]);
        let next = with(&with(&first, "shop", "colour = 1"), "object-store", STORE);
        deployments.deploy(&next).unwrap();
        assert_eq!(names(&watch.changed().unwrap()), ["object-store", "shop"]);
        let (_, read) = DeploymentWatch::begin(deployments).unwrap();
        assert_eq!(names(&read), ["object-store"]);
    }
}
