//! Versions come by a deployment, prove themselves, and go.

use host::haproxy::ServerState;
use model::version::Rollout;

use super::*;

/// The store's file with a typing error in its health path.
fn mistyped() -> String {
    let file = store_file().replace("\"/healthz\"", "\"/healthy\"");
    assert_ne!(file, store_file());
    file
}

fn versions(rig: &Rig) -> Vec<Option<Version>> {
    rig.status().instances.iter().map(|instance| instance.version).collect()
}

const OLD: Option<Version> = Some(Version::new(1));
const NEW: Option<Version> = Some(Version::new(2));

#[tokio::test(start_paused = true)]
async fn another_version_replaces_every_instance_without_going_below_the_target() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    assert_eq!(versions(&rig), [OLD; 3]);
    rig.deploy(&[(&store_file(), 2)]);
    for _ in 0..30 {
        assert!(rig.tick(10).await.observation.phases.ready >= 3);
    }
    assert_eq!(versions(&rig), [NEW; 3]);
    assert_eq!(rig.in_rotation(ServerState::Ready), 3);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_never_gets_healthy_takes_no_instance_from_the_one_that_serves() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    rig.actor.probe().set_sick_at("/healthy");
    rig.deploy(&[(&mistyped(), 2)]);
    for _ in 0..150 {
        assert_eq!(rig.tick(10).await.observation.phases.ready, 3);
        assert_eq!(rig.in_rotation(ServerState::Ready), 3);
    }
    let Some(Rollout::GivenUp { version, reason, .. }) = rig.status().rollout else {
        panic!("{:?}", rig.status().rollout)
    };
    assert_eq!(Some(version), OLD);
    assert!(reason.contains("/healthy"), "{reason}");
    assert_eq!(versions(&rig), [OLD; 3], "what was tried is gone");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_nobody_can_connect_to_is_given_up_with_the_cause() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    rig.actor.probe().set_sick_at("/healthy");
    rig.actor
        .containers()
        .set_obstacle("it listens on 127.0.0.1:8000 alone: have it listen on all");
    rig.deploy(&[(&mistyped(), 2)]);
    rig.ticks(150, 10).await;
    let Some(Rollout::GivenUp { reason, .. }) = rig.status().rollout else {
        panic!("{:?}", rig.status().rollout)
    };
    let cause = "(it is sick); it listens on 127.0.0.1:8000 alone: have it listen on all";
    assert!(reason.ends_with(cause), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn an_instance_may_take_to_its_first_answer_as_long_as_its_service_says() {
    let mut rig = Rig::new();
    rig.ticks(20, 1).await;
    rig.actor.probe().set_sick_at("/healthy");
    rig.deploy(&[(&format!("{}\n[health_check]\nlaunch_timeout_ms = 60_000", mistyped()), 2)]);
    rig.ticks(300, 1).await;
    assert!(matches!(rig.status().rollout, Some(Rollout::Proving { .. })), "10 s are long past");
    assert_eq!(rig.launches(), 2, "the first try goes on");
    rig.ticks(350, 1).await;
    assert!(matches!(rig.status().rollout, Some(Rollout::GivenUp { .. })));
}

#[tokio::test(start_paused = true)]
async fn other_checks_are_in_force_at_the_next_turn_and_other_statuses_beside_those_of_before() {
    let mut rig = Rig::new();
    rig.ticks(20, 1).await;
    let launches = rig.launches();
    let often = format!("{}\n[health_check]\ninterval_ms = 300", store_file());
    rig.deploy(&[(&often, 1)]);
    rig.tick(1).await;
    let held = rig.balancer().held().iter().next().unwrap().clone();
    assert_eq!(held.health_check.interval, Duration::from_millis(300));
    assert_eq!(rig.launches(), launches);
    let other = often.replace("port = 8000", "port = 8000\nhealth_status = 204");
    rig.deploy(&[(&other, 2)]);
    rig.tick(1).await;
    let held = rig.balancer().held().iter().next().unwrap().clone();
    let statuses: Vec<_> = held.health_statuses.iter().map(ToString::to_string).collect();
    assert_eq!(statuses, ["200", "204"], "instances of before go on to answer 200");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_goes_on_wherever_the_scaler_is_killed() {
    for killed_after in 0..12 {
        let mut rig = Rig::new();
        rig.ticks(20, 10).await;
        rig.deploy(&[(&store_file(), 2)]);
        for turn in 0..60 {
            if turn == killed_after {
                rig.restart().await;
            }
            assert!(
                rig.tick(10).await.observation.phases.ready >= 3,
                "killed after {killed_after}"
            );
        }
        assert_eq!(versions(&rig), [NEW; 3], "killed after {killed_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_stays_so_after_a_restart_until_it_is_deployed_again() {
    let mut rig = Rig::new();
    rig.actor.probe().set_sick_at("/healthy");
    rig.ticks(20, 1).await;
    rig.deploy(&[(&mistyped(), 2)]);
    rig.ticks(150, 1).await;
    rig.restart().await;
    rig.ticks(50, 1).await;
    assert!(matches!(rig.status().rollout, Some(Rollout::GivenUp { .. })));
    let before = rig.launches();
    rig.deploy(&[(&store_file(), 1)]);
    rig.ticks(50, 1).await;
    assert_eq!(rig.status().rollout, Some(Rollout::Serving { version: Version::new(1) }));
    assert_eq!(rig.launches(), before, "going back to what serves makes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_revision_is_in_force_at_the_next_turn_and_makes_no_instance() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let launches = rig.launches();
    let file = store_file().replace("min = 1\nmax = 10", "min = 1\nmax = 4");
    let file = file.replace("drain_timeout_ms = 30_000", "drain_timeout_ms = 600_000");
    rig.deploy(&[(&file, 1)]);
    rig.tick(1).await;
    assert_eq!(rig.status().bounds.max(), 4);
    let drains: Vec<_> = rig.balancer().held().iter().map(|b| b.drain_timeout.as_secs()).collect();
    assert_eq!(drains, [600], "HAProxy's limits follow it");
    assert_eq!(rig.ticks(20, 1).await, ready(1));
    assert_eq!(rig.launches(), launches);
}

#[tokio::test(start_paused = true)]
async fn services_come_and_go_and_the_others_forget_nothing() {
    let mut rig = Rig::new();
    rig.ticks(20, 20).await;
    let other = store_file()
        .replacen("name = \"object-store\"", "name = \"other\"", 1)
        .replace("path_prefix = \"/\"", "path_prefix = \"/other\"");
    rig.deploy(&[(&store_file(), 1), (&other, 1)]);
    rig.ticks(5, 20).await;
    let status = |rig: &Rig| {
        let other = rig.services.get(&"other".parse().unwrap())?;
        Some(rig.shared.service_status(&other).phases)
    };
    assert_eq!(status(&rig), Some(ready(1)));
    assert_eq!(rig.status().phases, ready(5));
    rig.deploy(&[(&store_file(), 1)]);
    rig.tick(1).await;
    assert_eq!(status(&rig), None);
    assert_eq!(rig.ticks(80, 1).await, ready(5), "the patience of 10 s goes on");
    assert_eq!(rig.ticks(40, 1).await, ready(1));
    rig.ticks(300, 1).await;
    let calls = rig.actor.containers().calls();
    let is_stop = |call: &Call| matches!(call, Call::Stop(i) if i.service().as_str() == "other");
    assert_eq!(calls.iter().filter(|call| is_stop(call)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_cannot_be_read_leaves_the_services_as_they_are() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    let file = rig.state.path().join("deployment.json");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, "{").unwrap();
    assert_eq!(rig.ticks(20, 10).await, ready(3));
    std::fs::write(&file, whole).unwrap();
    rig.deploy(&[(&store_file(), 2)]);
    rig.ticks(30, 10).await;
    assert_eq!(versions(&rig), [NEW; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_kept_version_that_this_release_does_not_read_stops_no_service() {
    let mut rig = Rig::new();
    rig.deploy(&[(&store_file(), 2)]);
    let file = rig.state.path().join("deployment.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut written: serde_json::Value = serde_json::from_str(&text).unwrap();
    let kept = &mut written["services"]["object-store"]["versions"][1];
    assert_eq!(kept["version"], "00000001");
    kept["file"] = "of_a_later_release = true".into();
    std::fs::write(&file, written.to_string()).unwrap();
    rig.deploy(&[(&store_file(), 3), (&super::set::later(), 1)]);
    rig.ticks(6, 1).await;
    assert_eq!(rig.status().wanted.version, Version::new(3));
    assert_eq!(rig.status_of("later").phases, ready(1));
    rig.restart().await;
    assert_eq!(rig.ticks(6, 1).await, ready(1));
}
