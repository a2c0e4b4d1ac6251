//! One policy under one load: a line of `comparison.csv`.

use serde::{Deserialize, Serialize};

use crate::repetitions::Interval;

/// The share of requests that may be outside the objective, in percent.
const ALLOWED_OUTSIDE_PERCENT: f64 = 1.0;

/// One policy under one load. What is not known is nothing, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyRow {
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

impl PolicyRow {
    /// Whether the objective was met: 99% of the requests within its time, and none failed.
    pub fn is_held(&self) -> bool {
        let outside = self.outside_objective_percent;
        self.failed == 0 && outside.is_some_and(|p| p <= ALLOWED_OUTSIDE_PERCENT)
    }

    /// The medians of one policy under one load with several seeds; `None` without runs.
    pub fn median(runs: &[Self]) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_several_seeds_leaves_an_outlier_out() {
        let row = |outside: f64, failed, seconds: Option<f64>| PolicyRow {
            load: "ramp".to_owned(),
            policy: "hpa".to_owned(),
            outside_objective_percent: Some(outside),
            failed,
            instance_seconds: seconds,
            ..PolicyRow::default()
        };
        let runs = [row(0.5, 7, Some(10.0)), row(90.0, 0, None), row(0.1, 3, Some(20.0))];
        let median = PolicyRow::median(&runs).unwrap();
        assert_eq!(median, row(0.5, 3, Some(15.0)));
        assert_eq!(PolicyRow::median(&[]), None);
    }
}
