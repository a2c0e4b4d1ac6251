//! Every policy under every load: what to run, and what came of it.

mod ranking;
mod table;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use report::repetitions::Interval;
use serde::{Deserialize, Serialize};

pub use self::ranking::{Standing, loads, ranking};
pub use self::table::{by_load, of_ranking};

use crate::run::{Outcome, RunError, Setup};

/// One policy under one load. What is not known is nothing, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The scenario's or the trace's name.
    pub load: String,
    /// The policy.
    pub policy: String,
    /// Requests due.
    pub due: u64,
    /// Share of the due requests that were too late, failed or were dropped.
    pub outside_objective_percent: Option<f64>,
    /// Requests without the expected answer.
    pub failed: u64,
    /// Median latency of the ok ones, in ms.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub p95_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
    /// Seconds of existence of all instances.
    pub instance_seconds: Option<f64>,
    /// Instances launched.
    pub launches: Option<u64>,
    /// Instances that lacked, in percent of the demand.
    pub under_accuracy_percent: Option<f64>,
    /// Instances too many, in percent of the demand.
    pub over_accuracy_percent: Option<f64>,
    /// Share of the time with too few.
    pub under_timeshare_percent: Option<f64>,
    /// Share of the time with too many.
    pub over_timeshare_percent: Option<f64>,
    /// Share of the seconds in which supply and demand do not move the same way.
    pub instability_percent: Option<f64>,
    /// Changes of supply less those of demand, a minute.
    pub jitter_per_minute: Option<f64>,
    /// Existence of all instances in hours, each rounded up to started ones.
    pub charged_hours: Option<f64>,
}

/// Loads longer than this need no further seeds.
const LONGEST_BY_CHANCE: Duration = Duration::from_secs(24 * 3600);

impl Row {
    fn of(setup: &Setup, outcome: &Outcome) -> Self {
        let Outcome { summary, figures, .. } = outcome;
        let elasticity = figures.elasticity;
        Self {
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

    /// The medians of one policy under one load with several seeds.
    fn median(runs: &[Self]) -> Option<Self> {
        let of = |pick: fn(&Self) -> Option<f64>| {
            let values: Vec<f64> = runs.iter().filter_map(pick).collect();
            Interval::of(&values).map(|interval| interval.median)
        };
        let count = |pick: fn(&Self) -> Option<u64>| {
            let mut values: Vec<u64> = runs.iter().filter_map(pick).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied()
        };
        let Self { load, policy, .. } = runs.first()?.clone();
        Some(Self {
            load,
            policy,
            due: count(|row| Some(row.due))?,
            outside_objective_percent: of(|row| row.outside_objective_percent),
            failed: count(|row| Some(row.failed))?,
            p50_ms: of(|row| row.p50_ms),
            p95_ms: of(|row| row.p95_ms),
            p99_ms: of(|row| row.p99_ms),
            instance_seconds: of(|row| row.instance_seconds),
            launches: count(|row| row.launches),
            under_accuracy_percent: of(|row| row.under_accuracy_percent),
            over_accuracy_percent: of(|row| row.over_accuracy_percent),
            under_timeshare_percent: of(|row| row.under_timeshare_percent),
            over_timeshare_percent: of(|row| row.over_timeshare_percent),
            instability_percent: of(|row| row.instability_percent),
            jitter_per_minute: of(|row| row.jitter_per_minute),
            charged_hours: of(|row| row.charged_hours),
        })
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
) -> Result<Vec<Row>, RunError> {
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
            let row = setup.run(|_| Ok(())).map(|outcome| Row::of(&setup, &outcome));
            if row.is_ok() {
                done(&setup);
            }
            runs.lock().unwrap_or_else(PoisonError::into_inner).push((*job, row));
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
    let mut of_setups: Vec<Vec<Row>> = vec![Vec::new(); setups.len()];
    for ((index, _), row) in runs {
        of_setups[index].push(row?);
    }
    Ok(of_setups.iter().filter_map(|runs| Row::median(runs)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_several_seeds_leaves_an_outlier_out() {
        let row = |outside: f64, failed, seconds: Option<f64>| Row {
            load: "ramp".to_owned(),
            policy: "hpa".to_owned(),
            outside_objective_percent: Some(outside),
            failed,
            instance_seconds: seconds,
            ..Row::default()
        };
        let runs = [row(0.5, 7, Some(10.0)), row(90.0, 0, None), row(0.1, 3, Some(20.0))];
        let median = Row::median(&runs).unwrap();
        assert_eq!(median, row(0.5, 3, Some(15.0)));
        assert_eq!(Row::median(&[]), None);
    }
}
