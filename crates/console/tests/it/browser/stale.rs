//! Pages that act on what is gone.

use axum::http::StatusCode;
use fantoccini::{Client, Locator};
use model::feed::FeedLine;

use super::charts::shown;
use super::driver::{Driver, follows, has_token, press, text_of, until};
use super::running::Running;

const GONE: &str = "There is no instance bw-shop-1-a of shop any more.";
const NO_BUTTONS: &str =
    "[...document.querySelectorAll('#main button')].every((it) => it.offsetParent === null)";

fn is_of_shop(line: &FeedLine) -> bool {
    match line {
        FeedLine::Tick(tick) => tick.service.as_str() == "shop",
        FeedLine::Service(feed) => feed.status.name.as_str() == "shop",
        _ => false,
    }
}

/// Waits until what is seen of the page has this text.
async fn is_seen(browser: &Client, text: &str) {
    until(browser, &format!("document.querySelector('#main').innerText.includes({text:?})")).await;
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn to_remove_an_instance_that_went_meanwhile_is_told_in_the_words_of_the_scaler() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    has_token(&browser, &running.url("/"), "operator").await;
    follows(&browser, &running.url("/services/shop")).await;
    press(&browser, "#bw-shop-1-a button").await;
    until(&browser, "document.querySelector('dialog').open").await;
    running.tells(|line| {
        if let FeedLine::Service(feed) = line {
            feed.status.instances.retain(|it| it.name.as_str() != "bw-shop-1-a");
        }
        true
    });
    until(&browser, "document.querySelector('#bw-shop-1-a') === null").await;
    let line = "DELETE /v1/services/shop/instances/bw-shop-1-a";
    running.scaler.refuses(line, StatusCode::NOT_FOUND, GONE);
    browser.find(Locator::Css("dialog button[value=yes]")).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{} === 'Not done. {GONE}'", text_of("#said"))).await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn the_page_of_a_service_that_was_removed_says_so_without_buttons_until_it_is_there_again() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    let list = driver.browser(1600, false).await;
    shown(&browser, &running).await;
    follows(&list, &running.url("/")).await;
    running.tells(|line| !is_of_shop(line));
    is_seen(&browser, "There is no service shop here").await;
    until(&browser, NO_BUTTONS).await;
    until(&browser, "!document.querySelector('#main').innerText.includes('bw-shop-1-a')").await;
    until(&list, "document.querySelector('#service-shop') === null").await;
    running.tells(|_| true);
    is_seen(&browser, "bw-shop-1-a").await;
    until(&browser, "!document.querySelector('#main').innerText.includes('There is no service')")
        .await;
    // The same charts go on, with a hole.
    until(
        &browser,
        "charts.length === 5 && document.querySelector('.uplot').offsetParent !== null",
    )
    .await;
    until(&browser, "charts[0].data[1].includes(null) && charts[0].data[1].at(-1) !== null").await;
    for browser in [browser, list] {
        browser.close().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn while_the_scaler_is_away_an_open_page_has_nothing_of_before_and_says_of_nothing_that_it_is_gone()
 {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    shown(&browser, &running).await;
    running.scaler.end();
    is_seen(&browser, "The scaler does not tell what it does.").await;
    until(&browser, "!document.querySelector('#main').innerText.includes('bw-shop-1-a')").await;
    until(&browser, NO_BUTTONS).await;
    until(&browser, "!document.querySelector('#main').innerText.includes('There is no service')")
        .await;
    browser.close().await.unwrap();
}
