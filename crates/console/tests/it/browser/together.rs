//! Two operators at once.

use axum::http::StatusCode;
use model::feed::FeedLine;
use model::hold::Hold;
use model::time::Timestamp;

use super::driver::{Driver, follows, has_token, press, text_of, until};
use super::running::Running;
use crate::history::now;

const HELD: &str =
    "document.querySelector('#summary').innerText.includes('An operator holds it at 4 until')";
const GIVE_BACK: &str = "#controls [data-path$='/hold']";

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn what_one_operator_changes_is_on_the_page_of_the_other_who_is_told_if_he_comes_too_late() {
    let running = Running::start().await;
    let driver = Driver::start();
    let [one, other] = [driver.browser(1600, false).await, driver.browser(1600, false).await];
    for browser in [&one, &other] {
        has_token(browser, &running.url("/"), "operator").await;
        follows(browser, &running.url("/services/shop")).await;
        until(browser, &format!("!{HELD}")).await;
    }
    press(&one, "#controls button[data-method=POST]").await;
    until(&one, &format!("{}.endsWith(': done.')", text_of("#said"))).await;
    let since = now();
    let hold =
        Hold { ready: 4, since, until: Timestamp::from_millis(since.as_millis() + 3_600_000) };
    running.tells(move |line| {
        if let FeedLine::Service(feed) = line {
            feed.status.hold = Some(hold);
        }
        true
    });
    for browser in [&one, &other] {
        until(browser, HELD).await;
        until(browser, &format!("document.querySelector(\"{GIVE_BACK}\") !== null")).await;
    }
    // Both give it back; the second one finds nothing to give.
    press(&one, GIVE_BACK).await;
    until(&one, &format!("{}.endsWith(': done.')", text_of("#said"))).await;
    let message = "Nothing is held of shop: somebody gave it back.";
    running.scaler.refuses("DELETE /v1/services/shop/hold", StatusCode::CONFLICT, message);
    press(&other, GIVE_BACK).await;
    until(&other, &format!("{} === 'Not done. {message}'", text_of("#said"))).await;
    running.tells(|_| true);
    for browser in [&one, &other] {
        until(browser, &format!("document.querySelector(\"{GIVE_BACK}\") === null")).await;
        until(browser, &format!("!{HELD}")).await;
    }
    for browser in [one, other] {
        browser.close().await.unwrap();
    }
}
