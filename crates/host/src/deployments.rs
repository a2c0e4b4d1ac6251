//! What is deployed: the host's settings, and one file that holds every service. `up` writes them,
//! `down` removes them, and the scaler reads them and no other file of the operator's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use config_file::ConfigError;
use model::names::{ServiceName, TemplateName};
use model::service::{HealthStatus, InstanceSpec, ReachError, ServiceSpec, check_reaches};
use model::time::Timestamp;
use model::version::{Version, Wanted};
use serde::{Deserialize, Serialize};

use crate::files::{FileError, file_error, remove_file, remove_tree, replace_file};
use crate::settings::DEFAULT_FILE;

/// The file that holds every service, in the state folder. It is replaced whole, so that a reader
/// never sees some services as they are and others as they were.
const FILE: &str = "deployment.json";

/// The form of that file. One of another form is refused.
const FORMAT: u32 = 1;

/// The file in which the scaler keeps what it promised about what is deployed.
const MEMORY: &str = "memory.json";

/// The folder in which releases before versions kept one record for each service.
const OLD_RECORDS: &str = "services";

/// A deployment that could not be read or written, or does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is of another form, or was spoilt.
    #[error("{} is not as this release writes it ({problem}); run `bellows up` again", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Services in it do not go together.
    #[error("{FILE}: {0}; run `bellows up` again")]
    Reaches(ReachError),
    /// A service's file in it was spoilt.
    #[error("{config}; run `bellows up` again")]
    Service {
        /// What is wrong with it.
        config: ConfigError,
    },
}

/// A deployed service.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployedService {
    /// What its file says now.
    pub spec: ServiceSpec,
    /// The version that it was last deployed as.
    pub wanted: Wanted,
    /// What an instance of each kept version is given.
    pub versions: BTreeMap<Version, InstanceSpec>,
}

impl DeployedService {
    /// What an instance of this version was given; of a version that is not kept, what one of the
    /// wanted version is.
    pub fn instance(&self, version: Option<Version>) -> &InstanceSpec {
        version.and_then(|version| self.versions.get(&version)).unwrap_or(&self.spec.instance)
    }

    /// The statuses by which an instance of any version says that it can serve.
    pub fn health_statuses(&self) -> BTreeSet<HealthStatus> {
        let instances = self.versions.values().chain([&self.spec.instance]);
        instances.filter_map(|instance| instance.protocol.health_status()).collect()
    }

    /// The template that instances of this version are cloned from.
    pub fn template(&self, version: Version) -> TemplateName {
        TemplateName::new(&self.spec.name, version)
    }
}

/// Every deployed service, as the file holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deployment {
    services: BTreeMap<ServiceName, Record>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Its file as written.
    file: String,
    wanted: Wanted,
    /// The last versions, each with its file, the wanted one first.
    versions: Vec<KeptVersion>,
}

/// A version that can be gone back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptVersion {
    version: Version,
    file: String,
}

/// A service that is to be deployed.
#[derive(Debug, Clone, Copy)]
pub struct NewService<'a> {
    /// Its name.
    pub name: &'a ServiceName,
    /// Its file as written.
    pub file: &'a str,
    /// The version that its file, image and profile make.
    pub version: Version,
    /// The version that serves now, as far as is known: it is kept, however old.
    pub serving: Option<Version>,
    /// Whether this version was given up, and is to be tried again.
    pub again: bool,
}

impl Deployment {
    /// The services' names.
    pub fn names(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.keys()
    }

    /// The version that a service was last deployed as.
    pub fn wanted(&self, service: &ServiceName) -> Option<Wanted> {
        self.services.get(service).map(|record| record.wanted)
    }

    /// The deployment of these services and no others at `now`, that keeps the last `keep` versions
    /// of each.
    #[must_use]
    pub fn followed_by(&self, services: &[NewService], keep: usize, now: Timestamp) -> Self {
        let record = |new: &NewService| {
            let before = self.services.get(new.name);
            (new.name.clone(), record(before, new, keep, now))
        };
        Self { services: services.iter().map(record).collect() }
    }

