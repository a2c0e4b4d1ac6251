//! What a simulation records is decided again as it was decided, bit for bit: under every policy, over restarts of the
//! scaler, rollouts, lost statistics, and all else that may go wrong.

// Helpers of tests may panic as tests may, and read what is shipped: the crate reads no file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::action::Blocked;
use model::bounds::Bounds;
use model::decision::Decision;
use model::policies::{PolicyKind, PolicySpec};
use model::service::ServiceSpec;
use model::version::{Rollout, Version};
use policy::recording::{Decided, Replay, Step};
use run::Recorder;
use simulation::host_model::Faults;
use simulation::{Behaviour, Detail, HostModel, Load, Simulation};
use workload::{RateCurve, Segment, Shape};

const TICK: Duration = Duration::from_millis(100);

/// How long a client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

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

fn simulation(policy: PolicyKind, load: &Load, faults: Faults) -> Simulation {
    let spec = ServiceSpec { policy: policy.into(), ..store() };
    let host = HostModel { faults, cores: Some(4), ..HostModel::measured() };
    Simulation::new(spec, load, host, Detail::Requests, TICK).unwrap()
}

/// All that may go wrong.
fn faults() -> Faults {
    Faults {
        crash_mean_s: Some(30.0),
        stuck_mean_s: Some(60.0),
        failed_launches_percent: 10.0,
        missing_looks_percent: 3.0,
        stale_looks_percent: 3.0,
        clock_jumps_percent: 0.5,
    }
}

/// What an operator and the host do at some turns: deploys, of which one goes wrong, restarts with and without what was
/// kept, other bounds, another policy.
fn happen(simulation: &mut Simulation, turn: usize) {
    match turn {
        100 => simulation.deploy(Version::new(2), Behaviour::Sound),
        200 => simulation.restart_scaler(true),
        250 => simulation.deploy(Version::new(3), Behaviour::FailsEverySecond),
        400 => simulation.set_bounds(Bounds::new(2, 6).unwrap()),
        450 => simulation.restart_scaler(false),
        500 => simulation.deploy(Version::new(4), Behaviour::NeverHealthy),
        550 => simulation.set_policy(PolicyKind::Hpa.into()),
        _ => {}
    }
}

/// The turns of a recording, decided again.
fn replayed(text: &[u8], policy: Option<PolicySpec>) -> Vec<Decided> {
    let mut replay = Replay::new(policy);
    let lines = std::str::from_utf8(text).unwrap().lines();
    let steps = (1..).zip(lines).map(|(number, line)| replay.line(number, line).unwrap());
    let decided = steps.filter_map(|step| match step {
        Step::Decided(decided) => Some(*decided),
        Step::Begins(_) | Step::Starts | Step::Ends(_) => None,
    });
    decided.collect()
}

#[test]
fn the_same_policy_decides_and_plans_the_same_for_every_policy_whatever_goes_wrong() {
    let (mut holds, mut given_up, mut blocked) = (0, 0, 0);
    for (seed, policy) in (1..).zip(PolicyKind::all()) {
        let load = levels(seed, &[20.0, 300.0, 80.0, 500.0, 10.0, 150.0, 0.0]);
        let mut simulation = simulation(policy, &load, faults());
        let mut requests = Recorder::new(Duration::ZERO, TIMEOUT);
        // The policy has learnt from what was before the recording.
        for _ in 0..300 {
            simulation.turn(&mut requests).unwrap();
        }
        simulation.record();
        let mut ticks = Vec::new();
        for turn in 0..1200 {
            happen(&mut simulation, turn);
            ticks.push(simulation.turn(&mut requests).unwrap());
        }
        let decided = replayed(&simulation.recorded(), None);
        assert_eq!(decided.len(), ticks.len(), "{policy}");
        for (decided, tick) in decided.iter().zip(&ticks) {
            assert_eq!(decided.recorded, decided.now(), "{policy}");
            // All of the tick, what was observed with every bit of its floats among it.
            assert_eq!(format!("{:?}", decided.tick), format!("{tick:?}"), "{policy}");
            holds += u32::from(matches!(tick.decision, Decision::Hold { .. }));
            given_up += u32::from(matches!(tick.rollout, Some(Rollout::GivenUp { .. })));
            blocked += u32::from(tick.blocked.contains(&Blocked::LaunchBackoff));
        }
    }
    // What was to go wrong did.
    assert!(holds > 100 && given_up > 100 && blocked > 100, "{holds}, {given_up}, {blocked}");
}

#[test]
fn another_policy_decides_as_it_would_have_on_the_same_load_and_instances() {
    let load = levels(3, &[20.0, 300.0, 20.0]);
    let mut simulation = simulation(PolicyKind::TargetTracking, &load, Faults::default());
    let mut requests = Recorder::new(Duration::ZERO, TIMEOUT);
    simulation.record();
    for _ in 0..1000 {
        simulation.turn(&mut requests).unwrap();
    }
    let text = simulation.recorded();
    let same = replayed(&text, Some(PolicyKind::TargetTracking.into()));
    assert!(same.iter().all(|decided| decided.recorded.decision == decided.tick.decision));
    let other = replayed(&text, Some(PolicyKind::Concurrency.into()));
    let differs = |decided: &&Decided| decided.recorded.decision != decided.tick.decision;
    assert!(other.iter().filter(differs).count() > 100);
    for (same, other) in same.iter().zip(&other) {
        assert_eq!(same.tick.observation, other.tick.observation);
        assert_eq!(same.policy, other.policy, "the one that decided then");
    }
}

/// Writes those recordings of `crates/bellows/tests/recordings` that are simulated. They stay as they were written: run
/// it for a new one alone.
#[test]
#[ignore = "it writes to the tree"]
fn write_the_simulated_recordings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bellows/tests/recordings");
    let calm = Faults::default();
    for (name, policy, faults, happens) in [
        ("simulated-spike", PolicyKind::TargetTracking, calm, false),
        ("simulated-rollouts", PolicyKind::Concurrency, calm, true),
        ("simulated-faults", PolicyKind::Predictive, self::faults(), true),
    ] {
        let load = levels(7, &[10.0, 250.0, 30.0, 0.0]);
        let mut simulation = simulation(policy, &load, faults);
        let mut requests = Recorder::new(Duration::ZERO, TIMEOUT);
        while !simulation.has_started() {
            simulation.turn(&mut requests).unwrap();
        }
        simulation.record();
        for turn in 0..600 {
            if happens {
                happen(&mut simulation, turn);
            }
            simulation.turn(&mut requests).unwrap();
        }
        let file: PathBuf = folder.join(format!("{name}.jsonl"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(file, simulation.recorded()).unwrap();
    }
}
