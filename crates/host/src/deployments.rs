//! What is deployed: the settings and, for each service, its file and the name of its template, in
//! files below the state folder. `up` writes them, `down` removes them, and the scaler reads them
//! and no other file of the operator's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use config_file::ConfigError;
use model::names::{NameError, ServiceName, TemplateName};
use model::service::ServiceSpec;

use crate::files::{FileError, file_error, replace_file};
use crate::settings::DEFAULT_FILE;

/// The folder of the services' records, below the state directory.
const SERVICES: &str = "services";

/// The name of the template to clone. A record without this file is not deployed.
const TEMPLATE: &str = "template";

/// The service's file.
const SERVICE: &str = "service.toml";

/// A record that could not be read or written, or does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The service's file in the record was spoilt.
    #[error("{config}; run `bellows up` again")]
    Service {
        /// What is wrong with it.
        config: ConfigError,
    },
    /// The template's name in the record was spoilt.
    #[error("{} is not as `bellows up` wrote it; run `bellows up` again", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NameError,
    },
}

/// A deployed service.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployedService {
    /// What its file says.
    pub spec: ServiceSpec,
    /// The template that its instances are cloned from.
    pub template: TemplateName,
}

/// The deployed records below one state directory.
#[derive(Debug)]
pub struct Deployments {
    state: PathBuf,
}

impl Deployments {
    /// The records in this state directory.
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// Where the deployed settings are.
    pub fn settings_file(&self) -> PathBuf {
        self.state.join(DEFAULT_FILE)
    }

    /// Makes the deployed settings read like `text`. Says whether they did not.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn deploy_settings(&self, text: &str) -> Result<bool, DeploymentError> {
        make_folder(&self.state)?;
        Ok(replace(&self.settings_file(), text)?)
    }

    /// Whether the records are these, and there are no others.
    ///
    /// # Errors
    /// The folder of records cannot be read.
    pub fn are_exactly(
        &self,
        settings: &str,
        services: &[(&ServiceName, &str, &TemplateName)],
    ) -> Result<bool, DeploymentError> {
        let mut wanted: Vec<_> = services.iter().map(|(name, ..)| name.as_str()).collect();
        wanted.sort_unstable();
        let all_hold = services.iter().all(|(name, text, template)| {
            let folder = self.folder().join(name.as_str());
            holds(&folder.join(SERVICE), text) && holds(&folder.join(TEMPLATE), &line(template))
        });
        Ok(self.names()? == wanted && all_hold && holds(&self.settings_file(), settings))
    }

    /// Makes the record of a service say this. Says whether it did not.
    ///
    /// # Errors
    /// A file could not be written.
    pub fn deploy(
        &self,
        service: &ServiceName,
        text: &str,
        template: &TemplateName,
    ) -> Result<bool, DeploymentError> {
        let folder = self.folder().join(service.as_str());
        make_folder(&folder)?;
        // The template's name comes last: it is what makes the record count.
        let changed = replace(&folder.join(SERVICE), text)?;
        Ok(replace(&folder.join(TEMPLATE), &line(template))? || changed)
    }

    /// Removes the records of all services that `wanted` does not name. Gives their names.
    ///
    /// # Errors
    /// A record could not be removed.
    pub fn withdraw_others(&self, wanted: &[&ServiceName]) -> Result<Vec<String>, DeploymentError> {
        let mut withdrawn = Vec::new();
        for name in self.names()? {
            if wanted.iter().any(|service| service.as_str() == name) {
                continue;
            }
            let folder = self.folder().join(&name);
            remove_if_there(&folder.join(TEMPLATE))?;
            fs::remove_dir_all(&folder).map_err(file_error("remove", &folder))?;
            withdrawn.push(name);
        }
        Ok(withdrawn)
    }

    /// Removes everything that [`Self::deploy`] and [`Self::deploy_settings`] wrote. Says whether
    /// there was anything.
    ///
    /// # Errors
    /// A record could not be removed.
    pub fn remove_all(&self) -> Result<bool, DeploymentError> {
        let withdrawn = self.withdraw_others(&[])?;
        let folder = self.folder();
        match fs::remove_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error("remove", &folder)(error).into());
            }
            _ => {}
        }
        Ok(remove_if_there(&self.settings_file())? || !withdrawn.is_empty())
    }

    /// Reads every record that is whole.
    ///
    /// # Errors
    /// One cannot be read, or was spoilt.
    pub fn load(&self) -> Result<Vec<DeployedService>, DeploymentError> {
        let folders = self.names()?.into_iter().map(|name| self.folder().join(name));
        folders.filter_map(|folder| read(&folder).transpose()).collect()
    }

    fn folder(&self) -> PathBuf {
        self.state.join(SERVICES)
    }

    /// The folders of the records, half-made ones too.
    fn names(&self) -> Result<Vec<String>, DeploymentError> {
        let folder = self.folder();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(file_error("read", &folder))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(file_error("read", &folder))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

/// Reads one record; `None` when it has no template yet.
fn read(folder: &Path) -> Result<Option<DeployedService>, DeploymentError> {
    let path = folder.join(TEMPLATE);
    let template = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(file_error("read", &path))?,
    };
    let template =
        template.trim_end().parse().map_err(|source| DeploymentError::Template { path, source })?;
    let path = folder.join(SERVICE);
    let spec = config_file::read(&path).map_err(|config| DeploymentError::Service { config })?;
    Ok(Some(DeployedService { spec, template }))
}

