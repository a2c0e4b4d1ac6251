//! What several runs of the same experiment say together: medians, and how sure they are.

mod file;
mod interval;

pub use file::{FigureOfRuns, Repetition, Repetitions};
pub use interval::Interval;
