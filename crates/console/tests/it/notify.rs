//! The console as a program that tells a webhook of an episode, and is killed in between.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use console::samples;
use host::settings::Settings;
use model::tick::Tick;
use model::version::{Rollout, Version, Wanted};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::history::now;
use crate::scaler::{FakeScaler, command, folder};

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
        let mut child =
            command(&scaler.socket, folder).arg("--notify").arg(notify).spawn().unwrap();
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
    let next_version = Wanted { version: Version::new(2), deployed_at: now() };
    let (version, reason) = (Version::new(1), "no answer".to_owned());
    let given_up = Rollout::GivenUp { version, next: next_version, reason };

    let first = Telling::start(&scaler, folder.path(), &notify);
    scaler.is_read().await;
    scaler.tick(&turn(given_up.clone()));
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
    scaler.tick(&turn(given_up.clone()));
    // What comes after it is told, and so it was seen.
    scaler.tick(&Tick { service: "shop".parse().unwrap(), ..turn(given_up) });
    assert_eq!(next(&mut told).await["service"], "shop");
    until_delivered(folder.path()).await;
    drop(second);

    let third = Telling::start(&scaler, folder.path(), &notify);
    scaler.is_read().await;
    scaler.tick(&turn(Rollout::Serving { version }));
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
