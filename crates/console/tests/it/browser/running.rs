//! A system under load of which pages tell.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use console::history::Batch;
use console::series::seconds::Seconds;
use model::action::{ActionKind, Done, LaunchStep, StepTime};
use model::decision::{Decision, Reason};
use model::feed::{FeedLine, InstanceFigures};
use model::instance::{Phase, PhaseCounts};
use model::tick::{Observation, Tick};
use model::version::{Rollout, Version};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::answers::pipe;
use crate::history::{now, open};
use crate::pages_of_versions::was_there;
use crate::scaler::{Console, FakeScaler, command_at, folder};
use crate::tried;

/// As long as a turn of the loop.
const TURN: Duration = Duration::from_millis(100);

/// What is left of a line; where it says no, it is not told.
type Change = Box<dyn Fn(&mut FeedLine) -> bool + Send>;

/// A scaler of two services under load, which goes on to tell of them, and the console in front of it.
pub(super) struct Running {
    pub(super) scaler: Arc<FakeScaler>,
    /// `None` while it was killed.
    console: Option<Console>,
    address: SocketAddr,
    answers: PathBuf,
    change: Arc<Mutex<Change>>,
    tells: JoinHandle<()>,
    folder: TempDir,
}

impl Running {
    /// Starts them, and waits until there is something to see.
    pub(super) async fn start() -> Self {
        Self::at("127.0.0.1:0", folder()).await
    }

    /// The same, where who reads needs a token.
    pub(super) async fn beyond_the_host() -> Self {
        Self::at("0.0.0.0:0", folder()).await
    }

    /// The same, with a day behind it.
    pub(super) async fn with_a_day() -> Self {
        let folder = folder();
        a_day(folder.path()).await;
        Self::at("127.0.0.1:0", folder).await
    }

    /// The same, with 25 minutes behind it, in which one instance was there.
    pub(super) async fn with_past() -> Self {
        let (folder, second) = (folder(), now().as_millis() / 1000);
        was_there(folder.path(), "bw-shop-1-a", second - 1_500..second, Vec::new()).await;
        Self::at("127.0.0.1:0", folder).await
    }

    async fn at(listen: &str, folder: TempDir) -> Self {
        let (answers, mut writer) = pipe(folder.path());
        let scaler = Arc::new(FakeScaler::start(folder.path()));
        scaler.knows("operator", &["all"], None);
        beside(&scaler);
        tried::scenarios_for_a_shop(folder.path());
        let mut command = command_at(listen, &scaler.socket, folder.path());
        command.args(["--entrance", "http:8080"]);
        tried::knows(&mut command, folder.path());
        let console = Console::started(command.arg("--answers").arg(&answers));
        let address = console.address;
        let told = Arc::clone(&scaler);
        let change: Arc<Mutex<Change>> = Arc::new(Mutex::new(Box::new(|_| true)));
        let changes = Arc::clone(&change);
        let tells = tokio::spawn(async move {
            for turn in 0_u32.. {
                let mut lines = lines(turn);
                lines.retain_mut(|line| (*changes.lock().unwrap())(line));
                told.tell(&lines);
                // Full when nobody reads it any more.
                let _ = writer.write_all(answered(turn).as_bytes());
                tokio::time::sleep(TURN).await;
            }
        });
        let running =
            Self { scaler, console: Some(console), address, answers, change, tells, folder };
        running.is_known().await;
        running
    }

    /// Waits until the console knows of both.
    async fn is_known(&self) {
        let console = self.console.as_ref().unwrap();
        let operator = ("authorization", "Bearer operator");
        loop {
            let page = console.ask("/", &[operator]).await.text().await.unwrap();
            if page.contains("/services/shop") {
                return;
            }
            tokio::time::sleep(TURN).await;
        }
    }

    /// Tells from now on what this leaves of each line.
    pub(super) fn tells(&self, change: impl Fn(&mut FeedLine) -> bool + Send + 'static) {
        *self.change.lock().unwrap() = Box::new(change);
    }

    /// The console is killed.
    pub(super) fn kills_the_console(&mut self) {
        self.console.take().unwrap().kill();
    }

    /// Another one is there in its place.
    pub(super) async fn starts_the_console(&mut self) {
        let listen = self.address.to_string();
        let mut command = command_at(&listen, &self.scaler.socket, self.folder.path());
        self.console = Some(Console::started(command.arg("--answers").arg(&self.answers)));
        self.is_known().await;
    }

    /// Where the console has its files.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a page is.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.address.port())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tells.abort();
    }
}

/// What the scaler answers beside what it tells.
fn beside(scaler: &FakeScaler) {
    crate::machine::told(scaler);
    let action = json!({ "title": "Delete all objects", "method": "DELETE", "path": "/" });
    let actions = json!({ "actions": { "delete-all": action } });
    scaler.answers("GET /v1/services/shop/actions", actions);
    let job = json!({
        "id": "00000000000000ab", "kind": "deploy", "service": "market", "who": { "kind": "token", "name": "ci" },
        "begun_at_ms": now().as_millis(), "ended_at_ms": null, "stage": "image", "outcome": null,
    });
    scaler.answers("GET /v1/jobs", json!({ "jobs": [job] }));
}

