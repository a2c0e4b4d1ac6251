//! The whole daemon against a host in memory: containers, load balancer and probe are fakes, all
//! between them is real.

mod api;
mod bad_input;
mod conditions;
mod cost;
mod doors;
mod egress;
mod experiments;
mod failures;
mod feed;
mod figure;
mod file;
mod jobs;
mod ledger;
mod load;
mod login;
mod machine;
mod number;
mod output;
mod reaches;
mod recordings;
mod recreate;
mod releases;
mod restarts;
mod secrets;
mod services;
mod set;
mod versions;
mod watch;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use host::command::CommandLine;
use host::deployments::{DeployedService, Deployments, NewService};
use host::haproxy::HaproxySettings;
use host::haproxy::ServerState;
use host::haproxy::fake::FakeLoadBalancer;
use host::jobs::FakeJobs;
use host::lxc::fake::{Call, FakeContainers};
use host::probe::FakeProbe;
use host::secrets::SecretStore;
use host::settings::{ScalerSettings, Settings};
use host::slots::Subnet;
use model::access::Who;
use model::bounds::Bounds;
use model::instance::PhaseCounts;
use model::names::ServiceName;
use model::service::ServiceSpec;
use model::size::Sizes;
use model::status::{Membership, ServiceStatus};
use model::tick::Tick;
use model::time::Timestamp;
use model::version::Version;
use tempfile::TempDir;

use crate::act::Actor;
use crate::actions::Actions;
use crate::daemon::Daemon;
use crate::deployment_watch::{DeploymentWatch, Read};
use crate::doctor::Doctor;
use crate::egress::EgressSources;
use crate::jobs::JobDesk;
use crate::journal::Count;
use crate::machine::Machine;
use crate::memory_file::MemoryFile;
use crate::rotation::Rotation;
use crate::services::Services;
use crate::shared_state::SharedState;

const SETTINGS: ScalerSettings = ScalerSettings {
    tick: Duration::from_millis(100),
    membership: Membership::Runtime,
    parallel_launches: 4,
    launch_timeout: Duration::from_secs(10),
};

impl SharedState {
    /// At most `limit` kept ticks with a sequence number above `since`, oldest first.
    fn ticks(&self, since: u64, limit: usize) -> Vec<Tick> {
        self.tick_page(since, Count::Oldest(limit), |_| true).ticks
    }
}

/// Memory for 1,000 instances of the object store.
const MEMORY_MIB: u64 = 128_000;

/// Where nothing listens: a port of the kernel's own.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// The file of what instances may reach, in the rig's folder.
const EGRESS: &str = "egress.json";

type FakeActor = Actor<FakeContainers, FakeLoadBalancer, FakeProbe>;

/// A host with services deployed, moving a tick at a time.
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

/// Who sets something in a test.
fn root() -> Who {
    Who::Operator { uid: 0, user: Some("root".to_owned()) }
}

/// The object store's file, with a patience of 10 s and no watch of a new version.
fn store_file() -> String {
    let shipped = include_str!("../../../services/object-store.toml");
    let patient = shipped.replace("patience_ms = 3_000", "patience_ms = 10_000");
    patient.replace("[application]", "[rollout]\nwatch_ms = 0\n\n[application]")
}

/// The same without what an instance serves, and without a policy.
fn without_a_figure() -> String {
    let file = store_file();
    let (head, rest) = file.split_once("[capacity]").unwrap();
    let (_, rest) = rest.split_once("[objective]").unwrap();
    let (middle, rest) = rest.split_once("[policy]").unwrap();
    let (_, tail) = rest.split_once("[scale_in]").unwrap();
    format!("{head}[objective]{middle}[scale_in]{tail}")
}

/// Deploys services by their files and versions, as `bellows up` does.
fn deploy(state: &TempDir, files: &[(&str, u32)], now: Timestamp) {
    deploy_to(state, files, false, now);
}

/// Deploys also what was given up.
fn deploy_again(state: &TempDir, files: &[(&str, u32)], now: Timestamp) {
    deploy_to(state, files, true, now);
}

fn deploy_to(state: &TempDir, files: &[(&str, u32)], again: bool, now: Timestamp) {
    let specs: Vec<ServiceSpec> =
        files.iter().map(|(file, _)| config_file::from_toml("a.toml", file).unwrap()).collect();
    let services = specs.iter().zip(files).map(|(spec, (file, version))| NewService {
        name: &spec.name,
        file,
        version: Version::new(*version),
        serving: None,
        again,
    });
    let deployments = Deployments::new(state.path());
    let before = deployments.load().unwrap();
    let services: Vec<_> = services.collect();
    let next = before.followed_by(&services, 3, now);
    deployments.deploy(&next.noted(&before, ("", ""), root(), now)).unwrap();
}

fn settings(state: &TempDir) -> Settings {
    let mut settings = Settings::default();
    settings.paths.state = state.path().to_owned();
    settings.paths.run = state.path().join("run");
    settings.paths.lxc = state.path().join("lxc");
    settings
}

fn secrets(state: &TempDir) -> SecretStore {
    SecretStore::new(&settings(state))
}

impl Rig {
    /// A host with version 1 of the object store.
    fn new() -> Self {
        Self::with(FakeContainers::default())
    }

