//! What a run reads from the scaler: the fleet, the time from plan to serving, the way back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Conduct, Store, within};
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use loadgen::{Ending, Error, Interrupt, LoadedScenario, RunOptions, RunReport, Scaler};
use run::SecondRow;
use serde_json::{Value, json};

const SCENARIO: &str = r#"
name = "fleet"
service = "object-store"
seed = 5
pacing = "even"
settle_s = 3

[[phases]]
kind = "constant"
duration_s = 2
rate = 100

[objects]
count = 3

[limits]
max_failed = 0
back_to_min = true
"#;

/// A step of the fleet: when, in ms after the first look, the phases, the plan and what was done.
type Step = (u64, u32, u32, u32, Value, Value);

/// A scaler that plays a script. It begins when its ticks are asked for the second time: the first
/// time is right before the load.
struct Script {
    asked: AtomicBool,
    began: OnceLock<u64>,
    steps: Vec<Step>,
    /// How many numbers went by before those of its ticks, whose sequences begin at 1: none of the scaler, and of the
    /// console, which numbers them itself, those of days ago.
    numbers_before: usize,
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

impl Script {
    fn ticks(&self) -> Vec<Value> {
        let Some(began) = self.began.get() else { return Vec::new() };
        let past = self.steps.iter().filter(|s| began + s.0 <= now_ms());
        past.enumerate().map(|(i, step)| tick(i + 1, *began, step)).collect()
    }

