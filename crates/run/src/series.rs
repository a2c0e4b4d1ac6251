//! A run over time: one row a second, and the fleet as a step function.

use std::io::Read;
use std::time::Duration;

use model::instance::PhaseCounts;
use serde::{Deserialize, Serialize};

use crate::step_function::StepFunction;

/// Loads up to this long have a row for every second, and charts.
pub const LONGEST_WITH_ROWS: Duration = Duration::from_secs(6 * 3600);

/// One second of a run. Requests are counted in the second in which they were due, so that
/// `ok + failed + dropped = due` holds in every row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SecondRow {
    /// Seconds since the start of the load.
    pub second: u32,
    /// Requests due.
    pub due: u64,
    /// Of those, the ones with the expected answer in time.
    pub ok: u64,
    /// The ones without, rejected ones among them.
    pub failed: u64,
    /// The ones never sent, because too many were in flight.
    pub dropped: u64,
    /// The failed ones that were answered 429 or 503.
    pub rejected: u64,
    /// Expected answers that arrived in this second, whenever they were due.
    pub served: u64,
    /// Median latency of the ok ones, from the due time, in ms.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the same.
    pub p95_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
    /// Instances ready at the end of the second.
    pub ready: Option<u32>,
    /// Instances starting then.
    pub starting: Option<u32>,
    /// Instances draining then.
    pub draining: Option<u32>,
    /// Instances failed then.
    pub failed_instances: Option<u32>,
    /// Ready instances that the scaler had last decided for.
    pub decided: Option<u32>,
}

/// A text that is not what a run writes as `series.csv`.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// It is no table of rows.
    #[error(transparent)]
    Table(#[from] csv::Error),
    /// Charts and demand count rows as seconds.
    #[error("second = {second}: allowed is {allowed}, one row a second")]
    Second {
        /// The line, the header being 1.
        line: usize,
        /// What it says.
        second: u32,
        /// What it may say.
        allowed: usize,
    },
}

/// The rows of `series.csv`.
///
/// # Errors
/// It is not what a run writes.
pub fn rows_of(text: impl Read) -> Result<Vec<SecondRow>, RowsError> {
    let rows =
        csv::Reader::from_reader(text).into_deserialize().collect::<Result<Vec<SecondRow>, _>>()?;
    match rows.iter().enumerate().find(|(i, row)| row.second as usize != *i) {
        Some((i, SecondRow { second, .. })) => {
            Err(RowsError::Second { line: i + 2, second: *second, allowed: i })
        }
        None => Ok(rows),
    }
}

/// The fleet from one moment until the next step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetStep {
    /// Seconds since the start of the load; negative before it.
    pub at_s: f64,
    /// Instances ready.
    pub ready: u32,
    /// Instances starting.
    pub starting: u32,
    /// Instances draining.
    pub draining: u32,
    /// Instances failed.
    pub failed: u32,
    /// Ready instances that the scaler decided for; unknown while it holds.
    pub decided: Option<u32>,
}

impl FleetStep {
    /// From `at_s` seconds on, the instances were in these phases.
    pub const fn new(at_s: f64, phases: PhaseCounts, decided: Option<u32>) -> Self {
        let PhaseCounts { starting, ready, draining, failed } = phases;
        Self { at_s, ready, starting, draining, failed, decided }
    }

    /// Instances that there are, which is what they cost: all but failed ones.
    pub const fn running(&self) -> u32 {
        self.ready + self.starting + self.draining
    }
}

/// Ready instances over time; `None` without a record of the fleet.
pub fn supply(fleet: &[FleetStep]) -> Option<StepFunction> {
    let mut supply = StepFunction::constant(fleet.first()?.ready);
    fleet.iter().for_each(|step| supply.step(step.at_s, step.ready));
    Some(supply)
}

/// Everything that the chart of a run shows.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSeries {
    /// What was run, for the head of the chart.
    pub title: String,
    /// The run's figures in one line, below the title.
    pub subtitle: String,
    /// Seconds at the start that no figure counts.
    pub warm_up_s: f64,
    /// When the load ended, in seconds; the recording goes on until the fleet has settled.
    pub load_end_s: f64,
    /// One row a second, in order.
    pub rows: Vec<SecondRow>,
    /// The fleet, in order; empty when no scaler was asked.
    pub fleet: Vec<FleetStep>,
}
