//! Each policy over all loads, and the order of the policies.

use std::collections::{BTreeMap, BTreeSet};

use command_line::policies::DEFAULT;

use super::Row;

/// One policy over all loads, each of which counts alike: the longest trace has a thousand times
/// the requests of the shortest scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The policy.
    pub policy: String,
    /// Mean over the loads of the share outside the objective.
    pub outside_objective_percent: f64,
    /// Requests without the expected answer.
    pub failed: u64,
    /// Its instance-seconds as a multiple of the default policy's: the geometric mean over the
    /// loads.
    pub seconds_of_default: Option<f64>,
    /// Instances launched.
    pub launches: u64,
    /// Means over the loads of the figures of elasticity, as in [`Row`].
    pub under_accuracy_percent: Option<f64>,
    /// The same.
    pub over_accuracy_percent: Option<f64>,
    /// The same.
    pub instability_percent: Option<f64>,
    /// The same.
    pub jitter_per_minute: Option<f64>,
    /// On how many loads it has fewer requests outside the objective than the default policy.
    pub fewer_outside: usize,
    /// On how many loads it takes fewer instance-seconds than the default policy.
    pub fewer_seconds: usize,
}

/// How many loads the rows are of.
pub fn loads(rows: &[Row]) -> usize {
    rows.iter().map(|row| &row.load).collect::<BTreeSet<_>>().len()
}

/// The policies by the requests outside the objective, of equal ones the cheaper first.
pub fn ranking(rows: &[Row]) -> Vec<Standing> {
    let mut by_policy: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_policy.entry(&row.policy).or_default().push(row);
    }
    let own = |row: &Row| row.policy == DEFAULT;
    let default: BTreeMap<&str, &Row> =
        rows.iter().filter(|row| own(row)).map(|row| (row.load.as_str(), row)).collect();
    let mut standings: Vec<Standing> =
        by_policy.values().map(|rows| Standing::of(rows, &default)).collect();
    let order = |s: &Standing| (s.outside_objective_percent, s.seconds_of_default.unwrap_or(0.0));
    standings.sort_by(|a, b| {
        let ((a, a_cost), (b, b_cost)) = (order(a), order(b));
        a.total_cmp(&b).then(a_cost.total_cmp(&b_cost))
    });
    standings
}

impl Standing {
    /// The standing of one policy's rows.
    fn of(rows: &[&Row], default: &BTreeMap<&str, &Row>) -> Self {
        let beside: Vec<(&Row, &Row)> =
            rows.iter().filter_map(|row| Some((*row, *default.get(row.load.as_str())?))).collect();
        let mean_of = |pick: fn(&Row) -> Option<f64>| mean(rows.iter().filter_map(|row| pick(row)));
        let ratio = |(own, default): &(&Row, &Row)| {
            Some((own.instance_seconds? / default.instance_seconds?).ln())
        };
        let fewer = |pick: fn(&Row) -> Option<f64>| {
            let is_fewer = |(own, default): &&(&Row, &Row)| {
                pick(own).zip(pick(default)).is_some_and(|(own, default)| own < default)
            };
            beside.iter().filter(is_fewer).count()
        };
        Self {
            policy: rows.first().map(|row| row.policy.clone()).unwrap_or_default(),
            outside_objective_percent: mean_of(|row| row.outside_objective_percent).unwrap_or(0.0),
            failed: rows.iter().map(|row| row.failed).sum(),
            seconds_of_default: mean(beside.iter().filter_map(ratio)).map(f64::exp),
            launches: rows.iter().filter_map(|row| row.launches).sum(),
            under_accuracy_percent: mean_of(|row| row.under_accuracy_percent),
            over_accuracy_percent: mean_of(|row| row.over_accuracy_percent),
            instability_percent: mean_of(|row| row.instability_percent),
            jitter_per_minute: mean_of(|row| row.jitter_per_minute),
            fewer_outside: fewer(|row| row.outside_objective_percent),
            fewer_seconds: fewer(|row| row.instance_seconds),
        }
    }
}

/// The mean; nothing without values.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then_some(sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(load: &str, policy: &str, outside: f64, seconds: f64) -> Row {
        Row {
            load: load.to_owned(),
            policy: policy.to_owned(),
            outside_objective_percent: Some(outside),
            failed: 1,
            instance_seconds: Some(seconds),
            launches: Some(3),
            over_accuracy_percent: Some(outside * 2.0),
            ..Row::default()
        }
    }

    #[test]
    fn each_load_counts_alike_and_the_first_has_the_fewest_outside() {
        let standings = ranking(&[
            row("ramp", "hpa", 2.0, 200.0),
            row("ramp", "default", 0.5, 100.0),
            row("ramp", "twin", 0.5, 90.0),
            row("fortnight", "hpa", 0.0, 800_000.0),
            row("fortnight", "default", 0.5, 100_000.0),
            row("fortnight", "twin", 0.5, 90_000.0),
        ]);
        let names: Vec<&str> = standings.iter().map(|s| s.policy.as_str()).collect();
        assert_eq!(names, ["twin", "default", "hpa"]);
        let hpa = &standings[2];
        assert!((hpa.outside_objective_percent - 1.0).abs() < 1e-9);
        // Twice and eight times as many: four times in the geometric mean.
        assert!((hpa.seconds_of_default.unwrap() - 4.0).abs() < 1e-9);
        assert_eq!((hpa.fewer_outside, hpa.fewer_seconds), (1, 0));
        assert_eq!((standings[0].fewer_outside, standings[0].fewer_seconds), (0, 2));
        assert_eq!((hpa.failed, hpa.launches), (2, 6));
        assert_eq!((hpa.over_accuracy_percent, hpa.jitter_per_minute), (Some(2.0), None));
    }

    #[test]
    fn without_the_default_policy_nothing_is_a_multiple_of_it() {
        let standings = ranking(&[row("ramp", "hpa", 2.0, 200.0)]);
        assert_eq!(standings[0].seconds_of_default, None);
    }
}