    /// The templates of every kept version.
    pub fn templates(&self) -> impl Iterator<Item = TemplateName> {
        self.services.iter().flat_map(|(name, record)| {
            record.versions.iter().map(|kept| TemplateName::new(name, kept.version))
        })
    }

    /// What differs from the deployment `before`, in words.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let told = |(name, record): (&ServiceName, &Record)| {
            let known = before.services.get(name);
            let Wanted { version, .. } = record.wanted;
            if known == Some(record) {
                None
            } else if known.is_some_and(|known| known.wanted == record.wanted) {
                Some(format!("{name} revised"))
            } else {
                Some(format!("{name} as version {version}"))
            }
        };
        let gone = before.services.keys().filter(|name| !self.services.contains_key(*name));
        let gone = gone.map(|name| format!("{name} withdrawn"));
        self.services.iter().filter_map(told).chain(gone).collect()
    }

    /// The services with their files read.
    ///
    /// # Errors
    /// A file that does not read as a service's, or services that cannot reach what they should.
    pub fn deployed(&self) -> Result<Vec<DeployedService>, DeploymentError> {
        let services = self.services.iter().map(|(name, record)| read(name, record));
        let services: Vec<_> = services.collect::<Result<_, _>>()?;
        let specs: Vec<_> = services.iter().map(|service| &service.spec).collect();
        let wrong = check_reaches(&specs).into_iter().next();
        wrong.map_or(Ok(services), |wrong| Err(DeploymentError::Reaches(wrong)))
    }
}

fn record(before: Option<&Record>, new: &NewService, keep: usize, now: Timestamp) -> Record {
    let wanted = match before {
        Some(Record { wanted, .. }) if wanted.version == new.version && !new.again => *wanted,
        _ => Wanted { version: new.version, deployed_at: now },
    };
    let earlier = before.into_iter().flat_map(|record| &record.versions);
    let earlier = earlier.filter(|kept| kept.version != new.version).cloned().enumerate();
    let is_kept = |(place, kept): &(usize, KeptVersion)| {
        place + 1 < keep || new.serving == Some(kept.version)
    };
    let own = KeptVersion { version: new.version, file: new.file.to_owned() };
    let earlier = earlier.filter(is_kept).map(|(_, kept)| kept);
    let versions = std::iter::once(own).chain(earlier).collect();
    Record { file: new.file.to_owned(), wanted, versions }
}

fn read(name: &ServiceName, record: &Record) -> Result<DeployedService, DeploymentError> {
    let parse = |file: &str| {
        let place = format!("{FILE}, service {name}");
        config_file::from_toml::<ServiceSpec>(place, file)
            .map_err(|config| DeploymentError::Service { config })
    };
    let version = |kept: &KeptVersion| Ok((kept.version, parse(&kept.file)?.instance));
    Ok(DeployedService {
        spec: parse(&record.file)?,
        wanted: record.wanted,
        versions: record.versions.iter().map(version).collect::<Result<_, DeploymentError>>()?,
    })
}

/// Tells one content of the file from the next, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    written: (i64, i64),
}

/// What is deployed below one state folder.
#[derive(Debug, Clone)]
pub struct Deployments {
    state: PathBuf,
}

