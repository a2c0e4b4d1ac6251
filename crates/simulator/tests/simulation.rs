//! Whole simulations: the same bytes for the same seed, and figures near those that were measured for real.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::tick::Tick;
use run::calibration::{FOLDER, HOST_FILE, HostFigures, LimitedBy, Point, Times};
use run::summary::Percentiles;
use run::{Calibration, Summary};
use simulation::host_model::Faults;
use simulation::{Detail, HostModel, Spread};
use simulator::Setup;
use simulator::input::{Choices, Folders, Source};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folders() -> Folders {
    Folders {
        scenarios: root().join("loadgen/scenarios"),
        traces: root().join("loadgen/traces"),
        policies: root().join("loadgen/policies"),
        services: root().join("services"),
        results: PathBuf::from("there are none"),
    }
}

fn scenario(name: &str, choices: &Choices) -> Setup {
    folders().setup(&Source::Scenario(name.to_owned()), choices).unwrap()
}

/// What a run writes down, as bytes.
fn bytes(setup: &Setup) -> (String, String) {
    let mut ticks = String::new();
    let outcome = setup.run(|tick| {
        ticks.push_str(&serde_json::to_string(tick).unwrap());
        ticks.push('\n');
        Ok(())
    });
    (serde_json::to_string(&outcome.unwrap().summary).unwrap(), ticks)
}

#[test]
fn the_calibrated_host_is_the_one_to_simulate_unless_another_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().to_owned();
    let calibration = results.join(FOLDER);
    let path = calibration.join(HOST_FILE);
    let host = |host: Option<&str>| {
        let folders = Folders { results: results.clone(), ..folders() };
        let choices = Choices { host: host.map(PathBuf::from), ..Choices::default() };
        folders.setup(&Source::Scenario("ramp".to_owned()), &choices).map(|setup| setup.host)
    };
    assert_eq!(host(None).unwrap(), HostModel::measured());
    let ms = Percentiles { p50: Some(300.0), p99: Some(900.0) };
    let times = Times { count: 35, ms };
    let figures = HostFigures { clone: times, cpu_ms_per_request: Some(0.2), ..Default::default() };
    calibration_of(figures).write(&calibration).unwrap();
    let calibrated = host(None).unwrap();
    assert_eq!(calibrated.source, path.display().to_string());
    assert_eq!(calibrated.clone, Spread::new(300.0, 900.0).unwrap());
    assert!((calibrated.cpu_per_request.as_secs_f64() - 0.000_2).abs() < 1e-9);
    assert_eq!(calibrated.stop, HostModel::measured().stop);
    assert_eq!(host(Some("measured")).unwrap(), HostModel::measured());
    std::fs::write(&path, "clone = 1").unwrap();
    assert!(host(None).unwrap_err().to_string().starts_with(&path.display().to_string()));
    assert!(host(Some("measured")).is_ok());
}

