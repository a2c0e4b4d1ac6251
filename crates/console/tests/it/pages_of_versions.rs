//! The pages of versions, of one instance and of logs as they are served, without scripts.

use std::path::Path;
use std::time::{Duration, Instant};

use console::events::{Event, Happened};
use console::history::Batch;
use console::samples;
use console::series::point::Row;
use console::series::seconds::Seconds;
use model::feed::FeedLine;
use model::names::ServiceName;
use model::network::NetworkStatus;
use model::time::Timestamp;
use serde_json::{Value, json};

use crate::history::{now, open};
use crate::scaler::{Console, FakeScaler, folder};

/// The id of a job of this number.
pub(crate) fn job_id(number: u64) -> String {
    format!("{number:016x}")
}

/// A job of the shop that was asked for so many seconds ago and is making its image, or has ended.
pub(crate) fn job(number: u64, ago_s: u64, outcome: Option<(bool, &str)>) -> Value {
    let begun = now().as_millis() - ago_s * 1000;
    json!({
        "id": job_id(number), "kind": "deploy", "service": "shop", "who": null, "begun_at_ms": begun,
        "ended_at_ms": outcome.map(|_| begun + 9_000), "stage": "image",
        "steps": [{"stage": "begin", "begun_at_ms": begun}, {"stage": "image", "begun_at_ms": begun + 2_000}],
        "outcome": outcome.map(|(is_well, verdict)| json!({"is_well": is_well, "verdict": verdict})),
    })
}

/// Three versions of the shop, the newest of which was given up.
pub(crate) fn versions() -> Value {
    let at = now().as_millis();
    json!({"service": "shop", "versions": [
        {"version": "00000003", "deployed_at_ms": at - 55_000, "state": "given_up", "reason": "<b>no</b> answer from /up"},
        {"version": "00000002", "deployed_at_ms": at - 600_000, "state": "serves", "reason": null},
        {"version": "00000001", "deployed_at_ms": at - 900_000, "state": "served_before", "reason": null},
    ]})
}

