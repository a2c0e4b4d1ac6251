//! What is passed on to the scaler, and how its answers come back.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::Value;

use crate::scaler::{Console, FakeScaler, folder};

const BOUNDS: &str = "/v1/services/store/bounds";
const CI: (&str, &str) = ("authorization", "Bearer ci");

#[tokio::test]
async fn what_somebody_asks_of_the_scaler_goes_there_with_his_words_and_comes_back_with_its_own() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("ci", &["operate"], None);
    let console = Console::start(&scaler, folder.path());
    let headers = [
        CI,
        ("content-type", "application/json"),
        ("if-match", "\"a\""),
        ("if-none-match", "*"),
        ("cookie", "session=1"),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    let target = format!("{BOUNDS}?x=%2F");
    let answer = console.send("PUT", &target, &headers, r#"{"min":1,"max":2}"#).await;
    assert_eq!(answer.status().as_u16(), 202);
    for (name, value) in [("etag", "\"new\""), ("location", "/v1/jobs/1")] {
        assert_eq!(answer.headers()[name], value);
    }
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert!(!answer.headers().contains_key("x-secret"));
    assert_eq!(answer.json::<Value>().await.unwrap()["target"], target);
    let asked = scaler.asked().pop().unwrap();
    assert_eq!(
        (asked.line, &asked.body[..]),
        (format!("PUT {target}"), &br#"{"min":1,"max":2}"#[..])
    );
    for (name, value) in &headers[..4] {
        assert_eq!(asked.headers[*name], *value);
    }
    assert!(
        !asked.headers.contains_key("cookie") && !asked.headers.contains_key("x-forwarded-for")
    );
    assert_eq!(asked.headers["host"], "localhost");
}

#[tokio::test]
async fn what_the_scaler_refuses_is_a_problem_with_its_code_and_its_words() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("ci", &["operate"], None);
    let console = Console::start(&scaler, folder.path());
    let answer = console.send("DELETE", BOUNDS, &[CI, ("if-match", "\"old\"")], "").await;
    assert_eq!(answer.status().as_u16(), 412);
    for (name, value) in [
        ("content-type", "application/problem+json"),
        ("etag", "\"now\""),
        ("retry-after", "7"),
        ("www-authenticate", "Bearer"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "changed_meanwhile");
    assert_eq!(problem["detail"], "It is changed_meanwhile.");
    assert_eq!(
        (&problem["status"], &problem["title"]),
        (&412.into(), &"Precondition Failed".into())
    );
    let strange = console.code("DELETE", BOUNDS, &[CI, ("if-match", "\"strange\"")]).await;
    assert_eq!(strange, (502, "scaler_strange".to_owned()));
}

#[tokio::test]
async fn a_change_needs_a_token_and_a_cookie_is_none() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("ci", &["operate"], None);
    let console = Console::start(&scaler, folder.path());
    for headers in [&[][..], &[("cookie", "authorization=Bearer ci")], &[("x-token", "ci")]] {
        let told = console.code("DELETE", BOUNDS, headers).await;
        assert_eq!(told, (401, "unauthorized".to_owned()), "{headers:?}");
    }
    assert_eq!(console.code("DELETE", BOUNDS, &[CI]).await.0, 202);
}

#[tokio::test]
async fn nothing_is_passed_on_that_is_not_in_the_list() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("ci", &["all"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    console.code("GET", "/v1/membership", &[CI]).await;
    scaler.asked();
    for (method, path) in [
        ("GET", "/v1/tokens"),
        ("PUT", "/v1/tokens/other"),
        ("DELETE", "/v1/tokens/ci"),
        ("GET", "/v1/feed"),
        ("GET", "/v1/caller"),
        ("GET", "/v1/services/store/nothing"),
        ("PATCH", "/v1/services/store"),
        ("PATCH", BOUNDS),
        ("DELETE", "/v1/services/%2e%2e/bounds"),
        ("DELETE", "/v1/services/%2E./policy"),
        ("GET", "/v1/services/store/../../feed"),
    ] {
        let (status, _) = console.code(method, path, &[CI]).await;
        assert!([404, 405].contains(&status), "{method} {path}: {status}");
        let asked: Vec<_> = scaler.asked().into_iter().map(|it| it.line).collect();
        assert_eq!(asked, [""; 0], "{method} {path}");
    }
}

#[tokio::test]
async fn a_recording_comes_as_it_is_taken_and_ends_with_its_reader() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let answer = console.ask("/v1/services/store/recording", &[]).await;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let mut parts = answer.bytes_stream();
    for at in 1..=3 {
        scaler.tick(&console::samples::tick("store", at));
        let part = tokio::time::timeout(Duration::from_secs(5), parts.next()).await;
        let line = part.expect("as it comes").unwrap().unwrap();
        assert!(line.starts_with(b"{\"tick\":"), "{line:?}");
    }
    assert_eq!(scaler.readers(), 2);
    drop(parts);
    let begun = Instant::now();
    while scaler.readers() > 1 {
        assert!(begun.elapsed() < Duration::from_secs(5), "the scaler goes on to tell");
        scaler.tick(&console::samples::tick("store", 9));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_scaler_that_is_away_is_told_and_of_a_change_that_broke_off_that_nobody_knows() {
    let folder = folder();
    let mut scaler = FakeScaler::start(folder.path());
    scaler.knows("ci", &["operate"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let never = [CI, ("if-match", "\"never\"")];
    let unknown = console.code("DELETE", BOUNDS, &never);
    let restart = async {
        while !scaler.asked().iter().any(|it| it.line.starts_with("DELETE")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        scaler.restart(Duration::from_secs(1)).await;
    };
    let (unknown, ()) = tokio::join!(unknown, restart);
    assert_eq!(unknown, (504, "outcome_unknown".to_owned()));
    scaler.end();
    for (method, path) in [("GET", "/v1/membership"), ("DELETE", BOUNDS)] {
        let answer = console.send(method, path, &[], "").await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &"1".parse().unwrap())
        );
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "scaler_away");
    }
    // What it knows itself it tells.
    assert_eq!(console.get("/v1/ticks").await.0, 200);
    assert_eq!(console.code("GET", "/v1/ticks", &[("authorization", "Bearer x")]).await.0, 503);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_the_scaler_is_asked() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.asked();
    let answer = console.send("PUT", BOUNDS, &[], &"x".repeat(200_000)).await;
    assert_eq!(answer.status().as_u16(), 413);
    assert!(scaler.asked().is_empty());
}

#[tokio::test]
async fn an_archive_is_passed_on_as_it_comes_for_those_who_may_deploy() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("ci", &["operate"], None);
    scaler.knows("deploys", &["deploy"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let deploy = "/v1/services/shop/deploys";
    assert_eq!(console.code("POST", deploy, &[]).await, (401, "unauthorized".to_owned()));
    assert_eq!(console.code("POST", deploy, &[CI]).await, (403, "too_few_rights".to_owned()));
    assert!(scaler.asked().iter().all(|it| it.line == "GET /v1/caller"));
    let archive = "x".repeat(20_000_000);
    let headers = [("authorization", "Bearer deploys"), ("content-type", "application/gzip")];
    let answer = console.send("POST", deploy, &headers, &archive).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (202, &"/v1/jobs/1".parse().unwrap())
    );
    let asked = scaler.asked().pop().unwrap();
    assert_eq!(
        (asked.body.len(), &asked.headers["content-type"]),
        (archive.len(), &"application/gzip".parse().unwrap())
    );
    // It was never held as a whole.
    let memory = crate::api::resident_mib(console.pid());
    assert!(memory < 40, "{memory} MiB");
}