/// The file, with its form.
#[derive(Serialize, Deserialize)]
struct File<S> {
    format: u32,
    services: S,
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
        let File { format, services }: File<serde_json::Value> =
            serde_json::from_slice(&text).map_err(|error| form(error.to_string()))?;
        if format != FORMAT {
            return Err(form(format!("its format is {format}, this release reads {FORMAT}")));
        }
        serde_json::from_value(services).map_err(|error| form(error.to_string()))
    }

    /// Writes the deployment. Says whether it differs from what the file holds.
    ///
    /// # Errors
    /// The file could not be written; what was deployed before still is.
    pub fn deploy(&self, deployment: &Deployment) -> Result<bool, DeploymentError> {
        let path = self.file();
        let file = File { format: FORMAT, services: deployment };
        let text = serde_json::to_string_pretty(&file)
            .map_err(|error| file_error("write", &path)(error.into()))?;
        let changed = self.replace(&path, &text)?;
        remove_tree(&self.state.join(OLD_RECORDS))?;
        Ok(changed)
    }

    /// The stamp of the file now; `None` where there is none.
    pub fn stamp(&self) -> Option<Stamp> {
        let file = fs::metadata(self.file()).ok()?;
        Some(Stamp { inode: file.ino(), written: (file.mtime(), file.mtime_nsec()) })
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

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = include_str!("../../../services/object-store.toml");

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    /// The store, deployed as one version after the other, a second apart.
    fn deployed(versions: &[u32], keep: usize, serving: Option<u32>) -> Deployment {
        let store = name("object-store");
        (0..).zip(versions).fold(Deployment::default(), |before, (second, version)| {
            let new = NewService {
                name: &store,
                file: STORE,
                version: Version::new(*version),
                serving: serving.map(Version::new),
                again: false,
            };
            before.followed_by(&[new], keep, at(second))
        })
    }

    fn kept(deployment: &Deployment) -> Vec<String> {
        deployment.templates().map(|template| template.version().to_string()).collect()
    }

    #[test]
    fn the_last_versions_are_kept_and_the_one_that_serves_however_old() {
        assert_eq!(kept(&deployed(&[1, 2, 3, 4], 3, None)), ["00000004", "00000003", "00000002"]);
        assert_eq!(
            kept(&deployed(&[1, 2, 3, 4], 2, Some(1))),
            ["00000004", "00000003", "00000001"]
        );
        assert_eq!(kept(&deployed(&[1, 2, 1], 3, None)), ["00000001", "00000002"]);
    }

    #[test]
    fn the_same_again_changes_nothing_unless_it_was_given_up() {
        let (store, once) = (name("object-store"), deployed(&[7], 3, None));
        let new = NewService {
            name: &store,
            file: STORE,
            version: Version::new(7),
            serving: None,
            again: false,
        };
        assert_eq!(once.followed_by(&[new], 3, at(60)), once);
        let again = once.followed_by(&[NewService { again: true, ..new }], 3, at(60));
        let wanted = again.deployed().unwrap()[0].wanted;
        assert_eq!(wanted, Wanted { version: Version::new(7), deployed_at: at(60) });
    }

    #[test]
    fn changes_are_told_apart() {
        let (store, before) = (name("object-store"), deployed(&[7], 3, None));
        let revised = STORE.replace("max = 10", "max = 9");
        assert_ne!(revised, STORE);
        let new = |file, version| NewService {
            name: &store,
            file,
            version: Version::new(version),
            serving: None,
            again: false,
        };
        let told = |after: &[NewService]| before.followed_by(after, 3, at(9)).changes(&before);
        assert!(told(&[new(STORE, 7)]).is_empty());
        assert_eq!(told(&[new(&revised, 7)]), ["object-store revised"]);
        assert_eq!(told(&[new(STORE, 8)]), ["object-store as version 00000008"]);
        assert_eq!(told(&[]), ["object-store withdrawn"]);
    }

    #[test]
    fn an_instance_keeps_what_its_own_version_was_given() {
        let store = name("object-store");
        let moved = STORE.replace("port = 8000", "port = 9000\nhealth_status = 204");
        assert_ne!(moved, STORE);
        let new = NewService {
            name: &store,
            file: &moved,
            version: Version::new(8),
            serving: None,
            again: false,
        };
        let after = deployed(&[7], 3, None).followed_by(&[new], 3, at(9));
        let service = after.deployed().unwrap().remove(0);
        let port = |version| service.instance(Some(Version::new(version))).port;
        assert_eq!((port(7), port(8), port(9)), (8000, 9000, 9000));
        let statuses: Vec<_> = service.health_statuses().iter().map(ToString::to_string).collect();
        assert_eq!(statuses, ["200", "204"], "each is in rotation by what it says");
        assert_eq!(service.template(Version::new(7)).as_str(), "bw-object-store-t00000007");
    }

    #[test]
    fn what_was_deployed_is_read_back_and_its_stamp_changes_with_it() {
        let state = tempfile::tempdir().unwrap();
        let deployments = Deployments::new(&state.path().join("made"));
        assert_eq!(deployments.load().unwrap(), Deployment::default());
        assert_eq!(deployments.stamp(), None);
        let deployment = deployed(&[7], 3, None);
        assert!(deployments.deploy(&deployment).unwrap());
        let stamp = deployments.stamp();
        assert!(!deployments.deploy(&deployment).unwrap());
        assert_eq!(deployments.stamp(), stamp);
        assert_eq!(deployments.load().unwrap(), deployment);
        deployments.deploy(&deployed(&[7, 8], 3, None)).unwrap();
        assert_ne!(deployments.stamp(), stamp);
    }

    #[test]
    fn a_file_of_another_form_or_that_was_spoilt_is_refused_in_a_sentence() {
        let state = tempfile::tempdir().unwrap();
        let deployments = Deployments::new(state.path());
        deployments.deploy(&deployed(&[7], 3, None)).unwrap();
        let file = state.path().join(FILE);
        let good = fs::read_to_string(&file).unwrap();
        for (text, told) in [
            (
                good.replace("\"format\": 1", "\"format\": 2"),
                "its format is 2, this release reads 1",
            ),
            (good[..good.len() / 2].to_owned(), "EOF"),
            (good.replace("00000007", "seven"), "`seven` is not a version"),
        ] {
            fs::write(&file, text).unwrap();
            let error = deployments.load().unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("run `bellows up` again"), "{error}");
        }
        fs::write(&file, good.replace("max = 10", "max = 0")).unwrap();
        let error = deployments.load().unwrap().deployed().unwrap_err().to_string();
        assert!(error.contains("deployment.json, service object-store"), "{error}");
    }

    #[test]
    fn services_that_cannot_reach_what_they_name_are_refused() {
        let (store, text) = (
            name("object-store"),
            STORE.replace("port = 8000", "port = 8000\nreaches = [\"gone\"]"),
        );
        let new = NewService {
            name: &store,
            file: &text,
            version: Version::new(1),
            serving: None,
            again: false,
        };
        let error = Deployment::default().followed_by(&[new], 3, at(1)).deployed().unwrap_err();
        insta::assert_snapshot!(error, @"deployment.json: instance.reaches of object-store names gone, and there is no such service: add it, or take the name out; run `bellows up` again");
    }

    #[test]
    fn removing_all_keeps_what_was_not_deployed() {
        let state = tempfile::tempdir().unwrap();
        let deployments = Deployments::new(state.path());
        fs::create_dir(state.path().join("objects")).unwrap();
        assert!(!deployments.remove_all().unwrap());
        deployments.deploy(&deployed(&[7], 3, None)).unwrap();
        fs::write(deployments.memory_file(), "{}").unwrap();
        assert!(deployments.deploy_settings("").unwrap());
        assert!(!deployments.deploy_settings("").unwrap());
        assert!(deployments.remove_all().unwrap());
        assert!(!deployments.remove_all().unwrap());
        let left: Vec<_> =
            fs::read_dir(state.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["objects"]);
    }

    #[test]
    fn records_of_releases_without_versions_go_with_the_first_deployment() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir_all(state.path().join("services/object-store")).unwrap();
        Deployments::new(state.path()).deploy(&deployed(&[7], 3, None)).unwrap();
        assert!(!state.path().join("services").exists());
    }
}
