//! Every policy over every load, as one table.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use report::Summary;
use serde::Serialize;

use crate::run::{RunError, Setup};

/// One policy under one load.
#[derive(Debug, Clone, Serialize)]
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
}

impl Row {
    fn of(setup: &Setup, summary: &Summary) -> Self {
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
        }
    }
}

/// Runs all of them, as many at once as there are cores. `done` is called after each.
///
/// # Errors
/// A simulation broke a rule; the first such in the order of `setups`.
pub fn compare(setups: &[Setup], done: impl Fn(&Row) + Sync) -> Result<Vec<Row>, RunError> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((index, setup)) = claim(&next, setups) {
            let row = setup.run(|_| Ok(())).map(|outcome| Row::of(setup, &outcome.summary));
            if let Ok(row) = &row {
                done(row);
            }
            rows.lock().unwrap_or_else(PoisonError::into_inner).push((index, row));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn claim<'a>(next: &AtomicUsize, setups: &'a [Setup]) -> Option<(usize, &'a Setup)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    setups.get(index).map(|setup| (index, setup))
}

/// The rows as a table in Markdown, and below them each policy over all loads.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_table(rows, &mut text);
    text
}

fn write_table(rows: &[Row], out: &mut String) -> std::fmt::Result {
    let all: Vec<Row> = rows.iter().cloned().chain(totals(rows)).collect();
    let width = |name: fn(&Row) -> &str| all.iter().map(|row| name(row).len()).max().unwrap_or(0);
    let (load, policy) = (width(|r| &r.load), width(|r| &r.policy));
    writeln!(
        out,
        "| {:load$} | {:policy$} | outside objective, % | failed | p95, ms | p99, ms | \
         instance-seconds | launches |",
        "load", "policy"
    )?;
    writeln!(
        out,
        "| {:-<load$} | {:-<policy$} | -------------------: | -----: | ------: | ------: | \
         ---------------: | -------: |",
        "", ""
    )?;
    for row in &all {
        writeln!(
            out,
            "| {:load$} | {:policy$} | {:>20} | {:>6} | {:>7} | {:>7} | {:>16} | {:>8} |",
            row.load,
            row.policy,
            figure(row.outside_objective_percent, 3),
            row.failed,
            figure(row.p95_ms, 1),
            figure(row.p99_ms, 1),
            figure(row.instance_seconds, 0),
            row.launches.map_or_else(|| "-".to_owned(), |n| n.to_string()),
        )?;
    }
    Ok(())
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Each policy over all loads. Every load counts alike in the share outside the objective: the
/// longest trace has a thousand times the requests of the shortest scenario.
fn totals(rows: &[Row]) -> Vec<Row> {
    let mut policies: Vec<&str> = Vec::new();
    for row in rows {
        if !policies.contains(&row.policy.as_str()) {
            policies.push(&row.policy);
        }
    }
    policies.into_iter().map(|policy| total(rows, policy)).collect()
}

fn total(rows: &[Row], policy: &str) -> Row {
    let own = || rows.iter().filter(|row| row.policy == policy);
    let shares: Vec<f64> = own().filter_map(|row| row.outside_objective_percent).collect();
    let count = u32::try_from(shares.len()).unwrap_or(u32::MAX);
    Row {
        load: "all, alike".to_owned(),
        policy: policy.to_owned(),
        due: own().map(|row| row.due).sum(),
        outside_objective_percent: (count > 0)
            .then(|| shares.iter().sum::<f64>() / f64::from(count)),
        failed: own().map(|row| row.failed).sum(),
        p50_ms: None,
        p95_ms: None,
        p99_ms: None,
        instance_seconds: own().map(|row| row.instance_seconds).sum(),
        launches: own().map(|row| row.launches).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(load: &str, policy: &str, outside: f64, seconds: f64) -> Row {
        Row {
            load: load.to_owned(),
            policy: policy.to_owned(),
            due: 1_000,
            outside_objective_percent: Some(outside),
            failed: 1,
            p50_ms: Some(0.5),
            p95_ms: Some(1.75),
            p99_ms: None,
            instance_seconds: Some(seconds),
            launches: Some(3),
        }
    }

    #[test]
    fn each_policy_is_added_up_over_its_loads() {
        let rows = [
            row("ramp", "default", 0.5, 100.0),
            row("ramp", "hpa", 2.0, 80.0),
            row("spike", "default", 1.5, 50.0),
            row("spike", "hpa", 30.0, 40.0),
        ];
        insta::assert_snapshot!(table(&rows), @r"
        | load       | policy  | outside objective, % | failed | p95, ms | p99, ms | instance-seconds | launches |
        | ---------- | ------- | -------------------: | -----: | ------: | ------: | ---------------: | -------: |
        | ramp       | default |                0.500 |      1 |     1.8 |       - |              100 |        3 |
        | ramp       | hpa     |                2.000 |      1 |     1.8 |       - |               80 |        3 |
        | spike      | default |                1.500 |      1 |     1.8 |       - |               50 |        3 |
        | spike      | hpa     |               30.000 |      1 |     1.8 |       - |               40 |        3 |
        | all, alike | default |                1.000 |      2 |       - |       - |              150 |        6 |
        | all, alike | hpa     |               16.000 |      2 |       - |       - |              120 |        6 |
        ");
    }
}
