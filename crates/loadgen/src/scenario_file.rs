//! Finds a scenario's file, reads it, and turns it into a load.

use std::io;
use std::path::{Path, PathBuf};

use policy::spec::{ServiceSpec, SpecError};
use workload::{InstanceCapacity, RateCurve, RateUnit, Scenario, ScenarioError, TimeFactor};

/// A scenario that is ready to run.
#[derive(Debug, Clone)]
pub struct LoadedScenario {
    pub(crate) scenario: Scenario,
    pub(crate) curve: RateCurve,
    pub(crate) time_factor: f64,
}

/// A scenario that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioFileError {
    /// There is none of that name.
    #[error("there is no scenario `{name}`: allowed is {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The scenario is not a good one.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The service's file, which says what one instance serves, is not a good one.
    #[error("{path} does not say what one instance serves")]
    Service {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SpecError,
    },
    /// The time factor is not one.
    #[error("--time-factor = {0}: allowed is above 0 to 1")]
    TimeFactor(f64),
}

impl LoadedScenario {
    /// Finds the scenario of that name in a folder of scenarios.
    ///
    /// # Errors
    /// [`ScenarioFileError::Unknown`] lists the names there are.
    pub fn find(folder: &Path, name: &str) -> Result<PathBuf, ScenarioFileError> {
        let read = |source| ScenarioFileError::Read { path: folder.to_owned(), source };
        let mut known = Vec::new();
        for entry in folder.read_dir().map_err(read)? {
            let path = entry.map_err(read)?.path();
            let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|e| e == "toml") {
                if stem == name {
                    return Ok(path);
                }
                known.push(stem.to_owned());
            }
        }
        known.sort();
        Err(ScenarioFileError::Unknown { name: name.to_owned(), known: known.join(", ") })
    }

    /// Reads a scenario. `services` is the folder of the services' files: one is read when the
    /// scenario counts its rates in instances.
    ///
    /// # Errors
    /// When a file or the time factor is not good; nothing has been sent then.
    pub fn read(
        path: &Path,
        services: &Path,
        time_factor: f64,
        seed: Option<u64>,
    ) -> Result<Self, ScenarioFileError> {
        let factor =
            TimeFactor::new(time_factor).ok_or(ScenarioFileError::TimeFactor(time_factor))?;
        let mut scenario = Scenario::parse(&path.display().to_string(), &read(path)?)?;
        scenario.seed = seed.unwrap_or(scenario.seed);
        let scenario = scenario.shortened(factor);
        let capacity = match scenario.unit {
            RateUnit::RequestsPerSecond => None,
            RateUnit::Instances => {
                let path = services.join(format!("{}.toml", scenario.service));
                let spec = ServiceSpec::parse(&read(&path)?)
                    .map_err(|source| ScenarioFileError::Service { path, source })?;
                InstanceCapacity::new(spec.capacity.requests_per_second)
            }
        };
        let curve = scenario.curve(capacity)?;
        Ok(Self { scenario, curve, time_factor })
    }
}

fn read(path: &Path) -> Result<String, ScenarioFileError> {
    std::fs::read_to_string(path)
        .map_err(|source| ScenarioFileError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn a_scenario_is_found_by_its_name_and_an_unknown_name_lists_the_others() {
        let folder = root().join("loadgen/scenarios");
        let path = LoadedScenario::find(&folder, "ramp").unwrap();
        let loaded = LoadedScenario::read(&path, &folder, 0.1, Some(9)).unwrap();
        assert_eq!((loaded.scenario.seed, loaded.curve.duration()), (9, Duration::from_secs(18)));
        let error = LoadedScenario::find(&folder, "rmap").unwrap_err();
        insta::assert_snapshot!(
            error,
            @"there is no scenario `rmap`: allowed is burst-from-zero, ramp, reload-vs-runtime, sine, soak, spike, staircase, steps, two-a-second"
        );
    }

    #[test]
    fn rates_in_instances_follow_the_services_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.toml");
        let text = "name = \"two\"\nservice = \"object-store\"\nseed = 1\n\
            unit = \"instances\"\n[[phases]]\nkind = \"constant\"\nduration_s = 1\nrate = 2\n";
        std::fs::write(&path, text).unwrap();
        let loaded = LoadedScenario::read(&path, &root().join("services"), 1.0, None).unwrap();
        // An object store serves 50 requests/s.
        assert!((loaded.curve.rate_at(Duration::ZERO) - 100.0).abs() < 1e-9);
        let error = LoadedScenario::read(&path, folder.path(), 1.0, None).unwrap_err();
        assert!(error.to_string().contains("object-store.toml cannot be read"), "{error}");
    }
}
