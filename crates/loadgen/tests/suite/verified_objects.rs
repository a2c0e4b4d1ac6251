//! The generator against a store that does wrong: everything wrong is found, and nothing else.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::support::{Asked, Conduct, Store, within};
use loadgen::{Ending, Interrupt, LoadedScenario, RunOptions, RunReport};
use run::SecondRow;
use run::summary::Requests;

/// A second and a half of even load; a test adds lines or replaces these.
const SCENARIO: &str = r#"
name = "check"
service = "object-store"
seed = 5
pacing = "even"
timeout_ms = 1500
in_flight = 2000

[[phases]]
kind = "constant"
duration_s = 1.5
rate = 200

[objects]
get = 1
count = 10

[objects.size]
kind = "uniform"
min_bytes = 16
max_bytes = 4096

[limits]
max_failed = 0
max_dropped = 0
"#;

pub(crate) fn options(store: &Store, text: &str, folder: &Path) -> RunOptions {
    let file = folder.join("check.toml");
    std::fs::write(&file, text).unwrap();
    RunOptions {
        scenario: LoadedScenario::read(&file, folder, 1.0, None).unwrap(),
        target: store.url().parse().unwrap(),
        scaler: None,
        results: folder.join("results"),
    }
}

/// Runs a scenario against a store, and looks at what must hold of any run.
pub(crate) fn run(store: &Store, text: &str) -> RunReport {
    let folder = tempfile::tempdir().unwrap();
    let (_sender, interrupt) = Interrupt::manual();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = options(store, text, folder.path());
    let report = runtime.block_on(loadgen::run(options, interrupt)).unwrap();
    let Requests { due, ok, failed, dropped, .. } = report.summary.requests;
    assert_eq!(ok + failed + dropped, due);
    let mut csv = csv::Reader::from_path(report.folder.join("series.csv")).unwrap();
    let rows: Vec<SecondRow> = csv.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.iter().map(|r| r.due).sum::<u64>(), due + report.summary.warm_up.due);
    assert_eq!(report.ending == Ending::Held, failed + dropped == 0);
    report
}

pub(crate) fn every(
    nth: u64,
    conduct: Conduct,
) -> impl Fn(&Asked) -> Conduct + Send + Sync + 'static {
    move |asked| {
        if asked.method == "GET" && asked.count % nth == 0 { conduct } else { Conduct::Good }
    }
}

fn causes(report: &RunReport) -> Vec<(&str, u64)> {
    report.summary.failures.iter().map(|(cause, count)| (cause.as_str(), *count)).collect()
}

#[test]
fn a_good_store_passes_and_is_left_empty() {
    let store = Store::start(|_| Conduct::Good);
    let mix = "get = 80\nput = 15\ndelete = 5";
    let report = run(&store, &SCENARIO.replace("get = 1", mix));
    assert_eq!(report.ending, Ending::Held, "{}", report.text());
    assert_eq!(report.summary.requests.due, 300);
    assert!(store.count("PUT") > 30 && store.count("DELETE") > 10);
    assert_eq!(store.objects(), 0);
    // Connections are kept: the 300 requests come over far fewer.
    assert!(report.summary.generator.connections < 150);
    assert_eq!(report.summary.instances.max, None);
}

#[test]
fn latency_counts_from_the_moment_a_request_was_due() {
    let stall: OnceLock<(Instant, Instant)> = OnceLock::new();
    // The store stands still from 1 s to 1.5 s after the first read, of 3 s.
    let store = Store::start(move |asked| {
        if asked.method != "GET" {
            return Conduct::Good;
        }
        let (from, to) = *stall.get_or_init(|| (within(1_000), within(1_500)));
        if (from..to).contains(&Instant::now()) { Conduct::GoodAt(to) } else { Conduct::Good }
    });
    let text = SCENARIO.replace("duration_s = 1.5", "duration_s = 3");
    let report = run(&store, &text.replace("rate = 200", "rate = 500"));
    let latency = report.summary.latency_ms;
    // A sixth of the requests wait, evenly spread from 0 to 500 ms: the 95th percentile is 5% of
    // 3 s before the end of the wait's distribution, 350 ms, and the 99th 1%, 470 ms.
    let (p95, p99) = (latency.p95.unwrap(), latency.p99.unwrap());
    assert!((300.0..450.0).contains(&p95), "{latency:?}");
    assert!((430.0..650.0).contains(&p99), "{latency:?}");
    assert!(latency.p50.unwrap() < 50.0, "{latency:?}");
    assert_eq!(report.ending, Ending::Held);
}

#[test]
fn one_wrong_byte_is_found_every_time() {
    let report = run(&Store::start(every(50, Conduct::WrongByte)), SCENARIO);
    assert_eq!(causes(&report), [("wrong_body", 6)]);
}

#[test]
fn a_lost_object_is_found() {
    let report = run(&Store::start(every(50, Conduct::NotFound)), SCENARIO);
    assert_eq!(causes(&report), [("lost_object", 6)]);
}

