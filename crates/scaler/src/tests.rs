//! The whole daemon against a host in memory: containers, load balancer and probe are fakes, all
//! between them is real.

mod api;
mod cost;
mod failures;
mod load;
mod restarts;
mod services;
mod set;

use std::sync::Arc;
use std::time::Duration;

use host::deployments::DeployedService;
use host::haproxy::ServerState;
use host::haproxy::fake::FakeLoadBalancer;
use host::lxc::fake::{Call, FakeContainers};
use host::probe::FakeProbe;
use host::settings::ScalerSettings;
use host::slots::Subnet;
use model::bounds::Bounds;
use model::instance::PhaseCounts;
use model::names::ServiceName;
use model::service::ServiceSpec;
use model::status::{Membership, ServiceStatus};
use model::tick::Tick;
use model::time::Timestamp;
use tempfile::TempDir;

use crate::act::Actor;
use crate::daemon::Daemon;
use crate::rotation::Rotation;
use crate::services::Services;
use crate::shared_state::SharedState;

const SETTINGS: ScalerSettings = ScalerSettings {
    tick: Duration::from_millis(100),
    membership: Membership::Runtime,
    parallel_launches: 4,
    launch_timeout: Duration::from_secs(10),
};

type FakeActor = Actor<FakeContainers, FakeLoadBalancer, FakeProbe>;

/// A host with the object store deployed, moving a tick at a time.
struct Rig {
    actor: Arc<FakeActor>,
    services: Arc<Services>,
    shared: Arc<SharedState>,
    daemon: Daemon<FakeContainers, FakeLoadBalancer, FakeProbe>,
    now: Timestamp,
    state: TempDir,
}

fn store() -> ServiceName {
    "object-store".parse().unwrap()
}

impl Rig {
    fn new() -> Self {
        let text = include_str!("../../../services/object-store.toml");
        let mut spec = config_file::from_toml::<ServiceSpec>("object-store.toml", text).unwrap();
        spec.scale_in.rules.patience = Duration::from_secs(10);
        let template = "bw-object-store-t00000001".parse().unwrap();
        Self::with(vec![DeployedService { spec, template }], FakeContainers::default())
    }

    fn with(deployed: Vec<DeployedService>, containers: FakeContainers) -> Self {
        Self::on(tempfile::tempdir().unwrap(), deployed, containers)
    }

    /// Another installation of these services, with what this one's scaler kept.
    fn redeploy(self, deployed: Vec<DeployedService>) -> Self {
        Self::on(self.state, deployed, FakeContainers::default())
    }

    fn on(state: TempDir, deployed: Vec<DeployedService>, containers: FakeContainers) -> Self {
        let services = Arc::new(Services::new(deployed, Subnet::DEFAULT));
        let shared = Arc::new(Self::shared(&state, &services).unwrap());
        let rotation = Rotation::new(FakeLoadBalancer::default(), Arc::clone(&shared));
        let probe = FakeProbe::default();
        let timeout = SETTINGS.launch_timeout;
        let own = Arc::clone(&services);
        let actor = Arc::new(Actor::new(containers, rotation, probe, own, timeout));
        let daemon = Daemon::new(Arc::clone(&actor), Arc::clone(&shared), SETTINGS);
        let now = crate::clock::now();
        Self { actor, services, shared, daemon, now, state }
    }

    fn shared(state: &TempDir, services: &Arc<Services>) -> std::io::Result<SharedState> {
        SharedState::open(state.path(), SETTINGS.membership, Arc::clone(services))
    }

    /// The scaler is killed and started again; the host stays as it is.
    fn restart(&mut self) {
        self.shared = Arc::new(Self::shared(&self.state, &self.services).unwrap());
        self.daemon = Daemon::new(Arc::clone(&self.actor), Arc::clone(&self.shared), SETTINGS);
    }

    /// The service as it is deployed.
    fn deployed(&self) -> DeployedService {
        DeployedService::clone(&self.services.get(&store()).unwrap())
    }

    fn balancer(&self) -> &FakeLoadBalancer {
        self.actor.rotation().load_balancer()
    }

    /// One tick in which this many requests arrive.
    async fn tick(&mut self, arrivals: u64) -> Tick {
        self.balancer().set_figures(|services| {
            if let Some(figures) = services.get_mut(&store()) {
                let counters = &mut figures.counters;
                counters.sessions = counters.sessions.map(|n| n + arrivals);
                counters.success = counters.success.map(|n| n + arrivals);
            }
        });
        tokio::time::advance(SETTINGS.tick).await;
        self.now = self.now.after(SETTINGS.tick);
        let done = self.daemon.settled().await;
        self.daemon.turn(done, self.now).await;
        self.status().tick.unwrap()
    }

    async fn ticks(&mut self, count: usize, arrivals: u64) -> PhaseCounts {
        for _ in 0..count {
            self.tick(arrivals).await;
        }
        self.status().phases
    }

    fn status(&self) -> ServiceStatus {
        self.shared.service_status(&self.deployed().spec)
    }

    fn in_rotation(&self, state: ServerState) -> usize {
        self.balancer().held().servers().filter(|(_, server)| server.state == state).count()
    }

    fn launches(&self) -> usize {
        let calls = self.actor.containers().calls();
        calls.iter().filter(|call| matches!(call, Call::Clone(_))).count()
    }
}

fn ready(count: u32) -> PhaseCounts {
    PhaseCounts { ready: count, ..PhaseCounts::default() }
}
