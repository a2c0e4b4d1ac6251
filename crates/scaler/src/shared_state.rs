//! What the loop and the API share: the record of ticks, the latest state of each service, and
//! what an operator set.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use host::deployments::DeployedService;
use model::bounds::Bounds;
use model::instance::InstanceStatus;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::service::ServiceSpec;
use model::status::{HostStatus, Membership, MembershipStatus, ServiceOverrides, ServiceStatus};
use model::tick::Tick;

use crate::journal::Journal;
use crate::lock::lock;
use crate::overrides::OverridesFile;
use crate::services::{Deployed, Services};

/// The record of ticks, below the state directory.
const JOURNAL: &str = "ticks.jsonl";

/// What an operator set, below the state directory.
const OVERRIDES: &str = "overrides.json";

/// Written by the loop and read by the API; what an operator sets goes the other way.
#[derive(Debug)]
pub(crate) struct SharedState {
    services: Arc<Services>,
    journal: Mutex<Journal>,
    overrides: Mutex<OverridesFile>,
    /// The last turn of each service, and the instances after it.
    turns: Mutex<BTreeMap<ServiceName, (Tick, Vec<InstanceStatus>)>>,
    /// The way of membership of the host's settings.
    membership: Membership,
    /// What all instances may have together, in MiB.
    memory_mib: u64,
}

