//! An operator's hand on the number, and instances that an operator wants gone.

use model::decision::Reason;
use model::policies::{Policy, PolicySpec};
use model::service::LargestStep;

use super::*;

fn held(hold: u32, arrivals: u64) -> Step {
    Step { hold: Some(hold), ..calm(arrivals) }
}

/// What is decided at each of so many steps.
fn targets(world: &mut World, steps: usize, step: &Step) -> Vec<u32> {
    (0..steps).map(|_| world.step(step).target().unwrap()).collect()
}

fn reasons(tick: &Tick) -> &[Reason] {
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    reasons
}

/// A world in which five instances serve what needs five.
fn five() -> World {
    let mut world = World::new();
    for _ in 0..15 {
        world.step(&calm(20));
    }
    assert_eq!(world.ready(), 5);
    world
}

fn with_policy(json: &str) -> World {
    let mut world = five();
    world.spec.policy =
        PolicySpec::new(vec![serde_json::from_str::<Policy>(json).unwrap()]).unwrap();
    world
}

#[test]
fn a_held_number_holds_at_once_both_ways_whatever_the_load_and_without_patience() {
    let mut world = five();
    let tick = world.step(&held(2, 20));
    assert_eq!((tick.target(), reasons(&tick)), (Some(2), &[Reason::Held][..]));
    assert_eq!(targets(&mut world, 20, &held(2, 20)), [2; 20]);
    assert_eq!(world.ready(), 2);
    assert_eq!(targets(&mut world, 20, &held(8, 0)), [8; 20]);
    assert_eq!(world.ready(), 8);
}

#[test]
fn statistics_that_are_missing_do_not_end_a_hold_and_a_host_that_is_not_seen_is_left_alone() {
    let mut world = five();
    let blind = Step { arrivals: None, ..held(3, 0) };
    assert_eq!(targets(&mut world, 20, &blind), [3; 20]);
    assert_eq!(world.ready(), 3);
    let spec = world.spec.clone();
    let context = TurnContext {
        spec: &spec,
        wanted: world.wanted,
        release: false,
        free_slots: &[],
        launches_left: 4,
        fits: 100,
        launch_timeout: Duration::from_secs(10),
        hold: Some(1),
        removals: &[],
    };
    let tick = world.controller.turn(&context, ServiceObservation::default(), world.now);
    assert_eq!(tick.decision, Decision::Hold { reasons: vec![Reason::NoData] });
    assert_eq!(tick.plan, []);
}

#[test]
fn bounds_that_exclude_the_held_number_clamp_it_and_it_is_back_when_they_allow_it() {
    let mut world = five();
    let tick = world.step(&Step { max: 3, ..held(6, 20) });
    assert_eq!((tick.target(), reasons(&tick)), (Some(3), &[Reason::Held, Reason::AtMax][..]));
    let tick = world.step(&Step { min: 4, ..held(2, 20) });
    assert_eq!((tick.target(), reasons(&tick)), (Some(4), &[Reason::Held, Reason::AtMin][..]));
    assert_eq!(world.step(&held(6, 20)).target(), Some(6));
}

#[test]
fn a_service_held_at_none_has_none_though_it_is_asked_for_and_one_at_once_afterwards() {
    let mut world = five();
    let none = Step { min: 0, ..held(0, 20) };
    assert_eq!(targets(&mut world, 30, &none), [0; 30]);
    assert_eq!(world.ready(), 0);
    assert_eq!(world.step(&Step { min: 0, ..calm(20) }).target(), Some(5));
}

#[test]
fn patience_counts_what_was_needed_during_the_hold() {
    // The load falls as the hold begins: 8 s of the patience of 10 s pass under it.
    let mut world = five();
    targets(&mut world, 80, &held(5, 2));
    let after = targets(&mut world, 30, &calm(2));
    let fell = after.iter().position(|ready| *ready < 5).unwrap();
    assert!((18..=24).contains(&fell), "2 s later, and not at once: {after:?}");
    // Where all of it has passed, the first decision is the right one.
    let mut world = five();
    targets(&mut world, 110, &held(5, 2));
    assert_eq!(world.step(&calm(2)).target(), Some(1));
}

