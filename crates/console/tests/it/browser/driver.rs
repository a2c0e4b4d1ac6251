//! Chromium, and what it is asked.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use serde_json::json;

/// Chromium's WebDriver, which ends with its browsers when this is dropped.
pub(super) struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    pub(super) fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver starts: `just setup pages` installs it");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let rest = line.split_once("started successfully on port ")?.1;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        Self { child, url: format!("http://127.0.0.1:{}", port.expect("it says its port")) }
    }

    /// A browser of this width that shows what is light or dark.
    pub(super) async fn browser(&self, width: u32, is_dark: bool) -> Client {
        let mut arguments = vec!["--headless=new", "--no-sandbox", "--disable-gpu"];
        arguments.extend(is_dark.then_some("--force-dark-mode"));
        // A window is not narrower than 500 pixels, what a device shows is.
        let metrics = json!({ "width": width, "height": 2000, "pixelRatio": 1, "mobile": false });
        let options = json!({
            "args": arguments, "mobileEmulation": { "deviceMetrics": metrics },
        });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let mut builder =
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(capabilities).connect(&self.url).await.expect("Chromium starts")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the build.
pub(super) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"))
}

/// Where the picture of this name is.
pub(super) fn picture(name: &str) -> PathBuf {
    let folder = target().join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{name}.png"))
}

/// Waits until a script says so.
#[track_caller]
pub(super) fn until<'a>(
    browser: &'a Client,
    script: &'a str,
) -> impl Future<Output = Duration> + 'a {
    let began = Instant::now();
    let place = std::panic::Location::caller();
    async move {
        let script = format!("return Boolean({script})");
        while browser.execute(&script, vec![]).await.unwrap() != json!(true) {
            let text = browser.execute("return document.body.innerText", vec![]).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(10), "{place}: {script}\n{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }
}

pub(super) fn text_of(selector: &str) -> String {
    format!("document.querySelector('{selector}').textContent")
}
