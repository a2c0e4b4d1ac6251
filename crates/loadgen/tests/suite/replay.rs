//! Traces and pace files as loads.

use std::path::Path;

use loadgen::{Interrupt, LoadedScenario, RunOptions, TraceOptions};

use crate::support::{Conduct, Store};

#[test]
fn a_pace_file_is_offered_at_its_rates_with_the_objects_of_the_scenarios() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    let file = folder.path().join("my pace.csv");
    std::fs::write(&file, "time,rate\n0,2000\n1,0\n2,1000\n4,0\n").unwrap();
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    let load = |factor| {
        LoadedScenario::of_trace(&file, &TraceOptions::default(), &services, factor, Some(7))
    };
    let options = RunOptions {
        scenario: load(0.25).unwrap(),
        target: store.url().parse().unwrap(),
        scaler: None,
        results: folder.path().join("results"),
    };
    let (_sender, interrupt) = Interrupt::manual();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(loadgen::run(options, interrupt)).unwrap();
    let summary = &report.summary;
    assert_eq!((summary.scenario.as_str(), summary.seed), ("my-pace", 7));
    assert!((summary.duration_s - 1.0).abs() < 1e-9, "{}", summary.duration_s);
    // 4,000 requests of four seconds are a thousand of one; six standard deviations hold for any seed.
    assert!((810..1_190).contains(&summary.requests.due), "{}", report.text());
    assert_eq!(summary.requests.failed, 0, "{}", report.text());
    assert_eq!(summary.conditions["load"], "open");
    assert_eq!(summary.conditions["trace"], "as recorded");
    assert!(store.count("PUT") > 200 && store.count("DELETE") > 200);
    assert_eq!(store.objects(), 0);
}