/// The steps of a launch, of which one takes longer each time.
fn steps(turn: u32) -> Vec<StepTime> {
    let took = [(LaunchStep::Clone, 90), (LaunchStep::Health, 400), (LaunchStep::Rotation, 3)];
    let took = took.map(|(step, ms)| StepTime { step, took_ms: ms + u64::from(turn / 100) });
    took.into()
}

/// A history of a day: half an hour of seconds, and minutes that are as those of it, again and again.
async fn a_day(folder: &Path) {
    let second = now().as_millis() / 1000;
    let rows = (second - 1790..second).map(|second| {
        let mut seconds = Seconds::default();
        let tick = Tick {
            observation: observation(100.0 + 90.0 * (second as f64 / 200.0).sin(), 2),
            ..console::samples::tick("shop", second * 1000)
        };
        seconds.tick(&tick);
        seconds.close_all().remove(0)
    });
    {
        let (recorder, _history) = open(folder);
        recorder.record(Batch { rows: rows.collect(), ..Batch::default() });
    }
    // Who begins anew makes minutes of what is there.
    let (recorder, _history) = open(folder);
    recorder.record(Batch::default());
    recorder.flush().await;
    drop(recorder);
    let file = rusqlite::Connection::open(folder.join("history.sqlite")).unwrap();
    let oldest = i64::try_from(second).unwrap() - 86_300;
    let again = "INSERT OR IGNORE INTO minutes (service, at, figures, instances) \
                 SELECT service, at - ?1, figures, instances FROM minutes WHERE at >= ?2";
    for times in 1..60 {
        file.execute(again, (times * 1500, oldest + 86_300 - 1790)).unwrap();
    }
    file.execute("DELETE FROM minutes WHERE at < ?1", [oldest]).unwrap();
    drop(file);
    for file in std::fs::read_dir(folder).unwrap() {
        std::os::unix::fs::chown(file.unwrap().path(), Some(65_534), Some(65_534)).unwrap();
    }
}

/// What is seen of so much load and so many ready instances.
fn observation(load: f64, ready: u32) -> Observation {
    Observation {
        offered_rps: Some(load),
        served_rps: Some(load.min(100.0)),
        rejected_rps: Some(0.0),
        queued: Some(if load > 100.0 { 7 } else { 0 }),
        in_flight: Some(9),
        cpu_cores: Some(load / 100.0),
        phases: PhaseCounts { ready, ..PhaseCounts::default() },
        ..Observation::default()
    }
}

/// The answers of a turn: slower under more load, and one in 50 is an error.
fn answered(turn: u32) -> String {
    let slow = (80.0 + 60.0 * phase(turn)).round();
    let answer = |number: u32| {
        let status = if (turn * 6 + number).is_multiple_of(50) { 503 } else { 200 };
        format!("first shop {status} +{} --\n", slow / f64::from(number + 1))
    };
    (0..6).map(answer).collect()
}

/// Where the load is in its rise and fall, from -1 to 1.
fn phase(turn: u32) -> f64 {
    (f64::from(turn) / 60.0).sin()
}

/// What is told in a turn: the load of the shop rises and falls, and its instances follow.
fn lines(turn: u32) -> Vec<FeedLine> {
    let load = 60.0 + 50.0 * phase(turn);
    let ready = if load > 80.0 { 3 } else { 2 };
    let names = ["bw-shop-1-a", "bw-shop-2-b", "bw-shop-3-c"];
    let names = &names[..ready as usize];
    let at = now();
    let mut feed = console::samples::service_feed("shop", at.as_millis(), names);
    feed.status.rollout = Some(Rollout::Serving { version: Version::new(2) });
    feed.status.phases = PhaseCounts { ready, ..PhaseCounts::default() };
    feed.status.instances[0].phase = Phase::Ready;
    feed.instances.iter_mut().for_each(|it| {
        let InstanceFigures { cpu_time_us, memory_bytes, in_flight, requests, .. } = it;
        *memory_bytes = Some((40 << 20) + (u64::from(turn) << 12));
        *cpu_time_us = Some(u64::from(turn) * 30_000);
        *in_flight = Some(3);
        *requests = Some(u64::from(turn) * 3);
    });
    let observation = observation(load, ready);
    let done = |error: Option<&str>| Done {
        kind: ActionKind::Clone,
        instance: "bw-shop-3-c".parse().unwrap(),
        slot: 3.try_into().unwrap(),
        version: None,
        planned_at: at.before(Duration::from_millis(640)),
        finished_at: at,
        error: error.map(str::to_owned),
        last_lines: vec![],
        release: None,
        steps: steps(turn),
    };
    let tick = Tick {
        sequence: u64::from(turn) + 1,
        observation,
        decision: Decision::Target { ready, reasons: vec![Reason::OfferedLoad] },
        done: match turn % 100 {
            30 => vec![done(None)],
            60 => vec![done(Some("<img src=x onerror=alert(1)> did not answer"))],
            _ => vec![],
        },
        ..console::samples::tick("shop", at.as_millis())
    };
    let market = console::samples::service_feed("market", at.as_millis(), &[]);
    vec![
        FeedLine::Network(model::network::NetworkStatus::default()),
        FeedLine::Tick(Box::new(tick)),
        FeedLine::Service(Box::new(feed)),
        FeedLine::Service(Box::new(market)),
    ]
}
