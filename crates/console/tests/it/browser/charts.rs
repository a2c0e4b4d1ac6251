//! The charts of a service: what they say of time and of the objective, and how one looks closer and moves on in them.

use std::time::Duration;

use fantoccini::Client;
use fantoccini::actions::{
    InputSource as _, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction,
};
use serde_json::json;

use super::driver::{Driver, follows, picture, press, runs_first, text_of, until};
use super::running::Running;

/// Keeps the charts that a page draws, by which a test reads what is drawn.
const KEEPS_CHARTS: &str = "{ let real; window.charts = []; Object.defineProperty(window, 'uPlot', { configurable: true, \
     get: () => real, set(given) { real = new Proxy(given, { construct(target, given) { \
     const chart = Reflect.construct(target, given); window.charts.push(chart); return chart; } }); } }); }";

/// Has the browser's clock be off by so many minutes.
fn off(minutes: i32) -> String {
    format!(
        "(() => {{ const off = {minutes} * 60000; const Real = Date; const now = () => Real.now() + off; \
         window.Date = class extends Real {{ constructor(...given) {{ super(...(given.length === 0 ? [now()] : given)); }} \
         static now() {{ return now(); }} }}; }})();"
    )
}

/// How long the charts show, in seconds.
const SHOWN: &str = "(charts[0].scales.x.max - charts[0].scales.x.min)";

/// The page of the shop, of which the first points are there.
pub(super) async fn shown(browser: &Client, running: &Running) {
    runs_first(browser, KEEPS_CHARTS).await;
    follows(browser, &running.url("/services/shop")).await;
    until(browser, "charts.length === 5 && charts[0].data[0].length > 2").await;
}

async fn number(browser: &Client, script: &str) -> f64 {
    let told = browser.execute(&format!("return {script}"), vec![]).await.unwrap();
    told.as_f64().unwrap_or_else(|| panic!("{script}: {told}"))
}

/// Presses a key in the charts.
async fn key(browser: &Client, key: &str) {
    let script = "document.getElementById('plots').dispatchEvent(new KeyboardEvent('keydown', { key: arguments[0], bubbles: true }))";
    browser.execute(script, vec![json!(key)]).await.unwrap();
}

