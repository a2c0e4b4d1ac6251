//! What is set under a condition, and what could be set.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use model::status::ServiceOverrides;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::api::ask;
use super::doors::{operators, token};
use super::*;
use crate::doors::identify::{self, Unnamed};

const BOUNDS: &str = "/v1/services/object-store/bounds";
const POLICY: &str = "/v1/services/object-store/policy";
const HOLD: &str = "/v1/services/object-store/hold";
const MEMBERSHIP: &str = "/v1/membership";

/// Status, tag and body of the answer to a request under a condition.
async fn under(
    routes: &Router,
    (method, path, body): (&str, &str, &str),
    condition: Option<&str>,
) -> (StatusCode, String, String) {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("content-type", "application/json");
    if let Some(condition) = condition {
        request = request.header(header::IF_MATCH, condition);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    let tag = answer.headers().get(header::ETAG).map(|tag| tag.to_str().unwrap().to_owned());
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, tag.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_set_is_told_beside_what_is_in_force_with_a_tag_that_changes_with_it() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let routes = operators(&rig);
    for (path, body, before, after) in [
        (
            BOUNDS,
            r#"{"min":2,"max":4}"#,
            json!({"in_force": {"min": 1, "max": 10}, "set": null}),
            json!({"in_force": {"min": 2, "max": 4}, "set": {"min": 2, "max": 4}}),
        ),
        (
            MEMBERSHIP,
            r#"{"membership":"reload"}"#,
            json!({"membership": "runtime", "set": null}),
            json!({"membership": "reload", "set": "reload"}),
        ),
    ] {
        let (status, first, text) = under(&routes, ("GET", path, ""), None).await;
        assert_eq!((status, value(&text)), (StatusCode::OK, before), "{path}");
        assert!(first.starts_with('"') && first.len() == 34, "{first}");
        let (status, second, _) = under(&routes, ("PUT", path, body), Some(&first)).await;
        assert_eq!(status, StatusCode::OK);
        let (_, read, text) = under(&routes, ("GET", path, ""), None).await;
        assert_eq!((value(&text), &read), (after, &second), "{path}");
        assert_ne!(first, second);
        let (status, cleared, _) = under(&routes, ("DELETE", path, ""), Some(&second)).await;
        assert_eq!((status, cleared), (StatusCode::OK, first), "{path}");
    }
    let (_, _, text) = under(&routes, ("GET", POLICY, ""), None).await;
    assert_eq!(value(&text)["in_force"]["kind"], "target_tracking");
    let (_, none, text) = under(&routes, ("GET", HOLD, ""), None).await;
    assert_eq!(text, r#"{"in_force":null,"set":null}"#);
    let held = ("PUT", HOLD, r#"{"ready":4}"#);
    let (status, tag, _) = under(&routes, held, Some(&none)).await;
    assert_eq!(status, StatusCode::OK);
    under(&routes, ("PUT", BOUNDS, r#"{"min":1,"max":3}"#), None).await;
    let (_, clamped, text) = under(&routes, ("GET", HOLD, ""), None).await;
    assert_eq!(
        (&value(&text)["in_force"]["ready"], &value(&text)["set"]["ready"]),
        (&json!(3), &json!(4))
    );
    assert_ne!(tag, clamped);
}

#[tokio::test(start_paused = true)]
async fn who_sets_what_was_changed_meanwhile_is_told_what_it_is_and_who_changed_it() {
    let rig = Rig::new();
    let routes = operators(&rig);
    let (_, stale, _) = under(&routes, ("GET", BOUNDS, ""), None).await;
    under(&routes, ("PUT", BOUNDS, r#"{"min":2,"max":4}"#), None).await;
    let (_, now, _) = under(&routes, ("GET", BOUNDS, ""), None).await;
    let before = rig.shared.changes(0, 99).len();
    for request in [("PUT", BOUNDS, r#"{"min":3,"max":5}"#), ("DELETE", BOUNDS, "")] {
        for condition in [stale.clone(), format!("W/{now}"), format!("\"x\", {stale}")] {
            let (status, tag, text) = under(&routes, request, Some(&condition)).await;
            assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{condition}: {text}");
            assert_eq!((&value(&text)["error"]["code"], &tag), (&json!("changed_meanwhile"), &now));
            let told = value(&text)["error"]["message"].as_str().unwrap().to_owned();
            for part in [r#""in_force":{"min":2,"max":4}"#, "root changed it last, at 20"] {
                assert!(told.contains(part), "{told}");
            }
        }
    }
    assert_eq!(rig.shared.changes(0, 99).len(), before);
    for condition in ["", "abc", "*, \"a\"", "\"a\" \"b\""] {
        let request = ("PUT", BOUNDS, r#"{"min":3,"max":5}"#);
        let (status, _, text) = under(&routes, request, Some(condition)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{condition}");
        assert!(text.contains("bad_condition"), "{text}");
    }
    assert_eq!(rig.status().bounds, Bounds::new(2, 4).unwrap());
    for condition in ["*".to_owned(), format!("\"x\",, {now}")] {
        let request = ("PUT", BOUNDS, r#"{"min":2,"max":4}"#);
        assert_eq!(under(&routes, request, Some(&condition)).await.0, StatusCode::OK);
    }
    for (path, body) in [
        (POLICY, r#"{"kind":"hpa"}"#),
        (HOLD, r#"{"ready":3}"#),
        (MEMBERSHIP, r#"{"membership":"reload"}"#),
    ] {
        let (status, _, text) = under(&routes, ("PUT", path, body), Some(&stale)).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED, "{path}");
        assert!(text.contains("Who changed it last is not kept."), "{text}");
        assert_eq!(
            under(&routes, ("DELETE", path, ""), Some(&stale)).await.0,
            StatusCode::PRECONDITION_FAILED
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_changes_the_file_makes_a_tag_stale() {
    let mut rig = Rig::new();
    rig.ticks(1, 1).await;
    let routes = operators(&rig);
    let (_, stale, _) = under(&routes, ("GET", BOUNDS, ""), None).await;
    rig.deploy(&[(&store_file().replace("max = 10", "max = 12"), 1)]);
    rig.ticks(2, 1).await;
    let request = ("PUT", BOUNDS, r#"{"min":3,"max":5}"#);
    let (status, _, text) = under(&routes, request, Some(&stale)).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    assert!(text.contains(r#"\"max\":12"#) && text.contains("root changed it last"), "{text}");
}

/// Both have read the same, and set it at once, each on a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_set_what_both_have_read_one_wins() {
    let rig = Rig::new();
    for round in 0..20_u32 {
        let (_, tag, _) = under(&operators(&rig), ("GET", BOUNDS, ""), None).await;
        let racers = [1, 2].map(|racer| {
            let (routes, tag) = (operators(&rig), tag.clone());
            let body = format!(r#"{{"min":{racer},"max":{}}}"#, 20 + round);
            tokio::spawn(async move { under(&routes, ("PUT", BOUNDS, &body), Some(&tag)).await.0 })
        });
        let mut answers = Vec::new();
        for racer in racers {
            answers.push(racer.await.unwrap().as_u16());
        }
        answers.sort_unstable();
        assert_eq!(answers, [200, 412], "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn whether_something_could_be_set_is_told_as_a_put_would_tell_it_and_nothing_is_set() {
    let rig = Rig::new();
    let before = rig.shared.changes(0, 99).len();
    for (path, body) in [
        (BOUNDS, r#"{"min":5,"max":4}"#),
        (BOUNDS, r#"{"min":1}"#),
        (BOUNDS, r#"{"min":"1","max":4}"#),
        (BOUNDS, "{"),
        (POLICY, r#"{"kind":"magic"}"#),
        (POLICY, r#"{"kind":"hpa","in_percent":101}"#),
        (POLICY, "[]"),
    ] {
        let put = ask(&rig, "PUT", path, body).await;
        assert!(put.0.is_client_error(), "{body}");
        let check: &'static str = if path == BOUNDS {
            "/v1/services/object-store/bounds/check"
        } else {
            "/v1/services/object-store/policy/check"
        };
        assert_eq!(ask(&rig, "POST", check, body).await, put, "{body}");
    }
    let reads = identify::routes(&rig.shared, Unnamed::Reads);
    let check = |path, body| under(&reads, ("POST", path, body), None);
    let (status, _, text) =
        check("/v1/services/object-store/bounds/check", r#"{"min":0,"max":4}"#).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, r#"{"min":0,"max":4}"#));
    let policy = "/v1/services/object-store/policy/check";
    let (status, _, text) = check(policy, r#"{"kind":"hpa","target_percent":60}"#).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&value(&text)["target_percent"], &value(&text)["kind"]),
        (&json!(60.0), &json!("hpa"))
    );
    assert!(value(&text).as_object().unwrap().len() > 2, "with every figure: {text}");
    assert_eq!(check("/v1/services/nothing/bounds/check", r#"{"min":0,"max":4}"#).await.0, 404);
    let other = token(&rig, "other", r#"{"rights":["read"],"services":["object-store"]}"#).await;
    assert!(!other.is_empty());
    assert_eq!(rig.shared.changes(0, 99).len(), before + 1, "the token alone");
    assert_eq!(rig.status().set, ServiceOverrides::default());
}
