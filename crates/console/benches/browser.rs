//! What a browser takes for the pages of a host of 20 services and 200 instances with a day behind it.
//!
//! `cargo bench -p console@0.1.0 --bench browser` measures in Debian's Chromium, and judges the figures. In a test it does the same
//! once, with a history of some minutes, and judges nothing.

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

use std::fmt;
use std::ops::RangeInclusive;
use std::os::unix::fs::chown;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use console::history::{self, Place};
use fantoccini::Client;
use model::decision::{Decision, Reason};
use model::feed::FeedLine;
use serde_json::{Value, json};

use driver::{Driver, has_chromium, until};
use large::{Extent, FULL, SMALL, lines};
use scaler::{Console, FakeScaler, USER, folder};

const SIZE_BYTES: u64 = 200 * 1024 * 1024;

/// Of one of 20 services, which is all that is drawn.
const ONE: Extent = Extent { services: 1, instances: 10, ..FULL };

/// How often each figure is taken; what is judged is the one in the middle.
const TIMES: usize = 9;

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--bench");
    let (extent, times) = if is_full { (&ONE, TIMES) } else { (&SMALL, 1) };
    let folder = folder();
    fill(folder.path(), extent).await;
    let scaler = Arc::new(FakeScaler::start(folder.path()));
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    tokio::spawn(tells(Arc::clone(&scaler)));
    console.until("/v1/services", |it| it["services"][19].is_object()).await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    let overview = format!("http://{}/", console.address);
    let service = format!("{overview}services/service-0");
    let figures = [
        Figure::new(
            "an overview is live after ms",
            0.0..=300.0,
            lives(&browser, &overview, times).await,
        ),
        Figure::new("all that it loads, in KB", 0.0..=300.0, vec![loaded(&browser).await / 1000.0]),
        Figure::new(
            "an event is on it after ms, at most",
            0.0..=200.0,
            vec![events(&browser).await],
        ),
        Figure::new("a day is drawn after ms", 0.0..=300.0, days(&browser, &service, times).await),
        Figure::new("frames/s while a day is moved", 50.0..=1000.0, moves(&browser, times).await),
    ];
    figures.iter().for_each(|figure| println!("{figure}"));
    figures.iter().filter(|_| is_full).for_each(Figure::judge);
    browser.close().await.unwrap();
}

/// A figure, as often as it was taken, and what is wanted of it.
struct Figure {
    what: &'static str,
    wanted: RangeInclusive<f64>,
    taken: Vec<f64>,
}

impl Figure {
    fn new(what: &'static str, wanted: RangeInclusive<f64>, mut taken: Vec<f64>) -> Self {
        taken.sort_by(f64::total_cmp);
        Self { what, wanted, taken }
    }

    /// The one in the middle.
    fn value(&self) -> f64 {
        self.taken[self.taken.len() / 2]
    }

    fn judge(&self) {
        assert!(self.wanted.contains(&self.value()), "{self}");
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:.0}", self.what, self.value())?;
        if let [least, .., most] = self.taken[..] {
            write!(f, " (median of {}, {least:.0} to {most:.0})", self.taken.len())?;
        }
        Ok(())
    }
}

/// The numbers that are decided on say when: they are milliseconds since 1970, without the whole of so many.
const ROUND_MS: u64 = 1_000_000;

/// Tells of turns, of which every seventh decides on another number, which is an event.
async fn tells(scaler: Arc<FakeScaler>) {
    let mut ready = 1;
    for turn in 0.. {
        let mut told = lines(turn);
        if let Some(FeedLine::Tick(tick)) = told.first_mut() {
            if turn.is_multiple_of(7) {
                ready = u32::try_from(tick.at.as_millis() % ROUND_MS).unwrap();
            }
            tick.decision = Decision::Target { ready, reasons: vec![Reason::OfferedLoad] };
        }
        scaler.tell(&told);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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

/// From the moment at which a browser that has kept nothing of a page is sent there, to that at which the first that is told live
/// is on it.
async fn lives(browser: &Client, url: &str, times: usize) -> Vec<f64> {
    let mut taken = Vec::new();
    for _ in 0..times {
        // What is shown in between ends what the page before still does.
        browser.goto("about:blank").await.unwrap();
        has_chromium(browser, "Network.clearBrowserCache", json!({})).await;
        browser.goto(url).await.unwrap();
        until(browser, "performance.getEntriesByName('live').length > 0").await;
        let at = "arguments[0](performance.getEntriesByName('live')[0].startTime)";
        taken.push(number(browser, at).await);
    }
    taken
}

async fn loaded(browser: &Client) -> f64 {
    let script = "const all = ['navigation', 'resource'].flatMap((it) => performance.getEntriesByType(it)); \
                  arguments[0](all.reduce((sum, it) => sum + it.transferSize, 0))";
    number(browser, script).await
}

/// The longest of ten that come: from the moment of the turn to the frame in which the text is shown.
async fn events(browser: &Client) -> f64 {
    let script = "const [done, round] = [arguments[1], arguments[0]]; const took = []; \
                  const list = document.querySelector('#events .events'); \
                  const decided = () => /(\\d+) instead of/.exec(list.firstElementChild.textContent)?.[1]; \
                  let before = decided(); \
                  const shown = (at) => { took.push((round + Date.now() % round - at) % round); \
                    if (took.length === 10) done(Math.max(...took)); }; \
                  const look = () => { const at = decided(); if (at === before) return; before = at; \
                    requestAnimationFrame(() => shown(Number(at))); }; \
                  new MutationObserver(look).observe(list, { childList: true, subtree: true, characterData: true })";
    let told = browser.execute_async(script, vec![ROUND_MS.into()]).await.unwrap();
    told.as_f64().unwrap()
}

/// From the click to the frame after all charts were drawn. The last day stays.
async fn days(browser: &Client, url: &str, times: usize) -> Vec<f64> {
    let mut taken = Vec::new();
    for _ in 0..times {
        browser.goto(url).await.unwrap();
        until(browser, "performance.getEntriesByName('drawn').length > 0").await;
        let script = "const [done] = arguments; const began = performance.now(); \
                      const drawn = () => performance.getEntriesByName('drawn').at(-1).detail; \
                      const look = () => drawn() >= 86400 ? done(performance.now() - began) : requestAnimationFrame(look); \
                      document.querySelector('[data-range=\"86400\"]').click(); look()";
        taken.push(number(browser, script).await);
    }
    taken
}

/// Pictures in a second while somebody holds a key that moves the charts, there and back.
async fn moves(browser: &Client, times: usize) -> Vec<f64> {
    browser
        .execute("document.querySelector('[data-stretch=\"closer\"]').click()", vec![])
        .await
        .unwrap();
    let script = "const [done] = arguments; const plots = document.querySelector('#plots'); const began = performance.now(); \
                  let frames = 0; const move = () => { const passed = performance.now() - began; \
                    if (passed > 2000) { done(frames / passed * 1000); return; } frames += 1; \
                    const key = frames % 40 < 20 ? 'ArrowLeft' : 'ArrowRight'; \
                    plots.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); requestAnimationFrame(move); }; \
                  requestAnimationFrame(move)";
    let mut taken = Vec::new();
    for _ in 0..times {
        taken.push(number(browser, script).await);
    }
    taken
}
