//! A browser that lets pages keep nothing, as one in which cookies are blocked.

use super::driver::{Driver, follows, press, text_of, until};
use super::running::Running;

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn without_storage_pages_read_and_follow_and_say_what_logging_in_needs() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.without_storage().await;
    follows(&browser, &running.url("/services/shop")).await;
    until(&browser, "(() => { try { return !sessionStorage; } catch { return true; } })()").await;
    until(&browser, "document.querySelectorAll('.uplot').length === 5").await;
    let at = "document.querySelector('#figures').textContent";
    browser.execute(&format!("window.before = {at}"), vec![]).await.unwrap();
    until(&browser, &format!("{at} !== window.before")).await;
    until(&browser, &format!("{}.includes('needs storage')", text_of("#session"))).await;
    press(&browser, "#controls button[data-method=POST]").await;
    until(&browser, &format!("{}.includes('needs storage')", text_of("#said"))).await;
    // A link is not used up where nobody could be logged in by it.
    running.scaler.asked();
    follows(&browser, &running.url("/#code=good")).await;
    until(&browser, &format!("{}.startsWith('Not logged in.')", text_of("#said"))).await;
    until(&browser, "location.hash === ''").await;
    assert!(running.scaler.asked().iter().all(|it| !it.line.starts_with("POST")));
    // What is opened or closed is so, and not kept.
    until(&browser, "document.querySelector('#help').open").await;
    press(&browser, "#help summary").await;
    until(&browser, "!document.querySelector('#help').open").await;
    browser.close().await.unwrap();
}
