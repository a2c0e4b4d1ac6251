//! What figures need to know beside the run.

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
