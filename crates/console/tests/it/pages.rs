//! The pages as they are served: what they say without scripts, to whom, and how they follow what happens.

use std::time::{Duration, Instant};

use model::decision::{Decision, Reason};
use model::feed::FeedLine;
use model::tick::Tick;
use serde_json::json;

use crate::history::now;
use crate::scaler::{Console, FakeScaler, command_at, folder};

const BEYOND: (&str, &str) = ("host", "192.0.2.7:8090");

fn decided(service: &str, ready: u32, sequence: u64) -> Tick {
    let decision = Decision::Target { ready, reasons: vec![Reason::OfferedLoad] };
    Tick { decision, sequence, ..console::samples::tick(service, now().as_millis()) }
}

async fn text(console: &Console, path: &str) -> (u16, String) {
    let answer = console.ask(path, &[]).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A console that knows of a shop with one instance, and of a market with none.
async fn known(scaler: &FakeScaler, console: &Console) {
    scaler.is_read().await;
    scaler.service("market", now().as_millis(), &[]);
    scaler.service("shop", now().as_millis(), &["bw-shop-1-a"]);
    scaler.tick(&decided("shop", 1, 1));
    console.until("/v1/services", |it| it["services"][1]["tick"].is_object()).await;
}

#[tokio::test]
async fn a_page_says_what_is_known_without_a_script_and_lets_nothing_run_that_stands_in_it() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    for (path, parts) in [
        (
            "/",
            &[
                "/services/shop",
                "/services/market",
                "1 instance is ready",
                "has not looked at it yet",
            ][..],
        ),
        ("/services/shop", &["bw-shop-1-a", "10.117.0.9", "1 to 10"]),
        (
            "/services/shop/why",
            &["1 ready instance was decided on", "Asked for", "Why not another number?"],
        ),
    ] {
        let answer = console.ask(path, &[]).await;
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let html = answer.text().await.unwrap();
        for part in parts {
            assert!(html.contains(part), "{part} is not in {path}:\n{html}");
        }
        assert!(
            !html.contains("<script>") && !html.contains(" style=") && !html.contains(" onclick="),
            "{html}"
        );
        assert!(html.len() < 60_000, "{path} has {} bytes", html.len());
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_and_what_is_no_question_is_refused() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    let (status, html) = text(&console, "/services/nothing").await;
    assert_eq!(status, 404);
    assert!(html.contains("There is no service <code>nothing</code>"), "{html}");
    let (status, html) = text(&console, "/services/%3Cscript%3Ealert(1)%3C%2Fscript%3E%1b").await;
    assert_eq!(status, 404);
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;\\u{1b}"), "{html}");
    for query in ["at=x", "ready=-1", "ready=1&ready=2", "nothing=1"] {
        let (status, _) = text(&console, &format!("/services/shop/why?{query}")).await;
        assert_eq!(status, 400, "{query}");
    }
    let (status, html) = text(&console, "/services/shop/why?at=1").await;
    assert_eq!(status, 200);
    assert!(html.contains("No turn is kept of"), "{html}");
    assert_eq!(text(&console, "/assets/0/page.js").await.0, 404);
}

#[tokio::test]
async fn what_draws_is_loaded_by_pages_with_charts_alone() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    let pages = [
        ("/", false),
        ("/host", false),
        ("/services/shop", true),
        ("/services/shop/why", false),
        ("/services/shop/policy", true),
        ("/services/shop/logs", false),
        ("/services/shop/instances/bw-shop-1-a", true),
    ];
    for (path, draws) in pages {
        let (_, html) = text(&console, path).await;
        for file in ["/uplot.js", "/uplot.css"] {
            assert_eq!(html.contains(file), draws, "{path}: {file}");
        }
        let early: Vec<_> =
            html.split("modulepreload").filter(|it| it.contains("/morph.js")).collect();
        assert_eq!(early.len(), 1, "{path}: {html}");
    }
}

#[tokio::test]
async fn a_page_beyond_the_host_has_nothing_on_it_until_somebody_logs_in() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("page", &["read"], Some(&["shop"]));
    let console = Console::started(&mut command_at("0.0.0.0:0", &scaler.socket, folder.path()));
    scaler.is_read().await;
    scaler.service("shop", now().as_millis(), &["bw-shop-1-a"]);
    scaler.service("market", now().as_millis(), &[]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    for path in ["/", "/services/shop", "/services/shop/why"] {
        let answer = console.ask(path, &[BEYOND]).await;
        let html = answer.text().await.unwrap();
        assert!(html.contains("You are not logged in"), "{html}");
        assert!(!html.contains("bw-shop") && !html.contains("market"), "{html}");
        let live = [BEYOND, ("accept", "text/event-stream")];
        assert_eq!(console.ask(path, &live).await.status().as_u16(), 401, "{path}");
    }
    let named = [BEYOND, ("authorization", "Bearer page")];
    let html = console.ask("/", &named).await.text().await.unwrap();
    assert!(html.contains("/services/shop") && !html.contains("market"), "{html}");
}

#[tokio::test]
async fn a_page_follows_what_happens_within_200_ms_and_tells_only_what_changed() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    let mut live = console.follow("/services/shop").await;
    let mut first = Vec::new();
    while first.len() < 6 {
        first.push(live.next("region").await.data["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(first, ["notices", "summary", "figures", "charts", "controls", "instances"]);
    live.next("region").await;
    let told = Instant::now();
    scaler.tick(&decided("shop", 3, 2));
    let changed = loop {
        let region = live.next("region").await;
        if region.data["id"] == "events" {
            break region.data["html"].as_str().unwrap().to_owned();
        }
    };
    let took = told.elapsed();
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert!(changed.contains("3 instead of 1 decided on"), "{changed}");
}

#[tokio::test]
async fn while_the_scaler_is_away_a_page_says_so_and_shows_nothing_as_if_it_were_of_now() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    scaler.end();
    let away = async || text(&console, "/").await.1.contains("The scaler does not tell");
    let until = Instant::now() + Duration::from_secs(5);
    while !away().await {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!text(&console, "/").await.1.contains("1 instance is ready"));
}

#[tokio::test]
async fn why_not_another_number_is_asked_of_the_scaler_and_told_in_sentences() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    scaler.tell(&[FeedLine::Network(model::network::NetworkStatus::default())]);
    let answer = json!({
        "service": "shop", "at_ms": 1, "ready": 4, "target": 2, "ready_now": 2, "starting": 0,
        "obstacles": [{ "kind": "held", "ready": 2 }],
    });
    scaler.answers("GET /v1/services/shop/why-not?ready=4", answer);
    let (status, html) = text(&console, "/services/shop/why?ready=4").await;
    assert_eq!(status, 200);
    assert!(html.contains("holds it at 2"), "{html}");
    let asked = scaler.asked();
    assert!(
        asked.iter().any(|it| it.line.ends_with("/v1/services/shop/why-not?ready=4")),
        "{asked:?}"
    );
}
