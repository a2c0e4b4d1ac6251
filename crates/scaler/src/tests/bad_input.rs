//! What is sent wrong to any of the API's doors: each answer is 4xx in the common form, names the field, and changes nothing.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::doors::operators;
use super::*;

const STORE: &str = "/v1/services/object-store";

/// What takes a body: method, path, a body that is good, and the fields of it that have to be there.
fn bodies() -> Vec<(&'static str, String, Value, &'static [&'static str])> {
    let of = |end: &str| format!("{STORE}{end}");
    let confirm: &[_] = &["confirm"];
    vec![
        ("PUT", of("/bounds"), json!({ "min": 2, "max": 4 }), &["min", "max"]),
        ("POST", of("/bounds/check"), json!({ "min": 2, "max": 4 }), &["min", "max"]),
        ("PUT", of("/policy"), json!({ "kind": "hpa", "target_percent": 70 }), &["kind"]),
        ("POST", of("/policy/check"), json!({ "kind": "hpa", "sync_ms": 1000 }), &["kind"]),
        ("PUT", of("/hold"), json!({ "ready": 4, "for_s": 60 }), &["ready"]),
        ("PUT", "/v1/membership".into(), json!({ "membership": "reload" }), &["membership"]),
        (
            "PUT",
            "/v1/tokens/ci".into(),
            json!({ "rights": ["read"], "services": ["object-store"] }),
            &["rights"],
        ),
        ("POST", of("/rollback"), json!({ "version": "00000001", "revision": true }), &[]),
        ("POST", "/v1/stop".into(), json!({ "confirm": "stop everything" }), confirm),
        ("POST", of("/actions/delete-all"), json!({ "confirm": "object-store" }), confirm),
    ]
}

/// The status, the code and the message of the answer to an operator.
async fn refusal(
    routes: &Router,
    (method, path): (&str, &str),
    kind: Option<&str>,
    body: impl Into<Body>,
) -> (u16, String, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    let answer = routes.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(!text.contains(char::is_control), "{method} {path}: {text:?}");
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let told = |key: &str| {
        value["error"][key].as_str().unwrap_or_else(|| panic!("{method} {path}: {text}"))
    };
    (status, told("code").to_owned(), told("message").to_owned())
}

const JSON: Option<&str> = Some("application/json");

/// The good body with one field more, which stands there first.
fn with_first(good: &Value, key: &str, value: &Value) -> String {
    let text = good.to_string();
    format!("{{{}:{value},{}", json!(key), &text[1..])
}

#[tokio::test(start_paused = true)]
async fn every_field_that_is_unknown_missing_twice_or_of_another_type_is_named() {
    let rig = Rig::new();
    let routes = operators(&rig);
    let before = rig.shared.changes(0, 99).len();
    for (method, path, good, needed) in bodies() {
        let fields = good.as_object().unwrap();
        let mut wrong = vec![("colour", with_first(&good, "colour", &json!(1)))];
        for field in needed {
            let mut less = fields.clone();
            less.remove(*field);
            wrong.push((field, Value::Object(less).to_string()));
        }
        for (field, value) in fields {
            wrong.push((field, with_first(&good, field, value)));
            for other in [json!({ "a": 1 }), json!([[1]]), json!(-1.5)] {
                let mut changed = fields.clone();
                changed.insert(field.clone(), other);
                wrong.push((field, Value::Object(changed).to_string()));
            }
        }
        for (field, body) in wrong {
            let told = refusal(&routes, (method, &path), JSON, body.clone()).await;
            // 400 where a word is wanted: anything else in its place is bad syntax to serde_json.
            assert!([400, 422].contains(&told.0), "{method} {path} {body}: {told:?}");
            assert!(told.2.contains(field), "{method} {path} {body}: {told:?}");
        }
        for (kind, body, status) in [
            (JSON, "", 400),
            (JSON, "{", 400),
            (JSON, &format!("{good} {{}}"), 400),
            (JSON, "[1,3]", 422),
            (JSON, "7", 422),
            (JSON, "null", 422),
            (JSON, "\"min\"", 422),
            (Some("text/plain"), "{}", 415),
            (None, "{}", 415),
        ] {
            let told = refusal(&routes, (method, &path), kind, body.to_owned()).await;
            assert_eq!(
                (told.0, told.1.as_str()),
                (status, "bad_body"),
                "{method} {path} {body}: {told:?}"
            );
        }
        let not_utf8 = refusal(&routes, (method, &path), JSON, vec![b'"', 0xff, b'"']).await;
        assert!([400, 422].contains(&not_utf8.0), "{method} {path}: {not_utf8:?}");
        let large = format!("{}{}", " ".repeat(70_000), good);
        assert_eq!(refusal(&routes, (method, &path), JSON, large).await.0, 413, "{method} {path}");
        let deep = "[".repeat(50_000);
        assert_eq!(
            refusal(&routes, (method, &path), JSON, deep).await.0 / 100,
            4,
            "{method} {path}"
        );
    }
    assert_eq!(rig.shared.changes(0, 99).len(), before);
}

#[tokio::test(start_paused = true)]
async fn every_field_out_of_its_bounds_is_named_with_what_is_allowed() {
    let rig = Rig::new();
    let routes = operators(&rig);
    for (path, body, told) in [
        ("/bounds", r#"{"min":2,"max":1}"#, "bounds.min is 2, above bounds.max, 1"),
        ("/bounds", r#"{"min":0,"max":0}"#, "bounds.max is 0: use 1 to 750"),
        ("/bounds", r#"{"min":1,"max":751}"#, "bounds.max is 751: use 1 to 750"),
        ("/bounds", r#"{"min":1,"max":4294967296}"#, "max: invalid value: integer `4294967296`"),
        ("/bounds", r#"{"min":1,"max":1e400}"#, "max"),
        ("/hold", r#"{"ready":751}"#, "ready is 751: use 0 to 750"),
        ("/hold", r#"{"ready":4,"for_s":9}"#, "for_s is 9: use 10 to 2592000"),
        ("/hold", r#"{"ready":4,"for_s":18446744073709551616}"#, "for_s: invalid type"),
        ("/policy", r#"{"kind":"hpa","in_percent":101}"#, "in_percent is 101: use"),
        ("/policy", r#"{"kind":"magic"}"#, "unknown variant `magic`"),
        ("/policy", "[]", "policy is a list of 0: use 1 to 8"),
    ] {
        let (status, _, message) =
            refusal(&routes, ("PUT", &format!("{STORE}{path}")), JSON, body).await;
        assert!(
            status == 422 || (status == 400 && body.contains("1e400")),
            "{body}: {status} {message}"
        );
        assert!(message.contains(told), "{body}: {message}");
    }
    for (body, told) in [
        (r#"{"rights":[]}"#, "rights is none: use one or more of"),
        (r#"{"rights":["read"],"services":[]}"#, "services is none: use names"),
        (r#"{"rights":["read","fly"]}"#, "rights[1]: unknown variant `fly`"),
        (r#"{"rights":["read"],"services":["a\nb"]}"#, "services[0]: `a\\u{a}b` is not a name"),
    ] {
        let (status, _, message) = refusal(&routes, ("PUT", "/v1/tokens/ci"), JSON, body).await;
        assert_eq!(status, 422, "{body}: {message}");
        assert!(message.contains(told), "{body}: {message}");
    }
}

/// Names that are none, as they stand in a path.
const NAMES: [&str; 12] = [
    "",
    "%00",
    "a%0ab",
    "%0d%0aset-cookie:%20a=b",
    "%1b%5b2J",
    "%c2%9b2J",
    "%7f",
    "%ff",
    "%2e%2e",
    "..%2f..%2ftokens",
    "%e2%80%ae",
    "%20",
];

#[tokio::test(start_paused = true)]
async fn a_name_with_characters_that_no_name_has_is_refused_wherever_it_stands() {
    let rig = Rig::new();
    let routes = operators(&rig);
    let long = "a".repeat(6_000);
    for name in NAMES.into_iter().chain([long.as_str()]) {
        for (method, path) in [
            ("GET", format!("/v1/services/{name}")),
            ("PUT", format!("/v1/services/{name}")),
            ("DELETE", format!("/v1/services/{name}")),
            ("GET", format!("/v1/services/{name}/file")),
            ("GET", format!("/v1/services/{name}/actions")),
            ("POST", format!("{STORE}/actions/{name}")),
            ("POST", format!("/v1/services/{name}/deploys")),
            ("POST", format!("/v1/services/{name}/rollback")),
            ("GET", format!("/v1/services/{name}/versions")),
            ("GET", format!("/v1/services/{name}/bounds")),
            ("DELETE", format!("/v1/services/{name}/policy")),
            ("DELETE", format!("/v1/services/{name}/hold")),
            ("POST", format!("/v1/services/{name}/instances")),
            ("DELETE", format!("{STORE}/instances/{name}")),
            ("GET", format!("/v1/services/{name}/secrets")),
            ("PUT", format!("{STORE}/secrets/{name}")),
            ("DELETE", format!("{STORE}/secrets/{name}")),
            ("GET", format!("/v1/services/{name}/output")),
            ("GET", format!("{STORE}/output?instance={name}")),
            ("GET", format!("/v1/services/{name}/why-not?ready=1")),
            ("GET", format!("/v1/services/{name}/recording")),
            ("GET", format!("/v1/jobs/{name}")),
            ("GET", format!("/v1/jobs/{name}/log")),
            ("GET", format!("/v1/jobs?service={name}")),
            ("GET", format!("/v1/ticks?service={name}")),
            ("PUT", format!("/v1/tokens/{name}")),
            ("DELETE", format!("/v1/tokens/{name}")),
        ] {
            let body = match path.ends_with(name) && path.contains("tokens/") {
                true => r#"{"rights":["read"]}"#,
                false => r#"{"confirm":"object-store"}"#,
            };
            let kind = if path.ends_with("/deploys") { Some("application/gzip") } else { JSON };
            let (status, code, message) = refusal(&routes, (method, &path), kind, body).await;
            assert!((400..500).contains(&status), "{method} {path}: {status} {code} {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_field_of_a_query_that_is_unknown_twice_or_no_number_is_refused_and_named() {
    let rig = Rig::new();
    let routes = operators(&rig);
    for (method, path, field) in [
        ("GET", "/v1/ticks", "since"),
        ("GET", "/v1/ticks", "limit"),
        ("GET", "/v1/ticks", "newest"),
        ("GET", "/v1/ticks", "from_ms"),
        ("GET", "/v1/ticks", "to_ms"),
        ("GET", "/v1/changes", "since"),
        ("GET", "/v1/changes", "limit"),
        ("GET", "/v1/services/object-store/output", "since_ms"),
        ("GET", "/v1/services/object-store/output", "lines"),
        ("GET", "/v1/services/object-store/why-not", "ready"),
        ("DELETE", "/v1/services/object-store", "data"),
        ("POST", "/v1/services/new/deploys", "replace"),
    ] {
        for value in
            ["x", "", "-1", "1.5", "%00", "%ff", "18446744073709551616", "1&{}=1", "1&colour=1"]
        {
            let query = format!("{path}?{field}={}", value.replace("{}", field));
            let kind = Some("application/gzip");
            let (status, code, message) = refusal(&routes, (method, &query), kind, "").await;
            assert_eq!((status, code.as_str()), (400, "bad_query"), "{query}: {message}");
            assert!(message.contains(field), "{query}: {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_beyond_all_that_there_are_is_answered_with_nothing_new() {
    let rig = Rig::new();
    let routes = operators(&rig);
    for path in [
        "/v1/ticks?since=18446744073709551615",
        "/v1/ticks?from_ms=18446744073709551615",
        "/v1/changes?since=18446744073709551615",
        "/v1/services/object-store/output?since_ms=18446744073709551615&lines=18446744073709551615",
    ] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = routes.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn if_match_that_is_sent_twice_is_one_list_and_one_that_is_none_sets_nothing() {
    let rig = Rig::new();
    let routes = operators(&rig);
    let put = async |lines: &[&str]| {
        let mut request = Request::builder().method("PUT").uri(format!("{STORE}/bounds"));
        for line in lines {
            request = request.header("if-match", *line);
        }
        let request = request.header("content-type", "application/json");
        let body = Body::from(r#"{"min":2,"max":4}"#);
        let answer = routes.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let tag = answer.headers().get("etag").map(|it| it.to_str().unwrap().to_owned());
        (answer.status().as_u16(), tag.unwrap_or_default())
    };
    let (_, now) = put(&["*"]).await;
    let weak = format!("W/{now}");
    let bare = now.trim_matches('"').to_owned();
    for (lines, status) in [
        (vec!["\"other\"", now.as_str()], 200),
        (vec!["\"other\"", "\"another\""], 412),
        (vec![weak.as_str(), "\"other\""], 412),
        (vec![weak.as_str()], 412),
        (vec![bare.as_str()], 400),
        (vec!["*", now.as_str()], 400),
        (vec!["*", "*"], 400),
        (vec![now.as_str(), "*"], 400),
        (vec!["", now.as_str()], 200),
    ] {
        assert_eq!(put(&lines).await.0, status, "{lines:?}");
    }
}
