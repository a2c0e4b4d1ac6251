//! Jobs: work for the host that goes on when whoever asked for it is gone. Each is a command that runs as a unit of its
//! own, with a folder here: what is to be done, how far it has come, what it wrote, and how it ended.

mod record;
mod start;

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::job::JobId;
use model::names::ServiceName;
use model::time::Timestamp;

pub use self::record::{DeployWords, Job, JobState, KeptJob, Replaced, Work};
pub use self::start::{FakeJobs, HostJobs, StartJobs};
use crate::files::{
    FileError, ensure_private_folder, file_error, names_in, remove_tree, replace_file,
};
use crate::lock::{Lock, LockError, SharedLock};

/// The folder of jobs, in the state folder.
const FOLDER: &str = "jobs";

/// What a job holds and writes is root's: an application may hold what is nobody else's business.
const MODE: u32 = 0o600;

/// So many are kept, beside those that go on.
pub const KEPT: usize = 50;

/// How long the process of a job may take to begin: a program that is started, on a host that is busy.
pub const BEGINS_WITHIN: Duration = Duration::from_secs(20);

/// How long somebody may ask whether there is a job.
const MOMENT: Duration = Duration::from_secs(1);

/// So much of what a job wrote is read at a time, in bytes.
const LOG_PART_BYTES: u64 = 256 << 10;

/// A job whose files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The lock's file cannot be used, or another process is at the job.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// What stands in its file is not what this release writes.
    #[error("{} is not as this release writes it ({source}): ask for it again", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The jobs of a host.
#[derive(Debug, Clone)]
pub struct Jobs {
    folder: PathBuf,
}

/// The files of one job.
#[derive(Debug, Clone)]
pub struct JobFiles {
    folder: PathBuf,
}

impl Jobs {
    /// Those of the host with this state folder.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// An id that no job has.
    pub fn draw(&self) -> JobId {
        loop {
            let id = JobId::new(rand::random());
            if !self.of(id).folder.exists() {
                return id;
            }
        }
    }

    /// The files of a job, be it there or not.
    pub fn of(&self, id: JobId) -> JobFiles {
        JobFiles { folder: self.folder.join(id.to_string()) }
    }

    /// Makes the folder of a job that is yet to be written down.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn make(&self, id: JobId) -> Result<JobFiles, FileError> {
        let files = self.of(id);
        ensure_private_folder(&self.folder)?;
        ensure_private_folder(&files.folder)?;
        Ok(files)
    }

    /// Writes down a job that is asked for, and forgets the oldest of those that have ended.
    ///
    /// # Errors
    /// The disk refuses; nothing of the job is left then.
    pub fn add(&self, job: &Job) -> Result<JobFiles, FileError> {
        let files = self.make(job.id)?;
        let added = files.begin_log().and_then(|_| files.write(job));
        if let Err(error) = added {
            // Whatever stays has no record, and is nobody's job.
            let _ = remove_tree(&files.folder);
            return Err(error);
        }
        self.forget_old(job.begun_at)?;
        Ok(files)
    }

    /// The jobs that are kept, the one that was asked for last first. What this release cannot read was another's.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self, now: Timestamp) -> Result<Vec<KeptJob>, FileError> {
        let names = names_in(&self.folder)?;
        let ids = names.iter().filter_map(|name| name.parse().ok());
        let mut jobs: Vec<_> = ids.filter_map(|id| self.get(id, now).ok().flatten()).collect();
        jobs.sort_by_key(|kept| (kept.job.begun_at, kept.job.id));
        jobs.reverse();
        Ok(jobs)
    }

    /// One of them; `None` where there is none of this id.
    ///
    /// # Errors
    /// Its file cannot be read, or is another release's.
    pub fn get(&self, id: JobId, now: Timestamp) -> Result<Option<KeptJob>, JobError> {
        let files = self.of(id);
        // Before it is read: what has ended has noted how.
        let is_running = files.is_running();
        let Some(job) = files.read()? else { return Ok(None) };
        let is_young = now.since(job.begun_at) < BEGINS_WITHIN;
        let state = match (&job.outcome, is_running || is_young) {
            (Some(_), _) => JobState::Ended,
            (None, true) => JobState::GoesOn,
            (None, false) => JobState::CutOff,
        };
        Ok(Some(KeptJob { job, state }))
    }

    /// The job of a service that goes on and keeps others of it from being begun, or that of the whole host where none is
    /// named.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn current(
        &self,
        service: Option<&ServiceName>,
        now: Timestamp,
    ) -> Result<Option<Job>, FileError> {
        let goes_on = |kept: &KeptJob| kept.state == JobState::GoesOn;
        let mut found = self.list(now)?.into_iter().filter(goes_on).map(|kept| kept.job);
        Ok(found.find(|job| job.service.as_ref() == service && job.work.holds_service()))
    }

    fn forget_old(&self, now: Timestamp) -> Result<(), FileError> {
        let jobs = self.list(now)?;
        let old = jobs.iter().skip(KEPT).filter(|kept| kept.state != JobState::GoesOn);
        old.map(|kept| self.of(kept.job.id)).try_for_each(|files| files.remove().map(drop))
    }

    /// Removes archives that came to no job, since whoever took them ended before.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove_lost_archives(&self) -> Result<(), FileError> {
        for name in names_in(&self.folder)? {
            let Ok(id) = name.parse() else { continue };
            let files = self.of(id);
            if files.archive().exists() && !files.file().exists() {
                files.remove()?;
            }
        }
        Ok(())
    }

    /// Removes all of them, with what they have written.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove_all(&self) -> Result<bool, FileError> {
        remove_tree(&self.folder)
    }
}

