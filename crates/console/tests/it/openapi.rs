//! The description of the API, and the page to try it.

use serde_json::Value;

use crate::scaler::{Console, FakeScaler, folder};

#[tokio::test]
async fn the_description_is_served_and_the_page_takes_all_that_it_needs_from_here() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    let (status, document) = console.get("/v1/openapi.json").await;
    assert_eq!((status, document["openapi"].as_str()), (200, Some("3.1.0")));
    let page = console.ask("/v1/docs", &[]).await;
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/v1/docs/"));
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains('*'), "{policy}");
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let page = page.text().await.unwrap();
    let quoted = page.split('"').skip(1).step_by(2);
    let files: Vec<_> = quoted.filter(|it| it.ends_with(".js") || it.ends_with(".css")).collect();
    assert!(files.len() > 3 && !page.contains("://"), "{page}");
    for file in files {
        let path = format!("/v1/docs/{}", file.trim_start_matches("./"));
        let answer = console.ask(&path, &[]).await;
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        if file.ends_with("initializer.js") {
            let text = answer.text().await.unwrap();
            assert!(text.contains("/v1/openapi.json") && !text.contains("://"), "{text}");
        }
    }
    for (path, status) in [("/v1/docs/nothing.js", 404), ("/v1/openapi.json?x=1", 400)] {
        let answer = console.ask(path, &[]).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert!(answer.json::<Value>().await.unwrap()["code"].is_string());
    }
}
