//! Random histories in virtual time: no rule is broken and no request lost from sight, whatever fails, comes or goes.

// Helpers of tests may panic as tests may, and read what is shipped: the crate reads no file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use model::bounds::Bounds;
use model::service::{Replacement, ServiceSpec};
use model::version::{Rollout, Version};
use proptest::prelude::*;
use run::Recorder;
use simulation::host_model::Faults;
use simulation::{Behaviour, Detail, HostModel, Load, Simulation};
use workload::{RateCurve, Segment, Shape};

fn store() -> ServiceSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/object-store.toml");
    let text = std::fs::read_to_string(path).unwrap();
    config_file::from_toml::<ServiceSpec>("service.toml", &text).unwrap()
}

/// A load of these levels in requests/s, ten seconds each.
fn levels(seed: u64, rates: &[f64]) -> Load {
    let level =
        |rate: &f64| Segment::new(Duration::from_secs(10), Shape::Line { from: *rate, to: *rate });
    Load::of_curve("levels", seed, RateCurve::new(rates.iter().map(level)))
}

/// The store as a service that is replaced in this way.
fn replaced_by(replacement: Replacement) -> ServiceSpec {
    let mut spec = ServiceSpec { replacement, ..store() };
    if replacement == Replacement::Recreate {
        spec.bounds = Bounds::new(1, 1).unwrap();
        spec.watch = Duration::ZERO;
    }
    spec
}

/// One random history: levels of load, faults, and bounds that change.
#[derive(Debug, Clone)]
struct History {
    seed: u64,
    rates: Vec<f64>,
    faults: Faults,
    most_instances: Option<u32>,
    bounds: Vec<(u32, u32)>,
    detail: Detail,
    replacement: Replacement,
    /// By turn of the load.
    events: BTreeMap<usize, Event>,
}

/// What an operator or the machine does to the scaler.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// Version 1 to 11 is deployed: from 6 on they never get healthy, from 10 on they fail every second request.
    Deploy(u32),
    /// The scaler is killed, and comes back with or without its memory.
    Restart { keeps_memory: bool },
}

impl Event {
    fn happen(self, simulation: &mut Simulation) {
        match self {
            Self::Deploy(version) => {
                let behaviour = match version {
                    ..6 => Behaviour::Sound,
                    6..10 => Behaviour::NeverHealthy,
                    10.. => Behaviour::FailsEverySecond,
                };
                simulation.deploy(Version::new(version), behaviour);
            }
            Self::Restart { keeps_memory } => simulation.restart_scaler(keeps_memory),
        }
    }
}

/// Events at some of the turns up to `turns`, with deploys of versions up to `last`.
fn any_events(turns: usize, last: u32) -> impl Strategy<Value = BTreeMap<usize, Event>> {
    let event = prop_oneof![
        3 => (1..=last).prop_map(Event::Deploy),
        1 => any::<bool>().prop_map(|keeps_memory| Event::Restart { keeps_memory }),
    ];
    prop::collection::btree_map(0..turns, event, 0..8)
}

fn any_history() -> impl Strategy<Value = History> {
    let share = || prop_oneof![2 => Just(0.0), 1 => 0.0..30.0_f64];
    let mean_s = || prop::option::of((1_u32..60).prop_map(f64::from));
    let faults = (mean_s(), mean_s(), share(), share(), share(), share()).prop_map(
        |(crash, stuck, failed_launches, missing_looks, stale_looks, clock_jumps)| Faults {
            crash_mean_s: crash,
            stuck_mean_s: stuck,
            failed_launches_percent: failed_launches,
            missing_looks_percent: missing_looks,
            stale_looks_percent: stale_looks,
            clock_jumps_percent: clock_jumps,
        },
    );
    let most_instances = prop::option::of(2_u32..12);
    let bounds = (1_u32..6, 0_u32..12).prop_map(|(min, more)| (min, min + more));
    let detail = prop_oneof![Just(Detail::Requests), Just(Detail::Fluid)];
    (
        any::<u64>(),
        prop::collection::vec(prop_oneof![Just(0.0), 1.0..400.0_f64], 1..4),
        faults,
        prop::collection::vec(bounds, 1..4),
        detail,
        prop_oneof![2 => Just(Replacement::Surge), 1 => Just(Replacement::Recreate)],
        most_instances,
        any_events(300, 11),
    )
        .prop_map(
            |(seed, rates, faults, bounds, detail, replacement, most_instances, events)| History {
                seed,
                rates,
                faults,
                most_instances,
                bounds,
                detail,
                replacement,
                events,
            },
        )
}

