//! The loop against a small world of containers that die, launches that fail, statistics that go
//! missing and clocks that jump. In builds with debug assertions the controller holds every plan to
//! the plan checker.

mod saturated;

use model::bounds::Bounds;
use model::policies::PolicyKind;
use model::policies::PolicySpec;
use proptest::prelude::*;

use model::version::Version;

use super::*;
use crate::fleet::{ContainerPresence, RotationState};
use crate::testing::{VERSION, seconds, slots, store, wanted};

/// An instance's container as the host and the load balancer show it.
#[derive(Debug, Clone, Copy)]
struct Container {
    presence: ContainerPresence,
    rotation: RotationState,
    version: Version,
}

/// Another version than the first.
const NEXT: Version = Version::new(2);

/// A version of which no instance ever gets healthy.
const BROKEN: Version = Version::new(0xb);

/// A version that fails every second request.
const WRONG: Version = Version::new(4);

/// A host with one service, moving in steps of 100 ms.
struct World {
    now: Timestamp,
    containers: BTreeMap<InstanceName, Container>,
    started: Vec<(Timestamp, model::action::Action)>,
    controller: Controller,
    spec: ServiceSpec,
    wanted: Wanted,
    /// Whether requests keep draining instances from being drained.
    busy: bool,
    host_cpu: Option<HostCpu>,
}

/// What happens in the world during one step.
#[derive(Debug, Clone)]
struct Step {
    arrivals: Option<u64>,
    dies: Option<usize>,
    launches_fail: bool,
    clock_jump_ms: i64,
    deploys: Option<Version>,
    restarts: bool,
    min: u32,
    max: u32,
}

impl World {
    fn new() -> Self {
        Self {
            now: seconds(0),
            containers: BTreeMap::new(),
            started: Vec::new(),
            controller: Controller::default(),
            spec: store(),
            wanted: wanted(VERSION),
            busy: false,
            host_cpu: None,
        }
    }

    fn step(&mut self, step: &Step) -> Tick {
        let now = self.now.as_millis().saturating_add_signed(100 + step.clock_jump_ms);
        self.now = Timestamp::from_millis(now);
        if let Some(index) = step.dies {
            let name = self.containers.keys().nth(index).cloned();
            name.and_then(|name| self.containers.remove(&name));
        }
        if let Some(version) = step.deploys {
            self.wanted = Wanted { version, deployed_at: self.now };
        }
        if step.restarts {
            self.restart();
        }
        self.spec.bounds = Bounds::new(step.min, step.max).unwrap();
        let done = self.finish(step.launches_fail);
        let observed = self.look(step.arrivals, done);
        let free: Vec<_> = slots(1..=13).filter(|slot| !self.holds(*slot)).collect();
        let context = TurnContext {
            spec: &self.spec,
            wanted: self.wanted,
            free_slots: &free,
            launches_left: 4,
            fits: 100,
            launch_timeout: Duration::from_secs(10),
        };
        let tick = self.controller.turn(&context, observed, self.now);
        self.started = tick.plan.iter().map(|action| (self.now, action.clone())).collect();
        tick
    }

    fn holds(&self, slot: Slot) -> bool {
        self.containers.keys().any(|name| name.slot() == slot)
    }

    /// The loop's process ends and another one takes its place. Actions under way come to their
    /// end, and nobody is told.
    fn restart(&mut self) {
        self.finish(false);
        let text = serde_json::to_string(&self.controller.memory()).unwrap();
        self.controller = Controller::restored(serde_json::from_str(&text).unwrap());
    }

    /// Every action ends one step after it was planned.
    fn finish(&mut self, launches_fail: bool) -> Vec<Done> {
        let started = std::mem::take(&mut self.started);
        started.into_iter().map(|(at, action)| self.carry_out(at, action, launches_fail)).collect()
    }

