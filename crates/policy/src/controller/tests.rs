//! The loop against a small world of containers that die, launches that fail, statistics that go
//! missing and clocks that jump. In builds with debug assertions the controller holds every plan to
//! the plan checker.

mod held;
mod releases;
mod replays;
mod saturated;
mod versions;
mod world;

use model::policies::PolicyKind;
use model::policies::PolicySpec;
use proptest::prelude::*;

use self::world::{BROKEN, Container, NEXT, Step, World, any_step, calm};
use super::*;
use crate::fleet::RotationState;
use crate::testing::VERSION;

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
        steps in prop::collection::vec(any_step(), 1..120),
        release in prop::bool::ANY,
    ) {
        let mut world = World { release, ..World::new() };
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
