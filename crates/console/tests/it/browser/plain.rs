//! A browser that runs no scripts.

use fantoccini::Locator;

use super::driver::{Driver, picture};
use super::running::Running;
use super::{PAGES, experiments, policy};

/// What is on each page, of what there is to say.
const SAYS: [(&str, &str); 14] = [
    ("overview", "instances are ready"),
    ("service", "bw-shop-1-a"),
    ("why", "Why not another number?"),
    ("policy", "The policy"),
    ("host", "Memory"),
    ("versions", "sudo bellows deploy"),
    ("logs", "What instances write is told to those who are logged in"),
    ("instance", "bw-shop-1-a"),
    ("instance-gone", "bw-shop-9-zzz"),
    ("experiments", "What was tried"),
    ("experiment", "What the clients got"),
    ("experiment-going", "It has gone on for"),
    ("compared", "This one is better in"),
    ("missing", "There is no service nothing here"),
];

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn without_scripts_every_page_is_whole_and_has_no_button_that_does_nothing() {
    let running = Running::start().await;
    policy::tells(&running, &policy::threshold(30.0));
    experiments::tells(&running);
    let driver = Driver::start();
    let browser = driver.without_scripts().await;
    for (name, path) in PAGES {
        browser.goto(&running.url(path)).await.unwrap();
        let text = browser.find(Locator::Css("body")).await.unwrap().text().await.unwrap();
        let says = SAYS.iter().find(|(page, _)| *page == name);
        let (_, says) = says.unwrap_or_else(|| panic!("what {name} says is not in the list"));
        assert!(text.contains(says), "{name}: {text}");
        assert!(text.contains("As of ") && !text.contains("Live"), "{name}: {text}");
        for button in browser.find_all(Locator::Css("button")).await.unwrap() {
            let is_seen = button.is_displayed().await.unwrap();
            let asks =
                browser.find_all(Locator::Css("form[action] button:not([type])")).await.unwrap();
            let asks = asks.iter().any(|it| it.element_id() == button.element_id());
            assert!(!is_seen || asks, "{name}: {}", button.html(false).await.unwrap());
        }
        let shot = browser.screenshot().await.unwrap();
        std::fs::write(picture(&format!("{name}-without-scripts")), shot).unwrap();
    }
    // The one form that asks something does.
    browser.goto(&running.url("/services/shop/why")).await.unwrap();
    browser.find(Locator::Css("#why-not-form button")).await.unwrap().click().await.unwrap();
    let url = browser.current_url().await.unwrap();
    assert!(url.query().is_some_and(|query| query.starts_with("ready=")), "{url}");
    browser.close().await.unwrap();
}
