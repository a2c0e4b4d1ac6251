//! Chromium, and what it is asked.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::Method;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use reqwest::Url;
use serde_json::{Value, json};

/// How long a page may take for anything that it does by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Chromium's WebDriver, which ends with its browsers when this is dropped, and when whoever started it is killed.
pub(super) struct Driver {
    child: Child,
    url: String,
}

impl Driver {
    pub(super) fn start() -> Self {
        // It takes any port for one family of addresses, and wants the same for the other, where somebody may be.
        (0..5)
            .find_map(|_| Self::try_start())
            .expect("chromedriver says its port: `just setup pages` installs it")
    }

    fn try_start() -> Option<Self> {
        // Browsers outlive their driver, and some of their processes leave its group. They are of a namespace of their own, the
        // first process of which is the driver: with it the kernel ends all of them.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child"])
            .args(["--mount-proc", "chromedriver", "--port=0", "--log-level=SEVERE"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv starts");
        let mut driver = Self { child, url: String::new() };
        let lines = BufReader::new(driver.child.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let rest = line.split_once("started successfully on port ")?.1;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        driver.url = format!("http://127.0.0.1:{}", port?);
        Some(driver)
    }

    /// That of the program that has made the namespace.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A browser of this width that shows what is light or dark.
    pub(super) async fn browser(&self, width: u32, is_dark: bool) -> Client {
        self.with(width, is_dark, json!({})).await
    }

    /// A browser that runs no scripts of pages.
    pub(super) async fn without_scripts(&self) -> Client {
        let setting = "profile.managed_default_content_settings.javascript";
        self.with(1600, false, json!({ setting: 2 })).await
    }

    /// A browser that lets no page keep anything.
    pub(super) async fn without_storage(&self) -> Client {
        let setting = "profile.managed_default_content_settings.cookies";
        self.with(1600, false, json!({ setting: 2 })).await
    }

    async fn with(&self, width: u32, is_dark: bool, settings: Value) -> Client {
        let mut arguments = vec!["--headless=new", "--no-sandbox", "--disable-gpu"];
        arguments.extend(is_dark.then_some("--force-dark-mode"));
        // A window is not narrower than 500 pixels, what a device shows is; what is pointed with is a mouse.
        let metrics = json!({ "width": width, "height": 2000, "pixelRatio": 1, "mobile": false, "touch": false });
        let options = json!({
            "args": arguments, "mobileEmulation": { "deviceMetrics": metrics }, "prefs": settings,
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

/// What Chromium alone can be told, by its own protocol.
#[derive(Debug)]
struct OfChromium {
    method: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for OfChromium {
    fn endpoint(
        &self,
        driver: &Url,
        session: Option<&str>,
    ) -> Result<Url, <Url as std::str::FromStr>::Err> {
        driver.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.method, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}

/// Has Chromium do something that no other browser has a word for.
pub(super) async fn has_chromium(browser: &Client, method: &'static str, parameters: Value) {
    browser.issue_cmd(OfChromium { method, parameters }).await.unwrap();
}

/// Has this run in each page from now on, before its own scripts.
pub(super) async fn runs_first(browser: &Client, script: &str) {
    let parameters = json!({ "source": script });
    has_chromium(browser, "Page.addScriptToEvaluateOnNewDocument", parameters).await;
}

/// Has whoever uses the browser be logged in with this token in the pages that it shows from now on.
pub(super) async fn has_token(browser: &Client, url: &str, token: &str) {
    browser.goto(url).await.unwrap();
    let script = "sessionStorage.setItem('bellows-token', arguments[0])";
    browser.execute(script, vec![json!(token)]).await.unwrap();
}

/// Shows a page, and waits until it follows what happens.
pub(super) async fn follows(browser: &Client, url: &str) {
    browser.goto(url).await.unwrap();
    until(browser, &format!("{} === 'Live'", text_of("#following"))).await;
}

/// Clicks on something, wherever on the page it is.
pub(super) async fn press(browser: &Client, selector: &str) {
    let script =
        format!("document.querySelector({selector:?}).scrollIntoView({{ block: 'center' }})");
    browser.execute(&script, vec![]).await.unwrap();
    browser.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
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
    within(PATIENCE, browser, script)
}

/// The same, for what may take another time.
#[track_caller]
pub(super) fn within<'a>(
    patience: Duration,
    browser: &'a Client,
    script: &'a str,
) -> impl Future<Output = Duration> + 'a {
    let began = Instant::now();
    let place = std::panic::Location::caller();
    async move {
        let script = format!("return Boolean({script})");
        while browser.execute(&script, vec![]).await.unwrap() != json!(true) {
            if began.elapsed() > patience {
                // Asked for now alone: what a text looks like takes a layout of the page.
                let text = browser.execute("return document.body.innerText", vec![]).await.unwrap();
                panic!("{place}: {script}\n{text}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }
}

pub(super) fn text_of(selector: &str) -> String {
    format!("document.querySelector('{selector}').textContent")
}
