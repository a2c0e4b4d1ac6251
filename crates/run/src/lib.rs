//! What a run is: what measures it while it lasts, the folder that it leaves behind, and what that
//! says of it.
//!
//! The types here are the format of the folder, for real and in virtual time: `summary.json` is a
//! [`Summary`], a line of `series.csv` a [`SecondRow`], a line of `ticks.jsonl` a
//! [`model::tick::Tick`], and [`chart::render`] draws `chart.svg`. [`ResultsFolder`] writes one,
//! [`Run::read`] reads it back, [`figures::measure`] judges it, and [`text`] says it on a terminal.
//! Several runs are [`repetitions`]; every policy under every load is a [`policy_comparison`].

pub mod calibration;
pub mod capacity;
pub mod chart;
pub mod cost;
pub mod elasticity;
pub mod figures;
mod files;
mod fleet_history;
pub mod numbers;
pub mod policy_comparison;
mod read_back;
mod recorder;
pub mod repetitions;
mod results_folder;
pub mod series;
pub mod step_function;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod text;

pub use calibration::Calibration;
pub use files::{ReadError, ResultsError};
pub use fleet_history::FleetHistory;
pub use policy_comparison::PolicyTable;
pub use read_back::Run;
pub use recorder::Recorder;
pub use results_folder::{ResultsFolder, TickFile};
pub use series::{FleetStep, RunSeries, SecondRow};
pub use summary::Summary;
