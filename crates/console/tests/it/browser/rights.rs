//! Whoever has too few rights, or a token for another service.

use axum::http::StatusCode;
use fantoccini::Locator;

use super::driver::{Driver, follows, has_token, press, text_of, until};
use super::policy;
use super::running::Running;

const REFUSED: &str = "The token `reader` may read, and nothing else: <b>ask</b> an operator.";
/// What is said is in the window, wherever the page is scrolled to.
const IS_SEEN: &str = "(({ top, bottom }) => top >= 0 && bottom <= innerHeight)(document.querySelector('#said').getBoundingClientRect())";

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_token_with_too_few_rights_is_told_so_where_it_is_and_nothing_is_changed() {
    let running = Running::start().await;
    running.scaler.knows("reader", &["read"], None);
    let driver = Driver::start();
    let browser = driver.browser(360, false).await;
    has_token(&browser, &running.url("/"), "reader").await;
    follows(&browser, &running.url("/services/shop")).await;
    let said = format!("{} === {:?}", text_of("#said"), format!("Not done. {REFUSED}"));
    let controls = "document.querySelector('#controls').innerHTML";
    browser.execute(&format!("window.before = {controls}"), vec![]).await.unwrap();
    let more = "/v1/services/shop/instances";
    running.scaler.refuses(&format!("POST {more}"), StatusCode::FORBIDDEN, REFUSED);
    press(&browser, "#controls button[data-method=POST]").await;
    until(&browser, &said).await;
    until(&browser, IS_SEEN).await;
    until(&browser, &format!("{controls} === window.before")).await;

    running.scaler.refuses(&format!("DELETE {more}/bw-shop-1-a"), StatusCode::FORBIDDEN, REFUSED);
    browser.execute("document.querySelector('#said').textContent = ''", vec![]).await.unwrap();
    press(&browser, "#bw-shop-1-a button").await;
    browser.find(Locator::Css("dialog button[value=yes]")).await.unwrap().click().await.unwrap();
    until(&browser, &said).await;
    until(&browser, IS_SEEN).await;
    until(&browser, "document.querySelector('#bw-shop-1-a button:not(:disabled)') !== null").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_policy_that_may_not_be_set_is_refused_above_its_form_in_which_all_stays() {
    let running = Running::start().await;
    running.scaler.knows("reader", &["read"], None);
    policy::tells(&running, &policy::threshold(30.0));
    running.scaler.refuses("PUT /v1/services/shop/policy", StatusCode::FORBIDDEN, REFUSED);
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    has_token(&browser, &running.url("/"), "reader").await;
    follows(&browser, &running.url("/services/shop/policy")).await;
    let field = ".part .field[data-key=lower_percent] input";
    until(&browser, &format!("document.querySelector('{field}') !== null")).await;
    policy::write(&browser, field, "20").await;
    press(&browser, "#set-policy button:not([type])").await;
    until(&browser, &format!("{} === {REFUSED:?}", text_of("#set-policy .problem"))).await;
    until(&browser, &format!("document.querySelector('{field}').value === '20'")).await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_token_for_another_service_sees_nothing_of_this_one() {
    let running = Running::start().await;
    running.scaler.knows("market", &["all"], Some(&["market"]));
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    has_token(&browser, &running.url("/"), "market").await;
    follows(&browser, &running.url("/services/shop")).await;
    until(
        &browser,
        "document.querySelector('#main').innerText.includes('There is no service shop here')",
    )
    .await;
    until(&browser, "!document.querySelector('#main').innerText.includes('bw-shop-1-a')").await;
    until(
        &browser,
        "[...document.querySelectorAll('#main button')].every((it) => it.offsetParent === null)",
    )
    .await;
    browser.close().await.unwrap();
}
