//! What a run leaves behind: its summary, its series per second, and the chart of both.
//!
//! The types here are the format of a run's folder: `summary.json` is a [`Summary`], a line of
//! `series.csv` is a [`SecondRow`], and [`chart::render`] draws `chart.svg`.

pub mod chart;
mod panels;
mod scale;
pub mod series;
pub mod summary;

pub use series::{FleetStep, RunSeries, SecondRow};
pub use summary::Summary;
