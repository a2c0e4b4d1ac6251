//! Policy and bounds in a browser: checked as one types, set, changed by another meanwhile, given back, and tried.

use axum::http::StatusCode;
use fantoccini::{Client, Locator};
use model::policies::PolicySpec;
use serde_json::{Value, json};

use super::driver::{Driver, has_token, picture, press, text_of, until};
use super::running::Running;
use crate::scaler::{Asked, tag};

const POLICY: &str = "/v1/services/shop/policy";
const BOUNDS: &str = "/v1/services/shop/bounds";

pub(super) fn threshold(lower: f64) -> Value {
    json!({
        "kind": "threshold", "measure": "cpu", "upper_percent": 70.0, "lower_percent": lower,
        "window_ms": 60_000, "cooldown_ms": 60_000,
    })
}

fn in_force(policy: &Value, set: Option<&Value>) -> Value {
    json!({ "in_force": policy, "set": set })
}

fn policies(json: &[u8]) -> PolicySpec {
    serde_json::from_slice(json).unwrap()
}

/// Has the scaler tell that this policy is in force, as its file says.
pub(super) fn tells(running: &Running, policy: &Value) {
    running.scaler.answers(&format!("GET {POLICY}"), in_force(policy, None));
    let bounds = in_force(&json!({ "min": 1, "max": 10 }), None);
    running.scaler.answers(&format!("GET {BOUNDS}"), bounds);
}

/// A browser of somebody who is logged in, with the form filled from this policy.
async fn opened(running: &Running, driver: &Driver, policy: &Value) -> Client {
    tells(running, policy);
    let browser = driver.browser(1600, false).await;
    has_token(&browser, &running.url("/"), "operator").await;
    browser.goto(&running.url("/services/shop/policy")).await.unwrap();
    until(&browser, "document.querySelector('.part') !== null").await;
    browser
}

fn input(key: &str) -> String {
    format!(".part .field[data-key={key}] input")
}

/// Types in the place of what is there.
pub(super) async fn write(browser: &Client, selector: &str, text: &str) {
    let field = browser.find(Locator::Css(selector)).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(text).await.unwrap();
}

/// What was asked by this method.
fn asked(running: &Running, line: &str) -> Vec<Asked> {
    running.scaler.asked().into_iter().filter(|it| it.line == line).collect()
}

