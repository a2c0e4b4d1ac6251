//! What the host has room for in one turn: clones at a time, and memory.

use host::deployments::DeployedService;
use model::machine::MachineRoom;
use model::names::ServiceName;
use model::version::Version;
use policy::memory_pool::{MemoryNeed, MemoryPool};
use policy::slots::SlotCounts;

use crate::observe::HostObservation;
use crate::services::Deployed;
use crate::shared_state::SharedState;
use crate::under_way::{Clones, UnderWay};

/// The room that is left. What is launched in a turn takes it away from the services after.
#[derive(Debug)]
pub(crate) struct Room {
    clones: Clones,
    memory: MemoryPool,
}

impl Room {
    /// The room beside the instances that were observed and those that are being made.
    pub(crate) fn new(
        shared: &SharedState,
        services: &Deployed,
        observed: Option<&HostObservation>,
        under_way: &UnderWay,
        parallel_launches: usize,
    ) -> Self {
        let runs = |instance: &_| observed.is_some_and(|observed| observed.runs(instance));
        let clones = under_way.clones(runs, parallel_launches);
        let mut memory = MemoryPool::new(shared.memory_mib());
        for (name, deployed) in services {
            memory.promise(&MemoryNeed {
                service: name,
                instances: shared.bounds(&deployed.spec).min(),
                instance_mib: deployed.spec.instance.memory_mib,
            });
        }
        let versions = observed.into_iter().flat_map(|observed| observed.versions(under_way));
        for (instance, version) in versions {
            if let Some(deployed) = shared.services().last_known(instance.service()) {
                memory.hold(instance.service(), deployed.instance(version).memory_mib);
            }
        }
        Self { clones, memory }
    }

    /// How many clones of a service may begin.
    pub(crate) fn clones(&self, service: &ServiceName) -> usize {
        self.clones.left(service)
    }

    /// For how many instances of a service there is memory, each of `mib`.
    pub(crate) fn fits(&self, service: &ServiceName, mib: u32) -> u32 {
        self.memory.fits(service, mib)
    }

    /// What instances may take, as people are told of it. `memory_mib` is all that there is for them.
    pub(crate) fn told(&self, memory_mib: u64, slots: SlotCounts) -> MachineRoom {
        let count = |slots| u32::try_from(slots).unwrap_or(u32::MAX);
        MachineRoom {
            memory_mib,
            left_mib: self.memory.left_mib(),
            promised_mib: self.memory.promised_mib(),
            slots_used: count(slots.held),
            slots_free: count(slots.free),
            slots_withheld: count(slots.withheld),
        }
    }

    /// A clone begins of an instance with so much memory.
    pub(crate) fn begin(&mut self, service: &ServiceName, mib: u32) {
        self.clones.begin(service);
        self.memory.hold(service, mib);
    }
}

/// The memory of an instance of the service that is launched now, in MiB: of the larger one, where one
/// version serves and another is on trial.
pub(crate) fn instance_mib(deployed: &DeployedService, serving: Option<Version>) -> u32 {
    let of = |version| deployed.instance(version).memory_mib;
    of(serving).max(of(Some(deployed.wanted.version)))
}
