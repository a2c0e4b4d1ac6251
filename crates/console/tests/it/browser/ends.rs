//! What a test that fails leaves behind: nothing that runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::driver::Driver;

/// The processes of a namespace, by their folders.
fn processes(namespace: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let own = |path: &PathBuf| path.join("ns/pid").read_link().is_ok_and(|it| it == namespace);
    all.filter(own).filter(|path| runs(path)).collect()
}

/// One that has ended has no program, though nobody may have asked how it ended.
fn runs(process: &Path) -> bool {
    process.join("exe").read_link().is_ok()
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_browser_that_nobody_closes_ends_with_its_driver() {
    let driver = Driver::start();
    let _browser = driver.browser(1600, false).await;
    let namespace = format!("/proc/{}/ns/pid_for_children", driver.pid());
    let all = processes(&Path::new(&namespace).read_link().unwrap());
    assert!(all.len() > 4, "the driver, a browser, and what shows its pages: {all:?}");
    drop(driver);
    let dropped = Instant::now();
    while all.iter().any(|it| runs(it)) {
        assert!(dropped.elapsed() < Duration::from_secs(10), "{all:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
