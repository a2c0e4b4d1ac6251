//! Logging in by a link, and how a login ends.

use std::time::Duration;

use axum::http::StatusCode;
use fantoccini::Client;
use serde_json::json;

use super::driver::{Driver, follows, has_token, press, text_of, until, within};
use super::running::Running;

const USED: &str = "This link is of no use: it is for one login within 2 minutes, and was used.";
const LOGIN: &str = "POST /v1/login";
const MORE: &str = "#controls button[data-method=POST]";
/// Who is logged in may log out.
const IS_LOGGED_IN: &str = "document.querySelector('#session').textContent === 'Log out'";
const READS_ONLY: &str = "document.querySelector('#session').textContent === 'Reading only'";

/// A running system that knows the token for which a good link is exchanged.
async fn running() -> Running {
    let running = Running::start().await;
    running.scaler.knows("browser", &["all"], None);
    running.scaler.answers(LOGIN, json!({ "secret": "browser" }));
    running
}

async fn says(browser: &Client, text: &str) {
    until(browser, &said(text)).await;
}

/// Who only looks is told within 12 s that the token has ended: it is asked for again every 10 s.
async fn notices(browser: &Client) {
    let patience = Duration::from_secs(12);
    within(patience, browser, &said("You are not logged in any more.")).await;
}

fn said(text: &str) -> String {
    format!("{}.includes({text:?})", text_of("#said"))
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_link_logs_in_once_leaves_no_code_in_the_address_and_one_of_no_use_says_so() {
    let running = running().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    follows(&browser, &running.url("/services/shop#code=good")).await;
    until(&browser, IS_LOGGED_IN).await;
    until(&browser, "location.hash === '' && !document.cookie").await;
    press(&browser, MORE).await;
    says(&browser, "done").await;
    // Another one comes with the same link.
    running.scaler.refuses(LOGIN, StatusCode::FORBIDDEN, USED);
    let other = driver.browser(1600, false).await;
    follows(&other, &running.url("/services/shop#code=good")).await;
    says(&other, USED).await;
    until(&other, READS_ONLY).await;
    until(&other, "location.hash === ''").await;
    // What is opened where the page is already loads no page, and logs in all the same.
    running.scaler.answers(LOGIN, json!({ "secret": "browser" }));
    other.goto(&running.url("/services/shop#code=good")).await.unwrap();
    until(&other, IS_LOGGED_IN).await;
    until(&other, "location.hash === ''").await;
    for browser in [browser, other] {
        browser.close().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn who_logs_out_in_one_window_ends_the_token_of_it_and_another_says_so_and_reads_on() {
    let running = running().await;
    let driver = Driver::start();
    let [one, acts, looks] = [
        driver.browser(1600, false).await,
        driver.browser(1600, false).await,
        driver.browser(1600, false).await,
    ];
    for browser in [&one, &acts, &looks] {
        has_token(browser, &running.url("/"), "browser").await;
        follows(browser, &running.url("/services/shop")).await;
    }
    running.scaler.asked();
    press(&one, "#session button").await;
    until(&one, READS_ONLY).await;
    let ended = running.scaler.asked().into_iter().filter(|it| it.line == "DELETE /v1/login");
    assert_eq!(
        ended.map(|it| it.headers["authorization"].clone()).collect::<Vec<_>>(),
        ["Bearer browser"]
    );
    running.scaler.revokes("browser");
    press(&acts, MORE).await;
    says(&acts, "Not done. You are not logged in any more.").await;
    until(&acts, READS_ONLY).await;
    // The other one goes on.
    notices(&looks).await;
    until(&looks, READS_ONLY).await;
    until(&looks, &format!("{} === 'Live'", text_of("#following"))).await;
    let at = "document.querySelector('#figures').textContent";
    looks.execute(&format!("window.before = {at}"), vec![]).await.unwrap();
    until(&looks, &format!("{at} !== window.before")).await;
    for browser in [one, acts, looks] {
        browser.close().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn beyond_the_host_a_page_is_whole_with_a_token_and_empty_once_that_is_revoked() {
    let running = Running::beyond_the_host().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    has_token(&browser, &running.url("/"), "operator").await;
    follows(&browser, &running.url("/services/shop")).await;
    until(&browser, "document.querySelectorAll('.uplot').length === 5").await;
    let order = "[...document.querySelectorAll('#main > [data-region]')].map((it) => it.id).join()";
    until(
        &browser,
        &format!("{order} === 'notices,summary,figures,charts,controls,instances,events'"),
    )
    .await;
    running.scaler.revokes("operator");
    notices(&browser).await;
    until(
        &browser,
        "document.querySelector('#notices').innerText.includes('You are not logged in.')",
    )
    .await;
    until(&browser, &format!("{} === 'Not logged in'", text_of("#following"))).await;
    until(&browser, "!document.documentElement.innerHTML.includes('bw-shop-1-a')").await;
    until(&browser, "document.querySelectorAll('.uplot, #main button').length === 0").await;
    browser.close().await.unwrap();
}