fn make_folder(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder).map_err(file_error("make", folder))
}

/// The content of the file that names a template.
fn line(template: &TemplateName) -> String {
    format!("{template}\n")
}

fn holds(file: &Path, text: &str) -> bool {
    fs::read(file).is_ok_and(|held| held == text.as_bytes())
}

/// Makes the file read like `text`, whole or not at all. Says whether it did not.
fn replace(file: &Path, text: &str) -> Result<bool, FileError> {
    if holds(file, text) {
        return Ok(false);
    }
    // For root alone, as an application's settings may hold what is nobody else's business.
    replace_file(file, text, 0o600).map_err(file_error("write", file))?;
    Ok(true)
}

fn remove_if_there(file: &Path) -> Result<bool, FileError> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(file_error("remove", file)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    fn deploy(records: &Deployments, service: &str, text: &str, digest: u32) -> bool {
        let template = TemplateName::new(&name(service), digest);
        records.deploy(&name(service), text, &template).unwrap()
    }

    #[test]
    fn a_record_is_written_once_and_again_only_when_it_changed() {
        let state = tempfile::tempdir().unwrap();
        let records = Deployments::new(state.path());
        assert!(deploy(&records, "store", "a = 1", 1));
        assert!(!deploy(&records, "store", "a = 1", 1));
        assert!(deploy(&records, "store", "a = 2", 1));
        assert!(deploy(&records, "store", "a = 2", 2));
        let read = |file: &str| fs::read_to_string(state.path().join("services/store").join(file));
        assert_eq!(read("service.toml").unwrap(), "a = 2");
        assert_eq!(read("template").unwrap(), "bw-store-t00000002\n");
        let files = fs::read_dir(state.path().join("services/store")).unwrap().count();
        assert_eq!(files, 2, "nothing temporary is left");
    }

    #[test]
    fn what_was_deployed_is_loaded_and_a_half_made_record_is_not() {
        let state = tempfile::tempdir().unwrap();
        let records = Deployments::new(state.path());
        assert_eq!(records.load().unwrap(), []);
        let text = include_str!("../../../services/object-store.toml");
        deploy(&records, "object-store", text, 7);
        fs::create_dir(state.path().join("services/half")).unwrap();
        fs::write(state.path().join("services/half/service.toml"), text).unwrap();
        let loaded = records.load().unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].template.as_str(), "bw-object-store-t00000007");
        fs::write(state.path().join("services/object-store/template"), "x").unwrap();
        let error = records.load().unwrap_err().to_string();
        assert!(error.contains("run `bellows up` again"), "{error}");
    }

    #[test]
    fn records_are_compared_without_a_change() {
        let state = tempfile::tempdir().unwrap();
        let records = Deployments::new(state.path());
        let (store, template) = (name("store"), TemplateName::new(&name("store"), 1));
        let are = |text: &str| records.are_exactly("x = 1", &[(&store, text, &template)]).unwrap();
        assert!(!are("a = 1"));
        deploy(&records, "store", "a = 1", 1);
        assert!(!are("a = 1"), "the settings are missing");
        records.deploy_settings("x = 1").unwrap();
        assert!(are("a = 1") && !are("a = 2"));
        deploy(&records, "other", "", 1);
        assert!(!are("a = 1"), "there is one too many");
    }

    #[test]
    fn a_service_whose_file_vanished_is_withdrawn() {
        let state = tempfile::tempdir().unwrap();
        let records = Deployments::new(state.path());
        deploy(&records, "gone", "", 1);
        deploy(&records, "store", "", 1);
        assert_eq!(records.withdraw_others(&[&name("store")]).unwrap(), ["gone"]);
        assert!(records.withdraw_others(&[&name("store")]).unwrap().is_empty());
        assert!(state.path().join("services/store/template").exists());
        assert!(!state.path().join("services/gone").exists());
    }

    #[test]
    fn removing_all_keeps_what_is_not_a_record() {
        let state = tempfile::tempdir().unwrap();
        let records = Deployments::new(state.path());
        fs::create_dir(state.path().join("objects")).unwrap();
        assert!(!records.remove_all().unwrap());
        deploy(&records, "store", "", 1);
        assert!(records.deploy_settings("").unwrap());
        assert!(!records.deploy_settings("").unwrap());
        assert!(records.remove_all().unwrap());
        assert!(!records.remove_all().unwrap());
        let left: Vec<_> =
            fs::read_dir(state.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["objects"]);
    }
}
