//! Deploys of applications from their folders, each of which is a job: a process of its own, which goes on when
//! whoever asked for it is gone. Every service has a folder here with what is deployed, how far the job has come, and
//! what it wrote.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::access::Who;
use model::names::ServiceName;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::{
    FileError, ensure_private_folder, file_error, names_in, remove_tree, replace_file,
};
use crate::lock::{Lock, LockError, SharedLock};

/// The folder of deploys, in the state folder.
const FOLDER: &str = "deploys";

/// The locks of a service's deploys: of who begins one, and of the process that carries it out.
const BEGIN: &str = "begin.lock";
const JOB: &str = "job.lock";

/// How long somebody may ask whether there is a job.
const MOMENT: Duration = Duration::from_secs(1);

/// What it holds, and what it writes, is root's: an application's folder may hold what is nobody else's business.
const MODE: u32 = 0o600;

/// A deploy that cannot be begun, or whose files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// One at a time for a service.
    #[error(
        "a deploy of {service} is under way: `bellows status` shows how far it has come; wait until it has ended, or \
         end process {holder}"
    )]
    UnderWay {
        /// The service.
        service: ServiceName,
        /// The process that is at it.
        holder: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The lock's file cannot be used.
    #[error(transparent)]
    Lock(LockError),
    /// What stands in its file is not what this release writes.
    #[error("{} is not as this release writes it ({source}): deploy again", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// A deploy: what is deployed, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// The service.
    pub service: ServiceName,
    /// The application's folder, as whoever asked for it named it.
    pub folder: PathBuf,
    /// The whole service's file that was made for it.
    pub file: String,
    /// Whether the file says how an instance shows that it can serve; else that is looked for.
    pub says_health: bool,
    /// The program and its arguments, where the application's own file says them.
    pub command: Option<Vec<String>>,
    /// Whether it may take the place of what is deployed under this name from another folder.
    #[serde(default)]
    pub replaces: bool,
    /// Who asked for it.
    pub who: Who,
    /// When it was asked for, which tells one deploy of a service from the next.
    #[serde(rename = "begun_at_ms")]
    pub begun_at: Timestamp,
    /// How far it has come.
    pub stage: Stage,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
}

/// What a deploy is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Its image is made.
    Image,
    /// It is started once, to see how it shows that it can serve.
    Health,
    /// Its template is made, and then it is what the scaler is to serve.
    Template,
    /// The scaler proves it, watches it and brings it in, or goes back.
    Rollout,
}

/// How a deploy ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether the application is served as it was deployed.
    pub is_well: bool,
    /// What is said of it last.
    pub verdict: String,
}

/// The deploys of a host.
#[derive(Debug, Clone)]
pub struct Deploys {
    folder: PathBuf,
}

/// The last deploy of one service, and its files.
#[derive(Debug, Clone)]
pub struct DeployFiles {
    service: ServiceName,
    folder: PathBuf,
}

/// The right to begin a deploy, which nobody else of this service has meanwhile.
#[derive(Debug)]
pub struct Beginning {
    folder: PathBuf,
    _lock: Lock,
}

impl Deploys {
    /// Those of the host with this state folder.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// Those of a service.
    pub fn of(&self, service: &ServiceName) -> DeployFiles {
        DeployFiles { service: service.clone(), folder: self.folder.join(service.as_str()) }
    }

    /// Those of all services that were deployed from folders, in the order of their names.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all(&self) -> Result<Vec<DeployFiles>, FileError> {
        Ok(self.services()?.iter().map(|name| self.of(name)).collect())
    }

    /// The services of which deploys have left something, in the order of their names.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn services(&self) -> Result<Vec<ServiceName>, FileError> {
        let names = names_in(&self.folder)?;
        let mut names: Vec<_> = names.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Removes what all deploys have left.
    ///
    /// # Errors
    /// One is under way, or the disk refuses.
    pub fn remove_all(&self) -> Result<bool, DeployError> {
        for files in self.all()? {
            files.begin()?.remove_all()?;
        }
        Ok(remove_tree(&self.folder)?)
    }
}

impl Beginning {
    /// Removes what deploys of the service have left, and gives up the right.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove_all(self) -> Result<(), FileError> {
        remove_tree(&self.folder).map(drop)
    }
}

impl DeployFiles {
    /// Begins a deploy: until the value is dropped, nobody else begins one of this service. What it is to be made of
    /// is laid into [`Self::source`], which is empty.
    ///
    /// # Errors
    /// [`DeployError::UnderWay`].
    pub fn begin(&self) -> Result<Beginning, DeployError> {
        self.ensure_folders()?;
        let lock = self.lock(BEGIN)?;
        // Whoever began it may be gone, and the job at it.
        drop(self.lock(JOB)?);
        let source = self.source();
        remove_tree(&source)?;
        ensure_private_folder(&source)?;
        Ok(Beginning { folder: self.folder.clone(), _lock: lock })
    }

    /// Has the job be this process, until the value is dropped. Who asks whether there is one may have the lock for a
    /// moment.
    ///
    /// # Errors
    /// [`DeployError::UnderWay`].
    pub async fn take(&self) -> Result<Lock, DeployError> {
        let lock = Lock::acquire_within(&self.folder.join(JOB), MOMENT).await;
        lock.map_err(|error| self.locked(error))
    }

    /// Whether a process is at it.
    pub fn is_under_way(&self) -> bool {
        self.is_held(JOB)
    }

    /// Whether a process is at it, or is about to begin it.
    pub fn goes_on(&self) -> bool {
        self.is_held(BEGIN) || self.is_held(JOB)
    }

