//! Which instances take requests: what this process wants of the load balancer, and the way there.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use host::deployments::DeployedService;
use host::haproxy::{
    Backend, Backends, BackendsError, LoadBalancer, Reach, Server, ServerState, ServerStatus,
    Stats, Worker,
};
use model::names::{InstanceName, ServiceName, Slot};
use model::version::Version;

use crate::lock::lock;
use crate::services::{Deployed, concurrency};
use crate::shared_state::SharedState;

/// What is wanted of each slot in use. A slot that is not named is out of rotation.
type Wanted = BTreeMap<Slot, (ServiceName, Server)>;

/// What the load balancer is given and its statistics do not tell.
#[derive(Debug, Default, PartialEq)]
struct Given {
    services: Vec<GivenService>,
    reaches: Reaches,
}

/// What it is given of a service beside its instances and their number, and the requests for an instance at a
/// time.
type GivenService = (Backend, NonZeroU32);

/// What instances may reach, by their slots, from before their programs start until their containers are
/// gone. Those that may reach nothing are left out.
type Reaches = BTreeMap<Slot, Reach>;

/// The rotation of all services.
#[derive(Debug)]
pub(crate) struct Rotation<L> {
    load_balancer: L,
    shared: Arc<SharedState>,
    wanted: Mutex<Wanted>,
    reaches: Mutex<Reaches>,
    /// What the load balancer was given last.
    given: Mutex<Given>,
    /// The worker that was seen last and holds what was given. Another one may have started from a file that is
    /// older than what the one before was told.
    worker: Mutex<Option<Worker>>,
}

impl<L: LoadBalancer> Rotation<L> {
    /// Nothing in rotation yet.
    pub(crate) fn new(load_balancer: L, shared: Arc<SharedState>) -> Self {
        Self {
            load_balancer,
            shared,
            wanted: Mutex::default(),
            reaches: Mutex::default(),
            given: Mutex::default(),
            worker: Mutex::default(),
        }
    }

    /// The load balancer itself.
    pub(crate) fn load_balancer(&self) -> &L {
        &self.load_balancer
    }

    /// Takes over what the load balancer holds of `instances`, each with its version: after a restart,
    /// it is what was wanted before.
    ///
    /// # Errors
    /// The load balancer cannot be told so. It must be: it dates drains from what it is told.
    pub(crate) async fn adopt<'a>(
        &self,
        stats: &Stats,
        instances: impl Iterator<Item = (&'a InstanceName, Option<Version>)> + Clone,
    ) -> anyhow::Result<()> {
        let reach = |(instance, version): (&InstanceName, _)| {
            Some((instance.slot(), self.shared.services().reach(instance, version)?))
        };
        *lock(&self.reaches) = instances.clone().filter_map(reach).collect();
        let server = |(instance, version): (&InstanceName, _)| {
            let figures = stats.services.get(instance.service())?.servers.get(&instance.slot())?;
            let server = self.shared.services().server(instance, version)?;
            let server = Server { state: held(figures.status), ..server };
            Some((instance.slot(), (instance.service().clone(), server)))
        };
        *lock(&self.wanted) = instances.filter_map(server).collect();
        self.apply().await
    }

    /// What is wanted of an instance.
    pub(crate) fn wanted(&self, instance: &InstanceName) -> ServerState {
        match lock(&self.wanted).get(&instance.slot()) {
            Some((owner, server)) if owner == instance.service() => server.state,
            _ => ServerState::Maint,
        }
    }

    /// Lets an instance of this version reach what its service's file says, before its program starts.
    /// [`Self::mend`] takes that back when its container is gone.
    ///
    /// # Errors
    /// The load balancer did not take it; the next turn tries again.
    pub(crate) async fn let_reach(
        &self,
        instance: &InstanceName,
        version: Option<Version>,
    ) -> anyhow::Result<()> {
        let is_given = {
            let mut reaches = lock(&self.reaches);
            match self.shared.services().reach(instance, version) {
                Some(reach) => reaches.insert(instance.slot(), reach),
                None => reaches.remove(&instance.slot()),
            };
            *reaches == lock(&self.given).reaches
        };
        if is_given { Ok(()) } else { self.apply().await }
    }

    /// Brings an instance of this version to `state`; returns when the running process holds it.
    ///
    /// # Errors
    /// The load balancer did not take it. It stays wanted, and [`Self::mend`] tries again.
    pub(crate) async fn set(
        &self,
        instance: &InstanceName,
        version: Option<Version>,
        state: ServerState,
    ) -> anyhow::Result<()> {
        self.want(instance, version, state)?;
        self.apply().await
    }

    fn want(
        &self,
        instance: &InstanceName,
        version: Option<Version>,
        state: ServerState,
    ) -> anyhow::Result<()> {
        let (slot, service) = (instance.slot(), instance.service());
        let mut wanted = lock(&self.wanted);
        if state == ServerState::Ready {
            let server = self.shared.services().server(instance, version);
            let server = server.with_context(|| format!("{instance} has no address"))?;
            wanted.insert(slot, (service.clone(), server));
        } else if let Some((_, server)) =
            wanted.get_mut(&slot).filter(|(owner, _)| owner == service)
        {
            server.state = state;
        }
        wanted.retain(|_, (_, server)| server.state != ServerState::Maint);
        Ok(())
    }

