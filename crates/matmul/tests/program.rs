//! The service as its clients see it: the real program, over HTTP, on loopback.

#![allow(clippy::unwrap_used, reason = "in a test, to panic is to fail")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use matmul::config::Config;
use model::service::ServiceSpec;
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use reqwest::{Client, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Nothing in these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One process of the service; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    client: Client,
    _config: TempDir,
}

/// The program with these settings, not yet started, and their folder.
fn program(settings: &str) -> (TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("service.toml");
    std::fs::write(&config, format!("listen = '127.0.0.1:0'\n{settings}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_matmul"));
    command.arg("--config").arg(config);
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stderr(Stdio::piped());
    (folder, command)
}

impl Server {
    fn start(settings: &str) -> Self {
        let (config, mut command) = program(settings);
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log.find_map(|line| {
            let event: Value = serde_json::from_str(&line.unwrap()).ok()?;
            event["address"].as_str()?.parse().ok()
        });
        // The log is read on, or the server would stop at a full pipe.
        std::thread::spawn(move || log.count());
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        Self { child, address: address.unwrap(), client, _config: config }
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await.bytes().await.unwrap()).unwrap()
    }

    /// A metric's value.
    async fn metric(&self, name: &str) -> String {
        let text = self.get("/metrics").await.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is what one test is about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_product_of_a_seed_is_the_same_each_time_and_says_how_long_it_took() {
    let server = Server::start("");
    let answer = server.json("/?n=100&seed=42&format=json").await;
    assert_eq!((answer["n"].as_u64(), answer["seed"].as_u64()), (Some(100), Some(42)));
    assert!(answer["ms"].as_f64().unwrap() > 0.0, "{answer}");
    let again = server.json("/?n=100&seed=42&format=json").await;
    assert_eq!(again["checksum"], answer["checksum"]);
    // Without a seed it is told which one it was.
    let any = server.json("/?n=100&format=json").await;
    let same = server.json(&format!("/?n=100&seed={}&format=json", any["seed"])).await;
    assert_eq!(same["checksum"], any["checksum"]);
    assert_ne!(any["checksum"], answer["checksum"]);
}

#[tokio::test]
async fn a_browser_gets_a_page_and_a_program_json() {
    let server = Server::start("");
    for (accept, expected) in [
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
    ] {
        let request = server.client.get(format!("http://{}/?n=3", server.address));
        let answer = request.header(ACCEPT, accept).send().await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], expected);
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    }
    let page = server.get("/").await.text().await.unwrap();
    assert!(page.contains("<title>100 x 100</title>"), "{page}");
    assert_eq!(server.get("/healthz").await.text().await.unwrap(), "ok\n");
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_as_by_every_server_of_the_project() {
    let server = Server::start("max_n = 10");
    let mut refusals = Vec::new();
    for path in ["/?n=11", "/?k=1", "/x"] {
        let answer = server.get(path).await;
        refusals.push(format!("{} {}", answer.status().as_u16(), answer.text().await.unwrap()));
    }
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    400 {"error":{"code":"bad_query","message":"n is \"11\": use 1 to 10."}}
    400 {"error":{"code":"bad_query","message":"The query has \"k\": use n, seed and format, each once."}}
    404 {"error":{"code":"no_such_path","message":"Nothing is served at \"/x\"."}}
    "#);
}

/// That they come one after the other, the service's own test says.
#[tokio::test]
async fn more_products_than_are_worked_on_at_once_wait_and_none_is_refused() {
    let server = Server::start("concurrency = 1");
    let (one, two, three) = tokio::join!(
        server.json("/?n=300&seed=1&format=json"),
        server.json("/?n=300&seed=1&format=json"),
        server.json("/?n=300&seed=1&format=json"),
    );
    assert!(one["checksum"].is_u64(), "{one}");
    assert_eq!([&two["checksum"], &three["checksum"]], [&one["checksum"]; 2]);
}

/// A product that is seen under way, however fast this machine is.
async fn under_way(server: &Server) -> JoinHandle<reqwest::Result<Response>> {
    for n in [600, 1200, 2400, 4800] {
        let get = server.client.get(format!("http://{}/?n={n}", server.address));
        let answer = tokio::spawn(get.send());
        while !answer.is_finished() {
            if server.metric("http_requests_in_flight").await == "1" {
                return answer;
            }
        }
    }
    panic!("every product was there before it was seen under way");
}

#[tokio::test]
async fn sigterm_lets_a_product_under_way_complete() {
    let mut server = Server::start("");
    let answer = under_way(&server).await;
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert!(answer.await.unwrap().unwrap().status().is_success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_bad_configuration_exits_with_two_and_names_file_key_value_and_what_is_allowed() {
    let (folder, mut command) = program("max_n = 0");
    let output = command.arg("--check").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr)
        .replace(&folder.path().display().to_string(), "DIR");
    insta::assert_snapshot!(text, @"matmul: DIR/service.toml, line 2: max_n is 0: use 1 to 5000");
}

/// The tree of the project.
fn tree() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

/// As `up` builds it, and has its program judge a service's `[application]`.
#[test]
fn the_image_has_a_program_that_judges_its_settings() {
    let recipe: toml::Table =
        std::fs::read_to_string(tree().join("rootfs/matmul/recipe.toml")).unwrap().parse().unwrap();
    let image = tempfile::tempdir().unwrap();
    let mut build = Command::new(tree().join("rootfs/matmul/build"));
    let built = build.arg(image.path()).arg(env!("CARGO_BIN_EXE_matmul")).status().unwrap();
    assert!(built.success());
    let init = recipe["init"].as_str().unwrap().trim_start_matches('/');
    let check = recipe["check"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let (folder, _) = program("");
    let mut judge = Command::new(image.path().join(init));
    let judged = judge.args(check).arg(folder.path().join("service.toml")).status().unwrap();
    assert!(judged.success());
}

/// The service's file that is there to be copied.
#[test]
fn the_example_is_a_service_that_asks_for_no_more_at_once_than_is_worked_on() {
    let example = tree().join("examples/matmul/matmul.toml");
    let service: ServiceSpec = config_file::read(&example).unwrap();
    let settings = toml::to_string(&service.application).unwrap();
    let config: Config = config_file::from_toml("application", &settings).unwrap();
    let requests = service.requests_from_outside().unwrap();
    assert_eq!(requests.capacity.concurrency as usize, config.concurrency);
    assert_eq!(config.serving.listen.port(), service.instance.port);
    // Products are served at `/` alone.
    assert_eq!(service.route().unwrap().stripped().unwrap().as_str(), "/matmul");
}
