//! How a run ended.

use std::path::PathBuf;

use run::{Summary, text};

/// A run that came to its end.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// Its figures.
    pub summary: Summary,
    /// The folder of its results.
    pub folder: PathBuf,
    /// How it ended.
    pub ending: Ending,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All limits of the scenario held.
    Held,
    /// At least one did not.
    NotHeld,
    /// It was interrupted.
    Interrupted,
}

impl RunReport {
    /// The figures as a few lines for people.
    pub fn text(&self) -> String {
        text::summary(&self.summary)
    }
}

impl Ending {
    /// The exit code that says it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::NotHeld => 1,
            Self::Interrupted => crate::interrupt::EXIT_CODE,
        }
    }
}
