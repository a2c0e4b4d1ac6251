//! The jobs that are asked for by the API: each is written down, begun as a unit of its own, and from then on none of
//! this process.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use host::deployments::{Deployment, DeploymentError, Deployments};
use host::deploys::{Beginning, DeployError, Deploys};
use host::experiments;
use host::files::FileError;
use host::jobs::{
    BEGINS_WITHIN, Job, JobError, JobFiles, JobState, Jobs, KeptJob, StartJobs, Work,
};
use host::releases::{POLICIES, Releases, SCENARIOS};
use host::units::UnitError;
use model::job::JobId;
use model::names::{ScenarioName, ServiceName};
use model::size::Sizes;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::now;
use crate::lock::lock;

/// The largest archive that is taken, in bytes: an application's own files are some 10 MiB before they are compressed.
pub(crate) const ARCHIVE_MAX_BYTES: u64 = 64 << 20;

/// Archives that come at a time: what they take of the disk until they are refused is bounded, too.
const UPLOADS: usize = 2;

/// How long a client may send nothing of an archive.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long an archive may come: 64 MiB at 1 Mbit/s take nine minutes. Who sends a byte at a time would keep its place for years.
const ARCHIVE_MAX: Duration = Duration::from_secs(600);

/// Time between two looks whether a job has begun.
const LOOK: Duration = Duration::from_millis(50);

/// Why a job is not asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Another one of the service goes on, or one of the whole host; which one, where that is known.
    #[error("another job goes on")]
    UnderWay(Option<Box<Job>>),
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The disk fails.
    #[error("it could not be written")]
    NotWritten(#[source] io::Error),
    /// Its unit did not begin.
    #[error("its unit did not begin")]
    NotStarted(#[source] UnitError),
    /// Archives come from as many others as may.
    #[error("archives come from others")]
    TooManyUploads,
    /// The archive is larger than any may be.
    #[error("the archive is too large")]
    TooLarge,
    /// Nothing more of the archive came.
    #[error("the archive did not come whole")]
    Cut,
}

impl From<FileError> for Refused {
    fn from(error: FileError) -> Self {
        if error.is_disk_full() {
            Self::DiskFull
        } else {
            Self::NotWritten(io::Error::other(error))
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::NotWritten(error),
        }
    }
}

/// Where jobs are asked for.
#[derive(Debug)]
pub(crate) struct JobDesk {
    jobs: Jobs,
    deploys: Deploys,
    deployments: Deployments,
    releases: Releases,
    starter: Arc<dyn StartJobs>,
    sizes: Sizes,
    uploads: Arc<Semaphore>,
    /// Held from the look for what goes on to the record of what begins.
    asking: Mutex<()>,
}

impl JobDesk {
    /// That of the host with this state folder, whose services may have these sizes.
    pub(crate) fn new(state: &Path, sizes: Sizes, starter: Arc<dyn StartJobs>) -> Self {
        let jobs = Jobs::new(state);
        if let Err(error) = jobs.remove_lost_archives() {
            tracing::warn!(%error, "what a process before this one left of an archive stays");
        }
        Self {
            jobs,
            deploys: Deploys::new(state),
            deployments: Deployments::new(state),
            releases: Releases::new(state),
            starter,
            sizes,
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            asking: Mutex::default(),
        }
    }

    /// An id for a job that is asked for.
    pub(crate) fn draw(&self) -> JobId {
        self.jobs.draw()
    }

    /// The sizes of this host.
    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// What is deployed. It waits for the disk.
    pub(crate) fn deployment(&self) -> Result<Deployment, DeploymentError> {
        self.deployments.load()
    }

    /// Whether jobs of a service have left something. It waits for the disk.
    pub(crate) fn has_left(&self, service: &ServiceName) -> bool {
        self.deploys.services().is_ok_and(|services| services.contains(service))
    }

    /// The jobs that are kept, the one that was asked for last first. It waits for the disk.
    pub(crate) fn list(&self) -> Result<Vec<KeptJob>, FileError> {
        self.jobs.list(now())
    }

    /// One of them. It waits for the disk.
    pub(crate) fn get(&self, id: JobId) -> Result<Option<KeptJob>, JobError> {
        self.jobs.get(id, now())
    }

    /// What a job wrote, from so many bytes on. It waits for the disk.
    pub(crate) fn log_after(&self, id: JobId, bytes: u64) -> Result<Vec<u8>, FileError> {
        self.jobs.of(id).log_after(bytes)
    }

    /// Whether a job of this service could not be begun now. It waits for the disk.
    pub(crate) fn is_free(&self, service: &ServiceName) -> Result<(), Refused> {
        match self.deploys.of(service).goes_on() {
            true => Err(self.under_way(Some(service))),
            false => Ok(()),
        }
    }

    /// Writes a job down and begins it; until it has begun, nobody else begins one of its service.
    pub(crate) async fn ask(self: &Arc<Self>, job: Job) -> Result<KeptJob, Refused> {
        let id = job.id;
        let desk = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || desk.write(&job)).await;
        let (files, beginning) =
            written.map_err(|error| Refused::NotWritten(io::Error::other(error)))??;
        if let Err(error) = self.starter.start(id, &files).await {
            discard(files);
            return Err(Refused::NotStarted(error));
        }
        tokio::spawn(keep_until_begun(files, beginning));
        let desk = Arc::clone(self);
        let kept = tokio::task::spawn_blocking(move || desk.get(id)).await;
        let gone = |error: &str| Refused::NotWritten(io::Error::other(error.to_owned()));
        let kept = kept.map_err(|error| gone(&error.to_string()))?;
        kept.map_err(|error| gone(&error.to_string()))?.ok_or_else(|| gone("its record is gone"))
    }

    fn write(&self, job: &Job) -> Result<(JobFiles, Option<Beginning>), Refused> {
        let _asking = lock(&self.asking);
        let jobs = self.jobs.list(now())?.into_iter();
        let mut running = jobs.filter(|kept| kept.state == JobState::GoesOn).map(|kept| kept.job);
        if let Some(other) = running.find(|other| job.work.excludes(&other.work)) {
            return Err(Refused::UnderWay(Some(Box::new(other))));
        }
        let beginning = match job.service.as_ref().filter(|_| job.work.holds_service()) {
            Some(service) => {
                Some(self.deploys.of(service).begin().map_err(|error| match error {
                    DeployError::UnderWay { .. } => self.under_way(Some(service)),
                    DeployError::File(error) => error.into(),
                    error @ DeployError::Lock(_) => Refused::NotWritten(io::Error::other(error)),
                })?)
            }
            None => None,
        };
        Ok((self.jobs.add(job)?, beginning))
    }

    fn under_way(&self, service: Option<&ServiceName>) -> Refused {
        let current = self.jobs.current(service, now());
        Refused::UnderWay(current.ok().flatten().map(Box::new))
    }

    /// Asks a job that goes on to end in order; false where it is none that can, or has ended. It waits for the disk.
    pub(crate) fn interrupt(&self, kept: &KeptJob) -> Result<bool, FileError> {
        let can = matches!(kept.job.work, Work::Experiment { .. });
        if !can || kept.state != JobState::GoesOn {
            return Ok(false);
        }
        self.jobs.of(kept.job.id).interrupt()?;
        Ok(true)
    }

    /// The service that a scenario of the release in force is for; `None` where there is no such scenario. It waits for
    /// the disk.
    pub(crate) fn service_of(&self, scenario: &ScenarioName) -> Option<String> {
        experiments::service_of(&self.releases.current().join(SCENARIOS), scenario)
    }

    /// Whether the release in force has a policy of this name. It waits for the disk.
    pub(crate) fn has_policy(&self, name: &str) -> bool {
        self.releases.current().join(POLICIES).join(format!("{name}.toml")).is_file()
    }

    /// Takes the archive of a job that is yet to be asked for.
    pub(crate) async fn take(&self, id: JobId, body: Body) -> Result<Upload, Refused> {
        let permit = Arc::clone(&self.uploads).try_acquire_owned();
        let permit = permit.map_err(|_| Refused::TooManyUploads)?;
        let jobs = self.jobs.clone();
        let made = tokio::task::spawn_blocking(move || {
            let files = jobs.make(id)?;
            let upload = Upload { files: Some(files.clone()), _permit: permit };
            Ok::<_, FileError>((upload, files.begin_archive()?))
        });
        let made = made.await.map_err(|error| Refused::NotWritten(io::Error::other(error)))?;
        let (upload, file) = made?;
        store(body.into_data_stream(), tokio::fs::File::from_std(file)).await?;
        Ok(upload)
    }
}

