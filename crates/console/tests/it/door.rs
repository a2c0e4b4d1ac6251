//! Who is let in to the console, and what he sees.

use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde_json::Value;

use crate::history::now;
use crate::scaler::{Console, FakeScaler, command, command_at, folder};

const READ: &str = "/v1/services";
const BEYOND: (&str, &str) = ("host", "bellows.example");
const PAGE: (&str, &str) = ("authorization", "Bearer page");

/// What 800 requests are answered, 40 at a time, so that they come in a second or so.
async fn flood(console: &Console, path: &str, headers: &[(&str, &str)]) -> Vec<u16> {
    let asked = (0..800).map(|_| async { console.ask(path, headers).await.status().as_u16() });
    futures_util::stream::iter(asked).buffer_unordered(40).collect().await
}

fn unauthorized() -> (u16, String) {
    (401, "unauthorized".to_owned())
}

#[tokio::test]
async fn beyond_loopback_reading_needs_a_token() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["read"], None);
    let console = Console::started(&mut command_at("0.0.0.0:0", &scaler.socket, folder.path()));
    scaler.is_read().await;
    let here = ("host", "192.0.2.7:8090");
    for path in [READ, "/v1/ticks", "/v1/live", "/metrics", "/v1/membership", "/v2"] {
        assert_eq!(console.code("GET", path, &[here]).await, unauthorized(), "{path}");
        let named = console.ask(path, &[here, PAGE]).await.status().as_u16();
        assert_eq!(named, if path == "/v2" { 404 } else { named.min(202) }, "{path}");
    }
    for open in ["/", "/healthz", "/v1/openapi.json", "/v1/docs/"] {
        assert_eq!(console.ask(open, &[here]).await.status().as_u16(), 200, "{open}");
    }
}

#[tokio::test]
async fn by_way_of_a_proxy_and_to_paths_that_are_not_there_nobody_comes_without_a_token() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["read"], None);
    let mut known = command(&scaler.socket, folder.path());
    let console = Console::started(known.args(["--host", "bellows.example"]));
    scaler.is_read().await;
    scaler.service("store", now().as_millis(), &[]);
    console.until(READ, |it| it["services"][0].is_object()).await;
    for path in [READ, "/v1/ticks", "/v2"] {
        assert_eq!(console.code("GET", path, &[BEYOND]).await, unauthorized(), "{path}");
    }
    assert_eq!(console.ask("/v1/ticks", &[BEYOND, PAGE]).await.status().as_u16(), 200);
    assert_eq!(console.code("GET", "/v2", &[BEYOND, PAGE]).await.0, 404);
    let (status, code) = console.code("GET", READ, &[("host", "evil.example")]).await;
    assert_eq!((status, code.as_str()), (403, "unknown_host"));
}

#[tokio::test]
async fn a_token_is_good_for_what_the_scaler_says_until_two_seconds_after_it_is_revoked() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["read"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    for _ in 0..20 {
        assert_eq!(console.ask("/v1/ticks", &[PAGE]).await.status().as_u16(), 200);
    }
    let asked = scaler.asked();
    assert!((1..5).contains(&asked.len()), "{asked:?}");
    assert_eq!(asked[0].line, "GET /v1/caller");
    scaler.revokes("page");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(console.code("GET", "/v1/ticks", &[PAGE]).await, unauthorized());
    for wrong in ["Bearer other", "Basic page", "Bearer", "page"] {
        let wrong = [("authorization", wrong)];
        assert_eq!(console.code("GET", "/v1/ticks", &wrong).await, unauthorized(), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_token_of_some_services_sees_these_alone() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("shop", &["read"], Some(&["shop"]));
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let shop = [("authorization", "Bearer shop")];
    for (path, status) in [
        ("/v1/services/shop/series", 200),
        ("/v1/services/shop/turns", 200),
        ("/v1/services/shop/instances/bw-shop-1-a/series", 200),
        ("/v1/ticks?service=shop", 200),
        ("/v1/events?service=shop", 200),
        ("/v1/services/store/series", 404),
        ("/v1/services/store/turns", 404),
        ("/v1/services/store/instances/bw-store-1-a/series", 404),
        ("/v1/ticks?service=store", 403),
        ("/v1/ticks", 403),
        ("/v1/events", 403),
        ("/v1/live", 403),
        ("/v1/live?service=store", 403),
        ("/v1/history", 403),
        ("/metrics", 403),
        ("/healthz", 200),
    ] {
        let answer = console.ask(path, &shop).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        if status == 403 {
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], "too_few_rights", "{path}");
            assert!(problem["detail"].as_str().unwrap().contains("is for shop alone"));
        }
    }
    // What is now the scaler tells, which leaves out what is not for it.
    scaler.asked();
    assert_eq!(console.ask(READ, &shop).await.status().as_u16(), 202);
    let asked = scaler.asked().pop().unwrap();
    assert_eq!(
        (asked.line.as_str(), &asked.headers["authorization"]),
        ("GET /v1/services", &"Bearer shop".parse().unwrap())
    );
}