#[test]
fn a_replaced_body_is_found() {
    // With one key and a tenth of writes, most reads come well after a write was acknowledged.
    let text = SCENARIO.replace("get = 1", "get = 9\nput = 1").replace("count = 10", "count = 1");
    let report = run(&Store::start(every(20, Conduct::Outdated)), &text);
    let [("outdated_body", count)] = causes(&report)[..] else { panic!("{:?}", causes(&report)) };
    assert!((5..=13).contains(&count), "{count}");
}

#[test]
fn a_refusal_is_a_failure_and_counted_as_rejected() {
    let report = run(&Store::start(every(50, Conduct::Status(429))), SCENARIO);
    assert_eq!(causes(&report), [("status_429", 6)]);
    assert_eq!(report.summary.requests.rejected, 6);
    let report = run(&Store::start(every(50, Conduct::Status(500))), SCENARIO);
    assert_eq!(causes(&report), [("status_500", 6)]);
    assert_eq!(report.summary.requests.rejected, 0);
}

#[test]
fn what_is_never_answered_times_out() {
    let report = run(&Store::start(every(50, Conduct::Silence)), SCENARIO);
    assert_eq!(causes(&report), [("timeout", 6)]);
}

#[test]
fn a_connection_broken_in_an_answers_stead_is_a_failure_of_a_write() {
    let store = Store::start(|asked| {
        // The first ten store the objects.
        let reset = asked.method == "PUT" && asked.count > 10 && asked.count % 50 == 0;
        if reset { Conduct::Reset } else { Conduct::Good }
    });
    let report = run(&store, &SCENARIO.replace("get = 1", "get = 0\nput = 1"));
    assert_eq!(causes(&report), [("connection_lost", 6)]);
    assert_eq!(report.summary.generator.resent, 0);
}

#[test]
fn a_read_is_sent_anew_once_when_a_kept_connection_breaks() {
    let report = run(&Store::start(every(50, Conduct::Reset)), SCENARIO);
    let failed = report.summary.requests.failed;
    assert_eq!(failed + report.summary.generator.resent, 6, "{}", report.text());
    assert!(report.summary.generator.resent >= 1);
    // A store that always breaks the connection does not get away with it.
    let report = run(&Store::start(every(1, Conduct::Reset)), SCENARIO);
    assert_eq!(causes(&report), [("connection_lost", 300)]);
}

#[test]
fn a_connection_closed_after_an_answer_is_no_failure() {
    let store = Store::start(every(3, Conduct::Close));
    let report = run(&store, SCENARIO);
    assert_eq!(report.ending, Ending::Held, "{}", report.text());
    assert!(report.summary.generator.connections >= 99);
}

#[test]
fn what_exceeds_the_bound_in_flight_is_dropped_and_breaks_the_limit() {
    let store = Store::start(every(1, Conduct::Silence));
    let report = run(&store, &SCENARIO.replace("in_flight = 2000", "in_flight = 20"));
    let requests = report.summary.requests;
    // All 20 wait for a time-out of 1.5 s, which is as long as the load: the rest is dropped.
    assert!((20..=24).contains(&requests.failed), "{requests:?}");
    assert_eq!(requests.dropped, 300 - requests.failed);
    let broken = report.summary.limits.broken();
    assert_eq!(broken.len(), 2, "{broken:?}");
}

#[test]
fn the_warm_up_is_left_out_of_the_figures() {
    let text = SCENARIO.replace("seed = 5", "seed = 5\nwarm_up_s = 0.5");
    let report = run(&Store::start(every(10, Conduct::Status(503))), &text);
    assert_eq!(report.summary.requests.due, 200);
    assert_eq!(report.summary.warm_up.due, 100);
    assert_eq!(report.summary.requests.failed, 20);
    assert!((report.summary.duration_s - 1.0).abs() < 1e-9);
}

#[test]
fn an_interrupt_ends_the_load_and_keeps_what_was_measured() {
    let store = Store::start(|_| Conduct::Good);
    let folder = tempfile::tempdir().unwrap();
    let (sender, interrupt) = Interrupt::manual();
    let text = SCENARIO.replace("duration_s = 1.5", "duration_s = 60");
    let options = options(&store, &text, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(async {
        let run = tokio::spawn(loadgen::run(options, interrupt));
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        sender.send_replace(true);
        run.await.unwrap().unwrap()
    });
    assert_eq!((report.ending, report.ending.exit_code()), (Ending::Interrupted, 130));
    let summary = report.summary;
    assert!(summary.interrupted && summary.duration_s < 5.0, "{summary:?}");
    assert!(summary.requests.due > 50 && summary.requests.failed == 0, "{summary:?}");
    assert_eq!(store.objects(), 0);
    let latest = folder.path().join("results/latest/summary.json");
    assert!(std::fs::read_to_string(latest).unwrap().contains("\"interrupted\": true"));
}
