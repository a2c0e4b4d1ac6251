//! The figures of a run, each with its unit, which way is better, and what it says; and the
//! differences between two runs.

mod measured;

use std::collections::BTreeMap;

use crate::capacity::{CapacityCurve, DEFAULT_SMOOTHING_S};
use crate::cost::PriceTable;
use crate::read_back::Run;
use crate::step_function::StepFunction;

pub use measured::measure;

/// Two values that differ by less than this share of the larger one are called the same: less than
/// what two runs of the same seed on the same machine differ by.
const SAME: f64 = 0.01;

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

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What the clients got.
    Service,
    /// How supply followed demand.
    Elasticity,
    /// What it took.
    Cost,
    /// What the scaler did.
    Scaling,
    /// Whether the generator can be trusted.
    Generator,
}

impl Group {
    /// Its title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Service => "What the clients got",
            Self::Elasticity => "How supply followed demand",
            Self::Cost => "What it took",
            Self::Scaling => "What the scaler did",
            Self::Generator => "The load generator itself",
        }
    }
}

/// Which values are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Small ones.
    Less,
    /// Large ones.
    More,
    /// Those near 0.
    NearZero,
    /// It depends.
    Neither,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its key in JSON, with dots between the levels.
    pub key: String,
    /// What it is about.
    pub group: Group,
    /// Its name.
    pub name: String,
    /// Its value; nothing when it is not known.
    pub value: Option<f64>,
    /// Its unit, as written behind the value.
    pub unit: String,
    /// Which values are good.
    pub better: Better,
    /// What it says, in a sentence or two.
    pub explanation: String,
}

/// How a value compares with another run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is better.
    Better,
    /// It is worse.
    Worse,
    /// It is the same, within 1%.
    Same,
    /// It is other, which is neither good nor bad, or one of the two is not known.
    Open,
}

/// A figure beside that of another run.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference<'a> {
    /// The figure of this run.
    pub figure: &'a Figure,
    /// The value of the other run.
    pub other: Option<f64>,
    /// This run's value less the other's.
    pub change: Option<f64>,
    /// The same in percent of the other's; nothing when that is 0.
    pub change_percent: Option<f64>,
    /// Which of the two is better.
    pub verdict: Verdict,
}

/// The instances that a run's load needed, over time; nothing when the capacity is not known, or
/// what was due in each second.
pub fn demand(run: &Run, assumptions: &Assumptions) -> Option<StepFunction> {
    let curve = assumptions.capacity.as_ref().filter(|_| !run.rows.is_empty())?;
    Some(curve.demand(&run.rows, assumptions.smoothing_s))
}

/// The figures by key, as they are written in JSON; unknown ones are null.
pub fn by_key(figures: &[Figure]) -> BTreeMap<&str, Option<f64>> {
    figures.iter().map(|f| (f.key.as_str(), f.value)).collect()
}

/// This run's figures beside the other's of the same keys.
pub fn differences<'a>(figures: &'a [Figure], other: &[Figure]) -> Vec<Difference<'a>> {
    let other = by_key(other);
    let difference = |figure: &'a Figure| {
        let other = other.get(figure.key.as_str()).copied().flatten();
        let both = figure.value.zip(other);
        let change = both.map(|(own, other)| own - other);
        let change_percent =
            both.filter(|b| b.1 != 0.0).map(|(own, other)| 100.0 * (own - other) / other.abs());
        let verdict = both.map_or(Verdict::Open, |(own, other)| figure.better.judge(own, other));
        Difference { figure, other, change, change_percent, verdict }
    };
    figures.iter().map(difference).collect()
}

impl Better {
    fn judge(self, own: f64, other: f64) -> Verdict {
        if (own - other).abs() <= SAME * own.abs().max(other.abs()) {
            return Verdict::Same;
        }
        let is_better = match self {
            Self::Less => own < other,
            Self::More => own > other,
            Self::NearZero => own.abs() < other.abs(),
            Self::Neither => return Verdict::Open,
        };
        if is_better { Verdict::Better } else { Verdict::Worse }
    }
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
