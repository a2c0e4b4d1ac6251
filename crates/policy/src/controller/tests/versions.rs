//! New versions: proved, watched, given up, or in the place of the old ones.

use super::super::*;
use super::world::{BROKEN, Container, NEXT, Step, WRONG, World, calm};
use crate::testing::VERSION;

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
