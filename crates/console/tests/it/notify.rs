//! The console as a program that tells a webhook of an episode, and is killed in between.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use console::metrics::Notified;
use console::notify::Notifier;
use console::samples;
use host::settings::Settings;
use model::tick::Tick;
use model::time::Timestamp;
use model::version::{Rollout, Version, Wanted};
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::history::now;
use crate::scaler::{FakeScaler, command, folder};
use crate::spoilt::TinyDisk;

/// Long for what takes a second.
const LONG: Duration = Duration::from_secs(20);

/// A webhook, and what is posted there.
async fn webhook() -> (String, mpsc::UnboundedReceiver<serde_json::Value>) {
    let (tell, told) = mpsc::unbounded_channel();
    let take =
        move |body: String| async move { tell.send(serde_json::from_str(&body).unwrap()).unwrap() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/SECRET", listener.local_addr().unwrap());
    let routes = Router::new().route("/SECRET", post(take));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (url, told)
}

/// What `up` writes; here for any user, since the host has no group for the console.
fn written(folder: &Path, webhook: &str) -> PathBuf {
    let mut settings = Settings::default();
    settings.paths.run = folder.to_owned();
    settings.paths.state = folder.to_owned();
    settings.notify.webhooks = vec![webhook.parse().unwrap()];
    host::notify::write(&settings).unwrap();
    let file = settings.notify_file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    file
}

/// A console that tells.
struct Telling {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
}

impl Telling {
    fn start(scaler: &FakeScaler, folder: &Path, notify: &Path) -> Self {
        Self::spawn(command(&scaler.socket, folder).arg("--notify").arg(notify))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log: Arc<Mutex<String>> = Arc::default();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.by_ref().find_map(|line| {
            let of_line: serde_json::Value = serde_json::from_str(&line).unwrap();
            *log.lock().unwrap() += &line;
            Some(of_line["address"].as_str()?.to_owned())
        });
        let own = Arc::clone(&log);
        std::thread::spawn(move || lines.for_each(|line| *own.lock().unwrap() += &line));
        Self { child, address: address.unwrap(), log }
    }

    async fn ask(&self, path: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{}{path}", self.address)).send().await.unwrap();
        answer.text().await.unwrap()
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn turn(rollout: Rollout) -> Tick {
    Tick { rollout: Some(rollout), ..samples::tick("store", now().as_millis()) }
}

fn given_up() -> Rollout {
    let next = Wanted { version: Version::new(2), deployed_at: Timestamp::from_millis(1) };
    Rollout::GivenUp { version: Version::new(1), next, reason: "no answer".to_owned() }
}

async fn next(told: &mut mpsc::UnboundedReceiver<serde_json::Value>) -> serde_json::Value {
    tokio::time::timeout(LONG, told.recv()).await.unwrap().unwrap()
}

/// Waits until nothing waits to be sent, as the next run would read it.
async fn until_delivered(folder: &Path) -> String {
    for _ in 0..200 {
        let kept = fs::read_to_string(folder.join("history.sqlite.notify.json")).unwrap();
        if kept.contains("\"waiting\":[]") {
            return kept;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is not delivered");
}

#[tokio::test]
async fn an_episode_is_told_once_over_kills_and_its_end_though_it_came_while_nobody_looked() {
    let folder = folder();
    let (url, mut told) = webhook().await;
    let notify = written(folder.path(), &url);
    let scaler = FakeScaler::start(folder.path());

    let first = Telling::start(&scaler, folder.path(), &notify);
    scaler.is_read().await;
    scaler.tick(&turn(given_up()));
    let began = next(&mut told).await;
    assert_eq!((&began["kind"], &began["state"]), (&"failed_deploy".into(), &"began".into()));
    let kept = until_delivered(folder.path()).await;
    let metrics = first.ask("/metrics").await;
    assert!(
        metrics.contains("bellows_episodes{service=\"store\",kind=\"failed_deploy\"} 1\n"),
        "{metrics}"
    );
    assert!(metrics.contains("{receiver=\"webhook_1\",outcome=\"delivered\"} 1\n"), "{metrics}");
    let mut shown = kept + &metrics + &first.log.lock().unwrap();
    for path in ["/v1/services", "/v1/events", "/v1/history"] {
        shown += &first.ask(path).await;
    }
    assert!(shown.contains("was given up") && !shown.contains("SECRET"), "{shown}");
    drop(first);

    let second = Telling::start(&scaler, folder.path(), &notify);
    scaler.is_read().await;
    scaler.tick(&turn(given_up()));
    // What comes after it is told, and so it was seen.
    scaler.tick(&Tick { service: "shop".parse().unwrap(), ..turn(given_up()) });
    assert_eq!(next(&mut told).await["service"], "shop");
    until_delivered(folder.path()).await;
    drop(second);

    let third = Telling::start(&scaler, folder.path(), &notify);
    scaler.is_read().await;
    scaler.tick(&turn(Rollout::Serving { version: Version::new(1) }));
    let ended = next(&mut told).await;
    assert_eq!((&ended["state"], &ended["episode"]), (&"ended".into(), &began["episode"]));
    until_delivered(folder.path()).await;
    assert!(told.try_recv().is_err());
    drop(third);
}

#[tokio::test]
async fn where_nobody_can_be_told_the_console_says_so_and_answers() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let notify = folder.path().join("notify.json");
    fs::write(&notify, r#"{"format":1,"state":"/","notify":{"webhooks":"SECRET"}}"#).unwrap();
    let console = Telling::start(&scaler, folder.path(), &notify);
    assert_eq!(console.ask("/healthz").await, "ok\n");
    let log = console.log.lock().unwrap().clone();
    assert!(log.contains("nobody is told of episodes") && log.contains("bellows up"), "{log}");
    assert!(!log.contains("SECRET"), "{log}");
}

/// A program that takes one message by TLS, with a certificate for `localhost` of its own.
async fn webhook_by_tls(certificate: &Path) -> (String, JoinHandle<String>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(certificate, own.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/SECRET", listener.local_addr().unwrap().port());
    let took = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let (mut taken, mut part) = (String::new(), [0; 4096]);
        while !taken.ends_with('}') {
            let length = stream.read(&mut part).await.unwrap();
            taken += std::str::from_utf8(&part[..length]).unwrap();
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        taken
    });
    (url, took)
}

#[tokio::test]
async fn a_webhook_by_https_is_told_by_the_certificates_of_the_host() {
    let folder = folder();
    let certificate = folder.path().join("trusted.pem");
    let (url, took) = webhook_by_tls(&certificate).await;
    let notify = written(folder.path(), &url);
    let scaler = FakeScaler::start(folder.path());
    let mut command = command(&scaler.socket, folder.path());
    // The place that stands for the host's own here.
    command.arg("--notify").arg(notify).env("SSL_CERT_FILE", certificate);
    let _console = Telling::spawn(&mut command);
    scaler.is_read().await;
    scaler.tick(&turn(given_up()));
    let taken = tokio::time::timeout(LONG, took).await.unwrap().unwrap();
    assert!(taken.starts_with("POST /SECRET HTTP/1.1\r\n"), "{taken}");
    until_delivered(folder.path()).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_nearly_full_is_noticed_and_that_it_has_room_again() {
    let (disk, folder) = (TinyDisk::mount(64), folder());
    let state = disk.0.path();
    fs::write(state.join("filler"), vec![0; 62 * 1024 * 1024]).unwrap();
    let mut settings = Settings::default();
    settings.paths.run = folder.path().to_owned();
    settings.paths.state = state.to_owned();
    host::notify::write(&settings).unwrap();
    let mut registry = Registry::default();
    let counted = Notified::register(&mut registry);
    let history = folder.path().join("history.sqlite");
    let notifier = Notifier::new(&settings.notify_file(), &history, counted).unwrap();
    let running = tokio::spawn(notifier.run(std::future::pending()));
    let is_full = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.contains("bellows_episodes{service=\"\",kind=\"full_disk\"} 1\n")
    };
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(!is_full(), "two looks");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(is_full());
    fs::remove_file(state.join("filler")).unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert!(!is_full());
    running.abort();
    let _ = running.await;
}