async fn text(console: &Console, path: &str) -> (u16, String) {
    let answer = console.ask(path, &[]).await;
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A console that knows of a shop with one instance, and goes on to.
async fn known(scaler: &FakeScaler, console: &Console) {
    scaler.is_read().await;
    tell(scaler);
    console.until("/v1/services", |it| it["services"][0]["tick"].is_object()).await;
}

fn tell(scaler: &FakeScaler) {
    let at = now().as_millis();
    let mut feed = samples::service_feed("shop", at, &["bw-shop-1-a"]);
    feed.instances[0].memory_bytes = Some(47 << 20);
    scaler.tick(&samples::tick("shop", at));
    scaler.tell(&[FeedLine::Service(Box::new(feed)), FeedLine::Network(NetworkStatus::default())]);
}

/// Has it in the history that in each of these seconds an instance of the shop used half a core and was given 20 requests,
/// and that this happened.
pub(crate) async fn was_there(
    folder: &Path,
    instance: &str,
    seconds: std::ops::Range<u64>,
    events: Vec<Event>,
) {
    {
        let (recorder, _history) = open(folder);
        recorder.flush().await;
        let (mut all, mut rows) = (Seconds::default(), Vec::<Row>::new());
        for (number, second) in (0_u64..).zip(seconds) {
            let mut feed = samples::service_feed("shop", second * 1000, &[instance]);
            feed.instances[0].cpu_time_us = Some(number * 500_000);
            feed.instances[0].requests = Some(number * 20);
            rows.extend(all.tick(&samples::tick("shop", second * 1000)));
            all.instances(&feed);
        }
        rows.extend(all.close_all());
        recorder.record(Batch { rows, events, ..Batch::default() });
    }
    // Who begins anew makes minutes of what is there.
    let (recorder, _history) = open(folder);
    recorder.record(Batch::default());
    recorder.flush().await;
    drop(recorder);
    for file in std::fs::read_dir(folder).unwrap() {
        std::os::unix::fs::chown(file.unwrap().path(), Some(65_534), Some(65_534)).unwrap();
    }
}

/// Two minutes ago an instance of the shop did so for three seconds, and was removed; gives the minute.
async fn was_there_for_three_seconds(folder: &Path, instance: &str) -> u64 {
    let minute = now().as_millis() / 60_000 * 60 - 120;
    let shop: ServiceName = "shop".parse().unwrap();
    let happened = |happened| {
        let at = Timestamp::from_millis((minute + 45) * 1000);
        Event { at, service: Some(shop.clone()), happened }
    };
    let (own, other) = (instance.parse().unwrap(), "bw-shop-8-a".parse().unwrap());
    let events = vec![
        happened(Happened::Removed { instance: own, killed: false }),
        happened(Happened::Ended { instance: other }),
    ];
    was_there(folder, instance, minute + 40..minute + 44, events).await;
    minute
}

/// Waits until a page has this text.
async fn shown(console: &Console, path: &str, part: &str) -> String {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let (_, html) = text(console, path).await;
        if html.contains(part) {
            return html;
        }
        assert!(Instant::now() < until, "{part} is not in it:\n{html}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn versions_are_told_with_what_became_of_them_and_deploys_with_their_steps() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    let (_, html) = text(&console, "/services/shop/versions").await;
    assert!(
        html.contains("The versions are not known") && html.contains("The deploys are not known")
    );
    scaler.answers("GET /v1/services/shop/versions", versions());
    let failed = job(7, 60, Some((false, "it <i>broke</i>")));
    scaler.answers("GET /v1/jobs?service=shop", json!({"jobs": [failed]}));
    let (status, html) = text(&console, "/services/shop/versions").await;
    assert_eq!(status, 200);
    for part in [
        "00000002",
        "serves",
        "given up",
        "&lt;b&gt;no&lt;/b&gt; answer from /up",
        "served before",
        "begin 2 s, image 7 s",
        "failed: image",
        "it &lt;i&gt;broke&lt;/i&gt;",
        "bellows deploy FOLDER",
    ] {
        assert!(html.contains(part), "{part} is not in it:\n{html}");
    }
    // The one that serves is nothing to go back to, and one that was given up is tried again.
    assert_eq!(html.matches("/v1/services/shop/rollback").count(), 2, "{html}");
    assert!(html.contains("Go back to this") && html.contains("Try this again"));
    // What the deploy that failed had deployed by then says so.
    let row = html.split("version-00000003").nth(1).unwrap().split("</tr>").next().unwrap();
    assert!(row.contains("<td>Deploy</td>"), "{row}");
    scaler.answers("GET /v1/jobs?service=shop", json!({"jobs": [job(8, 5, None)]}));
    // What one was told a moment ago others are told.
    let html = shown(&console, "/services/shop/versions", "under way: image").await;
    assert!(html.contains("begin 2 s, image "), "{html}");
    assert!(
        !html.contains("/rollback") && html.contains("before the job that is under way has ended")
    );
}

#[tokio::test]
async fn a_page_of_versions_is_asked_for_anew_while_it_is_shown() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    scaler.answers("GET /v1/services/shop/versions", versions());
    scaler.answers("GET /v1/jobs?service=shop", json!({"jobs": []}));
    let mut live = console.follow("/services/shop/versions").await;
    let jobs = async |live: &mut crate::scaler::Live| loop {
        let region = live.next("region").await.data;
        if region["id"] == "jobs" {
            break region["html"].as_str().unwrap().to_owned();
        }
    };
    assert!(jobs(&mut live).await.contains("None is known."));
    scaler.answers("GET /v1/jobs?service=shop", json!({"jobs": [job(8, 5, None)]}));
    tell(&scaler);
    assert!(jobs(&mut live).await.contains("under way: image"));
}

#[tokio::test]
async fn a_deploy_under_way_is_on_the_overview_and_the_page_of_its_service() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    let at = now().as_millis();
    let mut feed = samples::service_feed("shop", at, &["bw-shop-1-a"]);
    let next = json!({"version": "00000002", "deployed_at_ms": at});
    let proving = json!({"state": "proving", "version": "00000001", "next": next, "since_ms": at});
    feed.status.rollout = Some(serde_json::from_value(proving).unwrap());
    // Its health is that it has too few: the deploy is told beside it.
    let decision = model::decision::Decision::Target { ready: 3, reasons: vec![] };
    scaler.tick(&model::tick::Tick { decision, ..samples::tick("shop", at) });
    scaler.tell(&[FeedLine::Service(Box::new(feed))]);
    console.until("/v1/services", |it| it["services"][0]["rollout"].is_object()).await;
    for path in ["/", "/services/shop"] {
        let (_, html) = text(&console, path).await;
        assert!(
            html.contains("ersion 00000001 serves, 00000002 is tried on one instance"),
            "{html}"
        );
        assert!(html.contains("/services/shop/versions"), "{html}");
    }
}

