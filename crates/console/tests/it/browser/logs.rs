//! What instances wrote, as a browser shows it.

use fantoccini::{Client, Locator};
use model::output::Stream;

use super::driver::{Driver, text_of, until};
use super::running::Running;
use crate::history::now;

/// A page that somebody looks at who has this token.
pub(super) async fn logged_in(running: &Running, browser: &Client, token: &str, path: &str) {
    browser.goto(&running.url("/")).await.unwrap();
    let set = format!("sessionStorage.setItem('bellows-token', '{token}')");
    browser.execute(&set, vec![]).await.unwrap();
    browser.goto(&running.url(path)).await.unwrap();
}

/// How many lines are in sight.
fn shown(count: usize) -> String {
    format!("document.querySelectorAll('#log-lines > div:not([hidden])').length === {count}")
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn lines_are_followed_searched_and_paused_and_are_text_whatever_is_in_them() {
    let running = Running::start().await;
    let written = running.scaler.output();
    let at = now().as_millis();
    written.add(at, "bw-shop-1-a", Stream::Stdout, "GET /basket");
    written.add(
        at,
        "bw-shop-2-b",
        Stream::Stderr,
        "<img src=x onerror=document.title='run'> \u{1b}[31mred",
    );
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    browser.goto(&running.url("/services/shop/logs")).await.unwrap();
    until(&browser, "document.querySelector('#log-login').checkVisibility()").await;
    logged_in(&running, &browser, "operator", "/services/shop/logs").await;
    until(&browser, &shown(2)).await;
    until(&browser, "!document.querySelector('#log-login').checkVisibility()").await;
    until(&browser, &format!(r"{}.includes('\\u{{1b}}[31mred')", text_of("#log-lines"))).await;
    until(&browser, "document.querySelectorAll('#log-lines img').length === 0").await;
    // Several of one moment, each of which is shown once.
    for _ in 0..2 {
        written.add(at, "bw-shop-1-a", Stream::Stdout, "again");
    }
    until(&browser, &shown(4)).await;
    let search = browser.find(Locator::Css("#log-search")).await.unwrap();
    search.send_keys("BASKET").await.unwrap();
    until(&browser, &shown(1)).await;
    until(&browser, &format!("{}.includes('1 of 4 lines')", text_of("#log-said"))).await;
    written.add(at + 5, "bw-shop-1-a", Stream::Stdout, "another basket");
    until(&browser, &shown(2)).await;
    browser.find(Locator::Css("#log-pause")).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{}.includes('Paused')", text_of("#log-said"))).await;
    written.add(at + 6, "bw-shop-3-gone", Stream::Stdout, "basket while it rested");
    running.scaler.asked();
    // A page that follows would have asked by now: another one, opened behind this, has.
    let other = driver.browser(360, false).await;
    logged_in(&running, &other, "operator", "/services/shop/logs").await;
    until(&other, &shown(6)).await;
    until(&browser, &shown(2)).await;
    browser.find(Locator::Css("#log-pause")).await.unwrap().click().await.unwrap();
    until(&browser, &shown(3)).await;
    // One that is gone wrote, and can be chosen.
    browser
        .find(Locator::Css("#log-instance option[value=bw-shop-3-gone]"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    until(&browser, &shown(1)).await;
    until(&browser, &format!("{}.includes('all that is kept')", text_of("#log-said"))).await;
    other.close().await.unwrap();
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn of_a_log_of_a_million_lines_a_page_has_some_thousand_and_says_what_it_leaves_out() {
    let running = Running::start().await;
    let written = running.scaler.output();
    let at = now().as_millis() - 1_000_000;
    for line in 0..1_000_000 {
        written.add(at + line, "bw-shop-1-a", Stream::Stdout, &format!("line {line}"));
    }
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    logged_in(&running, &browser, "operator", "/services/shop/logs").await;
    until(&browser, &shown(500)).await;
    let earlier = browser.find(Locator::Css("#log-earlier")).await.unwrap();
    for count in [2_000, 3_500, 5_000] {
        earlier.click().await.unwrap();
        until(&browser, &shown(count)).await;
    }
    until(&browser, "document.querySelector('#log-earlier').disabled").await;
    until(&browser, &format!("{}.includes('A page holds 5000 at most')", text_of("#log-said")))
        .await;
    until(&browser, &format!("{}.includes('line 999999')", text_of("#log-lines > div:last-child")))
        .await;
    // More than a look tells.
    for line in 1_000_000..1_020_000 {
        written.add(at + line, "bw-shop-1-a", Stream::Stdout, &format!("line {line}"));
    }
    until(
        &browser,
        &format!("{}.includes('some lines before these are left out')", text_of("#log-said")),
    )
    .await;
    until(
        &browser,
        &format!("{}.includes('line 1019999')", text_of("#log-lines > div:last-child")),
    )
    .await;
    until(&browser, &shown(5_000)).await;
    // The page goes on to answer: a search through all of them is done within a second.
    let search = browser.find(Locator::Css("#log-search")).await.unwrap();
    search.send_keys("line 1019990").await.unwrap();
    let took = until(&browser, &shown(1)).await;
    assert!(took.as_secs() < 1, "{took:?}");
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_token_with_too_few_rights_is_told_so_where_the_lines_would_be() {
    let running = Running::start().await;
    running.scaler.knows("clerk", &["operate"], None);
    let driver = Driver::start();
    let browser = driver.browser(360, false).await;
    logged_in(&running, &browser, "clerk", "/services/shop/logs").await;
    until(&browser, &format!("{}.includes('too_few_rights')", text_of("#log-said"))).await;
    browser.close().await.unwrap();
}

/// How often a page has asked for lines.
const ASKED: &str =
    "performance.getEntriesByType('resource').filter((it) => it.name.includes('/output')).length";

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn once_the_login_has_ended_no_line_is_on_the_page_and_none_is_asked_for() {
    let running = Running::start().await;
    running.scaler.knows("browser", &["all"], None);
    let written = running.scaler.output();
    let at = now().as_millis();
    written.add(at, "bw-shop-1-a", Stream::Stdout, "GET /basket");
    let driver = Driver::start();
    let [ended, other] = [driver.browser(1600, false).await, driver.browser(360, false).await];
    logged_in(&running, &ended, "browser", "/services/shop/logs").await;
    logged_in(&running, &other, "operator", "/services/shop/logs").await;
    until(&ended, &shown(1)).await;
    until(&other, &shown(1)).await;
    running.scaler.revokes("browser");
    until(&ended, &format!("{}.includes('You are not logged in any more.')", text_of("#said")))
        .await;
    until(&ended, &shown(0)).await;
    until(&ended, "!document.body.innerHTML.includes('/basket')").await;
    until(&ended, "document.querySelector('#log-login').checkVisibility()").await;
    until(&ended, "!document.querySelector('#log-shown').checkVisibility()").await;
    ended.execute(&format!("window.asked = {ASKED}"), vec![]).await.unwrap();
    // Meanwhile one that is still logged in asks again and again.
    for line in 1..=4 {
        written.add(at + line, "bw-shop-1-a", Stream::Stdout, "GET /basket");
        until(&other, &shown(1 + usize::try_from(line).unwrap())).await;
    }
    until(&ended, &format!("{ASKED} === window.asked")).await;
    until(&ended, &shown(0)).await;
    for browser in [ended, other] {
        browser.close().await.unwrap();
    }
}
