//! The figures of a run, and the differences between those of two runs.

mod figure;
mod measured;

pub use figure::{Better, Difference, Figure, Group, Verdict, by_key, differences};
pub use measured::measure;

use crate::capacity::{CapacityCurve, DEFAULT_SMOOTHING_S};
use crate::cost::PriceTable;
use crate::read_back::Run;
use crate::step_function::StepFunction;

/// What figures need to know beside the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumptions {
    /// How many instances a load needs. Without it there are no figures of elasticity.
    pub capacity: Option<CapacityCurve>,
    /// Over how many seconds the load is smoothed, see [`CapacityCurve::demand`].
    pub smoothing_s: usize,
    /// What instances cost; without it, hours alone are counted.
    pub prices: Option<PriceTable>,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self { capacity: None, smoothing_s: DEFAULT_SMOOTHING_S, prices: None }
    }
}

/// The instances that a run's load needed, over time; `None` when the capacity is not known, or
/// what was due in each second.
pub fn demand(run: &Run, assumptions: &Assumptions) -> Option<StepFunction> {
    let curve = assumptions.capacity.as_ref().filter(|_| !run.rows.is_empty())?;
    Some(curve.demand(&run.rows, assumptions.smoothing_s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn measured() -> Vec<Figure> {
        measure(&testing::run(), &testing::assumptions())
    }

    #[test]
    fn every_key_is_there_once() {
        let figures = measured();
        assert_eq!(by_key(&figures).len(), figures.len());
    }

    #[test]
    fn a_small_run_by_hand() {
        let figures = measured();
        let value = |key: &str| by_key(&figures)[key].unwrap();
        // Ten seconds of load, 40 a second and then 90: one instance, and two from second 4 on. The
        // second came at 4.5 s: half a second of ten with one of two.
        assert!((value("elasticity.under_accuracy_percent") - 2.5).abs() < 1e-9);
        assert!((value("elasticity.under_timeshare_percent") - 5.0).abs() < 1e-9);
        assert!(value("elasticity.over_accuracy_percent").abs() < 1e-9);
        assert!(value("elasticity.jitter_per_minute").abs() < 1e-9);
        assert!((value("cost.charged_hours") - 2.0).abs() < 1e-9);
        assert!((value("cost.test") - 2.0 * 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut run = testing::run();
        run.ticks.clear();
        run.rows.iter_mut().for_each(|r| r.ready = None);
        run.summary.instances = crate::summary::Instances::default();
        let figures = measure(&run, &Assumptions::default());
        let by_key = by_key(&figures);
        for key in ["elasticity.speedup", "cost.charged_hours", "instances.seconds"] {
            assert_eq!(by_key[key], None, "{key}");
        }
    }

    #[test]
    fn a_difference_says_which_is_better() {
        let own = measured();
        let mut other = own.clone();
        let mut set = |key: &str, value| {
            let figure = other.iter_mut().find(|f| f.key == key).unwrap();
            figure.value = value;
        };
        set("latency_ms.p99", Some(100.0));
        set("elasticity.speedup", Some(1_000.0));
        set("elasticity.jitter_per_minute", Some(-3.0));
        set("instances.seconds", None);
        let differences = differences(&own, &other);
        let verdict = |key: &str| {
            let difference = differences.iter().find(|d| d.figure.key == key).unwrap();
            (difference.verdict, difference.change_percent.map(f64::round))
        };
        assert_eq!(verdict("latency_ms.p99"), (Verdict::Better, Some(-10.0)));
        assert_eq!(verdict("elasticity.speedup").0, Verdict::Worse);
        assert_eq!(verdict("elasticity.jitter_per_minute"), (Verdict::Better, Some(100.0)));
        assert_eq!(verdict("instances.seconds"), (Verdict::Open, None));
        assert_eq!(verdict("requests.due"), (Verdict::Same, Some(0.0)));
    }
}
