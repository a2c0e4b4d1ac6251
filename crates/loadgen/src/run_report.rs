//! How a run ended, and why there may be none.

use std::path::PathBuf;

use run::{ResultsError, Summary, text};
use scaler_client::ScalerError;

use crate::load::LoadError;
use crate::open_files::OpenFilesError;
use crate::stored_objects::ObjectsError;

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

/// Why there is no run, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A limit that cannot be checked without the scaler.
    #[error(
        "limits.back_to_min = true needs the scaler's API: name it (--api http://HOST:PORT), or \
         set the limit to false"
    )]
    NeedsScaler,
    /// Not enough open files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The scaler is not there.
    #[error(transparent)]
    Scaler(#[from] ScalerError),
    /// The user ended it before its load.
    #[error("interrupted before the load: the objects stored so far are removed")]
    Interrupted,
    /// The objects could not be stored or removed.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The generator broke down.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The results could not be written.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

impl RunError {
    /// Whether the input is at fault, and nothing was sent.
    pub fn is_bad_input(&self) -> bool {
        matches!(self, Self::NeedsScaler | Self::OpenFiles(OpenFilesError::TooFew { .. }))
    }
}

impl RunReport {
    /// The figures as a few lines for people.
    pub fn text(&self) -> String {
        text::summary(&self.summary)
    }

    /// The exit code that says how it ended.
    pub fn exit_code(&self) -> u8 {
        self.ending.exit_code()
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
