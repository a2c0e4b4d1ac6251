//! Release commands: run once a deploy, before anything of the version serves.

use model::service::Replacement;

use super::super::*;
use super::world::{BROKEN, Container, NEXT, Step, UNRELEASABLE, World, calm};
use crate::testing::VERSION;

/// The versions that a tick launches, each with whether it runs its release command.
fn launches(tick: &Tick) -> Vec<(Option<Version>, bool)> {
    let clones = tick.plan.iter().filter(|action| action.kind == ActionKind::Clone);
    clones.map(|action| (action.version, action.releases)).collect()
}

/// A service that gets this load and whose first version was released and serves.
fn released(arrivals: u64) -> World {
    let mut world = World { release: true, ..World::new() };
    for _ in 0..15 {
        world.step(&calm(arrivals));
    }
    assert_eq!(world.ready_of(VERSION), world.containers.len());
    world
}

#[test]
fn the_first_version_is_launched_once_before_its_release_command_has_ended_well() {
    let mut world = World { release: true, ..World::new() };
    let tick = world.step(&calm(20));
    assert_eq!(launches(&tick), [(Some(VERSION), true)]);
    assert!(tick.rollout.unwrap().is_first());
    let tick = world.step(&calm(20));
    assert_eq!(tick.rollout, Some(Rollout::Serving { version: VERSION }));
    assert!(launches(&tick).iter().all(|(_, releases)| !releases), "{:?}", launches(&tick));
    for _ in 0..15 {
        world.step(&calm(20));
    }
    assert_eq!((world.ready(), world.released.as_slice()), (5, [VERSION].as_slice()));
}

#[test]
fn a_first_version_is_released_also_where_nobody_asks_for_it() {
    let mut world = World { release: true, ..World::new() };
    let idle = Step { min: 0, ..calm(0) };
    for _ in 0..5 {
        world.step(&idle);
    }
    assert_eq!(world.released, [VERSION]);
}

#[test]
fn a_first_version_whose_release_command_failed_is_not_launched_until_another_deploy() {
    let mut world = World { release: true, ..World::new() };
    world.step(&Step { deploys: Some(UNRELEASABLE), ..calm(2) });
    for _ in 0..50 {
        let tick = world.step(&calm(2));
        assert!(
            matches!(&tick.rollout, Some(Rollout::GivenUp { reason, .. }) if reason == "status 3")
        );
        assert_eq!(launches(&tick), []);
        world.restart();
    }
    let tick = world.step(&Step { deploys: Some(NEXT), ..calm(2) });
    assert_eq!(launches(&tick), [(Some(NEXT), true)]);
    world.step(&calm(2));
    assert_eq!((world.ready_of(NEXT), world.containers.len()), (1, 1));
}

#[test]
fn a_release_command_runs_on_the_first_instance_of_a_deploy_alone() {
    let mut world = released(30);
    let ticks = std::iter::once(world.step(&Step { deploys: Some(NEXT), ..calm(30) }));
    let ticks: Vec<_> = ticks.chain((0..100).map(|_| world.step(&calm(30)))).collect();
    let all: Vec<_> = ticks.iter().flat_map(launches).collect();
    assert_eq!(all[0], (Some(NEXT), true));
    assert_eq!(all[1..], [(Some(NEXT), false); 8][..all.len() - 1]);
    assert_eq!((world.ready_of(NEXT), world.released.as_slice()), (8, [VERSION, NEXT].as_slice()));
    // Deployed again, it is released again; and so is the one before where it is deployed anew.
    world.step(&Step { deploys: Some(VERSION), ..calm(30) });
    for _ in 0..100 {
        world.step(&calm(30));
    }
    assert_eq!(world.released, [VERSION, NEXT, VERSION]);
}

#[test]
fn a_release_command_that_fails_touches_nothing_else_and_is_not_tried_again() {
    let mut world = released(30);
    let tick = world.step(&Step { deploys: Some(UNRELEASABLE), ..calm(30) });
    assert_eq!(launches(&tick), [(Some(UNRELEASABLE), true)]);
    for _ in 0..100 {
        let tick = world.step(&calm(30));
        assert!(matches!(tick.rollout, Some(Rollout::GivenUp { version: VERSION, .. })));
        assert_eq!((launches(&tick), world.ready_of(VERSION)), (vec![], 8));
    }
}

