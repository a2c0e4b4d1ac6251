//! The pages in a real browser: Debian's Chromium, driven by its WebDriver. `just test-pages` runs these, and leaves a picture
//! of each page below `target/pages/`.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use model::action::{ActionKind, Done};
use model::decision::{Decision, Reason};
use model::feed::{FeedLine, InstanceFigures};
use model::instance::{Phase, PhaseCounts};
use model::tick::{Observation, Tick};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::history::now;
use crate::scaler::{Console, FakeScaler, folder};

/// Chromium's WebDriver, which ends with its browsers when this is dropped.
struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver starts: `just setup pages` installs it");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let rest = line.split_once("started successfully on port ")?.1;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        Self { child, url: format!("http://127.0.0.1:{}", port.expect("it says its port")) }
    }

    /// A browser of this width that shows what is light or dark.
    async fn browser(&self, width: u32, is_dark: bool) -> Client {
        let mut arguments = vec!["--headless=new", "--no-sandbox", "--disable-gpu"];
        arguments.extend(is_dark.then_some("--force-dark-mode"));
        // A window is not narrower than 500 pixels, what a device shows is.
        let metrics = json!({ "width": width, "height": 1200, "pixelRatio": 1, "mobile": false });
        let options = json!({
            "args": arguments, "mobileEmulation": { "deviceMetrics": metrics },
        });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let mut builder =
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(capabilities).connect(&self.url).await.expect("Chromium starts")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A scaler of two services under load, which goes on to tell of them.
struct Running {
    scaler: std::sync::Arc<FakeScaler>,
    tells: JoinHandle<()>,
}

impl Running {
    fn start(folder: &std::path::Path) -> Self {
        let scaler = std::sync::Arc::new(FakeScaler::start(folder));
        scaler.knows("operator", &["all"], None);
        let told = std::sync::Arc::clone(&scaler);
        let tells = tokio::spawn(async move {
            for turn in 0_u32.. {
                told.tell(&lines(turn));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { scaler, tells }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tells.abort();
    }
}

/// What is told in a turn: the load of the shop rises and falls, and its instances follow.
fn lines(turn: u32) -> Vec<FeedLine> {
    let load = 60.0 + 50.0 * (f64::from(turn) / 60.0).sin();
    let ready = if load > 80.0 { 3 } else { 2 };
    let names = ["bw-shop-1-a", "bw-shop-2-b", "bw-shop-3-c"];
    let names = &names[..ready as usize];
    let at = now();
    let mut feed = console::samples::service_feed("shop", at.as_millis(), names);
    feed.status.phases = PhaseCounts { ready, ..PhaseCounts::default() };
    feed.status.instances[0].phase = Phase::Ready;
    feed.instances.iter_mut().for_each(|it| {
        let InstanceFigures { cpu_time_us, in_flight, requests, .. } = it;
        *cpu_time_us = Some(u64::from(turn) * 30_000);
        *in_flight = Some(3);
        *requests = Some(u64::from(turn) * 3);
    });
    let observation = Observation {
        offered_rps: Some(load),
        served_rps: Some(load.min(100.0)),
        rejected_rps: Some(0.0),
        queued: Some(if load > 100.0 { 7 } else { 0 }),
        in_flight: Some(9),
        cpu_cores: Some(load / 100.0),
        phases: feed.status.phases,
        ..Observation::default()
    };
    let done = |error: Option<&str>| Done {
        kind: ActionKind::Clone,
        instance: "bw-shop-3-c".parse().unwrap(),
        slot: 3.try_into().unwrap(),
        version: None,
        planned_at: at.before(Duration::from_millis(640)),
        finished_at: at,
        error: error.map(str::to_owned),
        last_lines: vec![],
        release: None,
    };
    let tick = Tick {
        sequence: u64::from(turn) + 1,
        observation,
        decision: Decision::Target { ready, reasons: vec![Reason::OfferedLoad] },
        done: match turn % 100 {
            30 => vec![done(None)],
            60 => vec![done(Some("<img src=x onerror=alert(1)> did not answer"))],
            _ => vec![],
        },
        ..console::samples::tick("shop", at.as_millis())
    };
    let market = console::samples::service_feed("market", at.as_millis(), &[]);
    vec![
        FeedLine::Network(model::network::NetworkStatus::default()),
        FeedLine::Tick(Box::new(tick)),
        FeedLine::Service(Box::new(feed)),
        FeedLine::Service(Box::new(market)),
    ]
}

/// Below the folder of the build.
fn picture(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target =
        target.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    let folder = target.join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{name}.png"))
}

/// Waits until a script says so.
#[track_caller]
fn until<'a>(browser: &'a Client, script: &'a str) -> impl Future<Output = Duration> + 'a {
    let began = Instant::now();
    let place = std::panic::Location::caller();
    async move {
        let script = format!("return Boolean({script})");
        while browser.execute(&script, vec![]).await.unwrap() != json!(true) {
            let text = browser.execute("return document.body.innerText", vec![]).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(10), "{place}: {script}\n{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }
}

fn text_of(selector: &str) -> String {
    format!("document.querySelector('{selector}').textContent")
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn every_page_is_shown_in_both_widths_and_themes_and_follows_what_happens() {
    let folder = folder();
    let running = Running::start(folder.path());
    let console = Console::start(&running.scaler, folder.path());
    console.until("/v1/services", |it| it["services"][1].is_object()).await;
    let driver = Driver::start();
    tokio::time::sleep(Duration::from_secs(12)).await;
    for (width, is_dark) in [(1600, false), (360, false), (1600, true), (360, true)] {
        let browser = driver.browser(width, is_dark).await;
        for (name, path) in [
            ("overview", "/"),
            ("service", "/services/shop"),
            ("why", "/services/shop/why"),
            ("missing", "/services/nothing"),
        ] {
            browser.goto(&format!("http://{}{path}", console.address)).await.unwrap();
            if name != "missing" {
                until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
            }
            if name == "service" {
                until(&browser, "document.querySelectorAll('.uplot').length === 5").await;
                // This scaler's HAProxy tells of no answers, which is not that there are none.
                until(&browser, "!document.body.innerText.includes('0 / 0 / 0')").await;
            }
            // Nothing is wider than the window but what scrolls by itself.
            until(&browser, "document.documentElement.scrollWidth <= innerWidth").await;
            let theme = if is_dark { "dark" } else { "light" };
            let shot = browser.screenshot().await.unwrap();
            std::fs::write(picture(&format!("{name}-{width}-{theme}")), shot).unwrap();
        }
        browser.close().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn what_others_wrote_is_text_and_what_changes_is_changed_in_place() {
    let folder = folder();
    let running = Running::start(folder.path());
    let console = Console::start(&running.scaler, folder.path());
    console.until("/v1/services", |it| it["services"][1].is_object()).await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    browser.goto(&format!("http://{}/services/shop", console.address)).await.unwrap();
    browser.execute("window.first = document.getElementById('bw-shop-1-a')", vec![]).await.unwrap();
    until(&browser, "document.querySelector('#events').textContent.includes('<img src=x')").await;
    until(&browser, "document.querySelectorAll('#main img').length === 0").await;
    until(&browser, "window.first === document.getElementById('bw-shop-1-a')").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn who_is_not_logged_in_changes_nothing_and_who_is_does_with_his_token() {
    let folder = folder();
    let running = Running::start(folder.path());
    let console = Console::start(&running.scaler, folder.path());
    console.until("/v1/services", |it| it["services"][1].is_object()).await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    browser.goto(&format!("http://{}/services/shop", console.address)).await.unwrap();
    let more = Locator::Css(".controls button[data-method=POST]");
    until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
    browser.find(more).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{}.includes('log in')", text_of("#said"))).await;
    browser.execute("sessionStorage.setItem('bellows-token', 'operator')", vec![]).await.unwrap();
    browser.refresh().await.unwrap();
    until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
    browser.find(more).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{}.includes('done')", text_of("#said"))).await;
    let posted = |it: &crate::scaler::Asked| {
        it.line == "POST /v1/services/shop/instances"
            && it.headers["authorization"] == "Bearer operator"
    };
    assert_eq!(running.scaler.asked().iter().filter(|it| posted(it)).count(), 1);
    browser.close().await.unwrap();
}
