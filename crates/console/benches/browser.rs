//! What a browser takes for the pages of a host of 20 services and 200 instances with a day behind it.
//!
//! `cargo bench -p console@0.1.0 --bench browser` measures in Debian's Chromium, and judges the figures. In a test it does the same
//! with a history of some minutes and judges nothing.

#![allow(clippy::unwrap_used, reason = "in a bench, to panic is to fail")]

#[path = "../tests/it/browser/driver.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod driver;
#[allow(dead_code, reason = "other benches use more of it")]
mod large;
#[path = "../tests/it/scaler.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod scaler;
#[path = "../tests/it/written.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod written;

use std::os::unix::fs::chown;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use console::history::{self, Place};
use fantoccini::Client;
use model::decision::{Decision, Reason};
use model::feed::FeedLine;
use serde_json::Value;

use driver::{Driver, until};
use large::{Extent, FULL, SMALL, lines};
use scaler::{Console, FakeScaler, USER, folder};

const SIZE_BYTES: u64 = 200 * 1024 * 1024;

/// Of one of 20 services, which is all that is drawn.
const ONE: Extent = Extent { services: 1, instances: 10, ..FULL };

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--bench");
    let folder = folder();
    fill(folder.path(), if is_full { &ONE } else { &SMALL }).await;
    let scaler = Arc::new(FakeScaler::start(folder.path()));
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let told = Arc::clone(&scaler);
    tokio::spawn(async move {
        for turn in 0.. {
            told.tell(&decided(turn));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    console.until("/v1/services", |it| it["services"][19].is_object()).await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    let overview = format!("http://{}/", console.address);
    let service = format!("{overview}services/service-0");
    let figures = [
        ("an overview is live after ms", first_live(&browser, &overview).await, 0.0, 300.0),
        ("all that it loads, in KB", loaded(&browser).await / 1000.0, 0.0, 300.0),
        ("an event is on it after ms, at most", events(&browser).await, 0.0, 200.0),
        ("a day is drawn after ms", day(&browser, &service).await, 0.0, 300.0),
        ("frames/s while a day is moved", moved(&browser).await, 50.0, 1000.0),
    ];
    for (what, value, ..) in figures {
        println!("{what}: {value:.0}");
    }
    for (what, value, least, most) in figures.into_iter().filter(|_| is_full) {
        assert!((least..=most).contains(&value), "{what}: {value}");
    }
    browser.close().await.unwrap();
}

/// What is told in a turn. Every seventh decides on another number, which is an event.
fn decided(turn: u64) -> Vec<FeedLine> {
    let mut told = lines(turn);
    if let Some(FeedLine::Tick(tick)) = told.first_mut() {
        let ready = 1 + u32::from((turn / 7).is_multiple_of(2));
        tick.decision = Decision::Target { ready, reasons: vec![Reason::OfferedLoad] };
    }
    told
}

/// A history of one service, as the console left it.
async fn fill(folder: &Path, extent: &Extent) {
    let file = folder.join("history.sqlite");
    let (recorder, _history) = history::open(Place { file: file.clone(), size_bytes: SIZE_BYTES });
    recorder.flush().await;
    large::fill(&recorder, &file, extent, large::now_s()).await;
    for file in std::fs::read_dir(folder).unwrap() {
        chown(file.unwrap().path(), Some(USER), Some(USER)).unwrap();
    }
}

/// A number that a script gives, at once or later.
async fn number(browser: &Client, script: &str) -> f64 {
    let told: Value = browser.execute_async(script, vec![]).await.unwrap();
    told.as_f64().unwrap_or_else(|| panic!("{script}: {told}"))
}

/// From the request to the moment at which the driver sees that the page is live, which is some 20 ms later. The browser has kept
/// nothing of it.
async fn first_live(browser: &Client, url: &str) -> f64 {
    browser.goto(url).await.unwrap();
    until(browser, "document.getElementById('following').textContent === 'Live'").await;
    number(browser, "arguments[0](performance.now())").await
}

async fn loaded(browser: &Client) -> f64 {
    let script = "const all = ['navigation', 'resource'].flatMap((it) => performance.getEntriesByType(it)); \
                  arguments[0](all.reduce((sum, it) => sum + it.transferSize, 0))";
    number(browser, script).await
}

/// The longest of ten that come: from the moment of the turn to that at which the text is there.
async fn events(browser: &Client) -> f64 {
    let script = "const [done] = arguments; const list = document.querySelector('#events .events'); const took = []; \
                  const look = () => { const at = Date.parse(list.querySelector('time').dateTime); \
                    if (look.at === at) return; look.at = at; took.push(Date.now() - at); \
                    if (took.length > 10) done(Math.max(...took.slice(1))); }; \
                  look(); new MutationObserver(look).observe(list, { childList: true, subtree: true, characterData: true })";
    number(browser, script).await
}

/// From the click to the frame after all charts were drawn.
async fn day(browser: &Client, url: &str) -> f64 {
    browser.goto(url).await.unwrap();
    until(browser, "performance.getEntriesByName('drawn').length > 0").await;
    let script = "const [done] = arguments; const began = performance.now(); \
                  const drawn = () => performance.getEntriesByName('drawn').at(-1).detail; \
                  const look = () => drawn() >= 86400 ? done(performance.now() - began) : requestAnimationFrame(look); \
                  document.querySelector('[data-range=\"86400\"]').click(); look()";
    number(browser, script).await
}

/// Pictures in a second while somebody holds a key that moves the charts, there and back.
async fn moved(browser: &Client) -> f64 {
    let script = "const [done] = arguments; const plots = document.querySelector('#plots'); const began = performance.now(); \
                  let frames = 0; const move = () => { const passed = performance.now() - began; \
                    if (passed > 2000) { done(frames / passed * 1000); return; } frames += 1; \
                    const key = frames % 40 < 20 ? 'ArrowLeft' : 'ArrowRight'; \
                    plots.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); requestAnimationFrame(move); }; \
                  document.querySelector('[data-stretch=\"closer\"]').click(); requestAnimationFrame(move)";
    number(browser, script).await
}