    /// The same, on which these containers are.
    fn with(containers: FakeContainers) -> Self {
        let state = tempfile::tempdir().unwrap();
        deploy(&state, &[(&store_file(), 1)], crate::clock::now());
        Self::on(state, containers)
    }

    /// A host with these files deployed as these versions.
    fn with_files(files: &[(&str, u32)]) -> Self {
        let state = tempfile::tempdir().unwrap();
        deploy(&state, files, crate::clock::now());
        Self::on(state, FakeContainers::default())
    }

    /// The same, whose load balancer takes requests for services there.
    fn balanced_by(files: &[(&str, u32)], balancer: SocketAddr) -> Self {
        let state = tempfile::tempdir().unwrap();
        deploy(&state, files, crate::clock::now());
        Self::on_with(state, FakeContainers::default(), balancer)
    }

    /// A host with what is deployed and kept in this state folder.
    fn on(state: TempDir, containers: FakeContainers) -> Self {
        Self::on_with(state, containers, NOBODY)
    }

    fn on_with(state: TempDir, containers: FakeContainers, balancer: SocketAddr) -> Self {
        let (deployment, deployed) = Self::deployment(&state);
        let services = Arc::new(Services::new(deployed.services, Subnet::DEFAULT));
        let shared = Arc::new(Self::shared_by(&state, &services, balancer).unwrap());
        shared.note_deployed(&deployed.deploys);
        let rotation = Rotation::new(FakeLoadBalancer::default(), Arc::clone(&shared));
        let probe = FakeProbe::default();
        let timeout = SETTINGS.launch_timeout;
        let own = Arc::clone(&services);
        let egress = EgressSources::new(&state.path().join(EGRESS), Arc::clone(&own));
        let actor = Arc::new(Actor::new(containers, rotation, probe, own, egress, timeout));
        let memory = Self::memory(&state);
        let daemon =
            Daemon::new(Arc::clone(&actor), Arc::clone(&shared), deployment, memory, SETTINGS);
        let now = crate::clock::now();
        Self { actor, services, shared, daemon, now, state }
    }

    fn deployment(state: &TempDir) -> (DeploymentWatch, Read) {
        DeploymentWatch::begin(Deployments::new(state.path())).unwrap()
    }

    fn memory(state: &TempDir) -> MemoryFile {
        MemoryFile::open(&state.path().join("memory.json")).unwrap()
    }

    fn shared(state: &TempDir, services: &Arc<Services>) -> std::io::Result<SharedState> {
        Self::shared_by(state, services, NOBODY)
    }

    fn shared_by(
        state: &TempDir,
        services: &Arc<Services>,
        balancer: SocketAddr,
    ) -> std::io::Result<SharedState> {
        let (services, secrets) = (Arc::clone(services), secrets(state));
        let desk = JobDesk::new(state.path(), Sizes::default(), Arc::new(FakeJobs::default()));
        let doctor = Doctor::new(CommandLine::new("true"));
        let haproxy = HaproxySettings::of_host(&settings(state)).map_err(std::io::Error::other)?;
        let beside = (desk, Actions::new(balancer)?, Machine::new(state.path(), haproxy, doctor));
        SharedState::open(state.path(), SETTINGS.membership, MEMORY_MIB, services, secrets, beside)
    }

    /// The secrets on this host, as root has them.
    fn secrets(&self) -> SecretStore {
        secrets(&self.state)
    }

    /// Deploys these files as these versions, and nothing else.
    fn deploy(&self, files: &[(&str, u32)]) {
        deploy(&self.state, files, self.now);
    }

    /// The scaler is killed and started again; the host stays as it is.
    async fn restart(&mut self) {
        // What was given to the disk is on it in the milliseconds before the next one starts.
        self.daemon.flush_memory().await;
        let (deployment, deployed) = Self::deployment(&self.state);
        self.services.replace(deployed.services);
        self.shared = Arc::new(Self::shared(&self.state, &self.services).unwrap());
        self.shared.note_deployed(&deployed.deploys);
        let (actor, shared) = (Arc::clone(&self.actor), Arc::clone(&self.shared));
        let memory = Self::memory(&self.state);
        self.daemon = Daemon::new(actor, shared, deployment, memory, SETTINGS);
    }

    /// The service as it is deployed.
    fn deployed(&self) -> DeployedService {
        DeployedService::clone(&self.services.get(&store()).unwrap())
    }

    fn balancer(&self) -> &FakeLoadBalancer {
        self.actor.rotation().load_balancer()
    }

    /// One tick in which this many requests for the store arrive.
    async fn tick(&mut self, arrivals: u64) -> Tick {
        self.turn(arrivals).await;
        self.status().tick.unwrap()
    }

    /// So many ticks in which no request arrives, whatever is deployed.
    async fn ticks_of_all(&mut self, count: usize) {
        for _ in 0..count {
            self.turn(0).await;
        }
    }

    /// The same, also while the store is not deployed.
    async fn turn(&mut self, arrivals: u64) {
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
    }

    async fn ticks(&mut self, count: usize, arrivals: u64) -> PhaseCounts {
        for _ in 0..count {
            self.tick(arrivals).await;
        }
        self.status().phases
    }

    fn status(&self) -> ServiceStatus {
        self.status_of("object-store")
    }

    fn status_of(&self, service: &str) -> ServiceStatus {
        self.shared.service_status(&self.services.get(&service.parse().unwrap()).unwrap())
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
