//! Calibration: what fleets of fixed sizes serve, and how long things take on the host.

mod fleet;
#[cfg(test)]
mod method;
mod options;
mod search;
mod session;
mod text;
mod trial;

use std::path::PathBuf;

use command_line::terminal;
use run::Calibration;

pub use options::CalibrateOptions;

use crate::error::Error;
use crate::interrupt::{self, Interrupt};
use session::Session;

/// A calibration that came to its end, or as far as it did.
#[derive(Debug)]
pub struct CalibrationReport {
    /// What was measured.
    pub calibration: Calibration,
    /// Where it was written.
    pub folder: PathBuf,
    /// It was interrupted.
    pub interrupted: bool,
    /// What went wrong.
    pub failure: Option<Error>,
}

impl CalibrationReport {
    /// What was measured as a few lines for people.
    pub fn text(&self) -> String {
        text::report(&self.calibration)
    }

    /// The exit code that says how it ended.
    pub fn exit_code(&self) -> u8 {
        match &self.failure {
            Some(error) => error.exit_code(),
            None if self.interrupted => interrupt::EXIT_CODE,
            None => 0,
        }
    }
}

/// Measures the capacity of fleets of 1, 2, ... instances and the times of the host, gives the
/// service its bounds back, and writes what was measured: a whole calibration in place of the one
/// before, and part of one beside it.
///
/// # Errors
/// What kept it from measuring anything, or its results from being written. What went wrong later is
/// in the report.
pub async fn calibrate(
    options: CalibrateOptions,
    interrupt: Interrupt,
) -> Result<CalibrationReport, Error> {
    let results = options.results.clone();
    let mut session = Session::begin(options, interrupt).await?;
    let measured = session.measure().await;
    let cleaned = session.clean_up().await;
    if let (Err(_), Err(error)) = (&measured, &cleaned) {
        // What came first is the reason to tell, but this is left to be done.
        terminal::note(format_args!("warning: {error}"));
    }
    let calibration = session.finish(measured.is_ok());
    let (interrupted, failure) = match measured {
        Err(Error::Interrupted) => (true, cleaned.err()),
        Ok(()) => (false, cleaned.err()),
        Err(error) if calibration.trials.is_empty() => return Err(error),
        Err(error) => (false, Some(error)),
    };

    let name = match calibration.complete {
        true => run::calibration::FOLDER.to_owned(),
        false => {
            let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            format!("{}-partial-{now}", run::calibration::FOLDER)
        }
    };
    let folder = results.join(name);
    calibration.write(&folder)?;
    Ok(CalibrationReport { calibration, folder, interrupted, failure })
}
