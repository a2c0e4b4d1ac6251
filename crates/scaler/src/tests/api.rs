//! The HTTP API, route by route.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use model::status::ServiceOverrides;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;

pub(super) async fn ask(
    rig: &Rig,
    method: &str,
    path: &str,
    body: &'static str,
) -> (StatusCode, String) {
    let routes = crate::doors::identify::routes(
        &rig.shared,
        crate::doors::identify::Unnamed::Operates { uid: 0 },
    );
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let response = routes.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn services_ticks_and_bounds_can_be_asked_for_and_bounds_be_set_and_cleared() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let path = "/v1/services/object-store";
    let (_, all) = ask(&rig, "GET", "/v1/services", "").await;
    let all: model::status::HostStatus = serde_json::from_str(&all).unwrap();
    assert_eq!(all.services, [rig.status()]);
    let (_, page) = ask(&rig, "GET", "/v1/ticks?since=0&limit=2", "").await;
    let page: model::status::TickPage = serde_json::from_str(&page).unwrap();
    assert_eq!((page.ticks.len(), page.next), (2, 2));
    let bounds = format!("{path}/bounds");
    let (status, text) = ask(&rig, "PUT", &bounds, r#"{"min":2,"max":4}"#).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(rig.status().bounds, Bounds::new(2, 4).unwrap());
    assert_eq!(ask(&rig, "DELETE", &bounds, "").await.0, StatusCode::OK);
    assert_eq!(rig.status().bounds, Bounds::new(1, 10).unwrap());
}

#[tokio::test(start_paused = true)]
async fn ticks_of_a_service_and_a_stretch_can_be_asked_for_and_the_newest_alone() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let page = async |query: &str| {
        let (_, page) = ask(&rig, "GET", &format!("/v1/ticks?{query}"), "").await;
        serde_json::from_str::<model::status::TickPage>(&page).unwrap()
    };
    let all = page("").await.ticks;
    let [first, .., last] = all.as_slice() else { panic!("{} ticks", all.len()) };
    let own = page("service=object-store").await;
    assert_eq!((own.ticks.len(), own.next), (all.len(), last.sequence));
    let other = page("service=other").await;
    assert_eq!((other.ticks.len(), other.next), (0, last.sequence));
    let at = first.at.as_millis();
    let early = page(&format!("to_ms={at}&newest=1")).await;
    assert_eq!((early.ticks[0].sequence, early.next), (first.sequence, last.sequence));
    let late = page(&format!("from_ms={}", at + 1)).await.ticks;
    assert_eq!(late.len(), all.len() - 1);
    assert_eq!(page("newest=1").await.ticks[0].sequence, last.sequence);
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_set_and_cleared_and_each_answer_tells_what_is_in_force() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let path = "/v1/services/object-store/policy";
    let hpa = r#"{"kind":"hpa","target_percent":70}"#;
    let (status, text) = ask(&rig, "PUT", path, hpa).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["policy"], "hpa");
    assert_eq!(answer["policy_spec"]["target_percent"], 70.0);
    assert_eq!(answer["objective_ms"], 250);
    assert_eq!(answer["set"]["bounds"], Value::Null);
    assert_eq!(answer["set"]["policy"], answer["policy_spec"]);
    let two = r#"[{"kind":"hpa"},{"kind":"concurrency"}]"#;
    assert_eq!(ask(&rig, "PUT", path, two).await.0, StatusCode::OK);
    assert_eq!(rig.status().policy, "hpa+concurrency");
    let (status, text) = ask(&rig, "DELETE", path, "").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["set"], serde_json::json!({"bounds": null, "policy": null}));
    assert_eq!(answer["policy"], "target_tracking");
}