proptest! {
    // `./just histories` runs 100,000 of them.
    #[test]
    fn no_rule_is_broken_and_no_request_lost_from_sight_whatever_fails(history in any_history()) {
        let History { seed, rates, faults, most_instances, bounds, detail, replacement, events } =
            history;
        let load = levels(seed, &rates);
        let host = HostModel { faults, most_instances, ..HostModel::measured() };
        let tick = Duration::from_millis(100);
        let spec = replaced_by(replacement);
        let mut simulation = Simulation::new(spec, &load, host, detail, tick).unwrap();
        let mut recorder = Recorder::new(Duration::ZERO, load.timeout).without_rows();
        let (mut turn, mut turn_of_load) = (0_usize, 0_usize);
        let whole = load.offered.duration().unwrap();
        while simulation.elapsed() < whole {
            if simulation.has_started() && turn.is_multiple_of(50) {
                let (min, max) = bounds[turn / 50 % bounds.len()];
                let bounds = match replacement {
                    Replacement::Surge => Bounds::new(min, max),
                    Replacement::Recreate => Bounds::new(min % 2, 1),
                };
                simulation.set_bounds(bounds.unwrap());
            }
            turn += 1;
            if simulation.has_started() {
                turn_of_load += 1;
                events.get(&turn_of_load).inspect(|event| event.happen(&mut simulation));
            }
            // Every turn holds its plan to the plan checker, its decision to the bounds, and a
            // service that is replaced by recreating to one instance that runs.
            let taken = simulation.turn(&mut recorder);
            prop_assert!(taken.is_ok(), "{}", taken.unwrap_err());
            let requests = recorder.requests();
            prop_assert_eq!(requests.due, requests.ok + requests.failed + requests.dropped);
        }
        // What came is served, waits, or has failed: nothing else is under way after its time.
        let waiting = simulation.under_way();
        let before = recorder.requests();
        while simulation.elapsed() < whole + Duration::from_secs(25) {
            simulation.turn(&mut recorder).unwrap();
        }
        prop_assert_eq!(simulation.under_way(), 0);
        prop_assert_eq!(recorder.requests().due, before.due + waiting);
        // What crashes is tried elsewhere, and nothing is stopped that still works on something.
        prop_assert!(!recorder.failures().contains_key("status_502"), "{:?}", recorder.failures());
    }

    /// A load that one or two instances carry, under deploys and restarts of the scaler: no request
    /// fails, whatever versions come and go, and in the end all instances are of one that works.
    #[test]
    fn versions_that_come_and_go_cost_no_request(
        seed in any::<u64>(),
        rate in 1.0..60.0_f64,
        events in any_events(300, 9),
    ) {
        let load = levels(seed, &[rate, rate, rate]);
        let tick = Duration::from_millis(100);
        let host = HostModel::measured();
        let mut simulation = Simulation::new(store(), &load, host, Detail::Requests, tick).unwrap();
        let mut recorder = Recorder::new(Duration::ZERO, load.timeout).without_rows();
        let mut turn = 0_usize;
        while simulation.elapsed() < Duration::from_secs(30) {
            let tick = simulation.turn(&mut recorder).unwrap();
            if simulation.has_started() {
                turn += 1;
                events.get(&turn).inspect(|event| event.happen(&mut simulation));
                prop_assert!(tick.observation.phases.ready > 0);
            }
        }
        let failures = recorder.failures();
        prop_assert!(failures.is_empty(), "{failures:?}");
        simulation.deploy(Version::new(5), Behaviour::Sound);
        for _ in 0..600 {
            simulation.turn(&mut recorder).unwrap();
        }
        prop_assert_eq!(simulation.versions(), [Version::new(5)].into());
    }

    /// A version that fails every second request goes back within 3 s of its first failed answer, while the old
    /// fleet is whole, whatever the seed and the load of one or two instances, and wherever the scaler is killed
    /// before it.
    #[test]
    fn a_version_that_fails_every_second_request_goes_back_in_time(
        seed in any::<u64>(),
        rate in 20.0..60.0_f64,
        restarts_at in prop::option::of(0_usize..100),
    ) {
        let load = levels(seed, &[rate, rate, rate]);
        let (host, tick) = (HostModel::measured(), Duration::from_millis(100));
        let mut simulation = Simulation::new(store(), &load, host, Detail::Requests, tick).unwrap();
        let mut recorder = Recorder::new(Duration::ZERO, load.timeout).without_rows();
        let (mut turn, mut failed_at, mut given_up_at) = (0_usize, None, None);
        while simulation.elapsed() < Duration::from_secs(30) {
            let tick = simulation.turn(&mut recorder).unwrap();
            turn += usize::from(simulation.has_started());
            if turn == 100 {
                simulation.deploy(Version::new(2), Behaviour::FailsEverySecond);
            } else if restarts_at.is_some_and(|at| turn == at) {
                simulation.restart_scaler(true);
            }
            if recorder.failures().contains_key("status_500") {
                failed_at.get_or_insert(simulation.elapsed());
            }
            if matches!(tick.rollout, Some(Rollout::GivenUp { .. })) {
                given_up_at.get_or_insert(simulation.elapsed());
            }
            prop_assert!(tick.rollout.unwrap().serving() == Version::new(1));
        }
        let took = given_up_at.unwrap().saturating_sub(failed_at.unwrap());
        prop_assert!(took < Duration::from_secs(3), "{took:?}");
        let failures = recorder.failures();
        prop_assert!(failures.keys().all(|cause| *cause == "status_500"), "{failures:?}");
        prop_assert_eq!(simulation.versions(), [Version::new(1)].into());
    }

    /// The same of a service that never has two instances, and versions that all get healthy: its
    /// requests wait in the load balancer while one instance follows another.
    #[test]
    fn a_service_that_is_recreated_keeps_its_requests_waiting_and_loses_none(
        seed in any::<u64>(),
        rate in 1.0..30.0_f64,
        events in any_events(300, 9),
    ) {
        let load = levels(seed, &[rate, rate, rate]);
        let spec = replaced_by(Replacement::Recreate);
        let (host, tick) = (HostModel::measured(), Duration::from_millis(100));
        let mut simulation = Simulation::new(spec, &load, host, Detail::Requests, tick).unwrap();
        let mut recorder = Recorder::new(Duration::ZERO, load.timeout).without_rows();
        let mut turn = 0_usize;
        while simulation.elapsed() < Duration::from_secs(30) {
            simulation.turn(&mut recorder).unwrap();
            if simulation.has_started() {
                turn += 1;
                match events.get(&turn) {
                    Some(Event::Deploy(version)) => {
                        simulation.deploy(Version::new(*version), Behaviour::Sound);
                    }
                    Some(restart) => restart.happen(&mut simulation),
                    None => {}
                }
            }
        }
        simulation.deploy(Version::new(5), Behaviour::Sound);
        for _ in 0..100 {
            simulation.turn(&mut recorder).unwrap();
        }
        let failures = recorder.failures();
        prop_assert!(failures.is_empty(), "{failures:?}");
        prop_assert_eq!(simulation.versions(), [Version::new(5)].into());
    }
}
