//! An operator's hand on the number of instances, by the API.

use axum::http::StatusCode;
use model::access::{Changed, Who};
use model::decision::{Decision, Reason};
use model::instance::Phase;
use model::names::InstanceName;
use serde_json::Value;

use super::api::ask;
use super::doors::{operators, send, token};
use super::*;

const SERVICE: &str = "/v1/services/object-store";
const HOLD: &str = "/v1/services/object-store/hold";
const INSTANCES: &str = "/v1/services/object-store/instances";

/// A rig whose service is asked for next to nothing, and has one instance.
async fn idle() -> Rig {
    let mut rig = Rig::new();
    assert_eq!(rig.ticks(6, 1).await, ready(1));
    rig
}

async fn hold(rig: &Rig, body: &'static str) -> Value {
    let (status, text) = ask(rig, "PUT", HOLD, body).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Who changed what, but for what was deployed.
fn noted(rig: &Rig) -> Vec<(Who, Changed)> {
    let changes = rig.shared.changes(0, 99).into_iter().map(|it| (it.who, it.changed));
    changes.filter(|(_, it)| !matches!(it, Changed::Deployment { .. })).collect()
}

fn names(rig: &Rig) -> Vec<InstanceName> {
    rig.status().instances.into_iter().map(|instance| instance.name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_held_number_holds_from_the_next_turn_and_after_a_restart_until_it_is_given_back() {
    let mut rig = idle().await;
    let told = hold(&rig, r#"{"ready":4,"for_s":60}"#).await;
    assert_eq!(told["hold"]["ready"], 4);
    let lasts =
        told["hold"]["until_ms"].as_u64().unwrap() - told["hold"]["since_ms"].as_u64().unwrap();
    assert_eq!(lasts, 60_000);
    let tick = rig.tick(1).await;
    assert_eq!(tick.decision, Decision::Target { ready: 4, reasons: vec![Reason::Held] });
    assert_eq!(rig.ticks(6, 1).await, ready(4));
    rig.restart().await;
    assert_eq!(rig.ticks(200, 1).await, ready(4), "the patience of 10 s has passed");
    let (status, text) = ask(&rig, "DELETE", HOLD, "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(!text.contains(r#""hold""#), "{text}");
    assert_eq!(rig.ticks(6, 1).await, ready(1));
    let [(_, set), (who, cleared)] = &noted(&rig)[..] else { panic!("{:?}", noted(&rig)) };
    assert_eq!(*who, Who::Operator { uid: 0, user: Some("root".to_owned()) });
    let Changed::Hold { before: None, after: Some(first), .. } = set else { panic!("{set:?}") };
    let again = Changed::Hold { service: store(), before: Some(*first), after: None };
    assert_eq!((first.ready, cleared), (4, &again));
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_by_the_clock_and_its_end_is_noted_also_of_one_that_ended_while_no_scaler_ran()
{
    for is_away in [false, true] {
        let mut rig = idle().await;
        hold(&rig, r#"{"ready":3,"for_s":10}"#).await;
        assert_eq!(rig.ticks(90, 1).await, ready(3));
        if is_away {
            rig.now = rig.now.after(Duration::from_secs(3600));
            rig.restart().await;
        }
        assert_eq!(rig.ticks(25, 1).await, ready(if is_away { 3 } else { 1 }), "{is_away}");
        rig.daemon.flush_memory().await;
        let ends = |(who, changed): &(Who, Changed)| {
            *who == Who::Time
                && matches!(changed, Changed::Hold { before: Some(_), after: None, .. })
        };
        assert_eq!(noted(&rig).iter().filter(|it| ends(it)).count(), 1, "{:?}", noted(&rig));
        assert!(rig.shared.standing().holds.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_release_before_finds_what_was_set_in_the_form_that_it_knows() {
    let rig = idle().await;
    hold(&rig, r#"{"ready":3}"#).await;
    let bounds = format!("{SERVICE}/bounds");
    assert_eq!(ask(&rig, "PUT", &bounds, r#"{"min":1,"max":5}"#).await.0, StatusCode::OK);
    let text = std::fs::read(rig.state.path().join("overrides.json")).unwrap();
    let kept: Value = serde_json::from_slice(&text).unwrap();
    let keys: Vec<_> = kept.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["bounds", "membership", "policies"], "it refuses any other key");
}

#[tokio::test(start_paused = true)]
async fn a_number_out_of_bounds_is_refused_with_the_command_for_the_bounds_and_later_bounds_clamp()
{
    let mut rig = idle().await;
    for (body, cure) in [
        (r#"{"ready":12}"#, "`bellows bounds object-store 1 12` sets bounds that allow it"),
        (r#"{"ready":0}"#, "`bellows bounds object-store 0 10` sets bounds that allow it"),
    ] {
        let (status, text) = ask(&rig, "PUT", HOLD, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(text.contains("out_of_bounds") && text.contains(cure), "{text}");
    }
    for (body, told) in [
        (r#"{"ready":4,"for_s":5}"#, "for_s is 5: use 10 to 2592000"),
        (r#"{"ready":4,"for":"1h"}"#, "unknown field `for`"),
        (r#"{"ready":-1}"#, "-1"),
        (r#"{"for_s":60}"#, "missing field `ready`"),
        ("[4]", "expected keys with their values"),
    ] {
        let (status, text) = ask(&rig, "PUT", HOLD, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(noted(&rig), []);
    hold(&rig, r#"{"ready":6}"#).await;
    let spec = rig.deployed().spec;
    rig.shared.set_bounds(root(), &spec, Some(Bounds::new(1, 2).unwrap())).unwrap();
    let tick = rig.tick(1).await;
    let reasons = vec![Reason::Held, Reason::AtMax];
    assert_eq!(tick.decision, Decision::Target { ready: 2, reasons });
}

#[tokio::test(start_paused = true)]
async fn one_more_and_one_fewer_are_held_from_what_is_decided_and_none_is_never_counted_down_to() {
    let mut rig = idle().await;
    assert_eq!(ask(&rig, "POST", INSTANCES, "").await.0, StatusCode::OK);
    // Before the loop has seen the first.
    assert_eq!(ask(&rig, "POST", INSTANCES, "").await.0, StatusCode::OK);
    assert_eq!(rig.ticks(6, 1).await, ready(3));
    for left in [2, 1] {
        assert_eq!(ask(&rig, "DELETE", INSTANCES, "").await.0, StatusCode::OK);
        assert_eq!(rig.shared.standing().holds[&store()].ready, left);
    }
    assert_eq!(rig.ticks(6, 1).await, ready(1));
    let spec = rig.deployed().spec;
    rig.shared.set_bounds(root(), &spec, Some(Bounds::new(0, 1).unwrap())).unwrap();
    let (status, text) = ask(&rig, "DELETE", INSTANCES, "").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text.contains("would_be_none") && text.contains("scale object-store 0"), "{text}");
    let (status, text) = ask(&rig, "POST", INSTANCES, "").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
    assert!(text.contains("`bellows bounds object-store 0 2`"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn before_the_first_look_nobody_knows_what_one_more_is() {
    let rig = Rig::new();
    let (status, text) = ask(&rig, "POST", INSTANCES, "").await;
    assert_eq!((status, text.contains("not_seen_yet")), (StatusCode::CONFLICT, true), "{text}");
    assert_eq!(ask(&rig, "PUT", HOLD, r#"{"ready":4}"#).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_removed_once_however_often_it_is_asked_for_and_another_takes_its_place() {
    let mut rig = idle().await;
    hold(&rig, r#"{"ready":3}"#).await;
    rig.ticks(6, 1).await;
    let gone = names(&rig)[1].clone();
    let path = format!("{INSTANCES}/{gone}");
    for _ in 0..2 {
        assert_eq!(ask(&rig, "DELETE", &path, "").await.0, StatusCode::ACCEPTED);
    }
    rig.tick(1).await;
    let marked = rig.status().instances.into_iter().filter(|instance| instance.to_be_removed);
    let marked: Vec<_> = marked.map(|instance| instance.name).collect();
    assert_eq!(marked, std::slice::from_ref(&gone));
    for _ in 0..30 {
        assert!(rig.tick(1).await.observation.phases.ready >= 3);
    }
    assert_eq!((rig.status().phases, names(&rig).contains(&gone)), (ready(3), false));
    rig.daemon.flush_memory().await;
    assert!(rig.shared.standing().removals.is_empty());
    let (status, text) = ask(&rig, "DELETE", &path, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("no_such_instance"), "{text}");
    let asked = Changed::Removal { service: store(), instance: gone };
    assert_eq!(noted(&rig).iter().filter(|(_, changed)| *changed == asked).count(), 1);
    for wrong in ["bw-object-store-999-x", "bw-other-1-x", "s1", "%20"] {
        let path = format!("{INSTANCES}/{wrong}");
        assert_eq!(ask(&rig, "DELETE", &path, "").await.0, StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_carried_out_at_whatever_moment_of_it_the_scaler_is_killed() {
    for moment in 0..12 {
        let mut rig = idle().await;
        hold(&rig, r#"{"ready":2}"#).await;
        rig.ticks(6, 1).await;
        let gone = names(&rig)[0].clone();
        let path = format!("{INSTANCES}/{gone}");
        assert_eq!(ask(&rig, "DELETE", &path, "").await.0, StatusCode::ACCEPTED);
        rig.ticks(moment, 1).await;
        rig.restart().await;
        rig.ticks(40, 1).await;
        assert_eq!(
            (rig.status().phases, names(&rig).contains(&gone)),
            (ready(2), false),
            "{moment}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_not_done_and_told_so() {
    let mut rig = idle().await;
    rig.daemon.flush_memory().await;
    let one = format!("{INSTANCES}/{}", names(&rig)[0]);
    std::fs::remove_dir_all(rig.state.path()).unwrap();
    for (method, path, body) in
        [("PUT", HOLD, r#"{"ready":4}"#), ("POST", INSTANCES, ""), ("DELETE", one.as_str(), "")]
    {
        let (status, text) = ask(&rig, method, path, body).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}");
        assert!(text.contains("not_written"), "{text}");
    }
    assert_eq!(rig.ticks(30, 1).await, ready(1));
    assert!(rig.status().instances.iter().all(|it| !it.to_be_removed && it.phase == Phase::Ready));
}

#[tokio::test(start_paused = true)]
async fn a_hold_whose_end_cannot_be_written_is_over_all_the_same() {
    let mut rig = idle().await;
    hold(&rig, r#"{"ready":3,"for_s":10}"#).await;
    assert_eq!(rig.ticks(90, 1).await, ready(3));
    rig.daemon.flush_memory().await;
    std::fs::remove_dir_all(rig.state.path()).unwrap();
    assert_eq!(rig.ticks(25, 1).await, ready(1));
}

#[tokio::test(start_paused = true)]
async fn operators_and_tokens_to_operate_the_service_may_and_nobody_else() {
    let mut rig = idle().await;
    let one = format!("{INSTANCES}/{}", names(&rig)[0]);
    let mine = token(&rig, "mine", r#"{"rights":["operate"],"services":["object-store"]}"#).await;
    let reads = token(&rig, "reads", r#"{"rights":["read"]}"#).await;
    let console =
        crate::doors::identify::routes(&rig.shared, crate::doors::identify::Unnamed::Reads);
    let requests = [
        ("PUT", HOLD, r#"{"ready":2}"#),
        ("DELETE", HOLD, ""),
        ("POST", INSTANCES, ""),
        ("DELETE", INSTANCES, ""),
        ("DELETE", one.as_str(), ""),
    ];
    for request in requests {
        let bearer = |secret: &str| format!("Bearer {secret}");
        let as_reader = [("authorization", &*bearer(&reads))];
        assert_eq!(send(&console, request, &[]).await.0, StatusCode::UNAUTHORIZED, "{request:?}");
        assert_eq!(send(&console, request, &as_reader).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(rig.ticks(3, 1).await, ready(1));
    for (request, status) in requests.into_iter().zip([200, 200, 200, 200, 202]) {
        let bearer = format!("Bearer {mine}");
        let (answered, text) = send(&console, request, &[("authorization", &bearer)]).await;
        assert_eq!(answered.as_u16(), status, "{request:?}: {text}");
    }
    assert_eq!(send(&operators(&rig), requests[0], &[]).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_spoilt_file_of_what_stands_is_named() {
    let rig = Rig::new();
    let path = rig.state.path().join("standing.json");
    std::fs::write(&path, r#"{"holds":{"object-store":{"ready":-1}}}"#).unwrap();
    let error = Rig::shared(&rig.state, &rig.services).unwrap_err().to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    assert!(error.ends_with("mend it or move it away"), "{error}");
}
