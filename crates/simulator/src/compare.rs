//! Every policy under every load: what to run, and what came of it.

mod table;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use run::policy_comparison::PolicyRow;

pub use self::table::{by_load, of_ranking};

use crate::run::{Outcome, RunError, Setup};

/// Loads longer than this need no further seeds.
const LONGEST_BY_CHANCE: Duration = Duration::from_secs(24 * 3600);

/// What came of a run, as a line of the comparison.
fn row(setup: &Setup, outcome: &Outcome) -> PolicyRow {
    let Outcome { summary, figures, .. } = outcome;
    let elasticity = figures.elasticity;
    PolicyRow {
        load: setup.load.name.clone(),
        policy: setup.policy.clone(),
        due: summary.requests.due,
        outside_objective_percent: summary.outside_objective_percent,
        failed: summary.requests.failed + summary.requests.dropped,
        p50_ms: summary.latency_ms.p50,
        p95_ms: summary.latency_ms.p95,
        p99_ms: summary.latency_ms.p99,
        instance_seconds: summary.instances.seconds,
        launches: summary.scaling.out,
        under_accuracy_percent: elasticity.map(|e| e.under_accuracy_percent),
        over_accuracy_percent: elasticity.map(|e| e.over_accuracy_percent),
        under_timeshare_percent: elasticity.map(|e| e.under_timeshare_percent),
        over_timeshare_percent: elasticity.map(|e| e.over_timeshare_percent),
        instability_percent: elasticity.map(|e| e.instability_percent),
        jitter_per_minute: elasticity.map(|e| e.jitter_per_minute),
        charged_hours: figures.charged_hours,
    }
}

/// Runs each of them with its load's seed and the `seeds - 1` that follow it, as many at once as
/// there are cores, and gives a row of medians for each. Loads longer than a day run once: in a
/// fortnight's 80 million requests chance averages out. `done` is called after each run.
///
/// # Errors
/// A simulation broke a rule; the first such in the order of `setups`.
pub fn compare(
    setups: &[Setup],
    seeds: u32,
    done: impl Fn(&Setup) + Sync,
) -> Result<Vec<PolicyRow>, RunError> {
    let all_seeds = |(index, setup): (usize, &Setup)| {
        let is_long = setup.load.offered.duration().is_some_and(|d| d > LONGEST_BY_CHANCE);
        let seeds = if is_long { 1 } else { u64::from(seeds.max(1)) };
        (0..seeds).map(move |offset| (index, offset))
    };
    let jobs: Vec<(usize, u64)> = setups.iter().enumerate().flat_map(all_seeds).collect();
    let (next, runs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(setup) = setups.get(job.0) else { return };
            let mut setup = setup.clone();
            setup.load.seed = setup.load.seed.wrapping_add(job.1);
            let run = setup.run(|_| Ok(())).map(|outcome| row(&setup, &outcome));
            if run.is_ok() {
                done(&setup);
            }
            runs.lock().unwrap_or_else(PoisonError::into_inner).push((*job, run));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let mut runs = runs.into_inner().unwrap_or_else(PoisonError::into_inner);
    runs.sort_by_key(|(job, _)| *job);
    let mut of_setups: Vec<Vec<PolicyRow>> = vec![Vec::new(); setups.len()];
    for ((index, _), run) in runs {
        of_setups[index].push(run?);
    }
    Ok(of_setups.iter().filter_map(|runs| PolicyRow::median(runs)).collect())
}