/// An archive that came. Unless a job takes it, it is removed.
#[derive(Debug)]
pub(crate) struct Upload {
    files: Option<JobFiles>,
    _permit: OwnedSemaphorePermit,
}

impl Upload {
    /// It is a job's from now on.
    pub(crate) fn keep(mut self) {
        self.files = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(files) = self.files.take() {
            discard(files);
        }
    }
}

/// Removes the files of what is no job, on another thread: the disk may be busy.
fn discard(files: JobFiles) {
    let removed = move || {
        if let Err(error) = files.remove() {
            tracing::warn!(%error, "what was written of a job stays");
        }
    };
    drop(std::thread::spawn(removed));
}

/// Writes what comes to the disk, as it comes, for as long as it may.
async fn store(body: BodyDataStream, file: tokio::fs::File) -> Result<(), Refused> {
    timeout(ARCHIVE_MAX, store_all(body, file)).await.map_err(|_| Refused::Cut)?
}

async fn store_all(mut body: BodyDataStream, mut file: tokio::fs::File) -> Result<(), Refused> {
    let mut total = 0;
    while let Some(part) = timeout(PAUSE_MAX, body.next()).await.map_err(|_| Refused::Cut)? {
        let part = part.map_err(|_| Refused::Cut)?;
        total += part.len() as u64;
        if total > ARCHIVE_MAX_BYTES {
            return Err(Refused::TooLarge);
        }
        file.write_all(&part).await?;
    }
    // What could not be written is told by then.
    file.flush().await?;
    Ok(file.sync_all().await?)
}

/// Keeps others from beginning a job of the service until the process of this one has it, or has not begun in its time.
async fn keep_until_begun(files: JobFiles, beginning: Option<Beginning>) {
    let asked = Instant::now();
    while beginning.is_some() && asked.elapsed() < BEGINS_WITHIN {
        let looked = files.clone();
        let has_begun = tokio::task::spawn_blocking(move || {
            let has_ended = matches!(looked.read(), Ok(Some(Job { outcome: Some(_), .. }) | None));
            has_ended || looked.is_running()
        });
        if has_begun.await.unwrap_or(true) {
            return;
        }
        sleep(LOOK).await;
    }
}

/// The same, for tests of disks and of clients.
#[cfg(test)]
pub(crate) async fn store_in(body: Body, file: std::fs::File) -> Result<(), Refused> {
    store(body.into_data_stream(), tokio::fs::File::from_std(file)).await
}
