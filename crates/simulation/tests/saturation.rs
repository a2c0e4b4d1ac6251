//! Services of which nobody knows what an instance serves, on cores that their instances share.

// Helpers of tests may panic as tests may, and read what is shipped: the crate reads no file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Duration;

use model::bounds::Bounds;
use model::decision::{Decision, Reason};
use model::service::ServiceSpec;
use model::tick::Tick;
use proptest::prelude::*;
use run::Recorder;
use simulation::host_model::{Faults, InstanceModel};
use simulation::{Detail, HostModel, Load, Simulation, Spread};
use workload::{RateCurve, Segment, Shape};

/// A service without a figure, whose instances may use so many cores and up to 20 of which there may be.
fn service(cpus: f64, policy: &str) -> ServiceSpec {
    let text = format!(
        "name = \"app\"\nimage = \"python\"\nroute = {{ path_prefix = \"/\" }}\n\
         instance = {{ port = 8000, health_path = \"/\", memory_mib = 64, cpus = {cpus:?}, processes = 64 }}\n\
         bounds = {{ min = 1, max = 20 }}\n{policy}"
    );
    config_file::from_toml("app.toml", &text).unwrap()
}

/// A host of four cores, on which a request takes so much CPU time, and so much time in all at least, in
/// milliseconds.
fn host(cpu_ms: u64, service_ms: f64) -> HostModel {
    HostModel {
        cores: Some(4),
        cpu_per_request: Duration::from_millis(cpu_ms),
        service: Spread::new(service_ms, service_ms).unwrap(),
        ..HostModel::measured()
    }
}

/// The same, where each instance's program has one thread.
fn of_one_thread(host: HostModel) -> HostModel {
    let instance = InstanceModel { threads: Some(1), ..host.instance };
    HostModel { instance, ..host }
}

/// A load that rises from nothing for a minute and stays there for half a minute, in requests per second.
fn ramp(to: f64) -> Load {
    let rise = Segment::new(Duration::from_secs(60), Shape::Line { from: 0.0, to });
    let level = Segment::new(Duration::from_secs(30), Shape::Line { from: to, to });
    Load::of_curve("ramp", 1, RateCurve::new([rise, level]))
}

/// What became of a load.
#[derive(Debug)]
struct Course {
    ticks: Vec<Tick>,
    failed: u64,
    outside_percent: f64,
}

impl Course {
    fn of(spec: ServiceSpec, host: HostModel, load: &Load, detail: Detail) -> Self {
        let tick = Duration::from_millis(100);
        let mut simulation = Simulation::new(spec, load, host, detail, tick).unwrap();
        let mut recorder = Recorder::new(Duration::ZERO, load.timeout);
        let mut ticks = Vec::new();
        while simulation.elapsed() < load.offered.duration().unwrap() {
            ticks.push(simulation.turn(&mut recorder).unwrap());
        }
        let failed = recorder.requests().failed;
        let late = recorder.late(Duration::from_millis(250));
        let outside = recorder.requests().outside_objective_percent(late);
        Self { ticks, failed, outside_percent: outside.unwrap_or_default() }
    }

    fn most_ready(&self) -> u32 {
        self.ticks.iter().map(|tick| tick.observation.phases.ready).max().unwrap()
    }

    fn ever_says(&self, reason: Reason) -> bool {
        self.ticks.iter().any(|tick| says(tick, reason))
    }
}

fn says(tick: &Tick, reason: Reason) -> bool {
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    reasons.contains(&reason)
}

/// Quiet, with two bursts of twenty seconds, in requests per second.
fn bursts(to: f64) -> Load {
    let level = |(seconds, rate)| {
        Segment::new(Duration::from_secs(seconds), Shape::Line { from: rate, to: rate })
    };
    let levels = [(10, 20.0), (20, to), (20, 20.0), (20, to), (20, 20.0)];
    Load::of_curve("bursts", 1, RateCurve::new(levels.map(level)))
}

#[test]
fn a_ramp_beyond_the_hosts_cores_ends_full_with_as_many_instances_as_help() {
    for detail in [Detail::Requests, Detail::Fluid] {
        // Four cores serve 400 requests/s of 10 ms each, with four instances that are full, or five at 80% of one.
        let course = Course::of(service(1.0, ""), host(10, 10.0), &ramp(600.0), detail);
        let most = course.most_ready();
        assert!((4..=5).contains(&most), "{detail:?}: {most}");
        let level = course.ticks.len() - 250;
        for tick in &course.ticks[level..] {
            assert!(says(tick, Reason::HostSaturated), "{tick:?}");
            assert_eq!(
                (tick.target(), tick.plan.len()),
                (Some(most), 0),
                "nothing flaps: {tick:?}"
            );
        }
        let host_cpu = course.ticks.last().unwrap().observation.host_cpu.unwrap();
        assert!(host_cpu.cores == 4 && host_cpu.busy > 0.99, "{host_cpu:?}");
    }
}

