//! Calibration: what fleets of fixed sizes serve, and how long things take on the host.

mod fleet;
#[cfg(test)]
mod method;
mod search;
mod session;
mod text;
mod trial;

use std::path::{Path, PathBuf};

use command_line::terminal;
use model::bounds::Bounds;
use model::service::ServiceSpec;
use model::value::Invalid;
use run::Calibration;
use scaler_client::Scaler;

use crate::error::Error;
use crate::interrupt::{self, Interrupt};
use crate::scenario_file::{LoadedScenario, read_service};
use crate::target::Target;
use session::Session;

/// What to calibrate, where, and where to write.
#[derive(Debug, Clone)]
pub struct CalibrateOptions {
    /// Its service is calibrated, with requests as it sends them; its load is not used.
    pub scenario: LoadedScenario,
    /// The file of that service.
    pub spec: ServiceSpec,
    /// The largest fleet to measure.
    pub instances: u32,
    /// Where the load goes.
    pub target: Target,
    /// The scaler that holds the fleet at its size.
    pub scaler: Scaler,
    /// The folder of all results.
    pub results: PathBuf,
}

impl CalibrateOptions {
    /// Reads the service's file from the folder `services`. Without `instances` the largest fleet
    /// is that of the service's upper bound.
    ///
    /// # Errors
    /// Bad input; nothing has been sent then.
    pub fn new(
        scenario: LoadedScenario,
        services: &Path,
        instances: Option<u32>,
        (target, scaler): (Target, Scaler),
        results: PathBuf,
    ) -> Result<Self, Error> {
        let spec = read_service(services, &scenario.scenario.service)?;
        let instances = instances.unwrap_or(spec.bounds.max());
        if !(1..=Bounds::MAX_INSTANCES).contains(&instances) {
            let allowed = format!("1 to {}", Bounds::MAX_INSTANCES);
            return Err(Invalid::new("instances", instances, allowed).into());
        }
        Ok(Self { scenario, spec, instances, target, scaler, results })
    }
}

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
