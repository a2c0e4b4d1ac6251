//! Pages of others in the same browser.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use fantoccini::Locator;
use serde_json::{Value, json};

use super::driver::Driver;
use super::running::Running;

/// Another program's page, which frames one of the console.
async fn page_of_another(framed: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let html = format!(
        "<!doctype html><title>Another</title><iframe src={framed:?}></iframe><iframe src=/own></iframe>"
    );
    let routes = Router::new()
        .route("/", get(async move || Html(html)))
        .route("/own", get(async || Html("<h1>shop</h1>")));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    url
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_page_of_another_shows_nothing_of_the_console_in_a_frame_and_reads_and_changes_nothing() {
    let running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    let url = page_of_another(running.url("/services/shop")).await;
    browser.goto(&url).await.unwrap();
    for (frame, is_shown) in [("iframe", false), ("iframe:last-child", true)] {
        browser.find(Locator::Css(frame)).await.unwrap().enter_frame().await.unwrap();
        let shown = browser.source().await.unwrap();
        assert_eq!(shown.contains("<h1>shop</h1>"), is_shown, "{shown}");
        browser.enter_parent_frame().await.unwrap();
    }

    running.scaler.asked();
    let ask = "const [url, options, done] = arguments; fetch(url, options).then(async (it) => \
               done([it.type, it.status, await it.text()]), (error) => done(String(error)))";
    for path in ["/", "/services/shop", "/v1/services", "/v1/services/shop/series"] {
        let arguments = vec![json!(running.url(path)), json!({})];
        let told = browser.execute_async(ask, arguments).await.unwrap();
        assert_eq!(told, json!("TypeError: Failed to fetch"), "{path}");
        let arguments = vec![json!(running.url(path)), json!({ "mode": "no-cors" })];
        let told = browser.execute_async(ask, arguments).await.unwrap();
        assert_eq!(told, json!(["opaque", 0, ""]), "{path}");
    }
    let change = json!({ "method": "POST", "mode": "no-cors", "body": "{}" });
    for path in ["/v1/services/shop/instances", "/v1/login"] {
        browser.execute_async(ask, vec![json!(running.url(path)), change.clone()]).await.unwrap();
    }
    let asked = running.scaler.asked();
    assert!(asked.iter().all(|it| !it.line.starts_with("POST")), "{asked:?}");
    // Nor has it hold of a window in which it opens one.
    let opens = "const [url, done] = arguments; const opened = window.open(url); setTimeout(() => { \
                 try { done(opened.closed ? 'closed' : opened.document.body.innerText); } catch (error) { done(error.name); } }, 500)";
    let told: Value =
        browser.execute_async(opens, vec![json!(running.url("/services/shop"))]).await.unwrap();
    assert!(["closed", "SecurityError", ""].contains(&told.as_str().unwrap()), "{told}");
    browser.close().await.unwrap();
}
