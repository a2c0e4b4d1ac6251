//! What keeps people from using a page, as axe finds it: names that a reader cannot tell, contrast that is too low, ...

use std::path::PathBuf;

use fantoccini::Client;
use serde_json::{Value, json};

use super::driver::target;

/// Where axe was installed.
fn script() -> PathBuf {
    let lib = target().join("axe/lib");
    let found = std::fs::read_dir(&lib).into_iter().flatten().filter_map(Result::ok);
    let script = |python: std::fs::DirEntry| {
        python.path().join("site-packages/axe_playwright_python/axe.min.js")
    };
    let found = found.map(script).find(|path| path.is_file());
    found.expect("axe is there: `scripts/python-packages axe` installs it")
}

/// Holds the page that is shown to the rules of WCAG 2.2, levels A and AA, and to what else is known to work.
pub(super) async fn finds_nothing(browser: &Client, page: &str) {
    let axe = std::fs::read_to_string(script()).unwrap();
    // The policy of a page is for what stands in it, and lets a driver run what it brings.
    browser.execute(&axe, vec![]).await.unwrap();
    let run = "const [done] = arguments; axe.run().then(({ violations, passes }) => done({ passes: passes.length, found: \
               violations.map((it) => [it.id, it.help, it.nodes.map((node) => node.html)]) }))";
    let told = browser.execute_async(run, vec![]).await.unwrap();
    assert!(told["passes"].as_u64() > Some(10), "{page}: {told}");
    assert_eq!(told["found"], json!([] as [Value; 0]), "{page}: {told:#}");
}
