//! What fails is said, tried again, and holds up nothing else.

use host::haproxy::{Entrance, LoadBalancer, ServerStatus, Stats, StatsError};
use host::lxc::fake::Fault;
use model::action::{Action, ActionKind, Blocked};
use model::decision::{Decision, Reason};
use model::names::InstanceName;

use super::*;

pub(super) fn malformed() -> StatsError {
    Stats::parse("<html>", Entrance::Socket, tokio::time::Instant::now(), Subnet::DEFAULT)
        .unwrap_err()
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
async fn failing_launches_are_said_backed_off_and_made_up_for() {
    let mut rig = Rig::new();
    for fault in [Fault::Fails, Fault::FailsHalfway, Fault::Fails] {
        rig.actor.containers().next_launch(fault);
    }
    rig.ticks(60, 0).await;
    assert_eq!(rig.status().phases, ready(1));
    assert_eq!(rig.launches(), 4);
    let kept = rig.shared.ticks(0, 100);
    let failed = |tick: &Tick| {
        let told = |error: &String| error.contains("was not launched");
        tick.done.iter().any(|done| done.error.as_ref().is_some_and(told))
    };
    assert_eq!(kept.iter().filter(|tick| failed(tick)).count(), 3);
    assert!(kept.iter().any(|tick| tick.blocked == [Blocked::LaunchBackoff]));
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
    let kept = rig.shared.ticks(0, 100);
    assert!(kept.iter().any(|tick| tick.blocked == [Blocked::ActionBackoff]));
    rig.actor.containers().set_stops_fail(false);
    assert_eq!(rig.ticks(300, 1).await, ready(1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_instance_leaves_the_rotation_and_is_replaced() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    let victim: InstanceName = rig.status().instances[0].name.clone();
    rig.actor.containers().die(&victim);
    assert_eq!(rig.ticks(3, 10).await, ready(3));
    let status = rig.status();
    assert!(status.instances.iter().all(|instance| instance.name != victim));
    assert_eq!(rig.in_rotation(ServerState::Ready), 3);
    let failure = status.last_failure.unwrap();
    assert_eq!(
        (failure.instance, failure.problem.as_str()),
        (victim.clone(), "it ended by itself")
    );
    let kept = rig.shared.ticks(0, 100);
    let ended: Vec<_> = kept.iter().flat_map(|tick| &tick.ended).map(|it| &it.instance).collect();
    assert_eq!(ended, [&victim], "it is told once");
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

/// From now on the checks of this instance say so, and it uses no CPU time.
pub(super) fn falls_silent(rig: &Rig, victim: &InstanceName, check: &str) {
    rig.actor.containers().set_cpu_time(victim, Duration::from_secs(1));
    rig.balancer().set_figures(|services| {
        let servers = &mut services.get_mut(&store()).unwrap().servers;
        let server = servers.get_mut(&victim.slot()).unwrap();
        (server.status, server.check) = (ServerStatus::Down, Some(check.to_owned()));
    });
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_gives_no_sign_of_life_is_killed_without_a_grace_within_a_second() {
    for check in ["L7TOUT", "L4TOUT"] {
        let mut rig = Rig::new();
        rig.ticks(20, 10).await;
        let victim = rig.status().instances[0].name.clone();
        falls_silent(&rig, &victim, check);
        rig.ticks(10, 10).await;
        assert_eq!(rig.actor.containers().grace_of(&victim), None);
        rig.ticks(2, 10).await;
        assert_eq!(rig.actor.containers().grace_of(&victim), Some(Duration::ZERO));
        assert_eq!(rig.ticks(3, 10).await, ready(3));
        assert!(rig.status().instances.iter().all(|instance| instance.name != victim));
        let kept = rig.shared.ticks(0, 100);
        let kills = kept.iter().flat_map(|tick| &tick.plan).filter(|a| a.kind == ActionKind::Kill);
        assert_eq!(kills.map(|action| &action.instance).collect::<Vec<_>>(), [&victim]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_answers_or_works_is_not_killed() {
    for (check, works) in [("L7STS", false), ("L4CON", false), ("L7TOUT", true)] {
        let mut rig = Rig::new();
        rig.ticks(20, 10).await;
        let victim = rig.status().instances[0].name.clone();
        falls_silent(&rig, &victim, check);
        for step in 0..60 {
            if works {
                let used = Duration::from_millis(1000 + 50 * step);
                rig.actor.containers().set_cpu_time(&victim, used);
            }
            rig.tick(10).await;
        }
        let kept = rig.shared.ticks(0, 100);
        let is_kill = |action: &Action| action.kind == ActionKind::Kill;
        assert!(!kept.iter().flat_map(|tick| &tick.plan).any(is_kill), "{check}");
        assert!(kept.iter().flat_map(|tick| &tick.plan).any(|a| a.kind == ActionKind::Drain));
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_lost_a_slot_is_brought_back() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    let slot = rig.status().instances[0].slot;
    rig.balancer().set_figures(|services| {
        let servers = &mut services.get_mut(&store()).unwrap().servers;
        servers.get_mut(&slot).unwrap().status = ServerStatus::Maint;
    });
    assert_eq!(rig.ticks(3, 10).await, ready(3));
    assert_eq!(rig.launches(), 3, "nothing was launched for it");
    let stats = rig.balancer().scrape().await.unwrap();
    assert_eq!(stats.services[&store()].servers[&slot].status, ServerStatus::Up);
}