#[tokio::test]
async fn what_is_refused_is_counted_and_keeps_nobody_out_who_has_a_token() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["read"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.service("store", now().as_millis(), &[]);
    console.until(READ, |it| it["services"][0].is_object()).await;
    for (headers, refused) in [
        (vec![("authorization", "Bearer wrong")], 401),
        (vec![("host", "evil.example")], 403),
        (vec![("origin", "http://evil.example")], 403),
    ] {
        let answers = flood(&console, READ, &headers).await;
        assert!(answers.contains(&refused) && answers.contains(&429), "{headers:?}");
        assert_eq!(console.ask("/v1/ticks", &[PAGE]).await.status().as_u16(), 200, "{headers:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

#[tokio::test]
async fn who_asks_the_scaler_too_often_keeps_neither_tokens_nor_the_console_from_it() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["read"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let begun = Instant::now();
    let answers = flood(&console, "/v1/membership", &[]).await;
    let passed = answers.iter().filter(|status| **status == 202).count();
    // 200 at once, and 100 in each second that this takes; the scaler itself takes twice as much.
    let most = 201 + begun.elapsed().as_millis() / 10;
    assert!(passed >= 200 && passed as u128 <= most, "{passed} of at most {most}");
    assert_eq!(console.ask("/v1/membership", &[PAGE]).await.status().as_u16(), 202);
    assert_eq!(console.ask("/v1/ticks", &[PAGE]).await.status().as_u16(), 200);
}

#[tokio::test]
async fn who_listens_with_a_token_is_cut_off_once_it_is_revoked() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["read"], None);
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let answer = console.ask("/v1/live", &[PAGE]).await;
    assert_eq!(answer.status().as_u16(), 200);
    scaler.revokes("page");
    let ended = tokio::time::timeout(Duration::from_secs(20), answer.bytes());
    let told = async {
        loop {
            scaler.tick(&console::samples::tick("store", now().as_millis()));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        ended = ended => assert!(ended.is_ok(), "he listens on"),
        () = told => {}
    }
}

#[tokio::test]
async fn a_socket_that_is_held_for_it_refuses_nobody_while_it_is_away() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let ask = tokio::spawn(async move {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        http.get(format!("http://{address}/healthz")).send().await.unwrap().status().as_u16()
    });
    // It has come, and nobody is there.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!ask.is_finished());
    fcntl(&held, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let mut command = command(&scaler.socket, folder.path());
    command.env(host::console::SOCKET, format!("fd@{}", held.as_raw_fd()));
    let console = Console::started(&mut command);
    assert_eq!((console.address, ask.await.unwrap()), (address, 200));
    console.kill();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = tokio::spawn(http.get(format!("http://{address}/healthz")).send());
    let console = Console::started(&mut command);
    assert_eq!(ask.await.unwrap().unwrap().status().as_u16(), 200);
    drop(console);
}
