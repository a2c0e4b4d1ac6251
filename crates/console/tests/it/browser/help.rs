//! What a page says to who is there for the first time.

use fantoccini::Client;

use super::driver::{Driver, follows, press, until};
use super::running::Running;

const IS_OPEN: &str = "document.querySelector('#help').open";

/// Waits until the page is told something new.
async fn goes_on(browser: &Client) {
    let services = "document.querySelector('#services').innerText";
    browser.execute(&format!("window.before = {services}"), vec![]).await.unwrap();
    until(browser, &format!("{services} !== window.before")).await;
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_first_visit_is_told_what_this_is_until_it_is_closed_once() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    follows(&browser, &running.url("/")).await;
    until(&browser, IS_OPEN).await;
    for next in
        ["The page of a service", "\u{201c}Why\u{201d}", "sudo bellows open", "sudo bellows deploy"]
    {
        until(&browser, &format!("document.querySelector('#help').innerText.includes({next:?})"))
            .await;
    }
    press(&browser, "#help summary").await;
    until(&browser, "localStorage.getItem('bellows-help') === 'closed'").await;
    // It stays so as the page goes on, and at the next visit.
    goes_on(&browser).await;
    until(&browser, &format!("!{IS_OPEN}")).await;
    follows(&browser, &running.url("/")).await;
    goes_on(&browser).await;
    let is_open = browser.execute(&format!("return {IS_OPEN}"), vec![]).await.unwrap();
    assert_eq!(is_open, false);
    press(&browser, "#help summary").await;
    until(&browser, IS_OPEN).await;
    browser.close().await.unwrap();
}
