//! A comparison of policies, as `comparison.csv` has it: which one served best, and at what price.

mod content;
mod scatter;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub(crate) use content::PolicyContent;

/// The share of requests that may be outside the objective, in percent.
const ALLOWED_OUTSIDE_PERCENT: f64 = 1.0;
/// The policy that prices are relative to, where it was compared.
const REFERENCE: &str = "default";

/// One policy under one load. Further columns of the file are not read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PolicyRow {
    /// The load's name.
    pub load: String,
    /// The policy's name.
    pub policy: String,
    /// Share of the due requests that were too late, failed or were dropped.
    pub outside_objective_percent: Option<f64>,
    /// Requests without the expected answer.
    pub failed: u64,
    /// Seconds of existence of all instances.
    pub instance_seconds: Option<f64>,
    /// Instances launched.
    pub launches: Option<u64>,
}

/// A policy over all loads.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The policy's name.
    pub policy: String,
    /// Mean of the shares outside the objective: every load counts alike, for the longest trace
    /// has a thousand times the requests of the shortest scenario.
    pub outside_percent: Option<f64>,
    /// Loads under which at most 1% of the requests were outside the objective and none failed.
    pub held: usize,
    /// Requests that failed, over all loads.
    pub failed: u64,
    /// Instance-seconds in percent of the reference's, the mean over the loads.
    pub price_percent: Option<f64>,
    /// Instance-seconds over all loads.
    pub instance_seconds: Option<f64>,
    /// Launches over all loads.
    pub launches: Option<u64>,
}

/// Every policy under every load.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyTable {
    rows: Vec<PolicyRow>,
    loads: Vec<String>,
    reference: String,
    /// The best first: the fewest requests outside the objective, then the lowest price.
    standings: Vec<Standing>,
}

/// A file that holds no comparison.
#[derive(Debug, thiserror::Error)]
pub enum PolicyTableError {
    /// It cannot be read.
    #[error("{path} cannot be read: `./just compare` writes results/comparison.csv")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what a comparison writes; the error names the line.
    #[error("{path}: this is not what `./just compare` writes")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// It has no rows.
    #[error("{path} has no policies: `./just compare` writes one row for each policy and load")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl PolicyTable {
    /// Reads `comparison.csv`.
    ///
    /// # Errors
    /// Names the file, and the line where there is one.
    pub fn read(path: &Path) -> Result<Self, PolicyTableError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(PolicyTableError::Read { path, source }),
        };
        let rows: Result<Vec<PolicyRow>, _> =
            csv::Reader::from_reader(text.as_bytes()).deserialize().collect();
        match rows {
            Ok(rows) => Self::of(rows).ok_or(PolicyTableError::Empty { path }),
            Err(source) => Err(PolicyTableError::Csv { path, source }),
        }
    }

    /// Ranks the policies of some rows; nothing without rows. Rows that already add up all loads
    /// (`all, alike`) are left out.
    pub fn of(mut rows: Vec<PolicyRow>) -> Option<Self> {
        rows.retain(|row| !row.load.starts_with("all, "));
        let loads = in_order(rows.iter().map(|r| &r.load));
        let policies = in_order(rows.iter().map(|r| &r.policy));
        let known = |name: &&String| name.as_str() == REFERENCE;
        let reference = policies.iter().find(known).or_else(|| policies.first())?.clone();
        let mut standings: Vec<Standing> =
            policies.into_iter().map(|policy| standing(&rows, policy, &reference)).collect();
        // What is not known is no success.
        let rank = |s: &Standing| {
            let price = s.price_percent.unwrap_or(f64::INFINITY);
            (s.outside_percent.unwrap_or(f64::INFINITY), price)
        };
        standings.sort_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        Some(Self { rows, loads, reference, standings })
    }

    /// The policies, the best first.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// What its page says.
    pub(crate) fn content(&self) -> PolicyContent {
        PolicyContent::of(self)
    }

    fn row(&self, policy: &str, load: &str) -> Option<&PolicyRow> {
        self.rows.iter().find(|r| r.policy == policy && r.load == load)
    }
}

impl PolicyRow {
    /// Whether the objective was met: 99% of the requests within 250 ms, and none failed.
    fn is_held(&self) -> bool {
        let outside = self.outside_objective_percent;
        self.failed == 0 && outside.is_some_and(|p| p <= ALLOWED_OUTSIDE_PERCENT)
    }
}

fn standing(rows: &[PolicyRow], policy: String, reference: &str) -> Standing {
    let own: Vec<&PolicyRow> = rows.iter().filter(|r| r.policy == policy).collect();
    let price = |row: &&PolicyRow| {
        let of_reference = rows.iter().find(|r| r.policy == reference && r.load == row.load)?;
        let (own, reference) = row.instance_seconds.zip(of_reference.instance_seconds)?;
        (reference > 0.0).then(|| 100.0 * own / reference)
    };
    Standing {
        outside_percent: mean(own.iter().filter_map(|r| r.outside_objective_percent)),
        held: own.iter().filter(|r| r.is_held()).count(),
        failed: own.iter().map(|r| r.failed).sum(),
        price_percent: mean(own.iter().filter_map(price)),
        instance_seconds: own.iter().map(|r| r.instance_seconds).sum(),
        launches: own.iter().map(|r| r.launches).sum(),
        policy,
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Each name once, in the order in which they come.
fn in_order<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn row(load: &str, policy: &str, outside: Option<f64>, seconds: f64) -> PolicyRow {
        PolicyRow {
            load: load.to_owned(),
            policy: policy.to_owned(),
            outside_objective_percent: outside,
            failed: u64::from(outside.is_some_and(|p| p > 20.0)),
            instance_seconds: Some(seconds),
            launches: Some(3),
        }
    }

    /// Three policies under two loads.
    pub(crate) fn table() -> PolicyTable {
        let rows = vec![
            row("ramp", "hpa", Some(12.0), 80.0),
            row("ramp", "default", Some(0.0), 100.0),
            row("ramp", "cpu", Some(90.0), 20.0),
            row("spike", "hpa", Some(24.0), 60.0),
            row("spike", "default", Some(0.5), 50.0),
            row("spike", "cpu", None, 10.0),
            row("all, alike", "default", Some(0.25), 150.0),
        ];
        PolicyTable::of(rows).unwrap()
    }

    #[test]
    fn every_load_counts_alike() {
        let table = table();
        let line = |s: &Standing| {
            let (outside, price) = (s.outside_percent.unwrap(), s.price_percent.unwrap());
            format!("{}: {outside}% outside, {} held, price {price}%", s.policy, s.held)
        };
        let lines: Vec<String> = table.standings().iter().map(line).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        default: 0.25% outside, 2 held, price 100%
        hpa: 18% outside, 0 held, price 100%
        cpu: 90% outside, 0 held, price 20%
        ");
        assert_eq!(table.loads, ["ramp", "spike"]);
    }

    #[test]
    fn a_policy_that_is_called_default_is_the_measure_of_prices() {
        assert_eq!(table().reference, "default");
        let rows = vec![row("ramp", "hpa", None, 1.0)];
        assert_eq!(PolicyTable::of(rows).unwrap().reference, "hpa");
        assert_eq!(PolicyTable::of(Vec::new()), None);
    }
}
