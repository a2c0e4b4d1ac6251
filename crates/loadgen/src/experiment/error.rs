//! Why there is no experiment, or not all of it.

use run::{ReadError, ResultsError};
use scaler_client::ScalerError;

use super::rest::RestError;
use crate::open_files::OpenFilesError;
use crate::overrides::RestoreError;
use crate::run_report::RunError;

/// Why there is no experiment, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// Not enough open files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The scaler is not there, or refuses a setting.
    #[error(transparent)]
    Scaler(#[from] ScalerError),
    /// The service did not come to rest.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// A run broke down.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The results of several runs could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The results of several runs could not be written.
    #[error(transparent)]
    Write(#[from] ResultsError),
    /// The settings are not what they were.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The same, after the experiment had broken down.
    #[error("{restore} (the experiment itself had broken down)")]
    BrokenAndNotRestored {
        /// What to do.
        restore: RestoreError,
        /// Why it broke down.
        source: Box<ExperimentError>,
    },
}

impl ExperimentError {
    /// Whether the input is at fault, and nothing was sent.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::OpenFiles(OpenFilesError::TooFew { .. }) => true,
            Self::Scaler(error) => error.is_bad_input(),
            Self::Run(error) => error.is_bad_input(),
            _ => false,
        }
    }
}
