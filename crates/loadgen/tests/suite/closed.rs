//! Closed loads: threads that wait for their answers.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use loadgen::{Ending, Interrupt};

use crate::support::{Conduct, Store, within};
use crate::verified_objects::{every, options, run};

/// Two stages of 40 and 60 requests.
const SCENARIO: &str = r#"
name = "threads"
service = "object-store"
seed = 5
timeout_ms = 1500

[[stages]]
threads = 2
requests_per_thread = 20
max_delay_ms = 10

[[stages]]
threads = 6
requests_per_thread = 10
max_delay_ms = 20

[objects]
get = 8
put = 2
count = 10

[limits]
max_failed = 0
max_dropped = 0
"#;

#[test]
fn every_thread_makes_its_requests_and_has_one_under_way() {
    let store = Store::start(|_| Conduct::Good);
    let report = run(&store, SCENARIO);
    let summary = &report.summary;
    assert_eq!((summary.requests.due, summary.requests.ok), (100, 100), "{}", report.text());
    assert_eq!(summary.conditions["load"], "closed, 6 threads at most");
    // Each thread has one connection at most, and the second stage goes on with those of the first.
    assert!((1..=6).contains(&summary.generator.connections), "{summary:?}");
    // Of 20 delays of 5 ms each in the mean, and 10 of 10 ms.
    assert!(summary.duration_s > 0.12, "{summary:?}");
    assert!(summary.generator.lateness_ms.p50.is_some());
    assert_eq!(store.objects(), 0);
}

#[test]
fn a_stall_is_in_the_latency_of_those_alone_who_wait_for_it() {
    let stall: OnceLock<(Instant, Instant)> = OnceLock::new();
    // The store stands still for 700 ms, soon after the first read.
    let store = Store::start(move |asked| {
        if asked.method != "GET" {
            return Conduct::Good;
        }
        let (from, to) = *stall.get_or_init(|| (within(30), within(730)));
        if (from..to).contains(&Instant::now()) { Conduct::GoodAt(to) } else { Conduct::Good }
    });
    let text = SCENARIO.replace("requests_per_thread = 20", "requests_per_thread = 60");
    let report = run(&store, &text);
    let latency = report.summary.latency_ms;
    assert_eq!(report.summary.requests.ok, 180, "{}", report.text());
    assert!(latency.max.unwrap() > 500.0, "{latency:?}");
    // Two of 180 wait; an open load at this rate would have had a hundred of them wait.
    assert!(latency.p95.unwrap() < 300.0, "{latency:?}");
    assert!(report.summary.duration_s > 0.9, "{:?}", report.summary);
}

#[test]
fn a_thread_goes_on_after_a_failure() {
    let text = SCENARIO.replace("get = 8\nput = 2", "get = 1");
    for (conduct, cause) in [(Conduct::Status(503), "status_503"), (Conduct::Silence, "timeout")] {
        let report = run(&Store::start(every(50, conduct)), &text);
        let requests = report.summary.requests;
        assert_eq!((requests.due, requests.failed), (100, 2), "{}", report.text());
        assert_eq!(report.summary.failures[cause], 2);
        assert_eq!(report.ending, Ending::NotHeld);
    }
}

#[test]
fn an_interrupt_ends_threads_in_the_middle_of_a_delay() {
    let store = Store::start(|_| Conduct::Good);
    let folder = tempfile::tempdir().unwrap();
    let (sender, interrupt) = Interrupt::manual();
    let text = SCENARIO.replace("max_delay_ms = 10\n", "max_delay_ms = 600000\n");
    let options = options(&store, &text, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let report = runtime.block_on(async {
        let run = tokio::spawn(loadgen::run(options, interrupt));
        // Ten objects are stored in a second; the first delays last for minutes.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        sender.send_replace(true);
        run.await.unwrap().unwrap()
    });
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(report.ending, Ending::Interrupted);
    assert!(report.summary.interrupted && report.summary.duration_s < 20.0, "{}", report.text());
    assert_eq!(report.summary.requests.failed, 0);
    assert_eq!(store.objects(), 0);
}