    fn carry_out(
        &mut self,
        planned_at: Timestamp,
        action: model::action::Action,
        launches_fail: bool,
    ) -> Done {
        let mut error = None;
        match action.kind {
            ActionKind::Clone => {
                let version = action.version.unwrap();
                let (presence, rotation);
                (presence, rotation, error) = if launches_fail {
                    let error = "no space left on device";
                    (ContainerPresence::Stopped, RotationState::Out, Some(error))
                } else if version == BROKEN {
                    (ContainerPresence::Running, RotationState::Out, Some("no answer"))
                } else {
                    (ContainerPresence::Running, RotationState::In { healthy: true }, None)
                };
                let container = Container { presence, rotation, version };
                self.containers.insert(action.instance.clone(), container);
            }
            ActionKind::Stop | ActionKind::Kill => {
                self.containers.remove(&action.instance);
            }
            ActionKind::Admit | ActionKind::Drain => {
                if let Some(container) = self.containers.get_mut(&action.instance) {
                    if action.kind == ActionKind::Drain {
                        container.rotation = RotationState::Drain;
                    } else if container.version == BROKEN {
                        error = Some("no answer");
                    } else {
                        container.rotation = RotationState::In { healthy: true };
                    }
                }
            }
        }
        Done {
            kind: action.kind,
            instance: action.instance,
            slot: action.slot,
            version: action.version,
            planned_at,
            finished_at: self.now,
            error: error.map(str::to_owned),
            last_lines: Vec::new(),
        }
    }

    fn look(&self, arrivals: Option<u64>, done: Vec<Done>) -> ServiceObservation {
        let load = arrivals.map(|arrivals| LoadObservation {
            elapsed: Duration::from_millis(100),
            arrivals,
            served: arrivals,
            rejected: 0,
            queued: 0,
            in_flight: 0,
        });
        let observation = |(name, container): (&InstanceName, &Container)| InstanceObservation {
            name: name.clone(),
            container: container.presence,
            rotation: container.rotation,
            in_flight: Some(0),
            drained: container.rotation == RotationState::Drain && !self.busy,
            version: Some(container.version),
            under_way: None,
            silent: None,
        };
        let instances = self.containers.iter().map(observation).collect();
        // Each request takes a fiftieth of a second of CPU time.
        let cpu_cores = arrivals.map(|arrivals| arrivals as f64 / 5.0);
        let answers = self.answers(arrivals.unwrap_or(0));
        let (host_cpu, instances) = (self.host_cpu, Some(instances));
        ServiceObservation { load, cpu_cores, host_cpu, instances, answers, done }
    }

    /// What came of so many requests, which those in rotation share alike.
    fn answers(&self, arrivals: u64) -> BTreeMap<Version, Answers> {
        let in_rotation =
            |container: &&Container| container.rotation == RotationState::In { healthy: true };
        let serving: Vec<_> = self.containers.values().filter(in_rotation).collect();
        let each = arrivals / serving.len().max(1) as u64;
        // Of a single one, that of every second step.
        let odd_step = self.now.as_millis() / 100 % 2;
        let mut answers: BTreeMap<Version, Answers> = BTreeMap::new();
        for container in serving {
            let failed = if container.version == WRONG { (each + odd_step) / 2 } else { 0 };
            *answers.entry(container.version).or_default() += Answers { all: each, failed };
        }
        answers
    }

    fn ready_of(&self, version: Version) -> usize {
        let ready = self.controller.fleet().in_phase(Phase::Ready);
        ready.filter(|instance| instance.version == Some(version)).count()
    }

    fn ready(&self) -> usize {
        self.controller.fleet().in_phase(Phase::Ready).count()
    }
}

