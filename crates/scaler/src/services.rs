//! The services that `bellows up` deployed, and the slots of each.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::num::NonZeroU32;

use host::deployments::DeployedService;
use host::haproxy::{Backend, Backends, BackendsError, Server, ServerState};
use host::slots::Subnet;
use model::bounds::Bounds;
use model::names::{ServiceName, Slot};
use model::service::ServiceSpec;
use policy::slots::{SlotsError, reserve};

/// Every deployed service, on this host's network.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    deployed: BTreeMap<ServiceName, DeployedService>,
    subnet: Subnet,
}

impl Services {
    /// These services on that network.
    pub(crate) fn new(deployed: impl IntoIterator<Item = DeployedService>, subnet: Subnet) -> Self {
        let named = |service: DeployedService| (service.spec.name.clone(), service);
        Self { deployed: deployed.into_iter().map(named).collect(), subnet }
    }

    /// One service by its name.
    pub(crate) fn get(&self, name: &ServiceName) -> Option<&DeployedService> {
        self.deployed.get(name)
    }

    /// All services, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &DeployedService> {
        self.deployed.values()
    }

    /// Where the instance of `service` in `slot` listens; `None` for a slot that the network has
    /// no address for.
    pub(crate) fn address(&self, service: &ServiceSpec, slot: Slot) -> Option<SocketAddrV4> {
        Some(SocketAddrV4::new(self.subnet.address(slot)?, service.instance.port))
    }

    /// The slots for new instances of each service, in the order of use: enough for the bounds in
    /// force, and never fewer than its file asks for. So bounds set below the file's cost no reload
    /// of the load balancer.
    ///
    /// # Errors
    /// The upper bounds together need more slots than the host has.
    pub(crate) fn slots(
        &self,
        in_force: impl Fn(&ServiceSpec) -> Bounds,
    ) -> Result<BTreeMap<ServiceName, Vec<Slot>>, SlotsError> {
        let max = |spec: &ServiceSpec| in_force(spec).max().max(spec.bounds.max());
        let bounds = self.iter().map(|s| (s.spec.name.clone(), max(&s.spec))).collect();
        reserve(&bounds, self.subnet.last_slot())
    }

    /// What the load balancer should hold: each service's slots, those in `rotation` as they are
    /// there and all others out of it.
    ///
    /// # Errors
    /// Two services have the same route.
    pub(crate) fn backends(
        &self,
        slots: &BTreeMap<ServiceName, Vec<Slot>>,
        rotation: &BTreeMap<Slot, (ServiceName, ServerState)>,
    ) -> Result<Backends, BackendsError> {
        let backend = |deployed: &DeployedService| {
            let spec = &deployed.spec;
            let mut states: BTreeMap<Slot, ServerState> = BTreeMap::new();
            let own = slots.get(&spec.name).into_iter().flatten();
            states.extend(own.map(|slot| (*slot, ServerState::Maint)));
            for (slot, (service, state)) in rotation {
                // An instance keeps its slot when a change of bounds gives it to another service,
                // which then gets it once the instance is gone.
                if *service == spec.name {
                    states.insert(*slot, *state);
                } else {
                    states.remove(slot);
                }
            }
            let server = |(slot, state)| {
                let address = self.address(spec, slot)?;
                Some(Server { slot, address, state })
            };
            Backend {
                service: spec.name.clone(),
                path_prefix: spec.path_prefix.clone(),
                health_path: spec.instance.health_path.clone(),
                concurrency: NonZeroU32::new(spec.capacity.concurrency).unwrap_or(NonZeroU32::MIN),
                servers: states.into_iter().filter_map(server).collect(),
            }
        };
        Backends::new(self.iter().map(backend).collect())
    }
}
