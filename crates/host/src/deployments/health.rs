//! By what the instances of a service's kept versions are known to be able to serve.

use std::collections::BTreeSet;

use model::service::{HealthStatus, InstanceSpec};

use super::DeployedService;

impl DeployedService {
    /// The statuses by which an instance of any version says that it can serve.
    pub fn health_statuses(&self) -> BTreeSet<HealthStatus> {
        self.instances().filter_map(|instance| instance.protocol.health_status()).collect()
    }

    /// Whether instances of some version can serve when they take connections, and are asked for no more.
    pub fn has_no_path(&self) -> bool {
        self.instances().any(|instance| instance.protocol.health_path().is_none())
    }

    fn instances(&self) -> impl Iterator<Item = &InstanceSpec> {
        self.versions.values().chain([&self.spec.instance])
    }
}