#[test]
fn a_load_that_the_cores_can_carry_is_carried_within_the_objective() {
    let course = Course::of(service(1.0, ""), host(10, 10.0), &ramp(330.0), Detail::Requests);
    assert_eq!((course.failed, course.most_ready()), (0, 5));
    assert!(course.outside_percent < 1.0, "{}", course.outside_percent);
}

#[test]
fn a_burst_gets_no_more_instances_than_the_cores_can_keep_busy_under_any_policy_that_sees_it() {
    let cpu = "kind = \"hpa\"\nmeasure = \"cpu\"\nsync_ms = 1000";
    for policy in ["kind = \"utilization\"", "kind = \"queue_depth\"", cpu] {
        let spec = service(1.0, &format!("[policy]\n{policy}"));
        let course = Course::of(spec, host(10, 10.0), &bursts(800.0), Detail::Requests);
        assert!((4..=6).contains(&course.most_ready()), "{policy}: {}", course.most_ready());
        assert!(course.ever_says(Reason::HostSaturated), "{policy}");
    }
}

#[test]
fn instances_that_wait_for_something_else_are_added_as_requests_ask_for_them() {
    for load in [ramp(300.0), bursts(300.0)] {
        // A millisecond of CPU time and 200 of waiting: 300 requests/s are 60 at a time.
        let course = Course::of(service(1.0, ""), host(1, 200.0), &load, Detail::Requests);
        assert!(!course.ever_says(Reason::HostSaturated), "{}", load.name);
        let (failed, outside) = (course.failed, course.outside_percent);
        assert!(failed == 0 && outside < 10.0, "{}: {failed}, {outside}", load.name);
        assert!((9..=14).contains(&course.most_ready()), "{}: {}", load.name, course.most_ready());
    }
}

#[test]
fn instances_that_use_all_that_they_may_are_added_on_a_host_with_cores_to_spare() {
    // A tenth of a core each, and 1.5 cores asked for.
    let course = Course::of(service(0.1, ""), host(10, 10.0), &ramp(150.0), Detail::Requests);
    assert!(!course.ever_says(Reason::HostSaturated));
    assert!(course.most_ready() >= 18 && course.ever_says(Reason::Cpu), "{}", course.most_ready());
}

#[test]
fn a_program_of_one_thread_in_instances_of_two_cores_gets_others_before_its_requests_wait() {
    // Eight of 40 ms in one thread are 320 ms for the last of them.
    let host = of_one_thread(host(40, 40.0));
    let course = Course::of(service(2.0, ""), host, &ramp(85.0), Detail::Requests);
    assert_eq!((course.failed, course.most_ready()), (0, 5));
    assert!(course.outside_percent < 1.0, "{}", course.outside_percent);
}

#[test]
fn a_lower_bound_above_the_cores_is_kept() {
    let mut spec = service(1.0, "");
    spec.bounds = Bounds::new(8, 20).unwrap();
    let course = Course::of(spec, host(10, 10.0), &ramp(600.0), Detail::Requests);
    assert_eq!(course.most_ready(), 8);
    assert!(course.ever_says(Reason::HostSaturated));
    assert!(course.ticks[100..].iter().all(|tick| tick.observation.phases.ready == 8));
}

#[test]
fn two_runs_of_one_seed_are_alike_where_cores_are_shared() {
    let run =
        || Course::of(service(1.0, ""), host(10, 30.0), &bursts(500.0), Detail::Requests).ticks;
    assert_eq!(run(), run());
}