fn wrong(key: &str) -> String {
    text_of(&format!(".part .field[data-key={key}] > .wrong"))
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_shrink_threshold_above_the_grow_threshold_is_refused_by_its_field_as_one_types() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = opened(&running, &driver, &threshold(30.0)).await;
    write(&browser, &input("lower_percent"), "80").await;
    let told = format!(
        "{}.startsWith('lower_percent is 80, not below upper_percent, 70')",
        wrong("lower_percent")
    );
    until(&browser, &told).await;
    for key in ["lower_percent", "upper_percent"] {
        until(
            &browser,
            &format!("document.querySelector('{}').ariaInvalid === 'true'", input(key)),
        )
        .await;
    }
    // Whoever hears the field hears what is wrong with it.
    let described = format!(
        "document.querySelector('{}').getAttribute('aria-describedby').split(' ').map((id) => \
         document.getElementById(id).textContent).join(' ').includes('not below')",
        input("lower_percent")
    );
    until(&browser, &described).await;
    let shot = browser.screenshot().await.unwrap();
    std::fs::write(picture("policy-refused"), shot).unwrap();
    write(&browser, &input("lower_percent"), "1.5").await;
    until(&browser, "document.querySelector('.part [aria-invalid]') === null").await;
    write(&browser, &input("window_ms"), "1.5").await;
    until(&browser, &format!("{}.startsWith('window_ms: invalid type')", wrong("window_ms"))).await;
    write(&browser, "#set-bounds .field[data-key=min] input", "11").await;
    let above = text_of("#set-bounds .field[data-key=min] > .wrong");
    until(&browser, &format!("{above}.startsWith('bounds.min is 11, above bounds.max, 10')")).await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn what_is_set_is_set_over_what_the_form_was_filled_from_and_given_back_to_the_file() {
    let running = Running::start().await;
    let driver = Driver::start();
    let before = threshold(30.0);
    let browser = opened(&running, &driver, &before).await;
    write(&browser, &input("lower_percent"), "20").await;
    running.scaler.answers(&format!("PUT {POLICY}"), json!({}));
    let set = threshold(20.0);
    running.scaler.answers(&format!("GET {POLICY}"), in_force(&set, Some(&set)));
    press(&browser, "#set-policy button:not([type])").await;
    until(&browser, &format!("{}.includes('in effect at the next turn')", text_of("#said"))).await;
    let put = asked(&running, &format!("PUT {POLICY}")).remove(0);
    assert_eq!(policies(&put.body), policies(set.to_string().as_bytes()));
    assert_eq!(put.headers["if-match"], tag(&in_force(&before, None)));
    assert_eq!(put.headers["authorization"], "Bearer operator");

    running.scaler.answers(&format!("DELETE {POLICY}"), json!({}));
    running.scaler.answers(&format!("GET {POLICY}"), in_force(&before, None));
    press(&browser, "#set-policy [data-do=clear]").await;
    until(&browser, &format!("{}.includes('as its file says')", text_of("#said"))).await;
    until(
        &browser,
        &format!("document.querySelector('{}').value === '30'", input("lower_percent")),
    )
    .await;
    until(&browser, "document.querySelector('#set-policy [data-do=clear]').hidden").await;
    let delete = asked(&running, &format!("DELETE {POLICY}")).remove(0);
    assert_eq!(delete.headers["if-match"], tag(&in_force(&set, Some(&set))));
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn of_two_operators_the_later_is_told_what_was_changed_and_keeps_what_was_typed() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = opened(&running, &driver, &threshold(30.0)).await;
    write(&browser, &input("upper_percent"), "90").await;
    let others = in_force(&threshold(25.0), Some(&threshold(25.0)));
    let message = "<img src=x onerror=alert(1)> changed it last.";
    running.scaler.refuses(&format!("PUT {POLICY}"), StatusCode::PRECONDITION_FAILED, message);
    running.scaler.answers(&format!("GET {POLICY}"), others.clone());
    press(&browser, "#set-policy button:not([type])").await;
    let told = text_of("#set-policy .problem");
    until(&browser, &format!("{told}.includes('lower_percent: 30, now 25')")).await;
    until(&browser, &format!("{told}.includes('<img src=x')")).await;
    until(&browser, "document.querySelectorAll('#main img').length === 0").await;
    until(&browser, "document.activeElement.textContent.startsWith('Keep what I typed')").await;
    press(&browser, "#set-policy .problem button").await;
    until(
        &browser,
        &format!("document.querySelector('{}').value === '90'", input("upper_percent")),
    )
    .await;
    running.scaler.answers(&format!("PUT {POLICY}"), json!({}));
    running.scaler.asked();
    press(&browser, "#set-policy button:not([type])").await;
    until(&browser, &format!("{}.includes('in effect')", text_of("#said"))).await;
    let put = asked(&running, &format!("PUT {POLICY}")).remove(0);
    assert_eq!(put.headers["if-match"], tag(&others));
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn several_policies_are_kept_joined_taken_out_and_told_apart_in_what_is_wrong() {
    let running = Running::start().await;
    let driver = Driver::start();
    let schedule = json!({
        "kind": "schedule", "time_zone": "UTC",
        "entries": [{ "days": ["mon"], "from": "08:00", "to": "17:00", "min": 2, "max": 8 }],
    });
    let both = json!([threshold(30.0), schedule]);
    let browser = opened(&running, &driver, &both).await;
    running.scaler.answers(&format!("PUT {POLICY}"), json!({}));
    until(&browser, "document.querySelectorAll('.part').length === 2").await;
    press(&browser, "#set-policy button:not([type])").await;
    until(&browser, &format!("{}.includes('in effect')", text_of("#said"))).await;
    let put = asked(&running, &format!("PUT {POLICY}")).remove(0);
    assert_eq!(policies(&put.body), policies(both.to_string().as_bytes()));

    let from = ".part:nth-child(2) .rows .field[data-key=from]";
    write(&browser, &format!("{from} input"), "8:00").await;
    let told = text_of(&format!("{from} > .wrong"));
    until(&browser, &format!("{told}.startsWith('policy[1].entries[0].from is 8:00')")).await;
    press(&browser, ".part:first-child > [data-do=remove]").await;
    let from = ".part .rows .field[data-key=from]";
    let told = text_of(&format!("{from} > .wrong"));
    until(&browser, &format!("{told}.startsWith('entries[0].from is 8:00')")).await;
    press(&browser, ".rows li > [data-do=remove]").await;
    until(&browser, "document.querySelector('.part [aria-invalid]') === null").await;
    until(&browser, "document.activeElement.dataset.do === 'add-row'").await;
    press(&browser, "#set-policy [data-do=add]").await;
    until(&browser, "document.activeElement.closest('.part:nth-child(2)') !== null").await;
    until(
        &browser,
        "document.activeElement.closest('label').textContent.startsWith('Kind of policy 2 of 2')",
    )
    .await;
    // As somebody does at a keyboard: a click of the driver on an option tells the page nothing.
    let kind = browser.find(Locator::Css(".part:nth-child(2) select")).await.unwrap();
    kind.send_keys("steps").await.unwrap();
    until(&browser, "document.querySelectorAll('.part:nth-child(2) .rows li').length === 5").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_preview_is_drawn_over_what_ran_and_told_in_words_and_as_a_table() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser =
        opened(&running, &driver, &json!({ "kind": "target_tracking", "target_percent": 80 }))
            .await;
    let seconds = "(fetch('/v1/services/shop/series?step=1s').then((it) => it.json()).then((it) => { \
                   window.seconds = it.points.length }), window.seconds > 8)";
    until(&browser, seconds).await;
    press(&browser, "[data-query='minutes=10']").await;
    let told = text_of("#preview .told");
    until(
        &browser,
        &format!(
            "{told}.includes('With the load of the last 10 minutes this policy would have run')"
        ),
    )
    .await;
    until(&browser, "document.querySelectorAll('#preview .uplot').length === 2").await;
    until(&browser, "document.querySelectorAll('#preview tr').length > 5").await;
    until(&browser, &format!("{told}.includes('not in it')")).await;
    press(&browser, "#preview summary").await;
    let shot = browser.find(Locator::Css("#preview")).await.unwrap().screenshot().await.unwrap();
    std::fs::write(picture("policy-preview"), shot).unwrap();
    write(&browser, &input("target_percent"), "40").await;
    until(&browser, &format!("{told}.startsWith('The form was changed since')")).await;
    write(&browser, &input("target_percent"), "140").await;
    press(&browser, "[data-query='minutes=10']").await;
    until(&browser, &format!("{told}.startsWith('No preview. target_percent is 140')")).await;
    until(&browser, "document.querySelectorAll('#preview .uplot').length === 0").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn who_is_not_logged_in_sets_no_policy() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = opened(&running, &driver, &threshold(30.0)).await;
    browser.execute("sessionStorage.clear()", vec![]).await.unwrap();
    running.scaler.asked();
    press(&browser, "#set-policy button:not([type])").await;
    until(&browser, &format!("{}.includes('log in')", text_of("#said"))).await;
    assert!(asked(&running, &format!("PUT {POLICY}")).is_empty());
    browser.close().await.unwrap();
}
