//! One job at a time for a service: who begins one, and the process that carries it out. Every service of which there
//! was one has a folder here, with its locks and with what a deploy is made of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::names::ServiceName;

use crate::files::{FileError, ensure_private_folder, names_in, remove_tree};
use crate::lock::{Lock, LockError, SharedLock};

/// The folder of deploys, in the state folder.
const FOLDER: &str = "deploys";

/// The locks of a service's jobs: of who begins one, and of the process that carries it out.
const BEGIN: &str = "begin.lock";
const JOB: &str = "job.lock";

/// How long somebody may ask whether there is a job.
const MOMENT: Duration = Duration::from_secs(1);

/// A job that cannot be begun, or whose service's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// One at a time for a service.
    #[error(
        "a job of {service} is under way: `bellows status` shows how far a deploy has come; wait until it has ended, or \
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
}

/// The deploys of a host.
#[derive(Debug, Clone)]
pub struct Deploys {
    folder: PathBuf,
}

/// What the jobs of one service have, and their files.
#[derive(Debug, Clone)]
pub struct DeployFiles {
    service: ServiceName,
    folder: PathBuf,
}

/// The right to begin a job, which nobody else of this service has meanwhile.
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
    /// Begins a job: until the value is dropped, nobody else begins one of this service. What it is to be made of
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

    /// Removes all that there is, by the process that is at it, or for who has begun one.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove_all(&self) -> Result<(), FileError> {
        remove_tree(&self.folder).map(drop)
    }

    /// Of which service.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// Where all of its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is deployed.
    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// Removes what was deployed, of which the image has been made.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove_source(&self) -> Result<(), FileError> {
        remove_tree(&self.source()).map(drop)
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
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

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
        assert!(refused.starts_with("a job of shop is under way"), "{refused}");
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
    fn what_is_laid_out_is_nobody_elses_and_goes_with_all_that_a_service_has_here() {
        let state = tempfile::tempdir().unwrap();
        let deploys = Deploys::new(state.path());
        let shop: ServiceName = "shop".parse().unwrap();
        let files = deploys.of(&shop);
        let beginning = files.begin().unwrap();
        fs::write(files.source().join("app.py"), "").unwrap();
        for path in [files.source(), files.folder.clone()] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        assert_eq!(deploys.services().unwrap(), [shop]);
        files.remove_source().unwrap();
        assert!(!files.source().exists());
        beginning.remove_all().unwrap();
        assert!(deploys.services().unwrap().is_empty());
    }
}