impl JobFiles {
    /// What was sent to be deployed.
    pub fn archive(&self) -> PathBuf {
        self.folder.join("archive")
    }

    /// Where that is laid out.
    pub fn unpacked(&self) -> PathBuf {
        self.folder.join("folder")
    }

    /// Makes the file of what is sent, for root alone.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin_archive(&self) -> Result<File, FileError> {
        private(&self.archive())
    }

    /// Removes what was sent, and what was made of it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove_archive(&self) -> Result<(), FileError> {
        crate::files::remove_file(&self.archive())?;
        remove_tree(&self.unpacked()).map(drop)
    }

    /// Where the job writes.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn begin_log(&self) -> Result<File, FileError> {
        private(&self.log())
    }

    /// A part of what it wrote, from so many bytes on; nothing where it wrote no more.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log_after(&self, bytes: u64) -> Result<Vec<u8>, FileError> {
        let path = self.log();
        let read = || {
            let mut log = File::open(&path)?;
            let mut part = Vec::new();
            // No file is so long that it could be read from any number on: offsets are signed.
            if bytes >= log.metadata()?.len() {
                return Ok(part);
            }
            log.seek(SeekFrom::Start(bytes))?;
            log.take(LOG_PART_BYTES).read_to_end(&mut part)?;
            Ok::<_, io::Error>(part)
        };
        match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(file_error("read", &path)),
        }
    }

    /// Asks the process of the job to end in order.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn interrupt(&self) -> Result<(), FileError> {
        private(&self.interrupted()).map(drop)
    }

    /// Whether somebody asked for that.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted().exists()
    }

    fn interrupted(&self) -> PathBuf {
        self.folder.join("interrupt")
    }

    /// Has the job be this process, until the value is dropped.
    ///
    /// # Errors
    /// Another one is at it.
    pub async fn take(&self) -> Result<Lock, JobError> {
        Ok(Lock::acquire_within(&self.folder.join("lock"), MOMENT).await?)
    }

    /// Whether a process is at it.
    pub fn is_running(&self) -> bool {
        let lock = self.folder.join("lock");
        lock.exists() && SharedLock::is_held_alone(&lock).unwrap_or(false)
    }

    /// What is written down; `None` where there is no such job.
    ///
    /// # Errors
    /// The file cannot be read, or is another release's.
    pub fn read(&self) -> Result<Option<Job>, JobError> {
        let path = self.file();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(file_error("read", &path))?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|source| JobError::Form { path, source })
    }

    /// Writes down how far it has come.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, job: &Job) -> Result<(), FileError> {
        let path = self.file();
        let text =
            serde_json::to_string(job).map_err(|error| file_error("write", &path)(error.into()))?;
        replace_file(&path, text, MODE).map_err(file_error("write", &path))
    }

    /// Removes all of it, and says whether it was there.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn remove(&self) -> Result<bool, FileError> {
        remove_tree(&self.folder)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("job.json")
    }
}

/// A new file, for root alone whatever the umask.
fn private(path: &Path) -> Result<File, FileError> {
    let mut options = File::options();
    let open = options.write(true).create(true).truncate(true).mode(MODE).open(path);
    let open = open.map_err(file_error("make", path))?;
    open.set_permissions(Permissions::from_mode(MODE)).map_err(file_error("close", path))?;
    Ok(open)
}

#[cfg(test)]
mod tests;