/// A calibration that measured this of the host.
fn calibration_of(host: HostFigures) -> Calibration {
    Calibration {
        service: "object-store".to_owned(),
        started_at_ms: 1_763_800_000_000,
        finished_at_ms: 1_763_800_500_000,
        complete: true,
        instances: 1,
        conditions: BTreeMap::default(),
        points: vec![Point {
            instances: 1,
            met_rps: Some(45.0),
            missed_rps: Some(46.0),
            limited_by: LimitedBy::Service,
        }],
        host,
        trials: Vec::new(),
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    for detail in [Detail::Requests, Detail::Fluid] {
        let choices = Choices { detail: Some(detail), ..Choices::default() };
        let one = scenario("spike", &choices);
        let other = scenario("spike", &Choices { seed: Some(7), ..choices });
        assert_eq!(bytes(&one), bytes(&one));
        assert_ne!(bytes(&one), bytes(&other));
    }
}

#[test]
fn faults_leave_the_arrivals_as_they_are() {
    let calm = scenario("spike", &Choices::default());
    let mut faulty = calm.clone();
    faulty.host.faults = Faults { crash_mean_s: Some(20.0), ..Faults::default() };
    let due = |setup: &Setup| setup.run(|_| Ok(())).unwrap().summary.requests.due;
    assert_eq!(due(&calm), due(&faulty));
}

#[test]
fn a_calm_spike_comes_out_as_it_did_on_containers() {
    // Measured on two idle cores with the same seed and a patience of 10 s: 12,477 requests, p95
    // 2.0 ms, p99 128 ms, 1 to 10 instances, 516.8 instance-seconds until it was back at the lower
    // bound, after 10.2 s. The rest of the 90 s for settling has one instance.
    let mut spike = scenario("spike", &Choices::default());
    spike.spec.scale_in.rules.patience = Duration::from_secs(10);
    let summary = spike.run(|_| Ok(())).unwrap().summary;
    let Summary { requests, latency_ms, instances, limits, .. } = summary;
    assert_eq!((requests.due, requests.ok), (12_477, 12_477));
    assert!((1.5..2.5).contains(&latency_ms.p95.unwrap()), "{latency_ms:?}");
    assert!((60.0..200.0).contains(&latency_ms.p99.unwrap()), "{latency_ms:?}");
    assert_eq!((instances.min, instances.max), (Some(1), Some(10)));
    let instance_seconds = 516.8 + (90.0 - 10.2);
    assert!((instances.seconds.unwrap() - instance_seconds).abs() < 10.0, "{instances:?}");
    assert!((limits.back_to_min.unwrap().measured_s.unwrap() - 10.2).abs() < 1.0, "{limits:?}");
}

#[test]
fn requests_are_held_to_the_objective_of_the_services_file() {
    let mut spike = scenario("spike", &Choices::default());
    let at_250_ms = spike.run(|_| Ok(())).unwrap().summary;
    spike.spec.objective = Duration::from_millis(2);
    let at_2_ms = spike.run(|_| Ok(())).unwrap().summary;
    assert_eq!((at_250_ms.objective_ms, at_2_ms.objective_ms), (250, 2));
    assert_eq!(at_250_ms.latency_ms, at_2_ms.latency_ms);
    // The 95th percentile of this load is about 2 ms.
    let outside = at_2_ms.outside_objective_percent.unwrap();
    assert!(at_250_ms.outside_objective_percent.unwrap() < 1.0 && outside > 2.0, "{outside}");
}

#[test]
fn amounts_agree_with_single_requests() {
    let run = |detail| {
        let choices = Choices { detail: Some(detail), ..Choices::default() };
        scenario("ramp", &choices).run(|_| Ok(())).unwrap().summary
    };
    let (single, fluid) = (run(Detail::Requests), run(Detail::Fluid));
    let relative = |a: f64, b: f64| (a / b - 1.0).abs();
    let seconds = |s: &Summary| s.instances.seconds.unwrap();
    assert!(relative(seconds(&fluid), seconds(&single)) < 0.03, "{fluid:?} {single:?}");
    let p95 = |s: &Summary| s.latency_ms.p95.unwrap();
    assert!(relative(p95(&fluid), p95(&single)) < 0.25, "{fluid:?} {single:?}");
    assert_eq!(fluid.requests.failed, 0);
}

#[test]
fn every_shipped_scenario_is_simulated_and_its_fleet_comes_back() {
    for source in folders().sources().unwrap() {
        let Source::Scenario(name) = &source else { continue };
        if name == "soak" {
            continue;
        }
        let outcome = scenario(name, &Choices::default()).run(|_| Ok(())).unwrap();
        let Summary { requests, limits, .. } = outcome.summary;
        assert_eq!(requests.ok, requests.due, "{name}");
        assert!(limits.back_to_min.is_some_and(|limit| limit.held), "{name}: {limits:?}");
        assert!(outcome.series.rows.len() > 90, "{name}");
    }
}

#[test]
fn two_a_second_asks_for_nothing() {
    let summary = scenario("two-a-second", &Choices::default()).run(|_| Ok(())).unwrap().summary;
    assert_eq!((summary.instances.max, summary.scaling.out), (Some(1), Some(0)));
}

#[test]
fn a_closed_load_lasts_as_long_as_its_answers_make_it_last() {
    let run = |choices| {
        let setup = scenario("seven-stages", &choices);
        assert_eq!(bytes(&setup), bytes(&setup));
        setup.run(|_| Ok(())).unwrap()
    };
    let whole = run(Choices::default());
    let summary = &whole.summary;
    assert_eq!((summary.requests.due, summary.requests.ok), (7_670, 7_670));
    // The mean delays of the stages' threads come to 216 s, their answers to some seconds more.
    assert!((200.0..260.0).contains(&summary.duration_s), "{}", summary.duration_s);
    assert!((whole.series.load_end_s - summary.duration_s).abs() < 1e-9);
    assert!(summary.instances.max.is_some_and(|max| max >= 5), "{:?}", summary.instances);
    assert_eq!(summary.conditions["load"], "closed, 10 threads at most");
    let short = run(Choices { time_factor: Some(0.1), ..Choices::default() }).summary;
    assert_eq!(short.requests.due, 7_670);
    assert!(short.duration_s < summary.duration_s / 2.0, "{}", short.duration_s);
}

#[test]
fn a_closed_load_is_not_simulated_in_amounts() {
    let mut setup = scenario("seven-stages", &Choices::default());
    setup.detail = Detail::Fluid;
    let error = setup.run(|_| Ok(())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a closed load is simulated request by request: take detail=requests"
    );
}

#[test]
fn a_trace_is_scaled_to_its_peak() {
    let path = root().join("loadgen/traces/azure_llm_2023_code_per_second.csv");
    let choices = Choices { peak: Some(3.0), ..Choices::default() };
    let setup = folders().setup(&Source::Trace(path), &choices).unwrap();
    assert!((setup.load.offered.first_rps().unwrap() - 150.0 / 67.0).abs() < 1e-9);
    assert_eq!(setup.load.offered.duration(), Some(Duration::from_secs(3_437)));
    let ticks = std::cell::Cell::new(0_u64);
    let count = |tick: &Tick| {
        ticks.set(ticks.get() + 1);
        assert_eq!(tick.sequence, ticks.get());
        Ok(())
    };
    let outcome = setup.run(count).unwrap();
    assert!(ticks.get() > 10 && outcome.turns > 34_000, "{} of {}", ticks.get(), outcome.turns);
}