    fn is_held(&self, name: &str) -> bool {
        SharedLock::is_held_alone(&self.folder.join(name)).unwrap_or(false)
    }

    /// Where all of its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is deployed.
    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// Where the job writes.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The log of a job that begins, empty.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin_log(&self) -> Result<File, FileError> {
        let log = self.log();
        let mut options = File::options();
        let open = options.write(true).create(true).truncate(true).mode(MODE).open(&log);
        let open = open.map_err(file_error("make", &log))?;
        open.set_permissions(Permissions::from_mode(MODE)).map_err(file_error("close", &log))?;
        Ok(open)
    }

    /// The last deploy; `None` where there was none.
    ///
    /// # Errors
    /// Its file cannot be read, or is another release's.
    pub fn read(&self) -> Result<Option<Deploy>, DeployError> {
        let path = self.file();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(file_error("read", &path))?,
        };
        let read = serde_json::from_slice(&text);
        read.map(Some).map_err(|source| DeployError::Form { path, source })
    }

    /// Notes how far a deploy has come.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, deploy: &Deploy) -> Result<(), FileError> {
        let path = self.file();
        let text = serde_json::to_string(deploy)
            .map_err(|error| file_error("write", &path)(error.into()))?;
        replace_file(&path, text, MODE).map_err(file_error("write", &path))
    }

    /// Removes what was deployed, of which the image has been made.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove_source(&self) -> Result<(), FileError> {
        remove_tree(&self.source()).map(drop)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("deploy.json")
    }

    fn ensure_folders(&self) -> Result<(), FileError> {
        let above = self.folder.parent().unwrap_or(Path::new("/"));
        ensure_private_folder(above)?;
        ensure_private_folder(&self.folder)
    }

    fn lock(&self, name: &str) -> Result<Lock, DeployError> {
        Lock::acquire(&self.folder.join(name)).map_err(|error| self.locked(error))
    }

    fn locked(&self, error: LockError) -> DeployError {
        match error {
            LockError::Held { holder, .. } => {
                DeployError::UnderWay { service: self.service.clone(), holder }
            }
            LockError::File { .. } => DeployError::Lock(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy(service: &ServiceName) -> Deploy {
        Deploy {
            service: service.clone(),
            folder: "/home/anna/shop".into(),
            file: "name = \"shop\"".to_owned(),
            says_health: false,
            command: None,
            replaces: false,
            who: Who::Up,
            begun_at: Timestamp::from_millis(7),
            stage: Stage::Image,
            outcome: None,
        }
    }

    #[tokio::test]
    async fn one_deploy_of_a_service_goes_on_at_a_time_and_of_others_as_many_as_are_asked_for() {
        let state = tempfile::tempdir().unwrap();
        let deploys = Deploys::new(state.path());
        let (shop, store) = ("shop".parse().unwrap(), "store".parse().unwrap());
        let files = deploys.of(&shop);
        assert!(!files.is_under_way());
        let beginning = files.begin().unwrap();
        assert!(files.goes_on() && !files.is_under_way());
        let refused = files.begin().unwrap_err().to_string();
        assert!(refused.starts_with("a deploy of shop is under way"), "{refused}");
        drop(deploys.of(&store).begin().unwrap());
        let job = files.take().await.unwrap();
        drop(beginning);
        assert!(files.is_under_way());
        assert!(matches!(files.begin(), Err(DeployError::UnderWay { .. })));
        assert!(matches!(deploys.remove_all(), Err(DeployError::UnderWay { .. })));
        drop(job);
        assert!(!files.goes_on());
        assert!(files.begin().is_ok() && deploys.remove_all().unwrap());
        assert!(!deploys.remove_all().unwrap());
    }

    #[tokio::test]
    async fn who_looks_whether_a_job_is_there_keeps_none_from_beginning_and_is_not_taken_for_one() {
        let state = tempfile::tempdir().unwrap();
        let files = Deploys::new(state.path()).of(&"shop".parse().unwrap());
        drop(files.begin().unwrap());
        let looks = SharedLock::share_within(&files.folder.join(JOB), MOMENT).await.unwrap();
        assert!(!files.is_under_way());
        let begins = files.take();
        let stops = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            drop(looks);
        };
        let (begun, ()) = tokio::join!(begins, stops);
        assert!(begun.is_ok() && files.is_under_way(), "a job did not begin");
    }

    #[test]
    fn what_was_deployed_last_is_read_by_whoever_asks_and_by_nobody_else() {
        let state = tempfile::tempdir().unwrap();
        let deploys = Deploys::new(state.path());
        assert!(deploys.all().unwrap().is_empty());
        let shop: ServiceName = "shop".parse().unwrap();
        let files = deploys.of(&shop);
        assert_eq!(files.read().unwrap(), None);
        let _beginning = files.begin().unwrap();
        fs::write(files.source().join("app.py"), "").unwrap();
        let outcome = Some(Outcome { is_well: true, verdict: "it serves".to_owned() });
        for deploy in [deploy(&shop), Deploy { outcome, ..deploy(&shop) }] {
            files.write(&deploy).unwrap();
            let all = deploys.all().unwrap();
            assert_eq!(all.len(), 1);
            assert_eq!(all[0].read().unwrap(), Some(deploy));
        }
        for path in [files.file(), files.source(), files.folder.clone()] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        files.remove_source().unwrap();
        assert!(!files.source().exists());
        fs::write(files.file(), "{").unwrap();
        let error = files.read().unwrap_err().to_string();
        assert!(error.contains("deploy.json is not as this release writes it"), "{error}");
    }
}