#[tokio::test(start_paused = true)]
async fn what_stands_between_a_service_and_another_number_is_told_under_what_is_in_force() {
    let mut rig = Rig::new();
    let path = "/v1/services/object-store/why-not?ready=12";
    let (status, text) = ask(&rig, "GET", path, "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    rig.ticks(6, 13).await;
    assert_eq!(
        ask(&rig, "PUT", "/v1/services/object-store/bounds", r#"{"min":1,"max":6}"#).await.0,
        200
    );
    rig.ticks(6, 13).await;
    let (status, text) = ask(&rig, "GET", path, "").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let told = answer["obstacles"].as_array().unwrap();
    assert_eq!(told[0]["kind"], "policy", "{text}");
    assert_eq!(told[0]["needed"][0]["measure"], "offered", "{text}");
    assert_eq!(told[0]["needed"][0]["bound"], 440.0, "{text}");
    assert_eq!(
        told[1],
        serde_json::json!({"kind": "max", "bounds": {"min": 1, "max": 6}}),
        "{text}"
    );
    let tick = rig.status().tick.unwrap();
    assert_eq!(tick.trail.as_ref().map(|trail| trail.current), tick.target());
    assert_eq!(tick.room.unwrap().launches, 4);
}

#[tokio::test(start_paused = true)]
async fn the_way_of_membership_is_asked_for_set_and_cleared() {
    let rig = Rig::new();
    let path = "/v1/membership";
    let of_settings = r#"{"membership":"runtime","set":null}"#;
    let set = r#"{"membership":"reload","set":"reload"}"#;
    for (method, body, answer) in [
        ("GET", "", of_settings),
        ("PUT", r#"{"membership":"reload"}"#, set),
        ("GET", "", set),
        ("DELETE", "", of_settings),
    ] {
        assert_eq!(ask(&rig, method, path, body).await, (StatusCode::OK, answer.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn lower_bounds_that_together_need_more_slots_than_there_are_are_refused() {
    let rig = Rig::with_files(&[(&store_file(), 1), (&set::later(), 1)]);
    let store = "/v1/services/object-store/bounds";
    let (status, _) = ask(&rig, "PUT", store, r#"{"min":700,"max":750}"#).await;
    assert_eq!(status, StatusCode::OK);
    let later = "/v1/services/later/bounds";
    assert_eq!(ask(&rig, "PUT", later, r#"{"min":1,"max":750}"#).await.0, StatusCode::OK);
    let (status, text) = ask(&rig, "PUT", later, r#"{"min":300,"max":750}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text.contains("too_many_slots") && text.contains("lower a bounds.min"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn lower_bounds_that_together_need_more_memory_than_there_is_are_refused() {
    let large = store_file().replace("memory_mib = 128", "memory_mib = 1024");
    let rig = Rig::with_files(&[(&large, 1)]);
    let bounds = "/v1/services/object-store/bounds";
    assert_eq!(ask(&rig, "PUT", bounds, r#"{"min":125,"max":750}"#).await.0, StatusCode::OK);
    let (status, text) = ask(&rig, "PUT", bounds, r#"{"min":126,"max":750}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text.contains("too_little_memory") && text.contains("129024 MiB"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn bounds_of_more_than_one_are_refused_for_a_service_that_is_recreated() {
    let file = store_file()
        .replace("max = 10", "max = 1")
        .replace("watch_ms = 0", "replacement = \"recreate\"");
    let rig = Rig::with_files(&[(&file, 1)]);
    let bounds = "/v1/services/object-store/bounds";
    let (status, text) = ask(&rig, "PUT", bounds, r#"{"min":0,"max":2}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text.contains("one_instance") && text.contains("bounds.max is 2: use 1"), "{text}");
    assert_eq!(ask(&rig, "PUT", bounds, r#"{"min":0,"max":1}"#).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_is_not_taken() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    rig.daemon.flush_memory().await;
    let service = "/v1/services/object-store";
    let (bounds, set) = (format!("{service}/bounds"), r#"{"min":1,"max":3}"#);
    assert_eq!(ask(&rig, "PUT", &bounds, set).await.0, StatusCode::OK);
    let before = rig.status().set;
    std::fs::remove_dir_all(rig.state.path()).unwrap();
    for (method, path, body) in [
        ("PUT", format!("{service}/policy"), r#"{"kind":"hpa"}"#),
        ("PUT", format!("{service}/bounds"), r#"{"min":2,"max":4}"#),
        ("DELETE", format!("{service}/bounds"), ""),
        ("PUT", "/v1/membership".to_owned(), r#"{"membership":"reload"}"#),
    ] {
        let (status, text) = ask(&rig, method, &path, body).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}");
        assert!(text.contains("not_written") && text.contains("check the disk"), "{text}");
    }
    // What is set already needs no disk.
    assert_eq!(ask(&rig, "PUT", &bounds, set).await.0, StatusCode::OK);
    assert_eq!(rig.status().set, before);
    assert_eq!(rig.shared.membership().set, None);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_refused_with_a_reason_and_change_nothing() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let bounds = "/v1/services/object-store/bounds";
    let policy = "/v1/services/object-store/policy";
    let cases = [
        ("GET", "/v1/services/nothing", "", 404, "no_such_service"),
        ("PUT", bounds, r#"{"min":5,"max":4}"#, 422, "lower one or raise the other"),
        ("PUT", bounds, r#"{"min":1}"#, 422, "missing field `max`"),
        ("PUT", bounds, r#"{"min":1,"max":800}"#, 422, "bounds.max is 800: use 1 to 750"),
        ("PUT", bounds, "[1,3]", 422, "expected keys with their values"),
        ("PUT", policy, r#"[["hpa"]]"#, 422, "expected keys with their values"),
        ("PUT", "/v1/membership", r#"["reload"]"#, 422, "expected keys with their values"),
        ("PUT", bounds, "{", 400, "bad_body"),
        ("PUT", "/v1/services/nothing/policy", r#"{"kind":"hpa"}"#, 404, "no_such_service"),
        ("DELETE", "/v1/services/nothing/policy", "", 404, "no_such_service"),
        ("PUT", policy, r#"{"kind":"magic"}"#, 422, "unknown variant `magic`, expected one of"),
        ("PUT", policy, r#"{"kind":"hpa","sink_ms":1}"#, 422, "unknown field `sink_ms`"),
        ("PUT", policy, r#"{"kind":"hpa","in_percent":101}"#, 422, "in_percent is 101: use 0 to"),
        (
            "PUT",
            policy,
            r#"[{"kind":"hpa"},{"kind":"threshold","lower_percent":80,"upper_percent":70}]"#,
            422,
            "policy[1].lower_percent is 80, not below policy[1].upper_percent, 70",
        ),
        ("PUT", policy, "[]", 422, "policy is a list of 0: use 1 to 8 policies"),
        ("PUT", policy, "\"hpa\"", 422, "expected a policy or a list of policies"),
        ("PUT", "/v1/membership", r#"{"membership":"both"}"#, 422, "unknown variant `both`"),
        ("PUT", "/v1/membership", r#"{"way":"reload"}"#, 422, "unknown field `way`"),
        (
            "GET",
            "/v1/ticks?since=x",
            "",
            400,
            "since (a sequence number), limit, from_ms and to_ms",
        ),
        ("GET", "/v1/ticks?limit=1&newest=1", "", 400, "newest is one in the place of limit"),
        ("GET", "/v1/ticks?service=No", "", 400, "service is the name of one"),
        ("GET", "/v1/ticks?from_ms=-1", "", 400, "bad_query"),
        ("GET", "/v1/ticks?sinse=1", "", 400, "bad_query"),
        ("GET", "/v1/ticks?since=%zz", "", 400, "bad_query"),
        ("GET", "/v1/services/nothing/why-not?ready=2", "", 404, "no_such_service"),
        ("GET", "/v1/services/object-store/why-not", "", 400, "ready is a whole number"),
        ("GET", "/v1/services/object-store/why-not?ready=-1", "", 400, "bad_query"),
        ("GET", "/v1/services/object-store/why-not?ready=2&of=1", "", 400, "bad_query"),
        (
            "GET",
            "/v1/services/object-store/why-not?ready=751",
            "",
            422,
            "no service has more than 750",
        ),
        ("POST", "/v1/services", "", 405, "method_not_allowed"),
        ("GET", "/v2", "", 404, "no_such_path"),
    ];
    for (method, path, body, status, told) in cases {
        let (answered, text) = ask(&rig, method, path, body).await;
        assert_eq!(answered.as_u16(), status, "{method} {path}: {text}");
        assert!(text.contains(told), "{method} {path}: {text}");
    }
    assert_eq!(rig.status().set, ServiceOverrides::default());
    assert_eq!(rig.shared.membership().set, None);
}
