//! What measures a run while it lasts, what it leaves behind, and what that says of it: its summary,
//! its series per second, its chart, its figures and its page.
//!
//! The types here are the format of a run's folder, for real and in virtual time: `summary.json` is
//! a [`Summary`], a line of `series.csv` is a [`SecondRow`], a line of `ticks.jsonl` a
//! [`model::tick::Tick`], and [`chart::render`] draws `chart.svg`. [`Run::read`] reads a folder
//! back, [`figures::measure`] judges it, [`html::render`] writes its page, and [`pdf::run`] what typst
//! makes a PDF of. [`policies::PolicyTable`] is the same for a comparison of policies.

pub mod agreement;
pub mod calibration;
pub mod capacity;
pub mod chart;
pub mod cost;
pub mod elasticity;
pub mod figures;
pub mod folder;
pub mod gathered;
pub mod history;
pub mod html;
pub mod page;
mod panels;
pub mod pdf;
pub mod policies;
pub mod recorder;
pub mod repetitions;
pub mod run;
mod scale;
pub mod series;
pub mod steps;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod text;

pub use calibration::Calibration;
pub use folder::{ResultsError, ResultsFolder, TickFile};
pub use history::FleetHistory;
pub use page::{Comparison, Page};
pub use policies::PolicyTable;
pub use recorder::Recorder;
pub use run::{Run, RunFolderError};
pub use series::{FleetStep, RunSeries, SecondRow};
pub use summary::Summary;
