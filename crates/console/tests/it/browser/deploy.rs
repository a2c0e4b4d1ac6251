//! A new application, deployed from the overview.

use axum::http::StatusCode;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use super::driver::{Driver, follows, has_token, picture, press, text_of, until};
use super::running::Running;
use super::versions::files;
use crate::pages_of_versions::{job, job_id};

const NONE: &str = "There is no service fresh here.";
const WRONG: &str = "#deploy-name-wrong";
const INPUT: &str = "#deploy-form input[name=service]";

/// A job that deploys the new application.
fn deploys(outcome: Option<(bool, &str)>) -> Value {
    let mut job = job(9, 0, outcome);
    job["service"] = json!("fresh");
    job
}

/// A system in which there is no such application, and a token to deploy.
async fn started() -> Running {
    let running = Running::start().await;
    let (scaler, id) = (&running.scaler, job_id(9));
    scaler.knows("deployer", &["read", "deploy"], None);
    scaler.refuses("GET /v1/services/fresh", StatusCode::NOT_FOUND, NONE);
    scaler.answers("POST /v1/services/fresh/deploys", deploys(None));
    scaler.answers(&format!("GET /v1/jobs/{id}"), deploys(None));
    scaler.answers(&format!("GET /v1/jobs/{id}/log?after=0"), json!("step one\n"));
    scaler.answers(&format!("GET /v1/jobs/{id}/log?after=9"), json!(""));
    running
}

/// The overview with the form open, as whoever has this token sees it.
async fn form(running: &Running, browser: &Client, token: Option<&str>) {
    if let Some(token) = token {
        has_token(browser, &running.url("/"), token).await;
    }
    follows(browser, &running.url("/")).await;
    press(browser, "#deploy summary").await;
    until(browser, "document.querySelector('#deploy-form').checkVisibility()").await;
}

/// Types a name in place of the one that is there.
async fn name(browser: &Client, name: &str) {
    let input = browser.find(Locator::Css(INPUT)).await.unwrap();
    input.clear().await.unwrap();
    input.send_keys(name).await.unwrap();
}

async fn choose(browser: &Client, file: &str) {
    let chooser = browser.find(Locator::Css("#deploy-form input[type=file]")).await.unwrap();
    chooser.send_keys(file).await.unwrap();
}

async fn says(browser: &Client, place: &str, text: &str) {
    until(browser, &format!("{}.includes({text:?})", text_of(place))).await;
}

/// What was asked of the scaler that changes something.
fn posted(running: &Running) -> Vec<String> {
    let asked = running.scaler.asked().into_iter().map(|it| it.line);
    asked.filter(|line| line.starts_with("POST")).collect()
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_new_application_is_deployed_and_its_job_leads_to_its_page() {
    let running = started().await;
    let folder = tempfile::tempdir().unwrap();
    let [gzip, ..] = files(folder.path());
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    form(&running, &browser, None).await;
    until(&browser, "!document.querySelector('#job-log').checkVisibility()").await;
    name(&browser, "fresh").await;
    choose(&browser, &gzip).await;
    press(&browser, "#deploy-form button").await;
    says(&browser, "#deploy-said", "log in").await;
    form(&running, &browser, Some("deployer")).await;
    name(&browser, "fresh").await;
    choose(&browser, &gzip).await;
    drop(posted(&running));
    press(&browser, "#deploy-form button").await;
    says(&browser, "#deploy-said", &format!("The job {} deploys it", job_id(9))).await;
    assert_eq!(posted(&running), ["POST /v1/services/fresh/deploys"]);
    says(&browser, "#job-log-text", "step one").await;
    says(&browser, "#job-log-said", "is under way").await;
    // What is typed and followed is left as it is by what the page is told meanwhile.
    let at = text_of("#service-shop");
    browser.execute(&format!("window.before = {at}"), vec![]).await.unwrap();
    until(&browser, &format!("{at} !== window.before")).await;
    until(&browser, &format!("document.querySelector({INPUT:?}).value === 'fresh'")).await;
    until(&browser, "document.querySelector('#job-log').checkVisibility()").await;
    let ended = deploys(Some((true, "00000001 serves")));
    running.scaler.answers(&format!("GET /v1/jobs/{}", job_id(9)), ended);
    says(&browser, "#job-log-said", "ended well: 00000001 serves.").await;
    let link = browser.find(Locator::Css("#job-log-said a")).await.unwrap();
    assert_eq!(link.attr("href").await.unwrap().as_deref(), Some("/services/fresh"));
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_name_that_is_wrong_or_taken_is_said_at_it_and_nothing_is_sent() {
    let running = started().await;
    let folder = tempfile::tempdir().unwrap();
    let [gzip, ..] = files(folder.path());
    let driver = Driver::start();
    for (width, is_dark) in [(1600, false), (360, true), (1600, true), (360, false)] {
        let browser = driver.browser(width, is_dark).await;
        form(&running, &browser, Some("deployer")).await;
        choose(&browser, &gzip).await;
        drop(posted(&running));
        for (text, told) in [
            ("", "“” is not a name"),
            ("Shop", "“Shop” is not a name: use 1 to 31 of a-z"),
            ("shop-", "is not a name"),
            ("<b>x</b>", "“<b>x</b>” is not a name"),
            ("shop", "There is a service shop already: its next version is deployed on"),
        ] {
            name(&browser, text).await;
            press(&browser, "#deploy-form button").await;
            says(&browser, WRONG, told).await;
            until(&browser, &format!("document.activeElement.matches({INPUT:?})")).await;
            until(&browser, "!document.querySelector('#deploy-form button').disabled").await;
        }
        let way = browser.find(Locator::Css("#deploy-name-wrong a")).await.unwrap();
        assert_eq!(way.attr("href").await.unwrap().as_deref(), Some("/services/shop/versions"));
        let is_invalid = format!("document.querySelector({INPUT:?}).ariaInvalid === 'true'");
        until(&browser, &is_invalid).await;
        until(&browser, "document.documentElement.scrollWidth <= innerWidth").await;
        super::axe::finds_nothing(&browser, "deploy").await;
        let theme = if is_dark { "dark" } else { "light" };
        let shot = browser.screenshot().await.unwrap();
        std::fs::write(picture(&format!("deploy-{width}-{theme}")), shot).unwrap();
        assert_eq!(posted(&running), Vec::<String>::new());
        // Another name takes that back.
        name(&browser, "fresh").await;
        until(&browser, &format!("{} === ''", text_of(WRONG))).await;
        browser.close().await.unwrap();
    }
}
