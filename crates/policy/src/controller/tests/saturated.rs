//! On a host without CPU time: nothing is added, and everything else goes on.

use model::decision::Reason;

use super::world::NEXT;
use super::*;

const FULL: Option<HostCpu> = Some(HostCpu { cores: 2, busy: 0.99 });

/// Three ready instances on a host that has just become full, whose load asks for eight.
fn full() -> World {
    let mut world = World::new();
    for _ in 0..15 {
        world.step(&calm(12));
    }
    assert_eq!(world.ready(), 3);
    world.host_cpu = FULL;
    world
}

fn reasons(tick: &Tick) -> &[Reason] {
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    reasons
}

#[test]
fn nothing_is_added_while_the_host_is_full_and_the_ticks_say_why() {
    let mut world = full();
    let mut said = Vec::new();
    // For up to a second its load is not known to be in vain: what is asked for in it comes.
    for _ in 0..10 {
        world.step(&calm(14));
    }
    let there = world.ready();
    for _ in 0..100 {
        let tick = world.step(&calm(30));
        assert_eq!(tick.observation.host_cpu, FULL);
        said.push(reasons(&tick).contains(&Reason::HostSaturated));
    }
    assert_eq!(world.ready(), there);
    assert!(said[5..].iter().all(|said| *said), "{said:?}");
    world.host_cpu = Some(HostCpu { cores: 16, busy: 0.6 });
    for _ in 0..15 {
        world.step(&calm(30));
    }
    assert_eq!(world.ready(), 8);
}

#[test]
fn an_instance_that_dies_is_replaced_and_a_new_version_takes_its_place_on_a_full_host() {
    let mut world = full();
    for _ in 0..20 {
        world.step(&calm(30));
    }
    let there = world.ready();
    world.step(&Step { dies: Some(0), ..calm(30) });
    for _ in 0..3 {
        world.step(&calm(30));
    }
    assert_eq!(world.ready(), there, "the one that died has another in its place");
    world.step(&Step { deploys: Some(NEXT), ..calm(30) });
    for _ in 0..100 {
        let tick = world.step(&calm(30));
        assert!(reasons(&tick).contains(&Reason::HostSaturated), "{tick:?}");
    }
    assert_eq!((world.ready_of(VERSION), world.ready_of(NEXT)), (0, there));
}

#[test]
fn a_tick_in_which_instances_begin_to_be_held_back_is_kept() {
    let mut world = full();
    for _ in 0..15 {
        world.step(&calm(12));
    }
    let before = world.step(&calm(12));
    let held = world.step(&calm(90));
    assert!(reasons(&held).contains(&Reason::HostSaturated), "{:?}", held.decision);
    assert!(held.is_worth_keeping(Some(&before)));
}

#[test]
fn a_restart_of_the_loop_on_a_full_host_adds_none() {
    let mut world = full();
    for _ in 0..20 {
        world.step(&calm(30));
    }
    let there = world.ready();
    assert!(there < 8, "{there}");
    world.step(&Step { restarts: true, ..calm(30) });
    for _ in 0..20 {
        world.step(&calm(30));
    }
    assert_eq!(world.ready(), there);
}
