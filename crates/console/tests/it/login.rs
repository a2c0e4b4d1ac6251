//! A browser's login by way of the console.

use serde_json::Value;

use crate::scaler::{Console, FakeScaler, command, command_at, folder};

const LOGIN: &str = "/v1/login";
const JSON: (&str, &str) = ("content-type", "application/json");
const GOOD: &str = r#"{"code":"good"}"#;

/// The status of a login, and the code of what went wrong.
async fn log_in(console: &Console, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let answer = console.send("POST", LOGIN, &[&[JSON], headers].concat(), body).await;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_browser_exchanges_its_code_without_a_token_and_nobody_keeps_the_answer() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.asked();
    let answer = console.send("POST", LOGIN, &[JSON], GOOD).await;
    assert_eq!(answer.status().as_u16(), 201);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(!answer.headers().contains_key("set-cookie"));
    assert_eq!(answer.json::<Value>().await.unwrap()["secret"], "bellows_1");
    let asked = scaler.asked().pop().unwrap();
    assert_eq!((asked.line.as_str(), &asked.body[..]), ("POST /v1/login", GOOD.as_bytes()));
    assert_eq!(log_in(&console, &[], r#"{"code":"bad"}"#).await, refused(403, "bad_login_code"));
    // A browser may still have a token that has ended.
    scaler.ends("old");
    let old = [("authorization", "Bearer old")];
    assert_eq!(log_in(&console, &old, GOOD).await.0, 201);
}

#[tokio::test]
async fn no_page_of_another_origin_and_under_no_other_name_logs_in() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.asked();
    for (header, code) in [
        (("host", "evil.example"), "unknown_host"),
        (("origin", "http://evil.example"), "foreign_origin"),
        (("origin", "null"), "foreign_origin"),
        (("sec-fetch-site", "cross-site"), "foreign_origin"),
    ] {
        assert_eq!(log_in(&console, &[header], GOOD).await, refused(403, code), "{header:?}");
        let ended = console.code("DELETE", LOGIN, &[header]).await;
        assert_eq!(ended, refused(403, code), "{header:?}");
    }
    assert!(scaler.asked().is_empty());
    let own = format!("http://127.0.0.1:{}", console.address.port());
    let page = [("origin", own.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(log_in(&console, &page, GOOD).await.0, 201);
}

/// Who sits elsewhere has no token before he logs in; what he has is the code.
#[tokio::test]
async fn from_beyond_the_host_a_code_is_enough_and_nothing_else_is() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let beyond = Console::started(&mut command_at("0.0.0.0:0", &scaler.socket, folder.path()));
    assert_eq!(log_in(&beyond, &[], GOOD).await.0, 201);
    assert_eq!(log_in(&beyond, &[], r#"{"code":"bad"}"#).await, refused(403, "bad_login_code"));
    for (method, path) in [("GET", LOGIN), ("DELETE", LOGIN), ("GET", "/v1/services")] {
        assert_eq!(beyond.code(method, path, &[]).await, refused(401, "unauthorized"), "{method}");
    }
    drop(beyond);
    let by_proxy = Console::started(
        command(&scaler.socket, folder.path()).args(["--host", "bellows.example"]),
    );
    let host = [("host", "bellows.example"), ("origin", "https://bellows.example")];
    assert_eq!(log_in(&by_proxy, &host, GOOD).await.0, 201);
}

#[tokio::test]
async fn who_tries_codes_keeps_nobody_out_and_nobody_keeps_out_who_logs_in() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["read"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let page = [("authorization", "Bearer page")];
    let wrong = [("authorization", "Bearer wrong")];
    let mut told = [0, 0];
    for _ in 0..200 {
        match log_in(&console, &[], r#"{"code":"bad"}"#).await.0 {
            403 => told[0] += 1,
            429 => told[1] += 1,
            other => panic!("{other}"),
        }
    }
    // 40 at once, and 20 in each second that this takes.
    assert!(told[0] >= 40 && told[1] > 0, "{told:?}");
    assert_eq!(console.code("GET", "/v1/ticks", &page).await.0, 200);
    assert_eq!(console.code("GET", "/v1/ticks", &[]).await.0, 200);
    // Nor do those who try tokens, and those who ask without.
    let mut last = 0;
    for _ in 0..100 {
        console.code("GET", "/v1/ticks", &wrong).await;
        last = console.code("GET", "/v1/changes", &[]).await.0;
    }
    assert_eq!(last, 429);
    assert_eq!(log_in(&console, &[], GOOD).await.0, 201);
}

#[tokio::test]
async fn a_token_that_ended_is_told_so_by_the_console_itself() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.ends("old");
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    for path in ["/v1/ticks", "/v1/services", "/v1/changes", "/v1/ticks"] {
        let answer = console.ask(path, &[("authorization", "Bearer old")]).await;
        assert_eq!(answer.status().as_u16(), 401, "{path}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "token_ended", "{path}");
        assert_eq!(problem["detail"], "It is token_ended.");
    }
}

#[tokio::test]
async fn a_browser_ends_its_token_by_the_console_and_codes_are_not_given_there() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["all"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let page = [("authorization", "Bearer page")];
    assert_eq!(console.code("DELETE", LOGIN, &[]).await, refused(401, "unauthorized"));
    assert_eq!(console.code("DELETE", LOGIN, &page).await.0, 202);
    assert_eq!(scaler.asked().pop().unwrap().line, "DELETE /v1/login");
    assert_eq!(console.code("POST", "/v1/logins", &page).await, refused(404, "no_such_path"));
    assert!(scaler.asked().iter().all(|it| it.line == "GET /v1/caller"));
}
