//! How fast virtual time passes: `cargo bench -p simulation`.
//!
//! One service must take 100,000 turns/s on one core, and previews of ten minutes of ticks and of a day of minutes 50 and
//! 300 ms; exit code 1 when one does not. A fleet of 1,000 services with 10,000 instances shows how time and memory grow
//! with the number of services.
//!
//! Without `--bench`, as `cargo test --bench speed` runs it, it takes a twentieth of the turns of
//! at most 10 services, and judges no figure.

// What is measured has no clock; who measures it has.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use model::service::ServiceSpec;
use run::Recorder;
use simulation::preview::{Grain, HostFacts, Observed, Question, Stretch, preview};
use simulation::{Detail, HostModel, Load, Simulation};
use workload::{RateCurve, Segment, Shape};

const MIN_TURNS_PER_SECOND: f64 = 100_000.0;
const PREVIEW_OF_TEN_MINUTES: Duration = Duration::from_millis(50);
const PREVIEW_OF_A_DAY: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    // The argument that `cargo bench` gives and `cargo test` does not.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (divisor, fleets) =
        if whole { (1, [1, 10, 100, 1_000].as_slice()) } else { (20, [10].as_slice()) };
    let amounts = one_service(Detail::Fluid, 200_000 / divisor);
    one_service(Detail::Requests, 20_000 / divisor);
    for services in fleets {
        fleet(*services, divisor);
    }
    let minutes = previews(Grain::Second, 600);
    let day = previews(Grain::Minute, 1_440);
    let is_slow = amounts < MIN_TURNS_PER_SECOND
        || minutes > PREVIEW_OF_TEN_MINUTES
        || day > PREVIEW_OF_A_DAY;
    ExitCode::from(u8::from(whole && is_slow))
}

/// The least time, when nobody else has the core, of a preview of so many steps of a wave of load, of 1 to 10 instances.
fn previews(grain: Grain, steps: u32) -> Duration {
    let step = |step: u32| {
        let rate = 210.0 + 200.0 * (f64::from(step) / 10.0).sin();
        Observed { offered_rps: Some(rate), ready: Some(6.0), ..Observed::default() }
    };
    let from = model::time::Timestamp::from_millis(1_767_571_200_000);
    let stretch = Stretch::new(from, grain, (0..steps).map(step).collect());
    let (spec, host) = (store(), HostFacts::default());
    let question =
        Question { spec: &spec, policy: &spec.policy, stretch: &stretch, host: &host, seed: 1 };
    let took = (0..9).map(|_| {
        let start = Instant::now();
        let preview = preview(&question, || true).unwrap();
        assert_eq!(preview.points.len(), steps as usize);
        start.elapsed()
    });
    let least = took.min().unwrap();
    println!("a preview of {steps} steps, {grain:?}: {:.1} ms", least.as_secs_f64() * 1e3);
    least
}

fn store() -> ServiceSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/object-store.toml");
    config_file::read::<ServiceSpec>(path.as_ref()).unwrap()
}

/// Turns a second of one service of 1 to 10 instances under a wave of load.
fn one_service(detail: Detail, turns: u32) -> f64 {
    let mut recorder = Recorder::new(Duration::ZERO, Duration::from_secs(10)).without_rows();
    let mut simulation = service(1, detail);
    let start = Instant::now();
    for _ in 0..turns {
        simulation.turn(&mut recorder).unwrap();
    }
    let per_second = f64::from(turns) / start.elapsed().as_secs_f64();
    let requests = recorder.requests().due;
    println!(
        "one service, {detail:?}: {per_second:.0} turns/s ({turns} turns, {requests} requests)"
    );
    per_second
}

/// Services side by side, ten instances each at the peak, one core.
fn fleet(services: u32, divisor: u32) {
    let mut recorder = Recorder::new(Duration::ZERO, Duration::from_secs(10)).without_rows();
    let mut all: Vec<_> = (0..services).map(|n| service(u64::from(n), Detail::Fluid)).collect();
    let turns_each = (200_000 / services).clamp(1_000, 20_000) / divisor;
    let start = Instant::now();
    let mut most = 0;
    for _ in 0..turns_each {
        let instances = all.iter_mut().map(|simulation| {
            let phases = simulation.turn(&mut recorder).unwrap().observation.phases;
            phases.ready + phases.starting + phases.draining
        });
        most = most.max(instances.sum::<u32>());
    }
    let per_second = f64::from(services * turns_each) / start.elapsed().as_secs_f64();
    let memory = resident_kib().map_or_else(|| "?".to_owned(), |kib| format!("{}", kib / 1024));
    println!(
        "{services} services, up to {most} instances: {per_second:.0} turns/s, {memory} MiB resident"
    );
}

fn service(seed: u64, detail: Detail) -> Simulation {
    let period = Duration::from_secs(60);
    let shape = Shape::Sine { mean: 210.0, amplitude: 200.0, period };
    let curve = RateCurve::new([Segment::new(Duration::from_secs(86_400), shape)]);
    let load = Load::of_curve("wave", seed, curve);
    Simulation::new(store(), &load, HostModel::measured(), detail, TICK).unwrap()
}

/// Memory of this process.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