fn calm(arrivals: u64) -> Step {
    Step {
        arrivals: Some(arrivals),
        dies: None,
        launches_fail: false,
        clock_jump_ms: 0,
        deploys: None,
        restarts: false,
        min: 1,
        max: 10,
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let arrivals =
        prop_oneof![8 => (0_u64..60).prop_map(Some), 1 => Just(None), 1 => Just(Some(900))];
    let dies = prop::option::weighted(0.05, 0_usize..10);
    let jump = prop_oneof![30 => Just(0_i64), 1 => -5000..5000_i64];
    let versions = prop::sample::select(vec![VERSION, NEXT, Version::new(3), WRONG, BROKEN]);
    let deploys = prop::option::weighted(0.05, versions);
    let often = (arrivals, dies, prop::bool::weighted(0.1), 0_u32..=1, 1_u32..=10);
    (often, jump, deploys, prop::bool::weighted(0.03)).prop_map(
        |((arrivals, dies, launches_fail, min, max), clock_jump_ms, deploys, restarts)| Step {
            arrivals,
            dies,
            launches_fail,
            clock_jump_ms,
            deploys,
            restarts,
            min,
            max,
        },
    )
}

#[test]
fn a_service_starts_at_its_lower_bound_and_follows_the_load_out_and_in() {
    let mut world = World::new();
    for _ in 0..5 {
        world.step(&calm(2));
    }
    assert_eq!(world.ready(), 1);
    for _ in 0..15 {
        world.step(&calm(20));
    }
    assert_eq!(world.ready(), 5);
    for _ in 0..99 {
        world.step(&calm(2));
    }
    assert_eq!(world.ready(), 5, "patience");
    for _ in 0..15 {
        world.step(&calm(2));
    }
    assert_eq!(world.ready(), 1);
}

#[test]
fn a_service_that_may_have_no_instance_goes_from_zero_to_one_and_back_to_zero() {
    let mut world = World::new();
    let idle = |arrivals| Step { min: 0, ..calm(arrivals) };
    for _ in 0..20 {
        assert_eq!(world.step(&idle(0)).target(), Some(0));
    }
    assert_eq!(world.step(&idle(1)).target(), Some(1));
    for _ in 0..100 {
        assert_eq!(world.step(&idle(0)).target(), Some(1), "patience");
    }
    assert_eq!(world.ready(), 1);
    for _ in 0..20 {
        world.step(&idle(0));
    }
    assert_eq!((world.ready(), world.containers.len()), (0, 0));
}

#[test]
fn the_last_instance_is_taken_back_when_it_is_asked_for_unless_it_has_drained() {
    use ActionKind::{Admit, Clone, Drain, Stop};
    for (busy, expected) in [(true, vec![Admit]), (false, vec![Stop, Clone])] {
        let mut world = World { busy, ..World::new() };
        let mut step = |arrivals| {
            let tick = world.step(&Step { min: 0, ..calm(arrivals) });
            tick.plan.iter().map(|action| action.kind).collect::<Vec<_>>()
        };
        assert_eq!(step(1), [Clone]);
        assert!((0..200).any(|_| step(0) == [Drain]), "patience is 10 s");
        assert_eq!(step(1), expected, "busy: {busy}");
    }
}

#[test]
fn start_up_times_are_learnt_from_launches_that_succeed() {
    let mut controller = Controller::default();
    assert_eq!(controller.start_up, None);
    controller.learn_start_up(Duration::from_millis(80));
    controller.learn_start_up(Duration::from_millis(160));
    assert_eq!(controller.start_up, Some(Duration::from_millis(90)));
}

#[test]
fn another_policy_keeps_what_was_decided_until_it_decides() {
    let mut world = World::new();
    for _ in 0..20 {
        world.step(&calm(20));
    }
    assert_eq!(world.ready(), 5);
    // Its window of a minute is not covered yet.
    world.spec.policy = PolicySpec::from(PolicyKind::Threshold);
    for _ in 0..50 {
        assert_eq!(world.step(&calm(0)).target(), Some(5));
    }
}

#[test]
fn failing_launches_are_tried_again_ever_more_slowly_until_one_succeeds() {
    let mut world = World::new();
    let failing = Step { launches_fail: true, ..calm(2) };
    let attempts: usize = (0..100)
        .map(|_| world.step(&failing).plan.iter().filter(|a| a.kind == ActionKind::Clone).count())
        .sum();
    assert!((4..=6).contains(&attempts), "{attempts} attempts in 10 s");
    for _ in 0..100 {
        world.step(&calm(2));
    }
    assert_eq!(world.ready(), 1);
    assert_eq!(world.containers.len(), 1, "leftovers are removed");
}

#[test]
fn a_new_version_is_proved_on_one_instance_and_then_replaces_the_others_by_surge() {
    let mut world = World::new();
    for _ in 0..15 {
        world.step(&calm(30));
    }
    assert_eq!(world.ready(), 8);
    let count = |world: &World, version| {
        world.containers.values().filter(|container| container.version == version).count()
    };
    let tick = world.step(&Step { deploys: Some(NEXT), ..calm(30) });
    let proving = Rollout::Proving { version: VERSION, next: world.wanted, since: world.now };
    assert_eq!(tick.rollout, Some(proving));
    assert_eq!(tick.plan.iter().map(|action| action.version).collect::<Vec<_>>(), [Some(NEXT)]);
    let tick = world.step(&calm(30));
    let watching = Rollout::Watching { version: VERSION, next: world.wanted, since: world.now };
    assert_eq!(tick.rollout, Some(watching));
    for _ in 1..50 {
        world.step(&calm(30));
        assert_eq!((world.ready_of(VERSION), world.ready_of(NEXT)), (8, 1));
        assert_eq!(world.containers.len(), 9);
    }
    let tick = world.step(&calm(30));
    assert_eq!(tick.rollout, Some(Rollout::Serving { version: NEXT }));
    let watched = tick.observation.watched.unwrap();
    assert_eq!((watched.old.answers.all, watched.new.answers.all), (51 * 24, 51 * 3));
    assert_eq!(world.step(&calm(30)).observation.watched, None);
    let mut most = 0;
    for _ in 0..30 {
        world.step(&calm(30));
        assert!(world.ready() >= 8);
        most = most.max(world.containers.len());
    }
    assert_eq!((count(&world, VERSION), count(&world, NEXT)), (0, 8));
    // A surge of two, and as many that drain.
    assert!((10..=12).contains(&most), "{most} at once");
}

/// Eight ready instances of the first version, and another one deployed beside them.
fn deployed(version: Version) -> World {
    let mut world = World::new();
    for _ in 0..15 {
        world.step(&calm(30));
    }
    world.step(&Step { deploys: Some(version), ..calm(30) });
    world
}

#[test]
fn a_version_that_fails_every_second_request_goes_back_within_three_seconds_and_the_old_fleet_is_whole()
 {
    let mut world = deployed(WRONG);
    let given_up = |tick: &Tick| matches!(tick.rollout, Some(Rollout::GivenUp { .. }));
    let mut failed_at = None;
    let tick = (0..100).find_map(|_| {
        let tick = world.step(&calm(9));
        assert!(world.ready_of(VERSION) >= 8);
        let failed = tick.observation.watched.is_some_and(|watched| watched.new.answers.failed > 0);
        failed_at = failed_at.or(failed.then_some(world.now));
        given_up(&tick).then_some(tick)
    });
    let tick = tick.unwrap();
    assert!(world.now.since(failed_at.unwrap()) < Duration::from_secs(3));
    let Some(Rollout::GivenUp { reason, .. }) = &tick.rollout else { unreachable!() };
    // The ninth of the requests of each tenth of a second came to it.
    insta::assert_snapshot!(reason, @"3 of 5 answers of the new version were 5xx or broke off, and 0 of 40 of version 00000001");
    let watched = tick.observation.watched.unwrap();
    assert_eq!(tick.given_up.iter().map(|it| it.version).collect::<Vec<_>>(), [Some(WRONG)]);
    let again = crate::watch::judge(&watched, VERSION, Duration::ZERO, world.spec.watch);
    assert_eq!(
        again,
        crate::watch::Verdict::Bad(reason.clone()),
        "the tick holds what it follows from"
    );
    for _ in 0..5 {
        world.step(&calm(9));
    }
    assert_eq!(
        (world.containers.len(), world.ready_of(VERSION)),
        (8, 8),
        "what was watched is gone"
    );
}

#[test]
fn a_watched_instance_that_ends_by_itself_is_given_up_and_an_old_one_is_replaced() {
    for (victim, goes_on) in [(NEXT, false), (VERSION, true)] {
        let mut world = deployed(NEXT);
        for _ in 0..10 {
            world.step(&calm(30));
        }
        let is_victim = |container: &Container| container.version == victim;
        let dies = world.containers.values().position(is_victim);
        let tick = world.step(&Step { dies, ..calm(30) });
        assert_eq!(tick.ended.len(), 1);
        assert_eq!(matches!(tick.rollout, Some(Rollout::Watching { .. })), goes_on, "{victim}");
        world.step(&calm(30));
        world.step(&calm(30));
        assert_eq!(world.ready_of(VERSION), 8);
        assert_eq!(world.ready_of(NEXT), usize::from(goes_on));
    }
}

#[test]
fn a_restart_of_the_loop_begins_the_watch_anew() {
    let mut world = deployed(NEXT);
    for _ in 0..40 {
        world.step(&calm(30));
    }
    world.step(&Step { restarts: true, ..calm(30) });
    let anew = Rollout::Watching { version: VERSION, next: world.wanted, since: world.now };
    assert_eq!(world.controller.rollout(), Some(&anew));
    assert_eq!((world.ready_of(VERSION), world.ready_of(NEXT)), (8, 1));
}

#[test]
fn a_version_that_never_gets_healthy_is_given_up_after_its_time_with_the_reason() {
    let mut world = World::new();
    for _ in 0..5 {
        world.step(&calm(2));
    }
    world.step(&Step { deploys: Some(BROKEN), ..calm(2) });
    let given_up = |tick: &Tick| matches!(tick.rollout, Some(Rollout::GivenUp { .. }));
    let steps = (1..).find(|_| given_up(&world.step(&calm(2)))).unwrap();
    // The time is 10 s, and a try that fails sooner is made again within 8 s.
    assert!((100..=180).contains(&steps), "{steps}");
    let Some(Rollout::GivenUp { reason, .. }) = world.step(&calm(2)).rollout else { panic!() };
    assert_eq!(reason, "no answer");
    for _ in 0..5 {
        world.step(&calm(2));
    }
    assert_eq!(world.containers.len(), 1, "what was tried is removed");
}

#[test]
fn a_cooldown_goes_on_after_a_restart() {
    let cools = |restarts: bool| {
        let mut world = World::new();
        world.spec.scale_in.rules.patience = Duration::ZERO;
        world.spec.scale_in.rules.cooldown = Duration::from_secs(60);
        for _ in 0..15 {
            world.step(&calm(20));
        }
        assert_eq!(world.ready(), 5);
        let fell = |step: u32, world: &mut World| {
            let step = Step { restarts: restarts && step == 100, ..calm(2) };
            world.step(&step).target() == Some(1)
        };
        (1..).find(|step| fell(*step, &mut world)).unwrap()
    };
    let (with, without) = (cools(true), cools(false));
    assert!((580..=600).contains(&without), "{without}");
    assert_eq!(with, without);
}

proptest! {
    /// The plan checker runs inside the controller; here the world must also come to rest.
    #[test]
    fn whatever_happened_a_calm_world_settles_at_what_the_load_needs(
        steps in prop::collection::vec(any_step(), 1..120)
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        // Deployed last, in the end, is a version that works.
        world.step(&Step { deploys: Some(VERSION), ..calm(8) });
        // The longest back-off is 30 s, a clock jump 5 s, the patience 10 s.
        for _ in 0..600 {
            world.step(&calm(8));
        }
        prop_assert_eq!(world.ready(), 2);
        prop_assert_eq!(world.containers.len(), 2);
        prop_assert!(world.containers.values().all(|container| container.version == VERSION));
    }

    /// The service has one healthy instance and works; then nothing goes wrong but versions that
    /// never get healthy and restarts of the loop, and no moment is without a ready instance.
    #[test]
    fn a_version_that_never_gets_healthy_leaves_the_service_as_it_is(
        steps in prop::collection::vec((0_u64..20, prop::bool::weighted(0.05)), 1..300)
    ) {
        let mut world = World::new();
        for _ in 0..5 {
            world.step(&calm(2));
        }
        world.step(&Step { deploys: Some(BROKEN), ..calm(2) });
        for (arrivals, restarts) in steps {
            let tick = world.step(&Step { restarts, ..calm(arrivals) });
            prop_assert_eq!(tick.rollout.unwrap().serving(), VERSION);
            let in_rotation = |c: &&Container| c.rotation == RotationState::In { healthy: true };
            let serving: Vec<_> = world.containers.values().filter(in_rotation).collect();
            prop_assert!(!serving.is_empty());
            prop_assert!(serving.iter().all(|container| container.version == VERSION));
        }
    }

    /// Every policy, and a change to another one in the middle: the plan checker finds nothing, and
    /// what is decided lies within the bounds of the moment.
    #[test]
    fn whatever_happens_under_any_policy_the_bounds_are_kept(
        steps in prop::collection::vec(any_step(), 2..100),
        first in prop::sample::select(PolicyKind::all().collect::<Vec<_>>()),
        second in prop::sample::select(PolicyKind::all().collect::<Vec<_>>()),
    ) {
        let mut world = World::new();
        for (i, step) in steps.iter().enumerate() {
            let kind = if i < steps.len() / 2 { first } else { second };
            world.spec.policy = PolicySpec::from(kind);
            let tick = world.step(step);
            let target = tick.target().unwrap_or(step.max);
            prop_assert!((step.min..=step.max).contains(&target), "{target} by {kind}");
        }
        world.step(&Step { deploys: Some(VERSION), ..calm(8) });
        for _ in 0..400 {
            world.step(&calm(8));
        }
        prop_assert!((1..=10).contains(&world.ready()));
    }
}
