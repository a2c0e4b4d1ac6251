//! How the fleet of a simulated run followed its load, and what it took: the figures that are
//! measured of a run's folder, also of a load that is too long for a row a second.

use std::time::Duration;

use run::capacity::{CapacityCurve, DEFAULT_SMOOTHING_S};
use run::cost::{self, Lives};
use run::elasticity::Elasticity;
use run::series;
use run::step_function::{Span, StepFunction};
use run::{RunSeries, Summary};
use serde_json::{Value, json};
use workload::{OfferedLoad, RateCurve};

/// The figures of one run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FleetFigures {
    /// How supply followed demand; `None` of a closed load that is too long for rows, and where nobody knows how
    /// many instances a load needs.
    pub elasticity: Option<Elasticity>,
    /// Existence of all instances in hours, each rounded up to started ones.
    pub charged_hours: Option<f64>,
}

impl FleetFigures {
    /// Those of a run that is over, of a load that was offered.
    pub(crate) fn measure(
        capacity: Option<&CapacityCurve>,
        offered: &OfferedLoad,
        summary: &Summary,
        series: &RunSeries,
        lives: Lives,
    ) -> Self {
        let span = Span { from_s: series.warm_up_s, to_s: series.load_end_s };
        let demand = capacity.and_then(|known| match (series.rows.as_slice(), offered) {
            ([], OfferedLoad::Open(open)) => Some(demand_of_curve(known, &open.curve)),
            ([], OfferedLoad::Closed(_)) => None,
            (rows, _) => Some(known.demand(rows, DEFAULT_SMOOTHING_S)),
        });
        let curves = demand.zip(series::supply(&series.fleet));
        let elasticity =
            curves.and_then(|(demand, supply)| Elasticity::measure(&demand, &supply, span));
        let lives = series
            .fleet
            .first()
            .zip(summary.instances.over_s)
            .map(|(step, end_s)| lives.until(step.running(), end_s));
        Self { elasticity, charged_hours: lives.as_deref().map(cost::charged_hours) }
    }

    /// The summary and these figures as one object, by the keys of `summary.json` and of the report;
    /// what is not known is null.
    ///
    /// # Errors
    /// The summary does not become JSON.
    pub fn beside(&self, summary: &Summary) -> serde_json::Result<Value> {
        let of = |pick: fn(Elasticity) -> f64| self.elasticity.map(pick);
        let mut line = serde_json::to_value(summary)?;
        line["elasticity"] = json!({
            "under_accuracy_percent": of(|e| e.under_accuracy_percent),
            "over_accuracy_percent": of(|e| e.over_accuracy_percent),
            "under_timeshare_percent": of(|e| e.under_timeshare_percent),
            "over_timeshare_percent": of(|e| e.over_timeshare_percent),
            "instability_percent": of(|e| e.instability_percent),
            "jitter_per_minute": of(|e| e.jitter_per_minute),
            "speedup": of(|e| e.speedup),
        });
        line["cost"] = json!({
            "accounted_hours": summary.instances.seconds.map(|seconds| seconds / 3_600.0),
            "charged_hours": self.charged_hours,
        });
        Ok(line)
    }
}

/// The instances that a load's own rate needs, second by second. It is an expectation, so that
/// nothing is to be smoothed.
fn demand_of_curve(capacity: &CapacityCurve, curve: &RateCurve) -> StepFunction {
    let need = |second| capacity.needed(curve.rate_at(Duration::from_secs(second)));
    let mut demand = StepFunction::constant(need(0));
    for second in 1..curve.duration().as_secs() {
        demand.step(Duration::from_secs(second).as_secs_f64(), need(second));
    }
    demand
}

#[cfg(test)]
mod tests {
    use super::*;
    use workload::{Segment, Shape};

    #[test]
    fn a_long_load_asks_for_what_its_curve_does() {
        let level = |seconds, rate| {
            Segment::new(Duration::from_secs(seconds), Shape::Line { from: rate, to: rate })
        };
        let curve = RateCurve::new([level(60, 40.0), level(60, 90.0), level(60, 0.0)]);
        let demand = demand_of_curve(&CapacityCurve::linear(50.0), &curve);
        assert_eq!(demand.steps(), [(60.0, 2), (120.0, 0)]);
        assert_eq!(demand.at(0.0), 1);
    }
}
