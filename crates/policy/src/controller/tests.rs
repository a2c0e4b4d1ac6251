//! The loop against a small world of containers that die, launches that fail, statistics that go
//! missing and clocks that jump. In builds with debug assertions the controller holds every plan to
//! the plan checker.

use model::bounds::Bounds;
use model::instance::Phase;
use model::policies::PolicyKind;
use model::policies::PolicySpec;
use proptest::prelude::*;

use super::*;
use crate::fleet::{ContainerPresence, RotationState};
use crate::testing::{seconds, slots, store};

/// A host with one service, moving in steps of 100 ms.
struct World {
    now: Timestamp,
    containers: BTreeMap<InstanceName, (ContainerPresence, RotationState)>,
    started: Vec<(Timestamp, model::action::Action)>,
    controller: Controller,
    spec: ServiceSpec,
    /// Whether requests keep draining instances from being drained.
    busy: bool,
}

/// What happens in the world during one step.
#[derive(Debug, Clone)]
struct Step {
    arrivals: Option<u64>,
    dies: Option<usize>,
    launches_fail: bool,
    clock_jump_ms: i64,
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
            busy: false,
        }
    }

    fn step(&mut self, step: &Step) -> Tick {
        let now = self.now.as_millis().saturating_add_signed(100 + step.clock_jump_ms);
        self.now = Timestamp::from_millis(now);
        if let Some(index) = step.dies {
            let name = self.containers.keys().nth(index).cloned();
            name.and_then(|name| self.containers.remove(&name));
        }
        self.spec.bounds = Bounds::new(step.min, step.max).unwrap();
        let done = self.finish(step.launches_fail);
        let observed = self.look(step.arrivals, done);
        let free: Vec<_> = slots(1..=13).filter(|slot| !self.holds(*slot)).collect();
        let context = TurnContext {
            spec: &self.spec,
            free_slots: &free,
            launches_left: 4,
            launch_timeout: Duration::from_secs(10),
        };
        let tick = self.controller.turn(&context, observed, self.now);
        self.started = tick.plan.iter().map(|action| (self.now, action.clone())).collect();
        tick
    }

    fn holds(&self, slot: Slot) -> bool {
        self.containers.keys().any(|name| name.slot() == slot)
    }

    /// Every action ends one step after it was planned.
    fn finish(&mut self, launches_fail: bool) -> Vec<Done> {
        let mut done = Vec::new();
        for (planned_at, action) in std::mem::take(&mut self.started) {
            let failed = launches_fail && action.kind == ActionKind::Clone;
            match action.kind {
                ActionKind::Clone if failed => {
                    let leftover = (ContainerPresence::Stopped, RotationState::Out);
                    self.containers.insert(action.instance.clone(), leftover);
                }
                ActionKind::Stop => {
                    self.containers.remove(&action.instance);
                }
                ActionKind::Clone => {
                    let ready = (ContainerPresence::Running, RotationState::In { healthy: true });
                    self.containers.insert(action.instance.clone(), ready);
                }
                ActionKind::Admit | ActionKind::Drain => {
                    if let Some((_, rotation)) = self.containers.get_mut(&action.instance) {
                        let admitted = action.kind == ActionKind::Admit;
                        let healthy = RotationState::In { healthy: true };
                        *rotation = if admitted { healthy } else { RotationState::Drain };
                    }
                }
            }
            done.push(Done {
                kind: action.kind,
                instance: action.instance,
                slot: action.slot,
                planned_at,
                finished_at: self.now,
                error: failed.then(|| "no space left on device".to_owned()),
            });
        }
        done
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
        let observation =
            |(name, (container, rotation)): (&InstanceName, &(_, _))| InstanceObservation {
                name: name.clone(),
                container: *container,
                rotation: *rotation,
                in_flight: Some(0),
                drained: *rotation == RotationState::Drain && !self.busy,
                outdated: false,
                under_way: None,
            };
        let instances = self.containers.iter().map(observation).collect();
        // Each request takes a fiftieth of a second of CPU time.
        let cpu_cores = arrivals.map(|arrivals| arrivals as f64 / 5.0);
        ServiceObservation { load, cpu_cores, instances: Some(instances), done }
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
        min: 1,
        max: 10,
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let arrivals =
        prop_oneof![8 => (0_u64..60).prop_map(Some), 1 => Just(None), 1 => Just(Some(900))];
    let dies = prop::option::weighted(0.05, 0_usize..10);
    let jump = prop_oneof![30 => Just(0_i64), 1 => -5000..5000_i64];
    (arrivals, dies, prop::bool::weighted(0.1), jump, 0_u32..=1, 1_u32..=10).prop_map(
        |(arrivals, dies, launches_fail, clock_jump_ms, min, max)| Step {
            arrivals,
            dies,
            launches_fail,
            clock_jump_ms,
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
        // The longest back-off is 30 s, a clock jump 5 s, the patience 10 s.
        for _ in 0..600 {
            world.step(&calm(8));
        }
        prop_assert_eq!(world.ready(), 2);
        prop_assert_eq!(world.containers.len(), 2);
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
        for _ in 0..400 {
            world.step(&calm(8));
        }
        prop_assert!((1..=10).contains(&world.ready()));
    }
}