#[tokio::test]
async fn an_instance_has_a_page_with_what_it_is_and_what_it_did() {
    let folder = folder();
    let minute = was_there_for_three_seconds(folder.path(), "bw-shop-1-a").await;
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    let (_, html) = text(&console, "/services/shop").await;
    assert!(
        html.contains("/services/shop/instances/bw-shop-1-a") && html.contains("47.0 MiB"),
        "{html}"
    );
    let (status, html) = text(&console, "/services/shop/instances/bw-shop-1-a").await;
    assert_eq!(status, 200);
    for part in
        ["ready", "10.117.0.9", "<dt>Slot</dt><dd>1</dd>", "47.0 MiB", "Remove", "was removed"]
    {
        assert!(html.contains(part), "{part} is not in it:\n{html}");
    }
    assert!(!html.contains("bw-shop-8-a"), "what happened to others is theirs");
    // Three seconds at half a core and 20 requests/s.
    let cells = ["0.5", "1.5", "20", "60"].map(|it| format!("<td class=\"n\">{it}</td>")).concat();
    assert!(html.contains(&cells), "{html}");
    let path =
        format!("/v1/services/shop/instances/bw-shop-1-a/series?step=1m&from={}", minute * 1000);
    let (_, series) = console.get(&path).await;
    let point = &series["points"][0];
    assert_eq!((&point["cpu_s"], &point["requests"]), (&json!(1.5), &json!(60.0)), "{series}");
    assert_eq!(point["requests_rps"]["mean"], 20.0);
}

#[tokio::test]
async fn of_an_instance_that_is_gone_the_page_says_so_and_shows_what_is_kept() {
    let folder = folder();
    was_there_for_three_seconds(folder.path(), "bw-shop-7-a").await;
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    let (status, html) = text(&console, "/services/shop/instances/bw-shop-7-a").await;
    assert_eq!(status, 200);
    for part in [
        "It is not there any more",
        "The last minute that is kept",
        "was removed",
        "<td class=\"n\">60</td>",
    ] {
        assert!(html.contains(part), "{part} is not in it:\n{html}");
    }
    assert!(!html.contains(">Remove<"), "{html}");
    let (_, html) = text(&console, "/services/shop/instances/bw-shop-9-zzz").await;
    assert!(html.contains("nothing that is kept tells that there was"), "{html}");
    for strange in ["bw-market-1-a", "%3Cb%3E"] {
        let (status, html) = text(&console, &format!("/services/shop/instances/{strange}")).await;
        assert_eq!(status, 404, "{strange}");
        assert!(html.contains("is no instance of shop") && !html.contains("<b>"), "{html}");
    }
    assert_eq!(text(&console, "/services/none/instances/bw-none-1-a").await.0, 404);
}

#[tokio::test]
async fn without_a_token_the_page_of_logs_says_how_to_get_one_and_shows_nothing_of_them() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    known(&scaler, &console).await;
    let (status, html) = text(&console, "/services/shop/logs").await;
    assert_eq!(status, 200);
    assert!(
        html.contains("sudo bellows open") && html.contains("bellows logs shop --follow"),
        "{html}"
    );
    assert!(html.contains("<option value=\"bw-shop-1-a\">"), "{html}");
    let asked = scaler.asked();
    assert!(asked.iter().all(|it| !it.line.contains("/output")), "{asked:?}");
}
