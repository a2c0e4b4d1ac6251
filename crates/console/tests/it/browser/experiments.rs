//! Experiments in a browser: started, followed, ended, compared, and refused.

use axum::http::StatusCode;
use fantoccini::{Client, Locator};
use serde_json::json;

use super::axe;
use super::driver::{Driver, follows, has_token, picture, press, text_of, until};
use super::policy::write;
use super::running::Running;
use crate::scaler::Asked;
use crate::tried::Tried;

/// Two experiments that ended and differ, and one that goes on.
pub(super) fn tells(running: &Running) {
    two(running);
    let going = Tried::begun(running.folder(), 3, "shop")
        .asked("runs", json!(5))
        .asked("scenario", json!("ramp"));
    running.scaler.answers("GET /v1/jobs", json!({ "jobs": [going.job()] }));
    running.scaler.answers(&format!("GET /v1/jobs/{}", going.id), going.job());
}

/// Keeps a picture of what is shown now.
async fn keeps(browser: &Client, name: &str) {
    std::fs::write(picture(name), browser.screenshot().await.unwrap()).unwrap();
}

/// Two that ended, of which the newer one has its answers sooner.
fn two(running: &Running) -> [Tried; 2] {
    let p99 = |ms: f64| move |summary: &mut run::Summary| summary.latency_ms.p99 = Some(ms);
    let old = Tried::begun(running.folder(), 1, "shop").asked("policy", json!(null));
    let old =
        old.left("spike-1", p99(200.0)).ended(false, "one limit did not hold: <b>max_failed</b>");
    let new = Tried::begun(running.folder(), 2, "shop").left("spike-1", p99(100.0));
    let report = "<!DOCTYPE html><title>Report</title><p id=own>before</p><script>own.textContent = 'drawn'; \
                  try { parent.document.title; localStorage.length; own.textContent = 'escaped' } catch { }</script>";
    let new = new.wrote("latest/report.html", report).ended(true, "all limits held");
    [old, new]
}

/// A browser of whoever has this token, at a page that follows what happens.
async fn opened(running: &Running, driver: &Driver, token: &str, path: &str) -> Client {
    let browser = driver.browser(1600, false).await;
    has_token(&browser, &running.url("/"), token).await;
    follows(&browser, &running.url(path)).await;
    browser
}

fn posted(running: &Running, line: &str) -> Vec<Asked> {
    running.scaler.asked().into_iter().filter(|it| it.line == line).collect()
}

/// Whether something is there and has this text: a page that is left has nothing for a moment.
fn says(selector: &str, text: &str) -> String {
    format!("document.querySelector({selector:?})?.textContent.includes({text:?})")
}

const START: &str = "#experiment-form .controls button";

