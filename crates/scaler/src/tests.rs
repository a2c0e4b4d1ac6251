//! The whole daemon against a host in memory: containers, load balancer and probe are fakes, all
//! between them is real.

use std::sync::Arc;
use std::time::Duration;

use host::fake::{Call, FakeContainers, Fault};
use host::haproxy::ServerState;
use host::haproxy::fake::FakeLoadBalancer;
use host::haproxy::{Stats, StatsError};
use host::lxc::{Container, ContainerState};
use host::probe::FakeProbe;
use host::records::Deployed;
use host::slots::Subnet;
use policy::bounds::Bounds;
use policy::decision::{Decision, Reason};
use policy::fleet::PhaseCounts;
use policy::names::{InstanceName, ServiceName};
use policy::plan::{ActionKind, Blocked};
use policy::spec::ServiceSpec;
use policy::status::ServiceStatus;
use policy::tick::Tick;
use policy::time::Timestamp;

use crate::act::Actor;
use crate::board::Board;
use crate::daemon::{Daemon, Pace};
use crate::rotation::Rotation;
use crate::services::Services;

const PACE: Pace = Pace {
    tick: Duration::from_millis(100),
    parallel_launches: 4,
    launch_timeout: Duration::from_secs(10),
};

type FakeActor = Actor<FakeContainers, FakeLoadBalancer, FakeProbe>;

/// A host with the object store deployed, moving a tick at a time.
struct Rig {
    actor: Arc<FakeActor>,
    services: Arc<Services>,
    board: Arc<Board>,
    daemon: Daemon<FakeContainers, FakeLoadBalancer, FakeProbe>,
    now: Timestamp,
    state: tempfile::TempDir,
}

fn store() -> ServiceName {
    "object-store".parse().unwrap()
}

impl Rig {
    fn new() -> Self {
        let text = include_str!("../../../services/object-store.toml");
        let spec = ServiceSpec::parse(text).unwrap();
        let template = "bw-object-store-t00000001".parse().unwrap();
        Self::with(vec![Deployed { spec, template }], FakeContainers::default())
    }

    fn with(deployed: Vec<Deployed>, containers: FakeContainers) -> Self {
        let services = Arc::new(Services::new(deployed, Subnet::DEFAULT));
        let state = tempfile::tempdir().unwrap();
        let board = Arc::new(Board::open(state.path()).unwrap());
        let rotation = Rotation::new(FakeLoadBalancer::default(), Services::clone(&services));
        let probe = FakeProbe::default();
        let timeout = PACE.launch_timeout;
        let own = Services::clone(&services);
        let actor = Arc::new(Actor::new(containers, rotation, probe, own, timeout));
        let daemon = Self::daemon(&actor, &services, &board);
        let now = crate::clock::now();
        Self { actor, services, board, daemon, now, state }
    }

    fn daemon(
        actor: &Arc<FakeActor>,
        services: &Arc<Services>,
        board: &Arc<Board>,
    ) -> Daemon<FakeContainers, FakeLoadBalancer, FakeProbe> {
        Daemon::new(Arc::clone(actor), Arc::clone(services), Arc::clone(board), PACE)
    }

