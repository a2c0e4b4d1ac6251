//! What an operator sets holds from the next turn on and outlives the scaler.

use model::action::ActionKind;
use model::decision::{Decision, Reason};
use model::policies::{PolicyFile, PolicySpec};

use super::*;

/// Holds the service at 4 to 6 instances at any hour.
const SCHEDULE: &str = "[[policy]]\nkind = \"target_tracking\"\n[[policy]]\nkind = \"schedule\"\n\
                        entries = [{ from = \"00:00\", to = \"24:00\", min = 4, max = 6 }]";

fn schedule() -> Option<PolicySpec> {
    Some(config_file::from_toml::<PolicyFile>("schedule.toml", SCHEDULE).unwrap().policy)
}

/// The file of a service of another name and route, of at most 20 instances.
pub(super) fn later() -> String {
    store_file()
        .replacen("name = \"object-store\"", "name = \"later\"", 1)
        .replace("path_prefix = \"/\"", "path_prefix = \"/later\"")
        .replace("max = 10", "max = 20")
}

fn bounds(min: u32, max: u32) -> Option<Bounds> {
    Some(Bounds::new(min, max).unwrap())
}

#[tokio::test(start_paused = true)]
async fn bounds_hold_from_the_next_turn_and_after_a_restart() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let spec = rig.deployed().spec;
    rig.shared.set_bounds(root(), &spec, bounds(3, 20)).unwrap();
    assert_eq!(rig.ticks(6, 1).await, ready(3));
    assert_eq!(rig.balancer().held().iter().map(|b| b.max_servers).collect::<Vec<_>>(), [20]);
    rig.restart().await;
    assert_eq!(rig.ticks(6, 1).await, ready(3));
    assert_eq!(rig.status().set.bounds, bounds(3, 20));
    rig.shared.set_bounds(root(), &spec, bounds(1, 2)).unwrap();
    let tick = rig.tick(1).await;
    let drains = tick.plan.iter().filter(|action| action.kind == ActionKind::Drain).count();
    assert_eq!(drains, 1, "an upper bound below what runs holds at once: {tick:?}");
}

#[tokio::test(start_paused = true)]
async fn bounds_that_have_no_room_beside_a_later_service_hold_up_nobody() {
    let mut rig = Rig::new();
    rig.shared.set_bounds(root(), &rig.deployed().spec, bounds(1, 750)).unwrap();
    rig.deploy(&[(&store_file(), 1), (&later(), 1)]);
    assert_eq!(rig.ticks(6, 1).await, ready(1));
    assert_eq!(rig.status_of("later").phases, ready(1));
    assert_eq!(rig.status().bounds.max(), 750, "they are kept, and shown as they are");
}

#[tokio::test(start_paused = true)]
async fn a_policy_decides_from_the_next_turn_and_after_a_restart_and_the_files_does_again() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let spec = rig.deployed().spec;
    rig.shared.set_policy(root(), &spec, schedule()).unwrap();
    let tick = rig.tick(1).await;
    let reasons = vec![Reason::OfferedLoad, Reason::AtScheduledMin];
    assert_eq!(tick.decision, Decision::Target { ready: 4, reasons });
    assert_eq!(rig.ticks(6, 1).await, ready(4));
    rig.restart().await;
    assert_eq!(rig.ticks(200, 1).await, ready(4));
    assert_eq!(rig.status().policy, "target_tracking+schedule");
    rig.shared.set_policy(root(), &spec, None).unwrap();
    assert_eq!(rig.ticks(130, 1).await, ready(1), "the patience of 10 s has passed");
    assert_eq!((rig.status().policy_spec, rig.status().set.policy), (spec.policy, None));
}

#[tokio::test(start_paused = true)]
async fn what_was_set_waits_while_the_service_is_withdrawn_or_its_file_changes() {
    let mut rig = Rig::new();
    let first = rig.deployed().spec;
    rig.shared.set_policy(root(), &first, schedule()).unwrap();
    rig.deploy(&[(&later(), 1)]);
    rig.turn(0).await;
    rig.shared.report_unused();
    rig.shared.set_membership(root(), Some(Membership::Reload)).unwrap();
    let hpa =
        store_file().replace("kind = \"target_tracking\"\ntarget_percent = 80", "kind = \"hpa\"");
    rig.deploy(&[(&hpa, 1), (&later(), 1)]);
    assert_eq!(rig.ticks(6, 1).await, ready(4));
    assert_eq!(rig.status().set.policy, schedule());
    rig.shared.set_policy(root(), &first, None).unwrap();
    assert_eq!(rig.status().policy, "hpa");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_goes_by_a_figure_waits_while_the_services_file_has_none() {
    let mut rig = Rig::new();
    let spec = rig.deployed().spec;
    rig.shared.set_policy(root(), &spec, schedule()).unwrap();
    rig.deploy(&[(&without_a_figure(), 1)]);
    rig.tick(1).await;
    assert_eq!(rig.status().policy, "utilization");
    assert_eq!(rig.status().set.policy, schedule(), "it is kept, and shown as it is");
    rig.deploy(&[(&store_file(), 1)]);
    rig.tick(1).await;
    assert_eq!(rig.status().policy, "target_tracking+schedule");
}

#[tokio::test(start_paused = true)]
async fn the_way_of_membership_is_told_at_the_next_turn_and_after_a_restart() {
    let mut rig = Rig::new();
    rig.tick(1).await;
    assert_eq!(rig.balancer().membership(), Some(Membership::Runtime));
    rig.shared.set_membership(root(), Some(Membership::Reload)).unwrap();
    rig.tick(1).await;
    assert_eq!(rig.balancer().membership(), Some(Membership::Reload));
    rig.restart().await;
    rig.tick(1).await;
    assert_eq!(rig.balancer().membership(), Some(Membership::Reload));
    rig.shared.set_membership(root(), None).unwrap();
    rig.tick(1).await;
    assert_eq!(rig.balancer().membership(), Some(Membership::Runtime));
}

#[tokio::test(start_paused = true)]
async fn a_spoilt_file_is_named_and_nothing_is_taken_for_set() {
    let rig = Rig::new();
    let path = rig.state.path().join("overrides.json");
    std::fs::write(&path, r#"{"policies":{"object-store":{"kind":"hpa","sync_ms":-1}}}"#).unwrap();
    let error = Rig::shared(&rig.state, &rig.services).unwrap_err().to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    assert!(error.contains("`-1`") && error.ends_with("mend it or move it away"), "{error}");
}