fn field(key: &str) -> String {
    format!("#experiment-form .field[data-key={key}]")
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn one_is_started_followed_with_its_log_and_charts_ended_and_then_shown_with_its_figures() {
    let running = Running::start().await;
    let scaler = &running.scaler;
    scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    let driver = Driver::start();
    let browser = opened(&running, &driver, "operator", "/experiments").await;
    let spike = format!("{} option[value=spike]", field("scenario"));
    browser.find(Locator::Css(&spike)).await.unwrap().click().await.unwrap();
    until(
        &browser,
        &format!("{}.includes('For shop, ')", text_of(&format!("{} small", field("scenario")))),
    )
    .await;
    browser
        .find(Locator::Css(&format!("{} option[value=hpa]", field("policy"))))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    write(&browser, &format!("{} input", field("time_factor")), "0.5").await;
    axe::finds_nothing(&browser, "experiments-form").await;
    keeps(&browser, "experiments-form-1600").await;
    let tried = Tried::begun(running.folder(), 4, "shop");
    scaler.answers("POST /v1/experiments", tried.job());
    scaler.answers(&format!("GET /v1/jobs/{}", tried.id), tried.job());
    let log = |after: usize| format!("GET /v1/jobs/{}/log?after={after}", tried.id);
    scaler.answers(&log(0), json!("run 1 of 1 <b>begins</b>\n"));
    scaler.answers(&log(25), json!(""));
    scaler.asked();
    press(&browser, START).await;
    until(&browser, &format!("location.pathname === '/experiments/{}'", tried.id)).await;
    // Not before: what goes on leaves nothing to press.
    scaler.answers("GET /v1/jobs", json!({ "jobs": [tried.job()] }));
    let asked = posted(&running, "POST /v1/experiments");
    assert_eq!(asked.len(), 1);
    let body: serde_json::Value = serde_json::from_slice(&asked[0].body).unwrap();
    assert_eq!(body, json!({ "scenario": "spike", "policy": "hpa", "time_factor": 0.5 }));

    until(&browser, &says("#job-log-text", "<b>begins</b>")).await;
    until(&browser, "document.querySelectorAll('.uplot').length === 5").await;
    until(&browser, &says("#asked", "It has gone on for")).await;
    let interrupt = format!("POST /v1/jobs/{}/interrupt", tried.id);
    scaler.answers(&interrupt, tried.job());
    press(&browser, "#asked button[data-method=POST]").await;
    until(&browser, &says("#dialog", "Its load ends now")).await;
    browser.find(Locator::Css("#dialog button[value=yes]")).await.unwrap().click().await.unwrap();
    until(&browser, &says("#said", "End it: done")).await;
    assert_eq!(posted(&running, &interrupt).len(), 1);
    // It ends, and what it measured is there without anything being pressed.
    let _ended =
        tried.left("spike-1", |summary| summary.interrupted = true).ended(false, "interrupted");
    until(&browser, &says("#figures", "What the clients got")).await;
    until(&browser, "document.querySelector('img.run-chart')?.naturalWidth > 0").await;
    until(&browser, "document.querySelector('#charts').hidden").await;
    until(&browser, &format!("!{}.includes('End it')", text_of("#asked"))).await;
    until(&browser, "document.querySelectorAll('#main b').length === 0").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn what_is_refused_stands_at_its_field_or_above_the_form_and_what_was_typed_stays() {
    let running = Running::start().await;
    let scaler = &running.scaler;
    scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    let driver = Driver::start();
    let browser = driver.browser(360, false).await;
    follows(&browser, &running.url("/experiments")).await;
    press(&browser, START).await;
    until(&browser, &format!("{}.includes('log in')", text_of("#said"))).await;
    has_token(&browser, &running.url("/"), "operator").await;
    follows(&browser, &running.url("/experiments")).await;
    let runs = format!("{} input", field("runs"));
    write(&browser, &runs, "11").await;
    let sentence = "runs is 11: use 1 to 10 (runs)";
    scaler.refuses("POST /v1/experiments", StatusCode::UNPROCESSABLE_ENTITY, sentence);
    press(&browser, START).await;
    until(
        &browser,
        &format!("{} === {sentence:?}", text_of(&format!("{} > .wrong", field("runs")))),
    )
    .await;
    until(&browser, &format!("document.activeElement === document.querySelector({runs:?})")).await;
    axe::finds_nothing(&browser, "experiments-refused").await;
    keeps(&browser, "experiments-refused-360").await;
    // Of what is about no field; the mark of before is gone.
    let sentence = "Another experiment goes on: wait for its end.";
    scaler.refuses("POST /v1/experiments", StatusCode::CONFLICT, sentence);
    press(&browser, START).await;
    until(&browser, &format!("{} === {sentence:?}", text_of("#experiment-form .problem"))).await;
    until(&browser, "document.querySelector('#experiment-form [aria-invalid]') === null").await;
    until(&browser, "!document.querySelector('#experiment-form .controls button').disabled").await;
    // One begins elsewhere: there is nothing to press until it is over, and then there is what was typed.
    let going = Tried::begun(running.folder(), 4, "shop");
    scaler.answers("GET /v1/jobs", json!({ "jobs": [going.job()] }));
    until(&browser, "document.querySelector('#start').hidden").await;
    until(&browser, &format!("{}.includes('Under way')", text_of("#going"))).await;
    scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    until(&browser, "!document.querySelector('#start').hidden").await;
    until(&browser, &format!("document.querySelector({runs:?}).value === '11'")).await;
    until(&browser, &format!("{}.includes('cut off')", text_of("#experiments"))).await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn with_too_few_rights_nothing_is_started_or_ended_and_the_words_of_the_scaler_say_so() {
    let running = Running::start().await;
    let scaler = &running.scaler;
    scaler.knows("reader", &["read"], None);
    scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    let refused = "The token `reader` may read, and nothing else.";
    scaler.refuses("POST /v1/experiments", StatusCode::FORBIDDEN, refused);
    let driver = Driver::start();
    let browser = opened(&running, &driver, "reader", "/experiments").await;
    press(&browser, START).await;
    until(&browser, &format!("{} === {refused:?}", text_of("#experiment-form .problem"))).await;
    // A page of one that ended meanwhile.
    let going = Tried::begun(running.folder(), 4, "shop");
    scaler.answers("GET /v1/jobs", json!({ "jobs": [going.job()] }));
    follows(&browser, &running.url(&format!("/experiments/{}", going.id))).await;
    let gone = "The job is no experiment that goes on.";
    scaler.refuses(&format!("POST /v1/jobs/{}/interrupt", going.id), StatusCode::CONFLICT, gone);
    press(&browser, "#asked button[data-method=POST]").await;
    browser.find(Locator::Css("#dialog button[value=yes]")).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{} === 'Not done. {gone}'", text_of("#said"))).await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn two_are_chosen_and_compared_with_both_charts_and_in_words() {
    let running = Running::start().await;
    running.scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    let [old, new] = two(&running);
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    follows(&browser, &running.url("/experiments")).await;
    until(&browser, "document.querySelector('select[name=with]') !== null").await;
    press(&browser, "form[action='/experiments/compare'] button").await;
    until(&browser, &format!("location.pathname === '/experiments/{}'", new.id)).await;
    until(&browser, &format!("location.search === '?with={}'", old.id)).await;
    until(
        &browser,
        &format!("{}.includes('Latency, 99th percentile')", text_of("#compared p:nth-of-type(2)")),
    )
    .await;
    let charts = "[...document.querySelectorAll('img.run-chart')]";
    browser
        .execute(
            "document.querySelectorAll('img').forEach((it) => { it.loading = 'eager' })",
            vec![],
        )
        .await
        .unwrap();
    until(
        &browser,
        &format!("{charts}.length === 2 && {charts}.every((it) => it.naturalWidth > 0)"),
    )
    .await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_report_draws_itself_and_has_no_hold_of_the_console() {
    let running = Running::start().await;
    running.scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    let [_, new] = two(&running);
    let driver = Driver::start();
    let browser = opened(&running, &driver, "operator", &format!("/experiments/{}", new.id)).await;
    press(&browser, "#runs a[data-file][href$='/report']").await;
    until(&browser, "location.pathname.endsWith('/report')").await;
    until(&browser, "document.querySelector('#own').textContent === 'drawn'").await;
    until(&browser, "origin === 'null'").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn beyond_the_host_charts_are_shown_to_whoever_is_logged_in_and_one_that_is_none_is_told_so()
{
    let running = Running::beyond_the_host().await;
    running.scaler.answers("GET /v1/jobs", json!({ "jobs": [] }));
    let [old, new] = two(&running);
    let old = old.wrote("latest/chart.svg", "<svg");
    let driver = Driver::start();
    let browser = opened(&running, &driver, "operator", "/experiments").await;
    for (tried, shown) in [
        (&new, "document.querySelector('img.run-chart')?.src.startsWith('blob:') && document.querySelector('img.run-chart').naturalWidth > 0".to_owned()),
        (&old, format!("{}.includes('There is no chart of it')", text_of("#runs"))),
    ] {
        follows(&browser, &running.url(&format!("/experiments/{}", tried.id))).await;
        until(&browser, "document.querySelector('#runs') !== null").await;
        let see = "document.querySelector('.run-chart')?.scrollIntoView()";
        browser.execute(see, vec![]).await.unwrap();
        until(&browser, &shown).await;
    }
    browser.close().await.unwrap();
}
