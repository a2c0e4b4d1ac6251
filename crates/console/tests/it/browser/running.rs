//! A system under load of which pages tell.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

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
use crate::history::now;
use crate::pages_of_versions::was_there;
use crate::scaler::{Console, FakeScaler, command, folder};

/// As long as a turn of the loop.
const TURN: Duration = Duration::from_millis(100);

/// A scaler of two services under load, which goes on to tell of them, and the console in front of it.
pub(super) struct Running {
    pub(super) scaler: Arc<FakeScaler>,
    pub(super) console: Console,
    tells: JoinHandle<()>,
    _folder: TempDir,
}

impl Running {
    /// Starts them, and waits until there is something to see.
    pub(super) async fn start() -> Self {
        Self::in_folder(folder()).await
    }

    /// The same, with 25 minutes behind it.
    pub(super) async fn with_past() -> Self {
        let (folder, second) = (folder(), now().as_millis() / 1000);
        was_there(folder.path(), "bw-shop-1-a", second - 1_500..second, Vec::new()).await;
        Self::in_folder(folder).await
    }

    async fn in_folder(folder: TempDir) -> Self {
        let (answers, mut writer) = pipe(folder.path());
        let scaler = Arc::new(FakeScaler::start(folder.path()));
        scaler.knows("operator", &["all"], None);
        beside(&scaler);
        let mut command = command(&scaler.socket, folder.path());
        command.args(["--entrance", "http:8080"]);
        let console = Console::started(command.arg("--answers").arg(answers));
        let told = Arc::clone(&scaler);
        let tells = tokio::spawn(async move {
            for turn in 0_u32.. {
                told.tell(&lines(turn));
                // Full when nobody reads it any more.
                let _ = writer.write_all(answered(turn).as_bytes());
                tokio::time::sleep(TURN).await;
            }
        });
        console.until("/v1/services", |it| it["services"][1].is_object()).await;
        Self { scaler, console, tells, _folder: folder }
    }

    /// Where a page is.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.console.address)
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
    let observation = Observation {
        offered_rps: Some(load),
        served_rps: Some(load.min(100.0)),
        rejected_rps: Some(0.0),
        queued: Some(if load > 100.0 { 7 } else { 0 }),
        in_flight: Some(9),
        cpu_cores: Some(load / 100.0),
        phases: feed.status.phases,
        ..Observation::default()
    };
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
