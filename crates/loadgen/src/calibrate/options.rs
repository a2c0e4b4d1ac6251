//! What to calibrate, where, and where to write.

use std::path::{Path, PathBuf};

use model::bounds::Bounds;
use model::service::ServiceSpec;
use model::value::Invalid;
use scaler_client::Scaler;

use crate::error::Error;
use crate::scenario_file::{LoadedScenario, read_service};
use crate::target::Target;

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
