//! The services that are deployed. They come and go while the scaler runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host::deployments::DeployedService;
use host::haproxy::{Reach, Server, ServerState};
use host::slots::Subnet;
use model::names::{InstanceName, ServiceName};
use model::service::{Protocol, ServiceSpec};
use model::version::Version;

use crate::lock::lock;

/// The services of one moment, by name.
pub(crate) type Deployed = BTreeMap<ServiceName, Arc<DeployedService>>;

/// Every deployed service, on this host's network.
#[derive(Debug)]
pub(crate) struct Services {
    deployed: Mutex<Arc<Deployed>>,
    /// Services that were deployed before, as long as they may have instances.
    withdrawn: Mutex<Deployed>,
    subnet: Subnet,
}

impl Services {
    /// These services on that network.
    pub(crate) fn new(deployed: impl IntoIterator<Item = DeployedService>, subnet: Subnet) -> Self {
        let services = Self { deployed: Mutex::default(), withdrawn: Mutex::default(), subnet };
        services.replace(deployed);
        services
    }

    /// From the next turn on, these are deployed and no others.
    pub(crate) fn replace(&self, deployed: impl IntoIterator<Item = DeployedService>) {
        let named = |service: DeployedService| (service.spec.name.clone(), Arc::new(service));
        let deployed: Deployed = deployed.into_iter().map(named).collect();
        let before = std::mem::replace(&mut *lock(&self.deployed), Arc::new(deployed));
        lock(&self.withdrawn).extend(Deployed::clone(&before));
    }

    /// One service by its name, as it was deployed last, be it withdrawn since.
    pub(crate) fn last_known(&self, name: &ServiceName) -> Option<Arc<DeployedService>> {
        self.get(name).or_else(|| lock(&self.withdrawn).get(name).cloned())
    }

    /// No service that was withdrawn has an instance any more.
    pub(crate) fn forget_withdrawn(&self) {
        lock(&self.withdrawn).clear();
    }

    /// All services as they are now.
    pub(crate) fn all(&self) -> Arc<Deployed> {
        Arc::clone(&lock(&self.deployed))
    }

    /// The ports by which instances reach services that take connections.
    pub(crate) fn tcp_ports(&self) -> BTreeSet<u16> {
        self.all().values().filter_map(|deployed| deployed.spec.tcp_port()).collect()
    }

    /// One service by its name.
    pub(crate) fn get(&self, name: &ServiceName) -> Option<Arc<DeployedService>> {
        lock(&self.deployed).get(name).cloned()
    }

    /// The host's network.
    pub(crate) fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// An instance of this version as the load balancer is to have it in rotation; `None` when its
    /// service is not deployed, or the network has no address for its slot.
    pub(crate) fn server(
        &self,
        instance: &InstanceName,
        version: Option<Version>,
    ) -> Option<Server> {
        let deployed = self.get(instance.service())?;
        let (given, slot) = (deployed.instance(version), instance.slot());
        Some(Server {
            slot,
            address: SocketAddrV4::new(self.subnet.address(slot)?, given.port),
            health_path: given.protocol.health_path().cloned(),
            concurrency: concurrency(&deployed.spec),
            state: ServerState::Ready,
        })
    }

    /// What an instance of this version serves, and how long it may take to its first good answer on a host
    /// with this setting; `None` when its service is not deployed.
    pub(crate) fn launch(
        &self,
        instance: &InstanceName,
        version: Option<Version>,
        of_host: Duration,
    ) -> Option<(Protocol, Duration)> {
        let deployed = self.get(instance.service())?;
        let protocol = deployed.instance(version).protocol.clone();
        Some((protocol, deployed.spec.launch_timeout(of_host)))
    }

    /// What an instance of this version may reach, also while its service is withdrawn; `None` for one that
    /// may reach nothing.
    pub(crate) fn reach(&self, instance: &InstanceName, version: Option<Version>) -> Option<Reach> {
        let deployed = self.last_known(instance.service())?;
        let reached = deployed.instance(version).reaches.clone();
        let address = self.subnet.address(instance.slot())?;
        let service = instance.service().clone();
        (!reached.is_empty()).then_some(Reach { address, service, reached })
    }
}

/// The requests that the load balancer gives an instance at a time; 1 where none ever come.
pub(crate) fn concurrency(spec: &ServiceSpec) -> NonZeroU32 {
    let given = spec.requests().and_then(|requests| NonZeroU32::new(requests.capacity.concurrency));
    given.unwrap_or(NonZeroU32::MIN)
}