/// The table of docs/decisions/0034-without-a-figure.md, with `--ignored --nocapture`.
#[test]
#[ignore = "it prints figures and judges none"]
fn policies_side_by_side_without_a_figure() {
    let of_cpu = host(10, 10.0);
    let slow = host(40, 40.0);
    let of_one = of_one_thread(slow.clone());
    let loads = [
        ("cpu, ramp to 350/s", 1.0, of_cpu.clone(), ramp(350.0)),
        ("cpu, bursts of 300/s", 1.0, of_cpu.clone(), bursts(300.0)),
        ("cpu, bursts of 800/s", 1.0, of_cpu, bursts(800.0)),
        ("wait, ramp to 300/s", 1.0, host(1, 200.0), ramp(300.0)),
        ("wait, bursts of 200/s", 1.0, host(1, 200.0), bursts(200.0)),
        ("one thread in 2 cores, ramp to 85/s", 2.0, of_one.clone(), ramp(85.0)),
        ("one thread in 2 cores, bursts of 70/s", 2.0, of_one, bursts(70.0)),
        ("threads in 2 cores, ramp to 85/s", 2.0, slow.clone(), ramp(85.0)),
        ("threads in 2 cores, bursts of 70/s", 2.0, slow, bursts(70.0)),
    ];
    let policies = [
        "kind = \"utilization\"",
        "kind = \"utilization\"\ntarget_percent = 70",
        "kind = \"utilization\"\ntarget_percent = 90",
        "kind = \"queue_depth\"",
        "kind = \"concurrency\"",
        "kind = \"hpa\"\nmeasure = \"cpu\"\nsync_ms = 1000\nstabilisation_in_ms = 3000",
        "kind = \"hpa\"\nmeasure = \"cpu\"",
    ];
    for (name, cpus, host, load) in &loads {
        for policy in policies {
            let spec = service(*cpus, &format!("[policy]\n{policy}"));
            let course = Course::of(spec, host.clone(), load, Detail::Requests);
            let there = |tick: &Tick| {
                let phases = tick.observation.phases;
                f64::from(phases.ready + phases.starting)
            };
            let until_next =
                |pair: &[Tick]| there(&pair[0]) * pair[1].at.since(pair[0].at).as_secs_f64();
            let seconds: f64 = course.ticks.windows(2).map(until_next).sum();
            let Course { outside_percent, failed, .. } = course;
            println!(
                "{name}: {policy:?}: {outside_percent:.2}% outside, {failed} failed, {seconds:.0}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every turn holds its plan to the plan checker, its decision to the bounds, and one that says that the host
    /// is full to what helps.
    #[test]
    fn no_rule_is_broken_on_cores_that_are_shared_and_no_request_lost_from_sight(
        seed in any::<u64>(),
        rates in prop::collection::vec(prop_oneof![Just(0.0), 1.0..600.0_f64], 1..4),
        (cores, cpu_ms, waits_ms) in (1_u32..5, 1_u64..40, 1.0..200.0_f64),
        cpus in prop::sample::select(vec![0.1, 0.5, 1.0, 4.0]),
        threads in prop::option::of(1_u32..3),
        policy in prop::sample::select(vec!["utilization", "queue_depth", "concurrency", "threshold"]),
        (missing, stale, jumps) in (0.0..20.0_f64, 0.0..20.0_f64, 0.0..5.0_f64),
        crash_mean_s in prop::option::of((5_u32..60).prop_map(f64::from)),
        restarts in prop::collection::btree_map(0_usize..300, any::<bool>(), 0..3),
        detail in prop_oneof![Just(Detail::Requests), Just(Detail::Fluid)],
    ) {
        let level =
            |rate: &f64| Segment::new(Duration::from_secs(10), Shape::Line { from: *rate, to: *rate });
        let load = Load::of_curve("levels", seed, RateCurve::new(rates.iter().map(level)));
        let faults = Faults {
            crash_mean_s,
            missing_looks_percent: missing,
            stale_looks_percent: stale,
            clock_jumps_percent: jumps,
            ..Faults::default()
        };
        let instance = InstanceModel { threads, ..InstanceModel::default() };
        let host = HostModel { cores: Some(cores), faults, instance, ..host(cpu_ms, waits_ms) };
        let spec = service(cpus, &format!("[policy]\nkind = \"{policy}\""));
        let tick = Duration::from_millis(100);
        let mut simulation = Simulation::new(spec, &load, host, detail, tick).unwrap();
        let mut recorder = Recorder::new(Duration::ZERO, load.timeout).without_rows();
        let whole = load.offered.duration().unwrap();
        let mut turn = 0_usize;
        while simulation.elapsed() < whole {
            if simulation.has_started() {
                turn += 1;
                restarts.get(&turn).inspect(|keeps| simulation.restart_scaler(**keeps));
            }
            let taken = simulation.turn(&mut recorder);
            prop_assert!(taken.is_ok(), "{}", taken.unwrap_err());
            let requests = recorder.requests();
            prop_assert_eq!(requests.due, requests.ok + requests.failed + requests.dropped);
        }
        let (waiting, before) = (simulation.under_way(), recorder.requests());
        // A tenth of a core and eight requests of 40 ms: 3.2 s more than they wait.
        while simulation.elapsed() < whole + Duration::from_secs(30) {
            simulation.turn(&mut recorder).unwrap();
        }
        prop_assert_eq!(simulation.under_way(), 0);
        prop_assert_eq!(recorder.requests().due, before.due + waiting);
        prop_assert!(!recorder.failures().contains_key("status_502"), "{:?}", recorder.failures());
    }
}
