//! What cannot be taken back asks for a name to be typed, and says what came of it.

use fantoccini::{Client, Locator};
use serde_json::json;

use super::driver::{Driver, text_of, until};
use super::running::Running;

async fn opened(running: &Running, driver: &Driver, path: &str) -> Client {
    let browser = driver.browser(1600, false).await;
    browser.goto(&running.url(path)).await.unwrap();
    browser.execute("sessionStorage.setItem('bellows-token', 'operator')", vec![]).await.unwrap();
    browser.refresh().await.unwrap();
    until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
    browser
}

/// Clicks what cannot be taken back, types a word, and agrees.
async fn agree(browser: &Client, word: &str) {
    browser.find(Locator::Css("button.danger")).await.unwrap().click().await.unwrap();
    let input = browser.find(Locator::Css("#dialog input")).await.unwrap();
    input.send_keys(word).await.unwrap();
    browser.find(Locator::Css("#dialog button[value=yes]")).await.unwrap().click().await.unwrap();
}

fn posted(running: &Running, line: &str) -> Vec<String> {
    let asked = running.scaler.asked();
    let own = asked.iter().filter(|it| it.line == format!("POST {line}"));
    own.map(|it| String::from_utf8(it.body.to_vec()).unwrap()).collect()
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn stopping_everything_wants_the_name_of_the_host_and_says_what_it_means() {
    let running = Running::start().await;
    running
        .scaler
        .answers("POST /v1/stop", json!({ "job": {}, "message": "Everything is taken down." }));
    let driver = Driver::start();
    let browser = opened(&running, &driver, "/host").await;
    agree(&browser, "another").await;
    until(&browser, "document.getElementById('dialog').open").await;
    until(&browser, "document.querySelector('#dialog input').matches(':invalid')").await;
    assert_eq!(posted(&running, "/v1/stop"), [""; 0]);
    browser.find(Locator::Css("#dialog button:not([value])")).await.unwrap().click().await.unwrap();
    until(&browser, "!document.getElementById('dialog').open").await;
    agree(&browser, "box").await;
    until(&browser, &format!("{}.includes('Everything is taken down.')", text_of("#said"))).await;
    assert_eq!(posted(&running, "/v1/stop"), [r#"{"confirm":"stop everything"}"#]);
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn an_action_that_the_service_refuses_is_not_told_as_done() {
    let running = Running::start().await;
    let line = "/v1/services/shop/actions/delete-all";
    let driver = Driver::start();
    let browser = opened(&running, &driver, "/services/shop").await;
    running.scaler.answers(&format!("POST {line}"), json!({ "status": 507, "body": "full" }));
    agree(&browser, "shop").await;
    until(
        &browser,
        &format!("{}.includes('not done, the service answered 507')", text_of("#said")),
    )
    .await;
    running.scaler.answers(&format!("POST {line}"), json!({ "status": 204, "body": "" }));
    agree(&browser, "shop").await;
    until(&browser, &format!("{}.includes(': done, the service answered 204')", text_of("#said")))
        .await;
    assert_eq!(posted(&running, line), [r#"{"confirm":"shop"}"#, r#"{"confirm":"shop"}"#]);
    browser.close().await.unwrap();
}
