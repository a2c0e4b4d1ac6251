//! A median of several values, and an interval that holds the true one.

use serde::{Deserialize, Serialize};

/// The level that an interval aims for, in percent.
const LEVEL_PERCENT: f64 = 95.0;

/// A median with an interval that holds the true one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The median of the runs.
    pub median: f64,
    /// The lower end: one of the values.
    pub low: f64,
    /// The upper end: one of the values.
    pub high: f64,
    /// How often such an interval holds the true median, in percent: at least 95 from six runs on,
    /// 93.75 with five, 50 with two, 0 with one.
    pub coverage_percent: f64,
}

impl Interval {
    /// The interval between order statistics: it supposes no shape of the distribution, only that
    /// the runs are independent. With B the number of n fair coins that show heads, the interval
    /// from the k-th smallest to the k-th largest value covers 1 - 2 P(B < k); k is the largest
    /// that covers 95%, or 1. (H. A. David, H. N. Nagaraja, "Order Statistics", 7.1; recommended
    /// for computer measurements by J.-Y. Le Boudec, "Performance Evaluation of Computer and
    /// Communication Systems", 2.2.)
    ///
    /// `None` without values. A value that is not a number is left out.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let median = f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]);
        let mut interval = Self { median, low, high, coverage_percent: coverage_percent(n, 1) };
        for k in 2..=n.div_ceil(2) {
            let coverage_percent = coverage_percent(n, k);
            if coverage_percent < LEVEL_PERCENT {
                break;
            }
            interval = Self { median, low: sorted[k - 1], high: sorted[n - k], coverage_percent };
        }
        Some(interval)
    }
}

/// 1 - 2 P(B < k) in percent, B binomial over `n` fair coins. In logarithms, for 0.5^n is no
/// number from n = 1,075 on.
fn coverage_percent(n: usize, k: usize) -> f64 {
    let mut log_of_binomial = 0.0;
    let mut below = 0.0;
    for heads in 0..k {
        below += (log_of_binomial - n as f64 * std::f64::consts::LN_2).exp();
        log_of_binomial += ((n - heads) as f64).ln() - ((heads + 1) as f64).ln();
    }
    (100.0 * (1.0 - 2.0 * below)).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_runs_span_all_of_their_values() {
        let interval = Interval::of(&[3.0, 1.0, 9.0, 2.0, 4.0]).unwrap();
        assert!((interval.coverage_percent - 93.75).abs() < 1e-9);
        assert_eq!((interval.median, interval.low, interval.high), (3.0, 1.0, 9.0));
    }

    #[test]
    fn the_ranks_are_those_of_the_tables() {
        // From tables of the sign test: 9 runs allow the 2nd, 20 runs the 6th, 100 runs the 40th.
        // 5,000 is past where 0.5^n is a number: there, the normal approximation is exact enough.
        let tables = [
            (6, 1, 96.875),
            (9, 2, 96.09),
            (20, 6, 95.86),
            (100, 40, 96.48),
            (5_000, 2_431, 95.06),
        ];
        for (n, k, coverage) in tables {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let interval = Interval::of(&values).unwrap();
            assert!((interval.low - f64::from(k)).abs() < 1e-9, "{n}: {interval:?}");
            assert!((interval.high - f64::from(n + 1 - k)).abs() < 1e-9, "{n}: {interval:?}");
            assert!((interval.coverage_percent - coverage).abs() < 0.01, "{n}: {interval:?}");
        }
    }

    #[test]
    fn one_run_proves_nothing_and_none_says_nothing() {
        let one = Interval::of(&[7.0]).unwrap();
        assert_eq!((one.median, one.low, one.high, one.coverage_percent), (7.0, 7.0, 7.0, 0.0));
        assert_eq!(Interval::of(&[]), None);
        assert_eq!(Interval::of(&[f64::NAN]), None);
    }

    proptest! {
        #[test]
        fn the_median_lies_within(values in prop::collection::vec(-1e6..1e6, 1..200)) {
            let interval = Interval::of(&values).unwrap();
            prop_assert!(interval.low <= interval.median && interval.median <= interval.high);
            prop_assert!((0.0..=100.0).contains(&interval.coverage_percent));
        }
    }
}