    /// The scaler is killed and started again; the host stays as it is.
    fn restart(&mut self) {
        self.board = Arc::new(Board::open(self.state.path()).unwrap());
        self.daemon = Self::daemon(&self.actor, &self.services, &self.board);
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
        tokio::time::advance(PACE.tick).await;
        self.now = self.now.after(PACE.tick);
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
        self.board.service_status(&store()).unwrap()
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

fn malformed() -> StatsError {
    Stats::parse("<html>", tokio::time::Instant::now()).unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_service_starts_follows_its_load_and_comes_back_down() {
    let mut rig = Rig::new();
    assert_eq!(rig.ticks(6, 1).await, ready(1));
    assert_eq!(rig.ticks(15, 20).await, ready(5), "200 requests/s at 40 an instance");
    assert_eq!(rig.in_rotation(ServerState::Ready), 5);
    assert_eq!(rig.ticks(130, 1).await, ready(1), "13 s later, at a patience of 10 s");
    assert_eq!(rig.in_rotation(ServerState::Ready), 1);
    assert_eq!(rig.in_rotation(ServerState::Drain), 0);
}

#[tokio::test(start_paused = true)]
async fn statistics_that_are_away_or_malformed_hold_everything_until_they_are_back() {
    let mut rig = Rig::new();
    rig.ticks(20, 20).await;
    let before = rig.actor.containers().calls().len();
    rig.balancer().fail_scrape(Some(malformed));
    for _ in 0..150 {
        let tick = rig.tick(0).await;
        assert_eq!(tick.decision, Decision::Hold { reasons: vec![Reason::NoData] });
        assert_eq!(tick.observation.offered_rps, None);
        assert_eq!(tick.observation.phases, ready(5), "what was seen last stays");
    }
    assert_eq!(rig.actor.containers().calls().len(), before);
    rig.balancer().fail_scrape(None);
    assert_eq!(rig.ticks(50, 0).await, ready(5), "the patience starts anew");
    assert_eq!(rig.ticks(80, 0).await, ready(1));
}

#[tokio::test(start_paused = true)]
async fn failing_launches_are_said_backed_off_and_made_up_for() {
    let mut rig = Rig::new();
    for fault in [Fault::Fails, Fault::FailsHalfway, Fault::Fails] {
        rig.actor.containers().next_launch(fault);
    }
    rig.ticks(60, 0).await;
    assert_eq!(rig.status().phases, ready(1));
    assert_eq!(rig.launches(), 4);
    let kept = rig.board.ticks(0, 100);
    let failed = |tick: &Tick| {
        let told = |error: &String| error.contains("was not launched");
        tick.done.iter().any(|done| done.error.as_ref().is_some_and(told))
    };
    assert_eq!(kept.iter().filter(|tick| failed(tick)).count(), 3);
    assert!(kept.iter().any(|tick| tick.blocked == [Blocked::LaunchBackoff]));
}

#[tokio::test(start_paused = true)]
async fn a_dead_instance_leaves_the_rotation_and_is_replaced() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    let victim: InstanceName = rig.status().instances[0].name.clone();
    rig.actor.containers().die(&victim);
    assert_eq!(rig.ticks(3, 10).await, ready(3));
    assert!(rig.status().instances.iter().all(|instance| instance.name != victim));
    assert_eq!(rig.in_rotation(ServerState::Ready), 3);
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_monitor_died_is_removed_and_replaced() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    let victim = rig.status().instances[0].name.clone();
    rig.actor.containers().lose_monitor(&victim);
    assert_eq!(rig.ticks(3, 10).await, ready(3));
    assert!(rig.actor.containers().calls().contains(&Call::Stop(victim)));
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_hangs_holds_up_nothing_else() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    rig.actor.containers().next_launch(Fault::Hangs);
    let phases = rig.ticks(20, 20).await;
    assert_eq!(phases, PhaseCounts { starting: 1, ..ready(4) });
}

#[tokio::test(start_paused = true)]
async fn stops_that_fail_are_tried_again_ever_more_slowly() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let victim = rig.status().instances[0].name.clone();
    rig.actor.containers().set_stops_fail(true);
    rig.actor.containers().lose_monitor(&victim);
    assert_eq!(rig.ticks(100, 1).await, PhaseCounts { failed: 1, ..ready(1) });
    let stops = |rig: &Rig| {
        let calls = rig.actor.containers().calls();
        calls.iter().filter(|call| **call == Call::Stop(victim.clone())).count()
    };
    assert!((3..=6).contains(&stops(&rig)), "{} stops in 10 s", stops(&rig));
    let kept = rig.board.ticks(0, 100);
    assert!(kept.iter().any(|tick| tick.blocked == [Blocked::ActionBackoff]));
    rig.actor.containers().set_stops_fail(false);
    assert_eq!(rig.ticks(300, 1).await, ready(1));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_listed_holds_everything() {
    let mut rig = Rig::new();
    rig.ticks(20, 20).await;
    let before = rig.actor.containers().calls().len();
    rig.actor.containers().set_lists_fail(true);
    let tick = rig.tick(20).await;
    assert_eq!(tick.decision, Decision::Hold { reasons: vec![Reason::NoData] });
    assert_eq!(tick.observation.phases, ready(5));
    assert_eq!(rig.actor.containers().calls().len(), before);
    rig.actor.containers().set_lists_fail(false);
    assert_eq!(rig.ticks(30, 20).await, ready(5));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_scaler_adopts_what_runs_and_touches_nothing() {
    let mut rig = Rig::new();
    rig.ticks(20, 20).await;
    let calls = rig.actor.containers().calls().len();
    rig.restart();
    assert_eq!(rig.ticks(3, 20).await, ready(5));
    assert_eq!(rig.actor.containers().calls().len(), calls);
    assert!(rig.board.ticks(0, 100).windows(2).all(|w| w[0].sequence < w[1].sequence));
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_scaler_left_half_done_is_finished_or_removed() {
    let containers = FakeContainers::default();
    let put = |name: &str, state| {
        let template = Some("bw-object-store-t00000001".parse().unwrap());
        containers.put(Container { name: name.parse().unwrap(), template, state });
    };
    put("bw-object-store-1-a", ContainerState::Running);
    put("bw-object-store-2-b", ContainerState::Stopped);
    put("bw-withdrawn-40-c", ContainerState::Stopped);
    let deployed = Rig::new().services.get(&store()).unwrap().clone();
    let mut rig = Rig::with(vec![deployed], containers);
    assert_eq!(rig.ticks(5, 1).await, ready(1));
    assert_eq!(rig.status().instances[0].name.as_str(), "bw-object-store-1-a");
    let stopped = rig.actor.containers().calls();
    for name in ["bw-object-store-2-b", "bw-withdrawn-40-c"] {
        assert!(stopped.contains(&Call::Stop(name.parse().unwrap())), "{name}: {stopped:?}");
    }
    assert_eq!(rig.launches(), 0);
}

#[tokio::test(start_paused = true)]
async fn instances_of_a_withdrawn_service_have_time_to_finish_their_requests() {
    let containers = FakeContainers::default();
    let name: InstanceName = "bw-withdrawn-40-c".parse().unwrap();
    let template = Some("bw-withdrawn-t00000001".parse().unwrap());
    containers.put(Container { name: name.clone(), template, state: ContainerState::Running });
    let deployed = Rig::new().services.get(&store()).unwrap().clone();
    let mut rig = Rig::with(vec![deployed], containers);
    let stops = |rig: &Rig| {
        let calls = rig.actor.containers().calls();
        calls.iter().filter(|call| **call == Call::Stop(name.clone())).count()
    };
    rig.ticks(295, 1).await;
    assert_eq!(stops(&rig), 0);
    rig.ticks(10, 1).await;
    assert_eq!(stops(&rig), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_neither_cuts_a_drain_short_nor_the_patience() {
    for jump in [Duration::from_secs(3600), Duration::from_secs(30)] {
        let mut rig = Rig::new();
        rig.ticks(20, 20).await;
        rig.ticks(50, 1).await;
        rig.now = rig.now.after(jump);
        assert_eq!(rig.ticks(90, 1).await, ready(5), "the patience starts anew");
        rig.balancer().set_figures(|services| {
            for server in services.get_mut(&store()).unwrap().servers.values_mut() {
                server.in_flight = Some(1);
            }
        });
        assert_eq!(rig.ticks(40, 1).await.draining, 4);
        rig.now = rig.now.after(jump);
        assert_eq!(rig.ticks(200, 1).await.draining, 4, "the requests under way go on");
    }
}

#[tokio::test(start_paused = true)]
async fn bounds_that_have_no_room_beside_a_later_service_hold_up_nobody() {
    let mut rig = Rig::new();
    rig.board.set_bounds(&store(), Bounds::new(1, 750).unwrap()).unwrap();
    let text = include_str!("../../../services/object-store.toml")
        .replacen("object-store", "later", 1)
        .replace("path_prefix = \"/\"", "path_prefix = \"/later\"")
        .replace("max = 10", "max = 20");
    let spec = ServiceSpec::parse(&text).unwrap();
    let later = Deployed { spec, template: "bw-later-t00000001".parse().unwrap() };
    let first = rig.services.get(&store()).unwrap().clone();
    let state = std::mem::replace(&mut rig.state, tempfile::tempdir().unwrap());
    let mut rig = Rig::with(vec![first, later], FakeContainers::default());
    rig.board = Arc::new(Board::open(state.path()).unwrap());
    rig.daemon = Rig::daemon(&rig.actor, &rig.services, &rig.board);
    assert_eq!(rig.ticks(6, 1).await, ready(1));
    assert_eq!(rig.board.service_status(&"later".parse().unwrap()).unwrap().phases, ready(1));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_never_answers_is_given_up_and_the_loop_goes_on() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    rig.actor.probe().set_sick(true);
    rig.ticks(20, 10).await;
    assert_eq!(rig.status().phases.ready, 1);
    rig.actor.probe().set_sick(false);
    assert_eq!(rig.ticks(300, 10).await, ready(3));
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_lost_a_slot_is_brought_back() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    let changes = rig.balancer().changes();
    rig.balancer().set_figures(|services| {
        let servers = &mut services.get_mut(&store()).unwrap().servers;
        servers.values_mut().next().unwrap().status = host::haproxy::ServerStatus::Maint;
    });
    assert_eq!(rig.ticks(3, 10).await, ready(3));
    assert!(rig.launches() == 3, "nothing was launched for it");
    assert!(rig.balancer().changes() >= changes);
}

#[tokio::test(start_paused = true)]
async fn a_new_template_replaces_every_instance_without_going_below_the_target() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    let mut deployed = rig.services.get(&store()).unwrap().clone();
    deployed.template = "bw-object-store-t00000002".parse().unwrap();
    let old = rig.status().instances;
    let containers = FakeContainers::default();
    for instance in &old {
        containers.put(Container {
            name: instance.name.clone(),
            template: Some("bw-object-store-t00000001".parse().unwrap()),
            state: ContainerState::Running,
        });
    }
    let mut rig = Rig::with(vec![deployed], containers);
    rig.ticks(10, 10).await;
    for _ in 0..100 {
        assert!(rig.tick(10).await.observation.phases.ready >= 3);
    }
    assert_eq!(rig.status().phases, ready(3));
    let kept = |name: &InstanceName| old.iter().any(|instance| instance.name == *name);
    assert!(rig.status().instances.iter().all(|instance| !kept(&instance.name)));
}

#[tokio::test(start_paused = true)]
async fn bounds_that_are_set_hold_from_the_next_turn_and_after_a_restart() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    rig.board.set_bounds(&store(), Bounds::new(3, 20).unwrap()).unwrap();
    assert_eq!(rig.ticks(6, 1).await, ready(3));
    assert_eq!(rig.balancer().held().servers().count(), 26, "20 and 30% spare");
    rig.restart();
    assert_eq!(rig.ticks(6, 1).await, ready(3));
    assert_eq!(rig.status().bounds, Bounds::new(3, 20).unwrap());
    rig.board.set_bounds(&store(), Bounds::new(1, 2).unwrap()).unwrap();
    let tick = rig.tick(1).await;
    let drains = tick.plan.iter().filter(|action| action.kind == ActionKind::Drain).count();
    assert_eq!(drains, 1, "an upper bound below what runs holds at once: {tick:?}");
}

mod api {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(rig: &Rig, method: &str, path: &str, body: &'static str) -> (StatusCode, String) {
        let routes = crate::api::routes(Arc::clone(&rig.board), Arc::clone(&rig.services));
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        let response = routes.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn services_ticks_and_bounds_can_be_asked_for_and_bounds_be_set_and_cleared() {
        let mut rig = Rig::new();
        rig.ticks(6, 1).await;
        let path = "/v1/services/object-store";
        let (_, all) = ask(&rig, "GET", "/v1/services", "").await;
        let all: policy::status::HostStatus = serde_json::from_str(&all).unwrap();
        assert_eq!(all.services, [rig.status()]);
        let (_, page) = ask(&rig, "GET", "/v1/ticks?since=0&limit=2", "").await;
        let page: policy::status::TickPage = serde_json::from_str(&page).unwrap();
        assert_eq!((page.ticks.len(), page.next), (2, 2));
        let bounds = format!("{path}/bounds");
        let (status, text) = ask(&rig, "PUT", &bounds, r#"{"min":2,"max":4}"#).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert_eq!(rig.status().bounds, Bounds::new(2, 4).unwrap());
        assert_eq!(ask(&rig, "DELETE", &bounds, "").await.0, StatusCode::OK);
        assert_eq!(rig.status().bounds, Bounds::new(1, 10).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn bad_requests_are_refused_with_a_reason_and_change_nothing() {
        let mut rig = Rig::new();
        rig.ticks(6, 1).await;
        let bounds = "/v1/services/object-store/bounds";
        let cases = [
            ("GET", "/v1/services/nothing", "", 404, "no_such_service"),
            ("PUT", bounds, r#"{"min":5,"max":4}"#, 422, "lower one or raise the other"),
            ("PUT", bounds, r#"{"min":1}"#, 422, "missing field `max`"),
            ("PUT", bounds, r#"{"min":1,"max":800}"#, 422, "use 750 or less"),
            ("PUT", bounds, "{", 400, "bad_body"),
            ("GET", "/v1/ticks?since=x", "", 400, "bad_query"),
            ("GET", "/v1/ticks?sinse=1", "", 400, "unknown field"),
            ("POST", "/v1/services", "", 405, "method_not_allowed"),
            ("GET", "/v2", "", 404, "no_such_path"),
        ];
        for (method, path, body, status, told) in cases {
            let (answered, text) = ask(&rig, method, path, body).await;
            assert_eq!(answered.as_u16(), status, "{method} {path}: {text}");
            assert!(text.contains(told), "{method} {path}: {text}");
        }
        assert_eq!(rig.status().bounds, Bounds::new(1, 10).unwrap());
    }
}
