//! A browser logs in: by a code of an operator's for a token that ends.

use std::cell::OnceCell;

use axum::http::StatusCode;
use model::access::{Changed, MadeToken, Right, Tokens, Who};
use model::login::LoginCode;
use model::time::Timestamp;
use serde_json::Value;

use super::doors::{operators, send, token};
use super::*;
use crate::clock;
use crate::doors::identify::{self, Unnamed};

const LOGIN: &str = "/v1/login";
const HALF_A_DAY: Duration = Duration::from_secs(12 * 3_600);

/// The time of day as the test's clock has it, which stands still but for what it is told.
fn test_clock() -> Timestamp {
    thread_local! {
        static BEGAN: OnceCell<(Timestamp, tokio::time::Instant)> = const { OnceCell::new() };
    }
    BEGAN.with(|began| {
        let (at, moment) = began.get_or_init(|| (clock::now(), tokio::time::Instant::now()));
        at.after(moment.elapsed())
    })
}

/// The way in of the console, by the test's clock.
fn console(rig: &Rig) -> axum::Router {
    test_clock();
    identify::routes_at(&rig.shared, Unnamed::Reads, test_clock)
}

async fn code(rig: &Rig) -> LoginCode {
    let (status, text) = send(&operators(rig), ("POST", "/v1/logins", ""), &[]).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn bring(routes: &axum::Router, code: &str) -> (StatusCode, String) {
    let body = format!(r#"{{"code":"{code}"}}"#);
    send(routes, ("POST", LOGIN, &body), &[]).await
}

async fn log_in(rig: &Rig) -> MadeToken {
    let (status, text) = bring(&console(rig), &code(rig).await.code).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The status of an answer, and the code of what went wrong.
fn refusal((status, text): &(StatusCode, String)) -> (u16, String) {
    let answer: Value = serde_json::from_str(text).unwrap();
    (status.as_u16(), answer["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn with(
    routes: &axum::Router,
    request: (&str, &str, &str),
    secret: &str,
) -> (StatusCode, String) {
    send(routes, request, &[("authorization", &format!("Bearer {secret}"))]).await
}

const SET: (&str, &str, &str) = ("PUT", "/v1/services/object-store/bounds", r#"{"min":2,"max":4}"#);

#[tokio::test(start_paused = true)]
async fn a_code_is_exchanged_once_for_a_token_that_may_all_and_says_whose_it_is() {
    let rig = Rig::new();
    let asked_at = clock::now();
    let given = code(&rig).await;
    assert_eq!(given.code.len(), 32);
    assert!(given.expires_at >= asked_at.after(Duration::from_secs(120)));
    let routes = console(&rig);
    let (status, text) = bring(&routes, &given.code).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    let MadeToken { token, secret } = serde_json::from_str(&text).unwrap();
    assert!(token.name.as_str().starts_with("browser-of-root-"), "{}", token.name);
    assert_eq!((token.rights, token.services), ([Right::All].into(), None));
    assert_eq!(token.expires_at, Some(token.made_at.after(HALF_A_DAY)));
    assert_eq!(refusal(&bring(&routes, &given.code).await), refused(403, "bad_login_code"));

    assert_eq!(with(&routes, SET, &secret).await.0, StatusCode::OK);
    let told: Vec<_> = rig.shared.changes(1, 9);
    assert_eq!(told[0].who, Who::Operator { uid: 0, user: Some("root".to_owned()) });
    assert!(matches!(&told[0].changed, Changed::Token { after: Some(_), before: None, .. }));
    assert_eq!(told[1].who, Who::Token { name: token.name });
    // It gives no rights away, and so makes itself last no longer.
    for request in [("POST", "/v1/logins", ""), ("GET", "/v1/tokens", "")] {
        assert_eq!(refusal(&with(&routes, request, &secret).await), refused(403, "operators_only"));
    }
}

#[tokio::test(start_paused = true)]
async fn operators_alone_are_given_codes() {
    let rig = Rig::new();
    let routes = console(&rig);
    let ask = ("POST", "/v1/logins", "");
    assert_eq!(refusal(&send(&routes, ask, &[]).await), refused(403, "operators_only"));
    let all = token(&rig, "all", r#"{"rights":["all"]}"#).await;
    for routes in [routes, operators(&rig)] {
        assert_eq!(refusal(&with(&routes, ask, &all).await), refused(403, "operators_only"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_old_or_was_never_given_or_said_otherwise_gets_nothing() {
    let rig = Rig::new();
    let routes = console(&rig);
    let old = code(&rig).await.code;
    tokio::time::advance(Duration::from_secs(120)).await;
    for code in [old.as_str(), "", "0", &"0".repeat(32), &"x".repeat(9_000)] {
        assert_eq!(refusal(&bring(&routes, code).await), refused(403, "bad_login_code"), "{code}");
    }
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("{}", 422),
        (r#"{"code":1}"#, 422),
        (r#"{"code":"0","name":"root"}"#, 422),
    ] {
        let answer = send(&routes, ("POST", LOGIN, body), &[]).await;
        assert_eq!(refusal(&answer), refused(status, "bad_body"), "{body}");
    }
    assert_eq!(rig.shared.tokens(), Tokens::default());
}

#[tokio::test(start_paused = true)]
async fn of_two_who_bring_a_code_at_once_exactly_one_is_given_a_token() {
    let rig = Rig::new();
    let routes = console(&rig);
    for _ in 0..10 {
        let given = code(&rig).await.code;
        let (one, other) = tokio::join!(bring(&routes, &given), bring(&routes, &given));
        let mut answers = [one.0.as_u16(), other.0.as_u16()];
        answers.sort_unstable();
        assert_eq!(answers, [201, 403]);
    }
    assert_eq!(rig.shared.tokens().tokens.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ended_is_told_so_and_opens_nothing() {
    let rig = Rig::new();
    let routes = console(&rig);
    let MadeToken { secret, .. } = log_in(&rig).await;
    let made = token(&rig, "short", r#"{"rights":["all"],"for_s":60}"#).await;
    // The time of day goes on while this runs, by less than a second.
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(with(&routes, SET, &made).await.0, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(refusal(&with(&routes, SET, &made).await), refused(401, "token_ended"));
    assert_eq!(with(&routes, SET, &secret).await.0, StatusCode::OK);
    tokio::time::advance(HALF_A_DAY).await;
    for request in [SET, ("GET", "/v1/caller", ""), ("DELETE", LOGIN, "")] {
        let answer = with(&routes, request, &secret).await;
        assert_eq!(refusal(&answer), refused(401, "token_ended"));
        assert!(answer.1.contains("`bellows open` on the host"), "{}", answer.1);
    }
    // Who has it may log in anew with it in his pocket.
    let body = format!(r#"{{"code":"{}"}}"#, code(&rig).await.code);
    assert_eq!(with(&routes, ("POST", LOGIN, &body), &secret).await.0, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn a_browser_ends_its_own_token_and_no_other() {
    let rig = Rig::new();
    let routes = console(&rig);
    let MadeToken { token: mine, secret } = log_in(&rig).await;
    let other = log_in(&rig).await;
    let (status, text) = with(&routes, ("DELETE", LOGIN, ""), &secret).await;
    assert_eq!((status, text.contains(&secret)), (StatusCode::OK, false), "{text}");
    let change = rig.shared.changes(0, 9).pop().unwrap();
    assert_eq!(change.who, Who::Token { name: mine.name.clone() });
    assert!(
        matches!(change.changed, Changed::Token { name, after: None, .. } if name == mine.name)
    );
    assert_eq!(refusal(&with(&routes, SET, &secret).await), refused(401, "unauthorized"));
    assert_eq!(with(&routes, SET, &other.secret).await.0, StatusCode::OK);
    // One that a program has is ended by operators.
    let ci = token(&rig, "ci", r#"{"rights":["all"]}"#).await;
    let answer = with(&routes, ("DELETE", LOGIN, ""), &ci).await;
    assert_eq!(refusal(&answer), refused(409, "not_of_a_login"));
    assert_eq!(with(&routes, SET, &ci).await.0, StatusCode::OK);
    for routes in [&routes, &operators(&rig)] {
        let answer = send(routes, ("DELETE", LOGIN, ""), &[]).await;
        assert_eq!(refusal(&answer), refused(401, "unauthorized"));
    }
}

#[tokio::test(start_paused = true)]
async fn operators_end_a_login_as_any_token() {
    let rig = Rig::new();
    let MadeToken { token, secret } = log_in(&rig).await;
    let revoke = format!("/v1/tokens/{}", token.name);
    assert_eq!(send(&operators(&rig), ("DELETE", &revoke, ""), &[]).await.0, StatusCode::OK);
    assert_eq!(refusal(&with(&console(&rig), SET, &secret).await), refused(401, "unauthorized"));
}

#[tokio::test(start_paused = true)]
async fn a_scaler_that_starts_again_forgets_codes_and_keeps_tokens() {
    let mut rig = Rig::new();
    let MadeToken { secret, .. } = log_in(&rig).await;
    let given = code(&rig).await.code;
    rig.restart().await;
    let routes = console(&rig);
    assert_eq!(refusal(&bring(&routes, &given).await), refused(403, "bad_login_code"));
    assert_eq!(with(&routes, SET, &secret).await.0, StatusCode::OK);
    tokio::time::advance(HALF_A_DAY + Duration::from_secs(10)).await;
    assert_eq!(refusal(&with(&routes, SET, &secret).await), refused(401, "token_ended"));
}

#[tokio::test(start_paused = true)]
async fn no_code_is_in_an_answer_but_its_own_or_on_the_disk() {
    let rig = Rig::new();
    let routes = console(&rig);
    let (used, open) = (code(&rig).await.code, code(&rig).await.code);
    let answer = bring(&routes, &used).await.1;
    let secret = serde_json::from_str::<MadeToken>(&answer).unwrap().secret;
    let mut told = vec![answer, bring(&routes, &used).await.1];
    for path in ["/v1/tokens", "/v1/changes", "/v1/services"] {
        told.push(send(&operators(&rig), ("GET", path, ""), &[]).await.1);
    }
    for entry in std::fs::read_dir(rig.state.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
            assert!(!text.contains(&secret[8..]));
            told.push(text);
        }
    }
    assert!(told.len() > 7, "{}", told.len());
    assert!(told.iter().all(|text| !text.contains(&used) && !text.contains(&open)));
}

#[tokio::test(start_paused = true)]
async fn who_guesses_codes_has_few_tries_and_keeps_out_neither_tokens_nor_who_reads() {
    let rig = Rig::new();
    let page = token(&rig, "page", r#"{"rights":["read"]}"#).await;
    let routes = console(&rig);
    let wrong = "0".repeat(32);
    let mut answers = Vec::new();
    for _ in 0..800 {
        answers.push(bring(&routes, &wrong).await.0);
    }
    // 40 at once, and 20 in each second that this takes.
    let told = answers.iter().filter(|it| **it == StatusCode::FORBIDDEN).count();
    assert!((40..200).contains(&told), "{told}");
    let read = ("GET", "/v1/services", "");
    assert_eq!(with(&routes, read, &page).await.0, StatusCode::OK);
    assert_eq!(send(&routes, read, &[]).await.0, StatusCode::OK);
    // Those who try tokens, and who asks without, keep nobody from logging in.
    let routes = console(&rig);
    // Of these there are 20 at once, and 10 a second.
    let ticks = ("GET", "/v1/ticks", "");
    for _ in 0..200 {
        with(&routes, read, &format!("{}x", &page[..page.len() - 1])).await;
        send(&routes, ticks, &[]).await;
    }
    assert_eq!(send(&routes, ticks, &[]).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(bring(&routes, &code(&rig).await.code).await.0, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_ended_a_day_ago_are_dropped_by_themselves() {
    let rig = Rig::new();
    let at = |hours: u64| clock::now().before(Duration::from_secs(hours * 3_600));
    let kept = |name: &str, hours: u64| {
        let token = model::access::Token {
            name: name.parse().unwrap(),
            rights: [Right::Read].into(),
            services: None,
            made_at: at(99),
            expires_at: Some(at(hours)),
        };
        serde_json::json!({"token": token, "sha256": "ab"})
    };
    let file = rig.state.path().join("ending-tokens.json");
    let text = serde_json::json!([kept("old", 25), kept("young", 23)]).to_string();
    std::fs::write(&file, text).unwrap();
    let shared = Arc::new(Rig::shared(&rig.state, &rig.services).unwrap());
    tokio::select! {
        () = crate::token_ends::run(&shared) => {}
        () = async {
            while shared.tokens().tokens.len() > 1 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("young") && !text.contains("old"), "{text}");
}