    /// Takes every slot out of rotation whose instance is gone, and what it may reach from it, and brings the load balancer to
    /// what is wanted where it differs. Slots in `busy` are left to the action that is under way
    /// there. Returns whether anything had to be mended.
    ///
    /// # Errors
    /// The load balancer did not take it; the next turn tries again.
    pub(crate) async fn mend(
        &self,
        stats: &Stats,
        present: &BTreeSet<Slot>,
        busy: &BTreeSet<Slot>,
    ) -> anyhow::Result<bool> {
        let agrees = {
            let mut wanted = lock(&self.wanted);
            let is_there = |slot: &Slot| present.contains(slot) || busy.contains(slot);
            wanted.retain(|slot, _| is_there(slot));
            lock(&self.reaches).retain(|slot, _| is_there(slot));
            let services = self.shared.services().all();
            let is_given = self.given_now() == *lock(&self.given);
            is_given && self.is_told(stats.worker) && agrees(&services, &wanted, stats, busy)
        };
        if !agrees {
            self.apply().await?;
        }
        *lock(&self.worker) = Some(stats.worker);
        Ok(!agrees)
    }

    /// Whether the worker is the one that holds what was given last.
    fn is_told(&self, now: Worker) -> bool {
        lock(&self.worker).is_some_and(|last| now.continues(&last))
    }

    /// Of two changes at once, the later call must carry both. So it does: nothing is awaited
    /// between reading what is wanted and the load balancer's note of it, and the scaler has
    /// one thread.
    async fn apply(&self) -> anyhow::Result<()> {
        let given = self.given_now();
        self.load_balancer.apply(&self.backends()?).await?;
        *lock(&self.given) = given;
        Ok(())
    }

    /// What the load balancer should be given, of each service in the order of their names.
    fn given_now(&self) -> Given {
        let services = self.shared.services().all();
        let given =
            |deployed: &Arc<DeployedService>| (backend(deployed), concurrency(&deployed.spec));
        let services = services.values().map(given).collect();
        Given { services, reaches: lock(&self.reaches).clone() }
    }

    /// What the load balancer should hold now.
    ///
    /// # Errors
    /// The services' files contradict each other.
    fn backends(&self) -> Result<Backends, BackendsError> {
        let mut servers: BTreeMap<ServiceName, Vec<Server>> = BTreeMap::new();
        for (service, server) in lock(&self.wanted).values() {
            servers.entry(service.clone()).or_default().push(server.clone());
        }
        let services = self.shared.services().all();
        let backends = services.values().map(|deployed| {
            let spec = &deployed.spec;
            let mut servers = servers.remove(&spec.name).unwrap_or_default();
            for server in &mut servers {
                server.concurrency = concurrency(spec);
            }
            Backend { max_servers: self.shared.bounds(spec).max(), servers, ..backend(deployed) }
        });
        let reaches = lock(&self.reaches).values().cloned().collect();
        Ok(Backends::new(backends.collect())?.with_reaches(reaches))
    }
}

/// A service as the load balancer is to know it, with no instances.
fn backend(deployed: &DeployedService) -> Backend {
    let spec = &deployed.spec;
    Backend {
        service: spec.name.clone(),
        route: spec.route().cloned(),
        health_check: spec.health_check,
        health_statuses: deployed.health_statuses(),
        some_by_connection: deployed.has_no_path(),
        tcp_port: spec.tcp_port(),
        max_servers: 0,
        drain_timeout: spec.scale_in.drain_timeout,
        servers: vec![],
    }
}

/// The state that a status comes from. A server that is down may be ready or draining: its health
/// says nothing of what is wanted of it.
fn held(status: ServerStatus) -> ServerState {
    match status {
        ServerStatus::Maint => ServerState::Maint,
        ServerStatus::Drain => ServerState::Drain,
        ServerStatus::Up | ServerStatus::Down | ServerStatus::Nolb | ServerStatus::NoCheck => {
            ServerState::Ready
        }
    }
}

/// Whether the statistics show the services, and the instances as they are wanted, busy slots aside.
fn agrees(services: &Deployed, wanted: &Wanted, stats: &Stats, busy: &BTreeSet<Slot>) -> bool {
    let wanted_are_held = wanted.iter().all(|(slot, (service, server))| {
        let figures = stats.services.get(service).and_then(|s| s.servers.get(slot));
        let is_held = |status| status == ServerStatus::Down || held(status) == server.state;
        busy.contains(slot)
            || !services.contains_key(service)
            || figures.is_some_and(|figures| is_held(figures.status))
    });
    let held_are_wanted = stats.services.iter().all(|(service, figures)| {
        let is_wanted = |slot| wanted.get(slot).is_some_and(|(owner, _)| owner == service);
        figures.servers.keys().all(|slot| busy.contains(slot) || is_wanted(slot))
    });
    services.keys().eq(stats.services.keys()) && wanted_are_held && held_are_wanted
}
