//! Who may do what, by which way in.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use model::access::{ChangePage, Changed, KeyChange, MadeToken, Right, Tokens};
use model::caller::CallerStatus;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::doors::identify::{self, Unnamed};

const BOUNDS: &str = "/v1/services/object-store/bounds";

/// A request with these headers, and its answer.
pub(super) async fn send(
    routes: &Router,
    request: (&str, &str, &str),
    headers: &[(&str, &str)],
) -> (StatusCode, String) {
    let (method, path, body) = request;
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in [("content-type", "application/json")].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn with_token(
    routes: &Router,
    request: (&str, &str, &str),
    secret: &str,
) -> (StatusCode, String) {
    send(routes, request, &[("authorization", &format!("Bearer {secret}"))]).await
}

pub(super) fn operators(rig: &Rig) -> Router {
    identify::routes(&rig.shared, Unnamed::Operates { uid: 0 })
}

/// The secret of a new token.
pub(super) async fn token(rig: &Rig, name: &str, grant: &str) -> String {
    let request = ("PUT", format!("/v1/tokens/{name}"), grant);
    let routes = operators(rig);
    let (status, text) = send(&routes, (request.0, &request.1, request.2), &[]).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    serde_json::from_str::<MadeToken>(&text).unwrap().secret
}

fn code(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap();
    answer["error"]["code"].as_str().unwrap_or_default().to_owned()
}

const SET: (&str, &str, &str) = ("PUT", BOUNDS, r#"{"min":2,"max":4}"#);
const READ: (&str, &str, &str) = ("GET", "/v1/services", "");

#[tokio::test(start_paused = true)]
async fn by_the_consoles_socket_anybody_reads_and_a_token_changes_what_it_is_for() {
    let rig = Rig::with_files(&[(&store_file(), 1), (&set::later(), 1)]);
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    assert_eq!(send(&console, READ, &[]).await.0, StatusCode::OK);
    let (status, text) = send(&console, SET, &[]).await;
    assert_eq!((status, code(&text)), (StatusCode::UNAUTHORIZED, "unauthorized".to_owned()));

    let grant = r#"{"rights":["operate"],"services":["object-store"]}"#;
    let of_store = token(&rig, "store", grant).await;
    assert_eq!(with_token(&console, SET, &of_store).await.0, StatusCode::OK);
    for path in ["/v1/services/later/bounds", "/v1/services/nothing/bounds", "/v1/membership"] {
        let (status, text) = with_token(&console, ("DELETE", path, ""), &of_store).await;
        assert_eq!((status, code(&text)), (StatusCode::FORBIDDEN, "too_few_rights".to_owned()));
    }
    let reads = token(&rig, "reads", r#"{"rights":["read"]}"#).await;
    assert_eq!(with_token(&console, READ, &reads).await.0, StatusCode::OK);
    assert_eq!(with_token(&console, SET, &reads).await.0, StatusCode::FORBIDDEN);
    let all = token(&rig, "all", r#"{"rights":["all"]}"#).await;
    let membership = ("PUT", "/v1/membership", r#"{"membership":"reload"}"#);
    assert_eq!(with_token(&console, membership, &all).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_token_for_a_service_sees_no_other() {
    let mut rig = Rig::with_files(&[(&store_file(), 1), (&set::later(), 1)]);
    rig.ticks(6, 1).await;
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let secret = token(&rig, "later", r#"{"rights":["read"],"services":["later"]}"#).await;
    for path in ["/v1/services", "/v1/ticks", "/v1/changes"] {
        let (status, text) = with_token(&console, ("GET", path, ""), &secret).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!text.contains("object-store"), "{path}: {text}");
    }
    let page = with_token(&console, ("GET", "/v1/ticks", ""), &secret).await.1;
    let all = send(&console, ("GET", "/v1/ticks", ""), &[]).await.1;
    let next = |text: &str| serde_json::from_str::<Value>(text).unwrap()["next"].clone();
    assert_eq!(next(&page), next(&all));
    let one = ("GET", "/v1/services/object-store", "");
    assert_eq!(with_token(&console, one, &secret).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_wrong_revoked_or_said_otherwise_gets_nothing() {
    let rig = Rig::new();
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let by_operators = operators(&rig);
    let secret = token(&rig, "ci", r#"{"rights":["all"]}"#).await;
    let cut = &secret[..secret.len() - 1];
    let long = "x".repeat(9_000);
    for wrong in ["", cut, &long, "bellows_", &format!("{secret} {secret}")] {
        for request in [READ, SET] {
            let (status, text) = with_token(&console, request, wrong).await;
            assert_eq!(
                (status, code(&text)),
                (StatusCode::UNAUTHORIZED, "unauthorized".to_owned())
            );
        }
    }
    let basic = format!("Basic {secret}");
    let answered = send(&console, SET, &[("authorization", &basic)]).await.0;
    assert_eq!(answered, StatusCode::UNAUTHORIZED);
    assert_eq!(send(&by_operators, ("DELETE", "/v1/tokens/ci", ""), &[]).await.0, StatusCode::OK);
    assert_eq!(with_token(&console, SET, &secret).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        send(&by_operators, ("DELETE", "/v1/tokens/ci", ""), &[]).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_are_the_operators_matter_and_bad_ones_are_not_made() {
    let rig = Rig::new();
    let by_operators = operators(&rig);
    let secret = token(&rig, "ci", r#"{"rights":["all"]}"#).await;
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let make = ("PUT", "/v1/tokens/other", r#"{"rights":["all"]}"#);
    for request in [("GET", "/v1/tokens", ""), make, ("DELETE", "/v1/tokens/ci", "")] {
        let (status, text) = with_token(&console, request, &secret).await;
        assert_eq!((status, code(&text)), (StatusCode::FORBIDDEN, "operators_only".to_owned()));
    }
    for (path, grant, told) in [
        ("/v1/tokens/ci", r#"{"rights":["read"]}"#, "there is a token `ci`"),
        ("/v1/tokens/C%20I", r#"{"rights":["read"]}"#, "`C I` is not a name"),
        ("/v1/tokens/b", r#"{"rights":[]}"#, "rights is none: use one or more of read, operate"),
        ("/v1/tokens/b", r#"{"rights":["write"]}"#, "unknown variant `write`"),
        ("/v1/tokens/b", r#"{"rights":["read"],"services":["shop"]}"#, "no service \\\"shop\\\""),
    ] {
        let (status, text) = send(&by_operators, ("PUT", path, grant), &[]).await;
        assert!(status.is_client_error() && text.contains(told), "{status} {text}");
    }
    let (_, text) = send(&by_operators, ("GET", "/v1/tokens", ""), &[]).await;
    assert!(!text.contains(&secret));
    assert_eq!(serde_json::from_str::<Tokens>(&text).unwrap().tokens.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_no_operator_has_so_many_requests_a_second_and_operators_do_not_notice() {
    let rig = Rig::new();
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let mut refused = 0;
    for _ in 0..500 {
        let (status, _) = send(&console, ("GET", "/healthz", ""), &[]).await;
        refused += u32::from(status == StatusCode::TOO_MANY_REQUESTS);
    }
    // 400 at once, and 200 in each second that this takes.
    assert!((1..=100).contains(&refused), "{refused}");
    // Ticks count for more, and operators do not notice.
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let ticks = ("GET", "/v1/ticks", "");
    let mut answered = 0;
    for _ in 0..50 {
        answered += u32::from(send(&console, ticks, &[]).await.0 == StatusCode::OK);
        assert_eq!(send(&operators(&rig), ticks, &[]).await.0, StatusCode::OK);
    }
    assert!((20..40).contains(&answered), "{answered}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_counted_and_keeps_nobody_out_who_has_a_token() {
    let rig = Rig::new();
    let secret = token(&rig, "page", r#"{"rights":["read"]}"#).await;
    let wrong = format!("Bearer {}x", &secret[..secret.len() - 1]);
    for (request, headers) in [(READ, vec![("authorization", wrong.as_str())]), (SET, vec![])] {
        let console = identify::routes(&rig.shared, Unnamed::Reads);
        let mut answers = Vec::new();
        for _ in 0..800 {
            answers.push(send(&console, request, &headers).await.0);
        }
        // 400 at once, and 200 in each second that this takes.
        let too_many = answers.iter().filter(|it| **it == StatusCode::TOO_MANY_REQUESTS).count();
        assert_eq!((answers[0], too_many > 0), (StatusCode::UNAUTHORIZED, true), "{headers:?}");
        assert_eq!(with_token(&console, READ, &secret).await.0, StatusCode::OK, "{headers:?}");
    }
}

/// All tokens had one bound, and wrong ones that of who reads without any.
#[tokio::test(start_paused = true)]
async fn who_asks_too_often_keeps_out_neither_another_token_nor_who_reads_without() {
    let rig = Rig::new();
    let busy = token(&rig, "busy", r#"{"rights":["read"]}"#).await;
    let page = token(&rig, "page", r#"{"rights":["read"]}"#).await;
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let mut answers = Vec::new();
    for _ in 0..800 {
        answers.push(with_token(&console, READ, &busy).await.0);
    }
    assert!(answers.contains(&StatusCode::TOO_MANY_REQUESTS), "{answers:?}");
    assert_eq!(with_token(&console, READ, &page).await.0, StatusCode::OK);
    let wrong = format!("{}x", &busy[..busy.len() - 1]);
    let mut answers = Vec::new();
    for _ in 0..800 {
        answers.push(with_token(&console, READ, &wrong).await.0);
    }
    // 40 at once, and 20 in each second that this takes.
    let told = answers.iter().filter(|it| **it == StatusCode::UNAUTHORIZED).count();
    assert!((40..200).contains(&told), "{told}");
    assert_eq!(with_token(&console, READ, &page).await.0, StatusCode::OK);
    assert_eq!(send(&console, READ, &[]).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_sets_something_counts_for_more_and_what_is_set_already_is_no_change() {
    let rig = Rig::new();
    let secret = token(&rig, "ci", r#"{"rights":["operate"]}"#).await;
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let before = rig.shared.changes(0, 99).len();
    let mut answered = 0;
    for _ in 0..60 {
        answered += u32::from(with_token(&console, SET, &secret).await.0 == StatusCode::OK);
    }
    // 20 at once, and 10 in each second that this takes.
    assert!((20..50).contains(&answered), "{answered}");
    assert_eq!(rig.shared.changes(0, 99).len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn who_sets_something_waits_for_the_disk_and_nobody_else_does() {
    let mut rig = Rig::new();
    let secret = token(&rig, "page", r#"{"rights":["read"]}"#).await;
    let (console, by_operators) = (identify::routes(&rig.shared, Unnamed::Reads), operators(&rig));
    let ((told, begun), (end, ended)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let shared = Arc::clone(&rig.shared);
    let slow = std::thread::spawn(move || {
        shared.one_after_the_other(|_| {
            told.send(()).unwrap();
            ended.recv_timeout(Duration::from_secs(10))
        })
    });
    begun.recv().unwrap();
    let put = tokio::spawn(async move { send(&by_operators, SET, &[]).await.0 });
    rig.ticks(6, 1).await;
    assert_eq!(with_token(&console, READ, &secret).await.0, StatusCode::OK);
    assert!(!put.is_finished());
    end.send(()).unwrap();
    assert_eq!(put.await.unwrap(), StatusCode::OK);
    assert!(slow.join().unwrap().is_ok(), "all that took no time");
}

#[tokio::test(start_paused = true)]
async fn who_passes_requests_on_is_told_who_calls() {
    let rig = Rig::new();
    let grant = r#"{"rights":["operate"],"services":["object-store"]}"#;
    let secret = token(&rig, "ci", grant).await;
    let ask = ("GET", "/v1/caller", "");
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    let (status, text) = with_token(&console, ask, &secret).await;
    assert_eq!(status, StatusCode::OK);
    let CallerStatus::Token { token } = serde_json::from_str(&text).unwrap() else {
        panic!("{text}")
    };
    assert_eq!((token.name.as_str(), token.allows(Right::Operate)), ("ci", true));
    assert!(token.is_for(Some(&store())) && !token.is_for(None));
    assert!(!text.contains(&secret), "{text}");
    assert_eq!(send(&console, ask, &[]).await.1, r#"{"kind":"reader"}"#);
    assert_eq!(send(&operators(&rig), ask, &[]).await.1, r#"{"kind":"operator"}"#);
    assert_eq!(with_token(&console, ask, "other").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn who_passes_a_token_on_acts_for_whoever_it_is_of() {
    let rig = Rig::new();
    let secret = token(&rig, "reads", r#"{"rights":["read"]}"#).await;
    assert_eq!(with_token(&operators(&rig), SET, &secret).await.0, StatusCode::FORBIDDEN);
    assert_eq!(with_token(&operators(&rig), SET, "other").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn every_change_is_kept_with_who_what_before_and_after() {
    let mut rig = Rig::new();
    let secret = token(&rig, "ci", r#"{"rights":["operate"]}"#).await;
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    assert_eq!(with_token(&console, SET, &secret).await.0, StatusCode::OK);
    let by_operators = operators(&rig);
    for request in [
        ("DELETE", BOUNDS, ""),
        ("PUT", "/v1/services/object-store/policy", r#"{"kind":"hpa"}"#),
        ("PUT", "/v1/membership", r#"{"membership":"reload"}"#),
        ("DELETE", "/v1/tokens/ci", ""),
        // Refused, and so no change.
        ("PUT", BOUNDS, r#"{"min":5,"max":4}"#),
    ] {
        send(&by_operators, request, &[]).await;
    }
    deploy(&rig.state, &[(&store_file(), 2)], crate::clock::now());
    rig.ticks(1, 1).await;
    let (_, text) = send(&by_operators, ("GET", "/v1/changes", ""), &[]).await;
    let page: ChangePage = serde_json::from_str(&text).unwrap();
    let told: Vec<String> = page
        .changes
        .iter()
        .map(|change| {
            let who = serde_json::to_value(&change.who).unwrap();
            let changed = serde_json::to_value(&change.changed).unwrap();
            let by = who["name"].as_str().or(who["user"].as_str()).unwrap_or("up").to_owned();
            format!("{} {by} {}", change.sequence, changed["kind"].as_str().unwrap())
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    1 root deployment
    2 root token
    3 ci bounds
    4 root bounds
    5 root policy
    6 root membership
    7 root token
    8 root deployment
    ");
    let bounds = |min, max| Bounds::new(min, max).unwrap();
    let expected = Changed::Bounds { service: store(), before: bounds(1, 10), after: bounds(2, 4) };
    assert_eq!(page.changes[2].changed, expected);
    let version = |number| Some(Version::new(number));
    let expected = Changed::Deployment { service: store(), before: version(1), after: version(2) };
    assert_eq!(page.changes[7].changed, expected);
    // The same version: what Bellows alone reads.
    let open = format!("egress = [\"any\"]\n{}", store_file());
    deploy(&rig.state, &[(&open, 2)], crate::clock::now());
    rig.ticks(2, 1).await;
    let changed = rig.shared.changes(8, 9).pop().unwrap();
    let any = Some("[\"any\"]".to_owned());
    let keys = vec![KeyChange { key: "egress".to_owned(), before: None, after: any }];
    assert_eq!(changed.changed, Changed::ServiceFile { service: store(), keys });
    assert_eq!((changed.who, changed.sequence), (root(), 9));
    // What was deployed while the scaler was away is noted at its start, and once.
    deploy(&rig.state, &[(&set::later(), 1)], crate::clock::now());
    rig.restart().await;
    rig.restart().await;
    let told: Vec<_> = rig.shared.changes(9, 9).into_iter().map(|it| it.changed).collect();
    let later = "later".parse().unwrap();
    let withdrawn = Changed::Deployment { service: store(), before: version(2), after: None };
    let deployed = Changed::Deployment { service: later, before: None, after: version(1) };
    assert_eq!(told, [deployed, withdrawn]);
}
