//! The pages in a real browser: Debian's Chromium, driven by its WebDriver. `just test-pages` runs these, and leaves a picture
//! of each page below `target/pages/`.

mod axe;
mod charts;
mod connection;
mod deploy;
mod driver;
mod ends;
mod experiments;
mod help;
mod host;
mod instance;
mod login;
mod logs;
mod plain;
mod policy;
mod rights;
mod running;
mod stale;
mod storage;
mod strangers;
mod together;
mod versions;

use std::time::Duration;

use fantoccini::Locator;
use model::output::Stream;
use serde_json::json;

use driver::{Driver, picture, text_of, until};
use logs::logged_in;
use running::Running;

use crate::history::now;
use crate::pages_of_versions::{job, job_id, versions};

/// Every page, by the name of its picture.
const PAGES: [(&str, &str); 14] = [
    ("overview", "/"),
    ("service", "/services/shop"),
    ("why", "/services/shop/why"),
    ("host", "/host"),
    ("policy", "/services/shop/policy"),
    ("versions", "/services/shop/versions"),
    ("logs", "/services/shop/logs"),
    ("instance", "/services/shop/instances/bw-shop-1-a"),
    ("instance-gone", "/services/shop/instances/bw-shop-9-zzz"),
    ("experiments", "/experiments"),
    ("experiment", "/experiments/0000000000000002"),
    ("experiment-going", "/experiments/0000000000000003"),
    ("compared", "/experiments/0000000000000002?with=0000000000000001"),
    ("missing", "/services/nothing"),
];

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn every_page_is_shown_in_both_widths_and_themes_and_follows_what_happens() {
    let running = Running::with_past().await;
    policy::tells(&running, &policy::threshold(30.0));
    experiments::tells(&running);
    running.scaler.answers("GET /v1/services/shop/versions", versions());
    let jobs = [job(8, 5, None), job(7, 60, Some((false, "no module named flask")))];
    running.scaler.answers("GET /v1/jobs?service=shop", json!({ "jobs": jobs }));
    running.scaler.answers(&format!("GET /v1/jobs/{}", job_id(8)), job(8, 5, None));
    let at = now().as_millis() - 60_000;
    for line in 0..60 {
        let (stream, text) = match line % 10 {
            7 => (Stream::Stderr, "slow query: 1200 ms"),
            _ => (Stream::Stdout, "GET /basket?item=17&colour=blue&size=large 200 in 12 ms"),
        };
        running.scaler.output().add(at + 1000 * line, "bw-shop-1-a", stream, text);
    }
    let driver = Driver::start();
    tokio::time::sleep(Duration::from_secs(12)).await;
    for (width, is_dark) in [(1600, false), (360, false), (1600, true), (360, true)] {
        let browser = driver.browser(width, is_dark).await;
        for (name, path) in PAGES.into_iter().chain([("logs-read", "/services/shop/logs")]) {
            if name == "logs-read" {
                logged_in(&running, &browser, "operator", path).await;
                until(&browser, "document.querySelectorAll('#log-lines > div').length === 60")
                    .await;
            }
            browser.goto(&running.url(path)).await.unwrap();
            if name != "missing" {
                until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
            }
            if name == "service" {
                until(&browser, "document.querySelectorAll('.uplot').length === 5").await;
            }
            if name == "experiment-going" {
                until(&browser, "document.querySelectorAll('.uplot').length === 5").await;
            }
            if name == "policy" {
                until(&browser, "document.querySelectorAll('.part .field').length === 6").await;
            }
            // As wide as there is room for: the least is a narrow window's.
            let charts =
                "[...document.querySelectorAll('.uplot')].every((it) => it.clientWidth > 250)";
            until(&browser, charts).await;
            axe::finds_nothing(&browser, name).await;
            // Nothing is wider than the window but what scrolls by itself.
            until(&browser, "document.documentElement.scrollWidth <= innerWidth").await;
            let theme = if is_dark { "dark" } else { "light" };
            let shot = browser.screenshot().await.unwrap();
            std::fs::write(picture(&format!("{name}-{width}-{theme}")), shot).unwrap();
            if name == "policy" {
                let form = browser.find(Locator::Id("settings")).await.unwrap();
                let shot = form.screenshot().await.unwrap();
                std::fs::write(picture(&format!("{name}-form-{width}-{theme}")), shot).unwrap();
            }
        }
        browser.close().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn what_others_wrote_is_text_and_what_changes_is_changed_in_place() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    browser.goto(&running.url("/services/shop")).await.unwrap();
    browser.execute("window.first = document.getElementById('bw-shop-1-a')", vec![]).await.unwrap();
    until(&browser, "document.querySelector('#events').textContent.includes('<img src=x')").await;
    until(&browser, "document.querySelectorAll('#main img').length === 0").await;
    until(&browser, "window.first === document.getElementById('bw-shop-1-a')").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn who_is_not_logged_in_changes_nothing_and_who_is_does_with_his_token() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    browser.goto(&running.url("/services/shop")).await.unwrap();
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
