//! Each policy over all loads, and the order of the policies.

use std::collections::BTreeMap;

use super::row::PolicyRow;

/// One policy over all loads, each of which counts alike: the longest trace has a thousand times
/// the requests of the shortest scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The policy.
    pub policy: String,
    /// Mean over the loads of the share outside the objective.
    pub outside_percent: Option<f64>,
    /// Loads under which at most 1% of the requests were outside the objective and none failed.
    pub held: usize,
    /// Requests without the expected answer.
    pub failed: u64,
    /// Its instance-seconds as a multiple of the reference's: the geometric mean over the loads,
    /// for the mean of ratios says that of two policies either is dearer than the other.
    pub cost_ratio: Option<f64>,
    /// Instance-seconds over all loads; `None` where one of them is not known.
    pub instance_seconds: Option<f64>,
    /// Instances launched; `None` where a load's are not known.
    pub launches: Option<u64>,
    /// Means over the loads of the figures of elasticity, as in [`PolicyRow`].
    pub under_accuracy_percent: Option<f64>,
    /// The same.
    pub over_accuracy_percent: Option<f64>,
    /// The same.
    pub instability_percent: Option<f64>,
    /// The same.
    pub jitter_per_minute: Option<f64>,
    /// On how many loads it has fewer requests outside the objective than the reference.
    pub fewer_outside: usize,
    /// On how many loads it takes fewer instance-seconds than the reference.
    pub fewer_seconds: usize,
}

/// The policies by the requests outside the objective, of equal ones the cheaper first. What is not
/// known is no success.
pub(super) fn standings(rows: &[PolicyRow], reference: &str) -> Vec<Standing> {
    let mut by_policy: BTreeMap<&str, Vec<&PolicyRow>> = BTreeMap::new();
    for row in rows {
        by_policy.entry(&row.policy).or_default().push(row);
    }
    let of_reference: BTreeMap<&str, &PolicyRow> = by_policy
        .get(reference)
        .into_iter()
        .flatten()
        .map(|row| (row.load.as_str(), *row))
        .collect();
    let standing = |(policy, rows): (&&str, &Vec<&PolicyRow>)| of(policy, rows, &of_reference);
    let mut standings: Vec<Standing> = by_policy.iter().map(standing).collect();
    let known = |figure: Option<f64>| figure.unwrap_or(f64::INFINITY);
    standings.sort_by(|a, b| {
        let outside = known(a.outside_percent).total_cmp(&known(b.outside_percent));
        outside.then(known(a.cost_ratio).total_cmp(&known(b.cost_ratio)))
    });
    standings
}

fn of(policy: &str, rows: &[&PolicyRow], reference: &BTreeMap<&str, &PolicyRow>) -> Standing {
    let beside: Vec<(&PolicyRow, &PolicyRow)> =
        rows.iter().filter_map(|row| Some((*row, *reference.get(row.load.as_str())?))).collect();
    let mean_of =
        |pick: fn(&PolicyRow) -> Option<f64>| mean(rows.iter().filter_map(|row| pick(row)));
    let log_ratio = |(own, reference): &(&PolicyRow, &PolicyRow)| {
        let ratio = own.instance_seconds? / reference.instance_seconds?;
        (ratio > 0.0 && ratio.is_finite()).then(|| ratio.ln())
    };
    let fewer = |pick: fn(&PolicyRow) -> Option<f64>| {
        let is_fewer = |(own, reference): &&(&PolicyRow, &PolicyRow)| {
            pick(own).zip(pick(reference)).is_some_and(|(own, reference)| own < reference)
        };
        beside.iter().filter(is_fewer).count()
    };
    Standing {
        policy: policy.to_owned(),
        outside_percent: mean_of(|row| row.outside_objective_percent),
        held: rows.iter().filter(|row| row.is_held()).count(),
        failed: rows.iter().map(|row| row.failed).sum(),
        cost_ratio: mean(beside.iter().filter_map(log_ratio)).map(f64::exp),
        instance_seconds: rows.iter().map(|row| row.instance_seconds).sum(),
        launches: rows.iter().map(|row| row.launches).sum(),
        under_accuracy_percent: mean_of(|row| row.under_accuracy_percent),
        over_accuracy_percent: mean_of(|row| row.over_accuracy_percent),
        instability_percent: mean_of(|row| row.instability_percent),
        jitter_per_minute: mean_of(|row| row.jitter_per_minute),
        fewer_outside: fewer(|row| row.outside_objective_percent),
        fewer_seconds: fewer(|row| row.instance_seconds),
    }
}

/// The mean; `None` without values.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(load: &str, policy: &str, outside: f64, seconds: f64) -> PolicyRow {
        PolicyRow {
            load: load.to_owned(),
            policy: policy.to_owned(),
            outside_objective_percent: Some(outside),
            failed: 1,
            instance_seconds: Some(seconds),
            launches: Some(3),
            over_accuracy_percent: Some(outside * 2.0),
            ..PolicyRow::default()
        }
    }

    #[test]
    fn each_load_counts_alike_and_the_first_has_the_fewest_outside() {
        let rows = [
            row("ramp", "hpa", 2.0, 200.0),
            row("ramp", "default", 0.5, 100.0),
            row("ramp", "twin", 0.5, 90.0),
            row("fortnight", "hpa", 0.0, 800_000.0),
            row("fortnight", "default", 0.5, 100_000.0),
            row("fortnight", "twin", 0.5, 90_000.0),
        ];
        let standings = standings(&rows, "default");
        let names: Vec<&str> = standings.iter().map(|s| s.policy.as_str()).collect();
        assert_eq!(names, ["twin", "default", "hpa"]);
        let hpa = &standings[2];
        assert_eq!(hpa.outside_percent, Some(1.0));
        // Twice and eight times as many: four times in the geometric mean.
        assert!((hpa.cost_ratio.unwrap() - 4.0).abs() < 1e-9);
        assert_eq!((hpa.fewer_outside, hpa.fewer_seconds), (1, 0));
        assert_eq!((standings[0].fewer_outside, standings[0].fewer_seconds), (0, 2));
        assert_eq!((hpa.failed, hpa.launches), (2, Some(6)));
        assert_eq!((hpa.over_accuracy_percent, hpa.jitter_per_minute), (Some(2.0), None));
    }

    #[test]
    fn without_the_reference_nothing_is_a_multiple_of_it() {
        let standings = standings(&[row("ramp", "hpa", 2.0, 200.0)], "default");
        assert_eq!(standings[0].cost_ratio, None);
    }
}
