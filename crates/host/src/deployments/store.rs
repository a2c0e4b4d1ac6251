//! The file of what is deployed, the host's settings beside it, and what goes with them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::access::Deploy;
use model::names::ServiceName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Deployment, DeploymentError, FILE, Record, Stamp};
use crate::files::{file_error, remove_file, remove_tree, replace_file};
use crate::settings::DEFAULT_FILE;

/// The form of that file. One of another form is refused.
const FORMAT: u32 = 1;

/// The file in which the scaler keeps what it promised about what is deployed.
const MEMORY: &str = "memory.json";

/// The folder in which releases before versions kept one record for each service.
const OLD_RECORDS: &str = "services";

/// What is deployed below one state folder.
#[derive(Debug, Clone)]
pub struct Deployments {
    state: PathBuf,
}

/// The file, as it is written.
#[derive(Serialize)]
struct File<'a> {
    format: u32,
    services: &'a BTreeMap<ServiceName, Record>,
    deploys: &'a [Deploy],
}

/// What is read of it first.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

/// Every record, whatever it holds.
#[derive(Deserialize)]
struct Records {
    services: BTreeMap<ServiceName, Value>,
}

impl Deployments {
    /// What is deployed below this state folder.
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// Where the deployed settings are.
    pub fn settings_file(&self) -> PathBuf {
        self.state.join(DEFAULT_FILE)
    }

    /// Where the scaler keeps what it promised about what is deployed: it goes with that.
    pub fn memory_file(&self) -> PathBuf {
        self.state.join(MEMORY)
    }

    /// The deployed settings; empty where there are none.
    pub fn settings_text(&self) -> String {
        fs::read_to_string(self.settings_file()).unwrap_or_default()
    }

    /// Whether the deployed settings read like `text`.
    pub fn settings_are(&self, text: &str) -> bool {
        holds(&self.settings_file(), text)
    }

    /// Makes the deployed settings read like `text`. Says whether they did not.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn deploy_settings(&self, text: &str) -> Result<bool, DeploymentError> {
        self.replace(&self.settings_file(), text)
    }

    /// Reads the deployment; nothing is deployed where there is no file.
    ///
    /// # Errors
    /// The file cannot be read, was spoilt, or is of another form.
    pub fn load(&self) -> Result<Deployment, DeploymentError> {
        let path = self.file();
        let form = |problem: String| DeploymentError::Form { path: path.clone(), problem };
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Deployment::default());
            }
            text => text.map_err(file_error("read", &path))?,
        };
        let Form { format } =
            serde_json::from_slice(&text).map_err(|error| form(error.to_string()))?;
        if format != FORMAT {
            return Err(form(format!("its format is {format}, this release reads {FORMAT}")));
        }
        let deployment: Deployment =
            serde_json::from_slice(&text).map_err(|error| form(error.to_string()))?;
        Ok(deployment.translated())
    }

    /// What can be read of a deployment that [`Deployments::load`] refuses, record by record, and the services of
    /// folders, each with its own, that cannot be; [`None`] where nothing at all can be told of it.
    pub fn salvaged(&self) -> Option<(Deployment, BTreeMap<ServiceName, PathBuf>)> {
        let text = fs::read(self.file()).ok()?;
        let Form { format } = serde_json::from_slice(&text).ok()?;
        let Records { services } = serde_json::from_slice(&text).ok()?;
        let (mut deployment, mut lost) = (Deployment::default(), BTreeMap::new());
        for (name, value) in services {
            let folder = value.get("folder").and_then(Value::as_str).map(PathBuf::from);
            match serde_json::from_value(value) {
                Ok(record) if format == FORMAT => drop(deployment.services.insert(name, record)),
                _ => lost.extend(folder.map(|folder| (name, folder))),
            }
        }
        Some((deployment.translated(), lost))
    }

    /// Writes the deployment. Says whether it differs from what the file holds.
    ///
    /// # Errors
    /// The file could not be written; what was deployed before still is.
    pub fn deploy(&self, deployment: &Deployment) -> Result<bool, DeploymentError> {
        let path = self.file();
        let Deployment { services, deploys } = deployment;
        let file = File { format: FORMAT, services, deploys };
        let text = serde_json::to_string_pretty(&file)
            .map_err(|error| file_error("write", &path)(error.into()))?;
        let changed = self.replace(&path, &text)?;
        remove_tree(&self.state.join(OLD_RECORDS))?;
        Ok(changed)
    }

    /// The stamp of the file now; `None` where there is none.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.file())
    }

    /// Removes everything that was deployed. Says whether there was anything.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn remove_all(&self) -> Result<bool, DeploymentError> {
        let services = remove_file(&self.file())?;
        remove_file(&self.memory_file())?;
        remove_tree(&self.state.join(OLD_RECORDS))?;
        Ok(remove_file(&self.settings_file())? || services)
    }

    fn file(&self) -> PathBuf {
        self.state.join(FILE)
    }

    /// Makes the file read like `text`, whole or not at all. Says whether it did not.
    fn replace(&self, file: &Path, text: &str) -> Result<bool, DeploymentError> {
        if holds(file, text) {
            return Ok(false);
        }
        fs::create_dir_all(&self.state).map_err(file_error("make", &self.state))?;
        // For root alone, as an application's settings may hold what is nobody else's business.
        replace_file(file, text, 0o600).map_err(file_error("write", file))?;
        Ok(true)
    }
}

fn holds(file: &Path, text: &str) -> bool {
    fs::read(file).is_ok_and(|held| held == text.as_bytes())
}
