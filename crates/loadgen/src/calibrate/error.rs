//! Why there is no calibration, or not all of it.

use model::bounds::Bounds;
use model::value::Invalid;
use run::ResultsError;
use scaler_client::ScalerError;

use crate::load::LoadError;
use crate::open_files::OpenFilesError;
use crate::scenario_file::ScenarioFileError;
use crate::stored_objects::ObjectsError;

/// Why there is no calibration, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// A fleet that cannot be.
    #[error("instances is {0}: use 1 to {max}", max = Bounds::MAX_INSTANCES)]
    Instances(u32),
    /// The scenario's file or the service's is not a good one.
    #[error(transparent)]
    Scenario(#[from] ScenarioFileError),
    /// Not enough open files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The scaler is not there, or does not do what is asked.
    #[error(transparent)]
    Scaler(#[from] ScalerError),
    /// The bounds that a fleet needs.
    #[error(transparent)]
    Bounds(#[from] Invalid),
    /// The fleet does not become what it was set to.
    #[error(
        "{ready} instances are ready a minute after {wanted} were asked for: see `./just status` \
         and the scaler's log"
    )]
    Fleet {
        /// Instances asked for.
        wanted: u32,
        /// Instances ready.
        ready: u32,
    },
    /// The objects could not be stored or removed.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The generator broke down.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The machine is too slow or too busy for the load.
    #[error(
        "one instance serves more than the generator could offer in time: calibrate when nothing \
         else runs on this machine"
    )]
    Generator,
    /// The search found no rate.
    #[error(
        "no rate could be found that one instance serves within the objective: is \
         capacity.requests_per_second = {0} anywhere near it, and does nothing else run here?"
    )]
    NotFound(f64),
    /// The bounds could not be given back.
    #[error(
        "the service's bounds are still those of the calibration. Once the scaler answers, this \
         sets them back: {command}"
    )]
    Restore {
        /// The command that does it.
        command: String,
        /// Why.
        source: Box<ScalerError>,
    },
    /// The results could not be written.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// What ends the measuring before its time.
#[derive(Debug)]
pub(super) enum Halt {
    /// The user asked for it.
    Interrupted,
    /// Something went wrong.
    Failed(CalibrateError),
}

impl CalibrateError {
    /// Whether the input is at fault, and nothing was measured.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Instances(_)
            | Self::Scenario(_)
            | Self::OpenFiles(OpenFilesError::TooFew { .. }) => true,
            Self::Scaler(error) => error.is_bad_input(),
            _ => false,
        }
    }
}

impl<E: Into<CalibrateError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