    fn view(&self) -> Value {
        let ticks = self.ticks();
        let phases = ticks.last().map_or(phases(1, 0, 0), |t| t["observation"]["phases"].clone());
        json!({"name": "object-store", "route": "/", "bounds": {"min": 1, "max": 10},
               "policy": "target_tracking", "policy_spec": {"kind": "target_tracking"}, "objective_ms": 40,
               "wanted": {"version": "00000001", "deployed_at_ms": 1}, "rollout": null,
               "set": {"bounds": null, "policy": null}, "phases": phases, "instances": [],
               "tick": ticks.last()})
    }
}

fn phases(ready: u32, starting: u32, draining: u32) -> Value {
    json!({"starting": starting, "ready": ready, "draining": draining, "failed": 0})
}

fn tick(sequence: usize, began: u64, step: &Step) -> Value {
    let (after, ready, starting, draining, plan, done) = step;
    json!({"sequence": sequence, "at_ms": began + after, "service": "object-store",
           "observation": {"offered_rps": 100.0, "served_rps": null, "rejected_rps": null,
                           "queued": null, "in_flight": null, "cpu_cores": null,
                           "phases": phases(*ready, *starting, *draining)},
           "decision": {"kind": "target", "ready": ready + starting, "reasons": ["OfferedLoad"]},
           "plan": plan, "blocked": [], "done": done})
}

#[derive(serde::Deserialize)]
struct Asked {
    /// Not there where the newest are asked for.
    since: Option<usize>,
}

async fn ticks(State(script): State<Arc<Script>>, Query(asked): Query<Asked>) -> Json<Value> {
    if script.asked.swap(true, Ordering::Relaxed) {
        script.began.get_or_init(now_ms);
    }
    let all = script.ticks();
    let next = script.numbers_before + all.len();
    let passed = asked.since.unwrap_or(next).saturating_sub(script.numbers_before);
    Json(json!({"next": next, "ticks": all.into_iter().skip(passed).collect::<Vec<_>>()}))
}

async fn service(State(script): State<Arc<Script>>) -> Json<Value> {
    Json(script.view())
}

async fn membership() -> Json<Value> {
    Json(json!({"membership": "runtime", "set": null}))
}

/// The address of a scaler that plays these steps.
fn scaler(steps: Vec<Step>) -> String {
    with_numbers_after(0, steps)
}

/// The same where its numbers of ticks begin after this one.
fn with_numbers_after(numbers_before: usize, steps: Vec<Step>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/v1/services/object-store", get(service))
        .route("/v1/ticks", get(ticks))
        .route("/v1/membership", get(membership))
        .with_state(Arc::new(Script {
            asked: AtomicBool::new(false),
            began: OnceLock::new(),
            steps,
            numbers_before,
        }));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    format!("http://{address}")
}

fn run(store: &Store, api: &str, folder: &Path) -> Result<RunReport, Error> {
    let file = folder.join("fleet.toml");
    std::fs::write(&file, SCENARIO).unwrap();
    let options = RunOptions {
        scenario: LoadedScenario::read(&file, folder, 1.0, None).unwrap(),
        target: store.url().parse().unwrap(),
        scaler: Some(Scaler::new(api).unwrap()),
        results: folder.join("results"),
    };
    let (_sender, interrupt) = Interrupt::manual();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(loadgen::run(options, interrupt))
}

fn action(kind: &str, name: &str, slot: u32) -> Value {
    json!({"action": kind, "instance": name, "slot": slot})
}

fn done(kind: &str, name: &str, slot: u32, error: Option<&str>) -> Value {
    json!({"action": kind, "instance": name, "slot": slot, "planned_at_ms": 1,
           "finished_at_ms": 2, "error": error})
}

/// Out by one instance that serves (every answer is from slot 3) and one that never does, and in.
fn out_and_in() -> Vec<Step> {
    let (a, b) = ("bw-object-store-3-a", "bw-object-store-4-a");
    let plan = json!([action("clone", a, 3), action("clone", b, 4)]);
    let came = json!([done("clone", a, 3, None), done("clone", b, 4, Some("no such template"))]);
    vec![
        (500, 1, 2, 0, plan, json!([])),
        (800, 2, 0, 0, json!([]), came),
        (2_300, 1, 0, 1, json!([action("drain", a, 3)]), json!([])),
        (2_600, 1, 0, 1, json!([action("stop", a, 3)]), json!([done("drain", a, 3, None)])),
        (2_900, 1, 0, 0, json!([]), json!([done("stop", a, 3, None)])),
    ]
}

#[test]
fn a_run_knows_the_fleet_and_sees_it_come_back() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    let report = run(&store, &scaler(out_and_in()), folder.path()).unwrap();
    assert_eq!(report.ending, Ending::Held, "{}", report.text());
    let summary = &report.summary;
    assert_eq!((summary.instances.min, summary.instances.max), (Some(1), Some(2)));
    // One instance for the load and the 3 s allowed after it, two more for 0.3 s, and then one more for
    // 2.1 s.
    let seconds = summary.instances.seconds.unwrap();
    let expected = 2.0 + 3.0 + 0.6 + 2.1;
    assert!((seconds - expected).abs() < 0.3, "{seconds} {expected}");
    let conditions = |name: &str| summary.conditions[name].as_str();
    assert_eq!((conditions("policy"), conditions("membership")), ("target_tracking", "runtime"));
    let scaling = summary.scaling;
    assert_eq!((scaling.out, scaling.r#in, scaling.failed_actions), (Some(1), Some(1), Some(1)));
    assert_eq!(scaling.never_served, Some(1));
    // Slot 3 answers every 10 ms.
    assert!((0.0..200.0).contains(&scaling.plan_to_serving_ms.p50.unwrap()), "{scaling:?}");
    let back = summary.limits.back_to_min.unwrap();
    assert!(back.held && (0.4..1.5).contains(&back.measured_s.unwrap()), "{back:?}");

    let ticks = std::fs::read_to_string(report.folder.join("ticks.jsonl")).unwrap();
    assert_eq!(ticks.lines().count(), 5);
    let mut csv = csv::Reader::from_path(report.folder.join("series.csv")).unwrap();
    let rows: Vec<SecondRow> = csv.deserialize().map(Result::unwrap).collect();
    let ready: Vec<Option<u32>> = rows.iter().take(3).map(|r| r.ready).collect();
    assert_eq!(ready, [Some(2), Some(2), Some(1)]);
    let chart = std::fs::read_to_string(report.folder.join("chart.svg")).unwrap();
    assert!(chart.contains("load ends") && chart.contains(">draining<"));
}

#[test]
fn each_tick_is_told_once_by_the_console_too_which_numbers_them_itself() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    let api = with_numbers_after(70_000, out_and_in());
    let report = run(&store, &api, folder.path()).unwrap();
    let ticks = std::fs::read_to_string(report.folder.join("ticks.jsonl")).unwrap();
    assert_eq!((report.ending, ticks.lines().count()), (Ending::Held, 5), "{ticks}");
}

#[test]
fn requests_are_held_to_the_objective_that_the_scaler_says() {
    // Each answer takes 60 ms; the service's objective is 40.
    let slow = Store::start(|asked| match asked.method.as_str() {
        "GET" => Conduct::GoodAt(within(60)),
        _ => Conduct::Good,
    });
    let folder = tempfile::tempdir().unwrap();
    let summary = run(&slow, &scaler(out_and_in()), folder.path()).unwrap().summary;
    assert_eq!((summary.objective_ms, summary.requests.failed), (40, 0));
    assert_eq!(summary.outside_objective_percent, Some(100.0));
}

#[test]
fn a_service_that_stays_up_breaks_the_limit() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    let steps = out_and_in().into_iter().take(2).collect();
    let report = run(&store, &scaler(steps), folder.path()).unwrap();
    assert_eq!((report.ending, report.ending.exit_code()), (Ending::NotHeld, 1));
    let back = report.summary.limits.back_to_min.unwrap();
    assert_eq!((back.held, back.measured_s), (false, None));
    assert!((3.0..4.5).contains(&report.summary.settle_s), "{}", report.summary.settle_s);
}

#[test]
fn without_a_scaler_nothing_is_sent_and_the_message_says_what_to_do() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    // Port 1 of loopback: nobody listens there.
    let error = run(&store, "http://127.0.0.1:1", folder.path()).unwrap_err();
    assert!(error.to_string().contains("./just up"), "{error}");
    assert_eq!(error.exit_code(), 1);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(store.count("PUT"), 0);
    assert!(!folder.path().join("results").exists());
}