impl SharedState {
    /// Opens what earlier processes left in the state directory.
    ///
    /// # Errors
    /// A file there cannot be read.
    pub(crate) fn open(
        state: &Path,
        membership: Membership,
        memory_mib: u64,
        services: Arc<Services>,
    ) -> io::Result<Self> {
        let named = |file: &'static str| {
            move |error: io::Error| {
                let path = state.join(file);
                let text = format!("{}: {error}; mend it or move it away", path.display());
                io::Error::new(error.kind(), text)
            }
        };
        let journal = Journal::open(&state.join(JOURNAL)).map_err(named(JOURNAL))?;
        let overrides = OverridesFile::open(&state.join(OVERRIDES)).map_err(named(OVERRIDES))?;
        Ok(Self {
            services,
            journal: Mutex::new(journal),
            overrides: Mutex::new(overrides),
            turns: Mutex::default(),
            membership,
            memory_mib,
        })
    }

    /// Says for which services something was set that is of no use, since they are not deployed.
    pub(crate) fn report_unused(&self) {
        for service in lock(&self.overrides).held().services() {
            if self.services.get(service).is_none() {
                tracing::info!(%service, "what was set for it waits: it is not deployed");
            }
        }
    }

    /// The services that are deployed.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// The memory that all instances may have together, in MiB.
    pub(crate) fn memory_mib(&self) -> u64 {
        self.memory_mib
    }

    /// The bounds in force for a service: those that were set, or its file's.
    pub(crate) fn bounds(&self, spec: &ServiceSpec) -> Bounds {
        bounds_in_force(spec, self.set_for(&spec.name).bounds)
    }

    /// A service as it is now: what its file says, under what was set.
    pub(crate) fn in_force<'a>(&self, spec: &'a ServiceSpec) -> Cow<'a, ServiceSpec> {
        match self.set_for(&spec.name) {
            ServiceOverrides { bounds: None, policy: None } => Cow::Borrowed(spec),
            ServiceOverrides { bounds, policy } => Cow::Owned(ServiceSpec {
                bounds: bounds_in_force(spec, bounds),
                policy: policy.unwrap_or_else(|| spec.policy.clone()),
                ..spec.clone()
            }),
        }
    }

    /// How changes of membership reach the load balancer, and whether that was set.
    pub(crate) fn membership(&self) -> MembershipStatus {
        let set = lock(&self.overrides).held().membership;
        MembershipStatus { membership: set.unwrap_or(self.membership), set }
    }

    /// Sets the bounds of a service, or goes back to its file's. They hold from the next turn on,
    /// and after a restart.
    ///
    /// # Errors
    /// They could not be written; those from before go on to hold.
    pub(crate) fn set_bounds(&self, spec: &ServiceSpec, bounds: Option<Bounds>) -> io::Result<()> {
        lock(&self.overrides).change(|set| assign(&mut set.bounds, &spec.name, bounds))?;
        let (now, of_file) = (self.bounds(spec), bounds.is_none());
        tracing::info!(service = %spec.name, min = now.min(), max = now.max(), of_file, "bounds");
        Ok(())
    }

    /// Sets the policy of a service, or goes back to its file's. It decides from the next turn on,
    /// and after a restart.
    ///
    /// # Errors
    /// It could not be written; the one from before goes on to decide.
    pub(crate) fn set_policy(
        &self,
        spec: &ServiceSpec,
        policy: Option<PolicySpec>,
    ) -> io::Result<()> {
        let of_file = policy.is_none();
        lock(&self.overrides).change(|set| assign(&mut set.policies, &spec.name, policy))?;
        let now = self.in_force(spec);
        tracing::info!(service = %spec.name, policy = %now.policy, of_file, "policy");
        Ok(())
    }

    /// Sets how changes of membership reach the load balancer, or goes back to the settings'. It
    /// holds from the next turn on, and after a restart.
    ///
    /// # Errors
    /// It could not be written; the one from before goes on to hold.
    pub(crate) fn set_membership(&self, membership: Option<Membership>) -> io::Result<()> {
        lock(&self.overrides).change(|set| set.membership = membership)?;
        let (now, of_file) = (self.membership().membership, membership.is_none());
        tracing::info!(membership = %now, of_file, "membership");
        Ok(())
    }

    /// Shows a service's turn, and keeps its tick if it is worth it.
    pub(crate) fn show(&self, tick: Tick, instances: Vec<InstanceStatus>) {
        if let Err(error) = lock(&self.journal).offer(tick.clone()) {
            tracing::error!(%error, "a tick is kept in memory only: check the state directory's disk");
        }
        lock(&self.turns).insert(tick.service.clone(), (tick, instances));
    }

    /// Forgets the turns of services that are not among these.
    pub(crate) fn forget_others(&self, services: &Deployed) {
        lock(&self.turns).retain(|name, _| services.contains_key(name));
    }

    /// All services.
    pub(crate) fn host_status(&self) -> HostStatus {
        let services = self.services.all();
        HostStatus { services: services.values().map(|s| self.service_status(s)).collect() }
    }

    /// One service: its last turn, and what is in force now.
    pub(crate) fn service_status(&self, deployed: &DeployedService) -> ServiceStatus {
        let spec = &deployed.spec;
        let (tick, instances) = lock(&self.turns).get(&spec.name).cloned().unzip();
        let now = self.in_force(spec);
        ServiceStatus {
            name: spec.name.clone(),
            route: spec.route().map(ToString::to_string),
            bounds: now.bounds,
            policy: now.policy.to_string(),
            policy_spec: now.policy.clone(),
            objective_ms: u64::try_from(spec.objective.as_millis()).unwrap_or(u64::MAX),
            wanted: deployed.wanted,
            rollout: tick.as_ref().and_then(|tick| tick.rollout.clone()),
            set: self.set_for(&spec.name),
            phases: tick.as_ref().map(|tick| tick.observation.phases).unwrap_or_default(),
            instances: instances.unwrap_or_default(),
            tick,
        }
    }

    /// At most `limit` kept ticks with a sequence number above `since`, oldest first.
    pub(crate) fn ticks(&self, since: u64, limit: usize) -> Vec<Tick> {
        lock(&self.journal).since(since, limit)
    }

    fn set_for(&self, service: &ServiceName) -> ServiceOverrides {
        lock(&self.overrides).held().of(service)
    }
}

/// The bounds that were set, unless the service's file says by now that it may not have them: then its
/// own, and what was set waits.
fn bounds_in_force(spec: &ServiceSpec, set: Option<Bounds>) -> Bounds {
    set.filter(|bounds| spec.replacement.allows(*bounds).is_ok()).unwrap_or(spec.bounds)
}

fn assign<T>(by_service: &mut BTreeMap<ServiceName, T>, service: &ServiceName, value: Option<T>) {
    match value {
        Some(value) => by_service.insert(service.clone(), value),
        None => by_service.remove(service),
    };
}