#[test]
fn a_program_that_fails_after_its_release_command_is_tried_again_without_it() {
    let mut world = released(2);
    let tick = world.step(&Step { deploys: Some(BROKEN), ..calm(2) });
    assert_eq!(launches(&tick), [(Some(BROKEN), true)]);
    let mut later: Vec<_> = (0..90).flat_map(|_| launches(&world.step(&calm(2)))).collect();
    // One that runs after its failure gets another chance in place.
    world.containers.retain(|_, container| container.version != BROKEN);
    later.extend((0..10).flat_map(|_| launches(&world.step(&calm(2)))));
    assert!(later.iter().all(|(_, releases)| !releases), "{later:?}");
    assert_eq!(world.released, [VERSION, BROKEN]);
}

#[test]
fn a_release_command_that_ended_well_is_not_run_again_where_who_was_told_is_gone() {
    for replacement in [Replacement::Surge, Replacement::Recreate] {
        let mut world = released(2);
        world.spec.replacement = replacement;
        world.spec.watch = Duration::ZERO;
        let alone = Step { max: 1, ..calm(2) };
        let mut tick = world.step(&Step { deploys: Some(NEXT), ..alone.clone() });
        for _ in 0..20 {
            if launches(&tick) == [(Some(NEXT), true)] {
                break;
            }
            tick = world.step(&alone);
        }
        world.restart();
        for _ in 0..20 {
            world.step(&alone);
        }
        assert_eq!(world.released, [VERSION, NEXT], "{replacement:?}");
        assert_eq!((world.ready_of(NEXT), world.containers.len()), (1, 1), "{replacement:?}");
    }
}

#[test]
fn an_instance_of_an_earlier_deploy_says_nothing_of_the_release_command_of_a_later_one() {
    let mut world = released(2);
    // It drains for as long as it may.
    world.busy = true;
    let mut tick = world.step(&Step { deploys: Some(NEXT), ..calm(2) });
    while tick.rollout != Some(Rollout::Serving { version: NEXT }) {
        tick = world.step(&calm(2));
    }
    world.step(&Step { deploys: Some(VERSION), ..calm(2) });
    let left = |it: &Container| it.version == VERSION && it.released;
    assert!(world.containers.values().any(left));
    world.step(&calm(2));
    assert_eq!(world.released, [VERSION, NEXT, VERSION]);
}

#[test]
fn the_time_to_get_healthy_begins_when_the_release_command_has_ended() {
    let mut world = released(2);
    world.step(&Step { deploys: Some(BROKEN), ..calm(2) });
    // The command takes twice the time that an instance has.
    let tick = world.step(&Step { clock_jump_ms: 20_000, ..calm(2) });
    assert!(matches!(tick.rollout, Some(Rollout::Proving { .. })), "{:?}", tick.rollout);
    let ended = world.now;
    let is_given_up =
        |tick: &Tick| matches!(tick.rollout, Some(Rollout::GivenUp { version: VERSION, .. }));
    while !is_given_up(&world.step(&calm(2))) {
        assert!(world.now.since(ended) < Duration::from_secs(60));
    }
    assert!(world.now.since(ended) >= Duration::from_secs(10));
}

#[test]
fn a_clone_that_fails_when_its_version_is_wanted_no_more_holds_back_nothing_that_serves() {
    let mut world = released(2);
    world.step(&Step { deploys: Some(BROKEN), ..calm(2) });
    let slow = std::mem::take(&mut world.started);
    world.step(&Step { deploys: Some(NEXT), ..calm(2) });
    world.started.extend(slow);
    world.step(&calm(2));
    assert_eq!(world.controller.memory().launches, Backoff::default());
}

#[test]
fn what_somebody_went_back_to_is_not_released() {
    let mut world = released(2);
    world.release = false;
    let tick = world.step(&Step { deploys: Some(NEXT), ..calm(2) });
    assert_eq!(launches(&tick), [(Some(NEXT), false)]);
}

#[test]
fn a_service_of_one_instance_is_released_when_the_old_one_has_left() {
    let mut world = released(2);
    world.spec.replacement = Replacement::Recreate;
    world.spec.watch = Duration::ZERO;
    world.step(&Step { deploys: Some(NEXT), max: 1, ..calm(2) });
    for _ in 0..10 {
        let before = world.containers.len();
        let tick = world.step(&Step { max: 1, ..calm(2) });
        assert!(launches(&tick).is_empty() || before <= 1 && world.containers.is_empty());
    }
    assert_eq!((world.ready_of(NEXT), world.released.as_slice()), (1, [VERSION, NEXT].as_slice()));
    world.step(&Step { deploys: Some(UNRELEASABLE), max: 1, ..calm(2) });
    for _ in 0..10 {
        world.step(&Step { max: 1, ..calm(2) });
    }
    assert_eq!((world.ready_of(NEXT), world.containers.len()), (1, 1), "it has its place back");
}
