//! The overview as it is served: figures of services, where each is reached, and what goes on beside the loop.

use std::io::Write as _;

use serde_json::json;

use crate::answers::pipe;
use crate::history::now;
use crate::scaler::{Console, FakeScaler, command, folder};

async fn html(console: &Console, headers: &[(&str, &str)]) -> String {
    console.ask("/", headers).await.text().await.unwrap()
}

#[tokio::test]
async fn a_service_is_linked_where_the_browser_reaches_it() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let mut command = command(&scaler.socket, folder.path());
    let console = Console::started(command.args(["--entrance", "https:8443"]));
    scaler.is_read().await;
    scaler.service("shop", now().as_millis(), &["bw-shop-1-a"]);
    let told = console.until("/v1/services", |it| it["services"][0].is_object()).await;
    let route = told["services"][0]["route"].as_str().unwrap().to_owned();
    for (host, expected) in [("127.0.0.1:8090", "127.0.0.1"), ("[::1]:8090", "[::1]")] {
        let link = format!("href=\"https://{expected}:8443{route}\"");
        let html = html(&console, &[("host", host)]).await;
        assert!(html.contains(&link), "{link} is not in\n{html}");
    }
}

#[tokio::test]
async fn shares_of_answers_are_told_by_class() {
    let folder = folder();
    let (answers, mut writer) = pipe(folder.path());
    let scaler = FakeScaler::start(folder.path());
    let mut command = command(&scaler.socket, folder.path());
    let console = Console::started(command.arg("--answers").arg(answers));
    scaler.is_read().await;
    let shares = r#"<td class="n" data-label="2xx %">75.0</td><td class="n" data-label="3xx %">0</td><td class="n" data-label="4xx %">0</td><td class="n" data-label="5xx %">25.0</td>"#;
    let mut told = String::new();
    for sequence in 1..200 {
        writer.write_all(b"first shop 200 +40 --\n".repeat(3).as_slice()).unwrap();
        writer.write_all(b"first shop 503 +40 --\n").unwrap();
        scaler.service("shop", now().as_millis(), &["bw-shop-1-a"]);
        scaler.tick(&model::tick::Tick {
            sequence,
            ..console::samples::tick("shop", now().as_millis())
        });
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        told = html(&console, &[]).await;
        if told.contains(shares) {
            return;
        }
    }
    panic!("{told}");
}

#[tokio::test]
async fn jobs_that_go_on_are_told_and_those_that_ended_are_not() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.service("shop", now().as_millis(), &[]);
    let job = |id: &str, service: &str, outcome: serde_json::Value| {
        json!({ "id": id, "kind": "deploy", "service": service, "who": null,
                "begun_at_ms": now().as_millis() - 65_000, "ended_at_ms": null, "stage": "image", "outcome": outcome })
    };
    let jobs = json!({ "jobs": [
        job("00000000000000ab", "shop", json!(null)),
        job("00000000000000aa", "market", json!({ "is_well": true, "verdict": "well" })),
    ] });
    scaler.answers("GET /v1/jobs", jobs);
    console.until("/v1/services", |it| it["services"][0].is_object()).await;
    let html = html(&console, &[]).await;
    assert!(html.contains("it is deployed, for 1 min 5 s"), "{html}");
    assert!(html.contains("Its image is made"), "{html}");
    assert!(!html.contains("/services/market"), "{html}");
}
