//! A service's whole file by the API, and what it declares.

use std::future::IntoFuture as _;
use std::path::Path;
use std::sync::Mutex;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use host::jobs::{Replaced, Work};
use model::access::Changed;
use model::service::ServiceSpec;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::doors::{operators, token};
use super::jobs::{JSON, ask, code, kept, send, with_shop};
use super::*;
use crate::doors::identify::{self, Unnamed};

const SHOP: &str = "/v1/services/shop";
const FILE: &str = "/v1/services/shop/file";

/// The file of a service with these keys beside what it must have.
fn file(more: &Value) -> Value {
    let mut file = json!({
        "image": "matmul",
        "route": { "path_prefix": "/new" },
        "instance": { "port": 8000, "health_path": "/healthz", "size": "small" },
        "capacity": { "requests_per_second": 50.5, "concurrency": 8 },
        "bounds": { "min": 1, "max": 2 },
    });
    for (key, value) in more.as_object().unwrap() {
        file[key] = value.clone();
    }
    file
}

#[tokio::test]
async fn a_service_is_made_of_its_whole_file_with_the_figures_of_its_size() {
    let rig = Rig::new();
    let new = "/v1/services/new";
    let headers = [JSON, ("if-none-match", "*")];
    let body = file(&json!({})).to_string();
    let (status, location, text) = send(&operators(&rig), ("PUT", new), &headers, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    assert!(location.starts_with("/v1/jobs/"));
    let [kept] = &kept(&rig)[..] else { panic!("one job") };
    let Work::File { file, replaces: Replaced::Nothing } = &kept.job.work else {
        panic!("{kept:?}")
    };
    let spec: ServiceSpec = config_file::from_toml("the file", file).unwrap();
    assert_eq!((spec.name.as_str(), spec.image.as_str(), spec.bounds.max()), ("new", "matmul", 2));
    assert!(file.contains("memory_mib = ") && !file.contains("size"), "{file}");
}

#[tokio::test]
async fn all_that_is_wrong_with_a_file_is_told_by_its_field_and_nothing_begins() {
    let rig = with_shop(Path::new("/srv/shop"));
    let put = async |path: &str, body: String| {
        let (status, _, text) = send(&operators(&rig), ("PUT", path), &[JSON], body).await;
        (status.as_u16(), text)
    };
    let bad = file(&json!({
        "bounds": { "min": 5, "max": 2 },
        "instance": { "port": 0, "prot": 1 },
        "actions": { "a": { "title": "", "method": "PUT", "path": "/" } },
        "colour": "red",
    }));
    let (status, text) = put("/v1/services/new", bad.to_string()).await;
    assert_eq!(status, 422, "{text}");
    for told in [
        "bounds.min is 5, above bounds.max, 2",
        "instance.port is 0",
        "unknown field `prot`",
        "unknown field `colour`",
        "actions.a.title is",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    for (path, body, status, told) in [
        ("/v1/services/new", "{".to_owned(), 400, "bad_body"),
        ("/v1/services/new", "[]".to_owned(), 422, "bad_value"),
        (
            "/v1/services/new",
            file(&json!({ "release": null })).to_string(),
            422,
            "release is null: leave the key out",
        ),
        (
            "/v1/services/new",
            r#"{"image":"a","image":"b"}"#.to_owned(),
            422,
            "image stands there twice",
        ),
        (
            "/v1/services/new",
            file(&json!({ "bounds": { "min": { "$toml": "1979-05-27" }, "max": 2 } })).to_string(),
            422,
            "bounds.min: invalid type",
        ),
        (
            "/v1/services/new",
            file(&json!({ "name": "other" })).to_string(),
            422,
            "name is other: use new",
        ),
        ("/v1/services/new", file(&json!({ "image": "a\nb" })).to_string(), 422, "is not a name"),
        ("/v1/services/New", file(&json!({})).to_string(), 422, "bad_name"),
        ("/v1/services/new", "x".repeat(70_000), 413, "bad_body"),
        (
            "/v1/services/object-store",
            file(&json!({})).to_string(),
            409,
            "services/object-store.toml describes",
        ),
    ] {
        let (answered, text) = put(path, body).await;
        assert_eq!(answered, status, "{path}: {text}");
        assert!(text.contains(told), "{path}: {text}");
    }
    assert!(kept(&rig).is_empty());
}

#[tokio::test]
async fn a_file_is_replaced_as_it_was_read_and_not_where_it_was_changed_meanwhile() {
    let rig = with_shop(Path::new("the API"));
    let routes = operators(&rig);
    let (status, _, text) = ask(&rig, "GET", FILE, "").await;
    assert_eq!(status, StatusCode::OK);
    let mut read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["instance"]["environment"]["KEY"], "hush");
    read["bounds"]["max"] = 7.into();
    let put = async |header: (&'static str, &str)| {
        let headers = [JSON, header];
        send(&routes, ("PUT", SHOP), &headers, read.to_string()).await
    };
    for (header, status, told) in [
        (("if-match", "\"00000000000000000000000000000000\""), 412, "changed_meanwhile"),
        (("if-match", "shop"), 400, "bad_condition"),
        (("if-none-match", "*"), 412, "is_there"),
        (("if-none-match", "\"a\""), 400, "bad_condition"),
    ] {
        let (answered, _, text) = put(header).await;
        assert_eq!(
            (answered.as_u16(), code(&text)),
            (status, told.to_owned()),
            "{header:?}: {text}"
        );
    }
    let headers = [JSON, ("if-match", "*")];
    let (status, _, text) =
        send(&routes, ("PUT", "/v1/services/new"), &headers, file(&json!({})).to_string()).await;
    assert_eq!((status.as_u16(), code(&text)), (412, "changed_meanwhile".to_owned()));
    assert!(kept(&rig).is_empty());
    let tag = tag_of(&routes).await;
    let (status, _, text) = put(("if-match", &tag)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    let work = kept(&rig).remove(0).job.work;
    let Work::File { file, replaces: Replaced::File(replaced) } = &work else { panic!("{work:?}") };
    assert!(replaced.contains("hush"), "the job looks whether it is still there");
    let spec: ServiceSpec = config_file::from_toml("the file", file).unwrap();
    assert_eq!(spec.bounds.max(), 7);
}

/// The tag of the shop's file.
async fn tag_of(routes: &Router) -> String {
    use tower::ServiceExt as _;
    let request = Request::builder().uri(FILE).body(axum::body::Body::empty()).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_with_dates_and_numbers_that_json_has_not_is_put_back_as_it_was_read() {
    let rig = with_shop(Path::new("the API"));
    let (deployments, now) = (Deployments::new(rig.state.path()), crate::clock::now());
    let text = store_file()
        .replacen("name = \"object-store\"", "name = \"shop\"", 1)
        .replace("path_prefix = \"/\"", "path_prefix = \"/shop\"")
        .replace(
            "[application]",
            "[application]\nopens = 07:32:00\nsince = 1979-05-27T07:32:00Z\nmost = inf",
        );
    let name: ServiceName = "shop".parse().unwrap();
    let version = Version::new(8);
    let new = NewService { name: &name, file: &text, version, serving: None, again: false };
    let next = deployments.load().unwrap().with_folder(&new, Path::new("the API"), 3, now);
    deployments.deploy(&next).unwrap();
    let (_, _, read) = ask(&rig, "GET", FILE, "").await;
    let told: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(told["application"]["since"], json!({ "$toml": "1979-05-27T07:32:00Z" }));
    let (status, _, answer) = ask(&rig, "PUT", SHOP, &read).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let Work::File { file, .. } = kept(&rig).remove(0).job.work else { panic!("{answer}") };
    let [before, after] = [text, file].map(|text| text.parse::<toml::Table>().unwrap());
    assert_eq!(after, before);
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let (_, _, text) = send(&console, ("GET", FILE), &[], "").await;
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["application"]["since"], Value::Null, "it tells nothing of its own programs");
}

#[tokio::test]
async fn what_a_service_tells_its_own_programs_is_left_out_for_who_has_no_token_to_read() {
    let rig = with_shop(Path::new("/srv/shop"));
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let (status, _, text) = send(&console, ("GET", FILE), &[], "").await;
    assert_eq!(status, StatusCode::OK);
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["instance"]["environment"], json!({ "KEY": null }));
    assert_eq!(read["application"]["listen"], Value::Null);
    assert_eq!(read["bounds"]["max"], 10);
    let secret = token(&rig, "reads", r#"{"rights":["read"]}"#).await;
    let bearer = format!("Bearer {secret}");
    let (_, _, text) = send(&console, ("GET", FILE), &[("authorization", &bearer)], "").await;
    assert!(text.contains("hush"), "{text}");
    assert_eq!(ask(&rig, "GET", "/v1/services/nothing/file", "").await.0, 404);
}

/// A host whose load balancer answers requests for services, and the requests that it had.
async fn balanced() -> (Rig, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let record = Arc::clone(&seen);
    let routes = Router::new().fallback(async move |request: Request| {
        record.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        StatusCode::NO_CONTENT
    });
    tokio::spawn(axum::serve(listener, routes).into_future());
    (Rig::balanced_by(&[(&store_file(), 1)], address), seen)
}

const ACTION: &str = "/v1/services/object-store/actions/delete-all";

#[tokio::test]
async fn an_action_is_listed_and_sent_once_somebody_confirms_it_and_kept_with_who_did() {
    let (rig, seen) = balanced().await;
    let (_, _, text) = ask(&rig, "GET", "/v1/services/object-store/actions", "").await;
    let told = json!({"actions": {"delete-all": {"title": "Delete all objects", "method": "DELETE", "path": "/"}}});
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), told);
    for (path, body, status, told) in [
        (ACTION, "{}", 422, "missing field `confirm`"),
        (ACTION, r#"{"confirm":"shop"}"#, 422, "not_confirmed"),
        (ACTION, r#"{"confirm":"object-store","sure":true}"#, 422, "unknown field `sure`"),
        (
            "/v1/services/object-store/actions/none",
            r#"{"confirm":"object-store"}"#,
            404,
            "no_such_action",
        ),
        (
            "/v1/services/object-store/actions/A%0A",
            r#"{"confirm":"object-store"}"#,
            404,
            "no_such_action",
        ),
        (
            "/v1/services/nothing/actions/delete-all",
            r#"{"confirm":"nothing"}"#,
            404,
            "no_such_service",
        ),
    ] {
        let (answered, _, text) = ask(&rig, "POST", path, body).await;
        assert_eq!(answered.as_u16(), status, "{path} {body}: {text}");
        assert!(text.contains(told), "{path} {body}: {text}");
    }
    assert!(seen.lock().unwrap().is_empty());
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let confirmed = r#"{"confirm":"object-store"}"#;
    assert_eq!(send(&console, ("POST", ACTION), &[JSON], confirmed).await.0, 401);
    let deploys = token(&rig, "deploys", r#"{"rights":["deploy"]}"#).await;
    let bearer = format!("Bearer {deploys}");
    let headers = [JSON, ("authorization", bearer.as_str())];
    assert_eq!(send(&console, ("POST", ACTION), &headers, confirmed).await.0, 403);
    let (status, _, text) = ask(&rig, "POST", ACTION, confirmed).await;
    assert_eq!((status.as_u16(), text.as_str()), (200, r#"{"status":204,"body":""}"#));
    assert_eq!(*seen.lock().unwrap(), ["DELETE /"]);
    let noted = rig.shared.changes(0, 99).pop().unwrap();
    let action = "delete-all".parse().unwrap();
    assert_eq!(noted.changed, Changed::Action { service: store(), action, status: Some(204) });
    assert_eq!(noted.who, root());
}

#[tokio::test]
async fn an_action_that_nobody_answers_is_502_and_kept_too() {
    let rig = Rig::with_files(&[(&store_file(), 1)]);
    let (status, _, text) = ask(&rig, "POST", ACTION, r#"{"confirm":"object-store"}"#).await;
    assert_eq!((status, code(&text)), (StatusCode::BAD_GATEWAY, "no_answer".to_owned()));
    let noted = rig.shared.changes(0, 99).pop().unwrap();
    assert!(matches!(noted.changed, Changed::Action { status: None, .. }), "{noted:?}");
}

#[tokio::test]
async fn four_actions_are_sent_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let came = Arc::new(tokio::sync::Semaphore::new(0));
    let (told, answer) = (Arc::clone(&came), Arc::new(tokio::sync::Semaphore::new(0)));
    let may = Arc::clone(&answer);
    let routes = Router::new().fallback(async move || {
        told.add_permits(1);
        may.acquire().await.unwrap().forget();
        StatusCode::NO_CONTENT
    });
    tokio::spawn(axum::serve(listener, routes).into_future());
    let rig = Rig::balanced_by(&[(&store_file(), 1)], address);
    let confirmed = r#"{"confirm":"object-store"}"#;
    let sent: Vec<_> = (0..4)
        .map(|_| {
            let routes = operators(&rig);
            tokio::spawn(async move { send(&routes, ("POST", ACTION), &[JSON], confirmed).await.0 })
        })
        .collect();
    came.acquire_many(4).await.unwrap().forget();
    let (status, _, text) = ask(&rig, "POST", ACTION, confirmed).await;
    assert_eq!(
        (status, code(&text)),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_actions".to_owned())
    );
    answer.add_permits(5);
    for sent in sent {
        assert_eq!(sent.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(ask(&rig, "POST", ACTION, confirmed).await.0, StatusCode::OK);
}