#[test]
fn a_need_that_was_seen_under_the_hold_alone_is_waited_for_after_it() {
    let mut world = World::new();
    targets(&mut world, 15, &calm(2));
    targets(&mut world, 60, &held(5, 20));
    // It is over for 2 s when the hold ends.
    targets(&mut world, 40, &held(5, 2));
    let after = targets(&mut world, 120, &calm(2));
    let fell = after.iter().position(|ready| *ready < 5).unwrap();
    assert!((55..=85).contains(&fell), "what is left of the patience of 10 s: {fell}");
}

#[test]
fn what_the_policy_would_have_decided_is_no_change_for_the_cooldown_and_what_the_hold_did_is_one() {
    let mut world = five();
    world.spec.scale_out.cooldown = Duration::from_secs(20);
    // The policy would have gone out at each of these.
    targets(&mut world, 200, &held(3, 40));
    assert_eq!(world.step(&calm(40)).target(), Some(10), "its last rise was before the hold");
    let mut world = five();
    world.spec.scale_out.cooldown = Duration::from_secs(20);
    targets(&mut world, 50, &held(7, 40));
    let after = targets(&mut world, 200, &calm(40));
    let rose = after.iter().position(|ready| *ready == 10).unwrap();
    assert!((145..=152).contains(&rose), "20 s after the hold's rise, {rose}");
}

#[test]
fn after_a_hold_the_largest_step_counts_from_the_held_number() {
    let mut world = five();
    world.spec.scale_out.largest_step = Some(LargestStep { count: Some(1), percent: None });
    targets(&mut world, 20, &held(2, 20));
    assert_eq!(targets(&mut world, 3, &calm(20)), [3, 4, 5]);
}

#[test]
fn what_a_policy_asked_for_before_the_hold_it_does_not_ask_for_again_after_it() {
    // Each repeats for 30 s or more what it asked for last, which is more than the load needs now.
    for policy in [
        r#"{"kind":"adapt","release_percent":5}"#,
        r#"{"kind":"threshold","window_ms":0}"#,
        r#"{"kind":"hpa","sync_ms":30000,"stabilisation_in_ms":0,"in_percent":20}"#,
    ] {
        let mut world = with_policy(policy);
        world.spec.scale_in.rules.patience = Duration::from_secs(60);
        assert_eq!(targets(&mut world, 310, &calm(2)), [5; 310], "{policy}");
        world.spec.scale_in.rules.patience = Duration::ZERO;
        targets(&mut world, 100, &held(2, 2));
        let after = targets(&mut world, 10, &calm(2));
        assert!(after.iter().all(|ready| *ready <= 2), "{policy}: {after:?}");
    }
}

#[test]
fn a_rollout_goes_on_under_a_hold() {
    let mut world = five();
    world.step(&Step { deploys: Some(NEXT), ..held(3, 20) });
    targets(&mut world, 300, &held(3, 20));
    assert_eq!((world.ready_of(NEXT), world.ready()), (3, 3));
}

#[test]
fn an_instance_to_be_removed_leaves_once_another_has_taken_its_place() {
    let mut world = five();
    let gone = world.containers.keys().nth(1).unwrap().clone();
    let tick = world.step(&Step { removes: Some(1), ..calm(20) });
    let planned: Vec<_> = tick.plan.iter().map(|action| action.kind).collect();
    assert_eq!(planned, [ActionKind::Clone], "nothing is drained yet");
    let mut fewest = usize::MAX;
    for _ in 0..20 {
        world.step(&calm(20));
        fewest = fewest.min(world.ready());
    }
    assert_eq!((fewest, world.ready(), world.containers.len()), (5, 5, 5));
    assert!(!world.containers.contains_key(&gone));
}

#[test]
fn where_fewer_are_decided_the_one_to_be_removed_is_the_one_that_leaves() {
    let mut world = five();
    let gone = world.containers.keys().nth(1).unwrap().clone();
    let tick = world.step(&Step { removes: Some(1), ..held(4, 20) });
    let planned: Vec<_> =
        tick.plan.iter().map(|action| (action.kind, action.instance.clone())).collect();
    assert_eq!(planned, [(ActionKind::Drain, gone)]);
}

#[test]
fn an_instance_to_be_removed_that_drains_already_is_not_taken_back() {
    let mut world = World { busy: true, ..five() };
    let first = world.containers.keys().next().unwrap().clone();
    world.step(&Step { removes: Some(0), ..held(4, 20) });
    world.step(&held(4, 20));
    for _ in 0..10 {
        let tick = world.step(&held(5, 20));
        assert!(tick.plan.iter().all(|action| action.instance != first), "{:?}", tick.plan);
    }
    assert_eq!(world.ready(), 5);
}
