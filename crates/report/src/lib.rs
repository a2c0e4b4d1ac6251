//! What a run leaves behind: what is measured while it lasts, its summary, its series per second,
//! and the chart of both.
//!
//! The types here are the format of a run's folder, for real and in virtual time: `summary.json` is
//! a [`Summary`], a line of `series.csv` is a [`SecondRow`], a line of `ticks.jsonl` is a
//! [`policy::tick::Tick`], and [`chart::render`] draws `chart.svg`.

pub mod chart;
pub mod folder;
pub mod history;
mod panels;
pub mod recorder;
mod scale;
pub mod series;
pub mod summary;
pub mod text;

pub use folder::{ResultsError, ResultsFolder, TickFile};
pub use history::FleetHistory;
pub use recorder::Recorder;
pub use series::{FleetStep, RunSeries, SecondRow};
pub use summary::Summary;
