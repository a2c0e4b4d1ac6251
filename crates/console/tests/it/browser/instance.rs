//! One instance, as a browser shows it.

use fantoccini::Locator;
use model::output::Stream;

use super::driver::{Driver, text_of, until};
use super::logs::logged_in;
use super::running::Running;
use crate::history::now;

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn an_instance_is_reached_from_its_table_drawn_followed_and_removed() {
    let running = Running::start().await;
    let written = running.scaler.output();
    written.add(now().as_millis(), "bw-shop-1-a", Stream::Stdout, "its own");
    written.add(now().as_millis(), "bw-shop-2-b", Stream::Stdout, "another's");
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    logged_in(&running, &browser, "operator", "/services/shop").await;
    browser.find(Locator::Css("#bw-shop-1-a a")).await.unwrap().click().await.unwrap();
    until(&browser, "document.querySelectorAll('.uplot').length === 4").await;
    until(&browser, &format!("{}.includes('its own')", text_of("#log-lines"))).await;
    until(&browser, &format!("!{}.includes(\"another's\")", text_of("#log-lines"))).await;
    until(&browser, &format!("{}.includes('MiB')", text_of("#instance"))).await;
    // What somebody opened stays open while the page follows what happens.
    browser.find(Locator::Css("summary")).await.unwrap().click().await.unwrap();
    browser
        .execute("window.before = document.querySelector('#instance').innerText", vec![])
        .await
        .unwrap();
    until(&browser, "document.querySelector('#instance').innerText !== window.before").await;
    until(&browser, "document.querySelector('details').open").await;
    browser.find(Locator::Css("#instance button")).await.unwrap().click().await.unwrap();
    browser.find(Locator::Css("#dialog button[value=yes]")).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{}.includes('done')", text_of("#said"))).await;
    let removed =
        |it: &crate::scaler::Asked| it.line == "DELETE /v1/services/shop/instances/bw-shop-1-a";
    assert_eq!(running.scaler.asked().iter().filter(|it| removed(it)).count(), 1);
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_page_of_an_instance_that_goes_says_so_and_offers_nothing_to_be_done_with_it() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(360, false).await;
    // It comes and goes with the load.
    browser.goto(&running.url("/services/shop/instances/bw-shop-9-gone")).await.unwrap();
    until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
    until(&browser, &format!("{}.includes('There is none of this name')", text_of("#instance")))
        .await;
    until(&browser, "document.querySelector('#instance button') === null").await;
    until(&browser, "document.querySelector('#log-login').checkVisibility()").await;
    browser.close().await.unwrap();
}