/// Drags in the first chart from one part of its width to another, with Shift or without.
async fn drag(browser: &Client, from: f64, to: f64, with_shift: bool) {
    let script = "const it = document.querySelector('.u-over'); it.scrollIntoView({ block: 'center' }); \
                  const { left, top, width, height } = it.getBoundingClientRect(); return [left, width, top + height / 2]";
    let at = browser.execute(script, vec![]).await.unwrap();
    let [left, width, y] = [0, 1, 2].map(|index| at[index].as_f64().unwrap());
    let to_part = |part: f64| PointerAction::MoveTo {
        duration: Some(Duration::from_millis(100)),
        x: left + part * width,
        y,
    };
    let shift = |action: KeyAction| KeyActions::new("keys".to_owned()).then(action);
    if with_shift {
        browser.perform_actions(shift(KeyAction::Down { value: '\u{e008}' })).await.unwrap();
    }
    let mouse = MouseActions::new("mouse".to_owned())
        .then(to_part(from))
        .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
        .then(to_part((from + to) / 2.0))
        .then(to_part(to))
        .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
    browser.perform_actions(mouse).await.unwrap();
    browser.release_actions().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_clock_of_the_browser_that_is_an_hour_off_leaves_nothing_out_and_tells_the_hosts_time() {
    let running = Running::with_a_day().await;
    let driver = Driver::start();
    for minutes in [60, -60, 0] {
        let browser = driver.browser(1600, false).await;
        runs_first(&browser, &off(minutes)).await;
        shown(&browser, &running).await;
        // Ten minutes of seconds, the last of which is of now.
        until(&browser, "charts[0].data[0].length > 590").await;
        let length = number(&browser, "charts[0].data[0].length").await;
        assert!(length < 640.0, "{minutes}: {length} points");
        let late = number(&browser, "Date.now() / 1000 - charts[0].scales.x.max").await;
        let late = late - f64::from(minutes) * 60.0;
        assert!((0.0..5.0).contains(&late), "{minutes}: {late} s");
        key(&browser, "ArrowLeft").await;
        until(&browser, &format!("{} !== ''", text_of("#stretch"))).await;
        until(&browser, &format!("/^\\d\\d:\\d\\d:\\d\\d to /.test({})", text_of("#stretch")))
            .await;
        browser.close().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn times_are_told_in_24_hours_and_days_as_iso_dates() {
    let running = Running::with_a_day().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    let writes = "{ window.written = []; const real = CanvasRenderingContext2D.prototype.fillText; \
                  CanvasRenderingContext2D.prototype.fillText = function (text, ...at) { written.push(text); return real.call(this, text, ...at); }; }";
    runs_first(&browser, writes).await;
    shown(&browser, &running).await;
    for seconds in [600, 86_400] {
        browser.execute("written.length = 0", vec![]).await.unwrap();
        press(&browser, &format!("button[data-range='{seconds}']")).await;
        until(&browser, &format!("Math.abs({SHOWN} - {seconds}) < 1")).await;
        until(&browser, "written.some((it) => /^\\d\\d:\\d\\d/.test(it))").await;
        until(&browser, "written.some((it) => /^\\d{4}-\\d\\d-\\d\\d$/.test(it))").await;
        let said = browser.execute("return [...written, document.body.innerText]", vec![]).await;
        let said = said.unwrap().to_string().to_lowercase();
        for american in ["am\"", "pm\"", " am", " pm", "/26", "/27"] {
            assert!(!said.contains(american), "{american}: {said}");
        }
    }
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn lines_are_thin_where_values_are_close_to_each_other() {
    let running = Running::with_a_day().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    shown(&browser, &running).await;
    for (seconds, width) in [(60, 2), (86_400, 1), (60, 2)] {
        press(&browser, &format!("button[data-range='{seconds}']")).await;
        until(&browser, &format!("Math.abs({SHOWN} - {seconds}) < 1")).await;
        let lines = "charts[0].series.slice(1)";
        until(&browser, &format!("{lines}.every((it) => it.width === {width})")).await;
    }
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn the_objective_is_named_and_on_the_scale_once_the_highest_value_is_above_a_quarter_of_it() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    shown(&browser, &running).await;
    until(&browser, "charts[2].root.innerText.startsWith('Response times in ms, objective 250')")
        .await;
    until(&browser, "Math.max(...charts[2].data[1].filter((it) => it !== null)) > 63").await;
    until(&browser, "Math.max(...charts[2].data[1]) < 250 && charts[2].scales.y.max >= 250").await;
    // Another objective is in force from now on.
    running.tells(|line| {
        if let model::feed::FeedLine::Service(feed) = line {
            feed.status.objective_ms = 4_000;
        }
        true
    });
    until(
        &browser,
        "charts.at(-3).root.innerText.startsWith('Response times in ms, objective 4000')",
    )
    .await;
    until(&browser, "charts.at(-3).scales.y.max < 1000").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn who_drags_sees_that_stretch_in_all_charts_moves_it_with_shift_and_goes_back_to_live() {
    let running = Running::with_a_day().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    shown(&browser, &running).await;
    let before = number(&browser, "charts[0].scales.x.max").await;
    drag(&browser, 0.25, 0.5, false).await;
    until(&browser, &format!("Math.abs({SHOWN} - 150) < 5")).await;
    until(&browser, "charts.every((it) => it.scales.x.max === charts[0].scales.x.max)").await;
    until(&browser, "charts.every((it) => it.select.width === 0)").await;
    let chosen = number(&browser, "charts[0].scales.x.max").await;
    assert!((before - chosen - 300.0).abs() < 10.0, "{before}, {chosen}");
    let shot = browser.screenshot().await.unwrap();
    std::fs::write(picture("service-stretch"), shot).unwrap();
    // What happens meanwhile is taken, and nothing moves.
    let length = number(&browser, "charts[0].data[0].at(-1)").await;
    until(&browser, &format!("charts[0].data[0].at(-1) >= {length} + 2")).await;
    assert!((number(&browser, "charts[0].scales.x.max").await - chosen).abs() < 0.01);
    drag(&browser, 0.2, 0.7, true).await;
    until(&browser, &format!("Math.abs({chosen} - charts[0].scales.x.max - 75) < 3")).await;
    until(&browser, &format!("Math.abs({SHOWN} - 150) < 5")).await;
    // There is no further back than half an hour by seconds.
    for _ in 0..12 {
        drag(&browser, 0.1, 0.95, true).await;
    }
    let oldest = "(Date.now() / 1000 - charts[0].scales.x.min)";
    until(&browser, &format!("Math.abs({oldest} - 1800) < 20")).await;
    until(&browser, "charts[0].data[0][0] - charts[0].scales.x.min < 25").await;
    press(&browser, "button[data-stretch=live]").await;
    until(&browser, &format!("Math.abs({SHOWN} - 600) < 1")).await;
    until(&browser, "document.querySelector('button[data-stretch=live]').hidden").await;
    let at = number(&browser, "charts[0].scales.x.max").await;
    until(&browser, &format!("charts[0].scales.x.max >= {at} + 2")).await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_keyboard_alone_looks_closer_moves_on_and_goes_back_to_live() {
    let running = Running::with_a_day().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    shown(&browser, &running).await;
    browser
        .execute("document.querySelector('button[data-stretch=wider]').focus()", vec![])
        .await
        .unwrap();
    let typed = async |keys: &str| {
        browser.active_element().await.unwrap().send_keys(keys).await.unwrap();
    };
    typed("\u{e004}").await;
    until(&browser, "document.activeElement.id === 'plots'").await;
    typed("+").await;
    until(&browser, &format!("Math.abs({SHOWN} - 300) < 1")).await;
    let at = number(&browser, "charts[0].scales.x.max").await;
    typed("\u{e012}").await;
    until(&browser, &format!("Math.abs({at} - charts[0].scales.x.max - 60) < 1")).await;
    typed("\u{e014}").await;
    until(&browser, &format!("Math.abs({at} - charts[0].scales.x.max) < 1")).await;
    // Wider than there are seconds: by the minute.
    typed("----").await;
    until(&browser, &format!("Math.abs({SHOWN} - 4800) < 70")).await;
    until(&browser, "charts[0].data[0][1] - charts[0].data[0][0] === 60").await;
    typed("\u{e011}").await;
    until(&browser, "Math.abs(Date.now() / 1000 - charts[0].scales.x.min - 86400) < 20").await;
    until(&browser, "Date.now() / 1000 - charts[0].data[0][0] > 86000").await;
    typed("\u{e010}").await;
    until(&browser, &format!("Math.abs({SHOWN} - 600) < 1")).await;
    until(&browser, "charts[0].data[0].at(-1) - charts[0].data[0].at(-2) === 1").await;
    browser.close().await.unwrap();
}
