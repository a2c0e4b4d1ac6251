//! The experiments of this host, as the console sees them: what was asked for, which root wrote, and the results, which a
//! program without rights wrote and which are therefore read with caution.

mod beneath;
mod files;
mod plausible;
mod read;
mod run_name;
mod scenarios;
mod series;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use host::files::FileError;
use model::experiment::ExperimentRecord;
use model::job::JobId;
use model::time::Timestamp;
use run::capacity::CapacityCurve;
use run::figures::{Assumptions, Figure};
use run::summary::Summary;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use beneath::Beneath;

pub(crate) use beneath::Unread;
pub(crate) use files::ResultFile;
pub(crate) use run_name::{RunName, Way};
pub(crate) use scenarios::ScenarioOnOffer;
pub use scenarios::Scenarios;
pub(crate) use series::{RunsOfWay, by_way};

/// Experiments whose figures are remembered: of each some 20 KiB a run.
const REMEMBERED: usize = 16;

/// The experiments in a folder.
#[derive(Debug, Clone)]
pub struct Experiments {
    /// `None` where nobody said it: then there are none.
    folder: Option<PathBuf>,
    /// Results are read one at a time, so that they take one core at most.
    reads: Arc<Semaphore>,
    remembered: Arc<Mutex<Remembered>>,
}

/// What was read of experiments that have ended, whose results do not change any more.
#[derive(Debug, Default)]
struct Remembered {
    summaries: BTreeMap<(JobId, Option<Timestamp>), Arc<Vec<SummaryOfRun>>>,
    measured: Vec<(Key, Arc<Vec<MeasuredRun>>)>,
}

/// Of which results the figures are, and what they suppose of an instance: its requests per second, as bits.
type Key = (JobId, Option<Timestamp>, Option<u64>);

/// What a run says of itself in short, or why it does not.
#[derive(Debug, Clone)]
pub(crate) struct SummaryOfRun {
    /// Which run.
    pub(crate) name: RunName,
    /// Its summary.
    pub(crate) summary: Result<Summary, String>,
}

/// A run with its figures, or why there are none.
#[derive(Debug, Clone)]
pub(crate) struct MeasuredRun {
    /// Which run.
    pub(crate) name: RunName,
    /// Its figures.
    pub(crate) measured: Result<Measured, String>,
}

/// The figures of a run.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Its summary.
    pub(crate) summary: Summary,
    /// All figures; what is not known has no value.
    pub(crate) figures: Vec<Figure>,
    /// Which of its files could not be read, and why: figures that need them are not known.
    pub(crate) unread: Vec<String>,
}

impl Experiments {
    /// Those in this folder; none without one.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, reads: Arc::new(Semaphore::new(1)), remembered: Arc::default() }
    }

    /// What was asked for in each, the one that began last first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) async fn list(&self) -> Result<Vec<ExperimentRecord>, FileError> {
        let Some(records) = self.records() else { return Ok(Vec::new()) };
        joined(spawn_blocking(move || records.list()).await)
    }

    /// What was asked for in one; `None` where there is no such experiment.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn record(&self, id: JobId) -> Result<Option<ExperimentRecord>, FileError> {
        let Some(records) = self.records() else { return Ok(None) };
        joined(spawn_blocking(move || records.of(id).read()).await)
    }

    /// What each run of one that does not go on any more says of itself in short.
    pub(crate) async fn summaries(&self, record: &ExperimentRecord) -> Arc<Vec<SummaryOfRun>> {
        let Some(results) = self.results(record.id) else { return Arc::default() };
        let key = (record.id, record.ended_at);
        if let Some(summaries) = self.remembered().summaries.get(&key) {
            return Arc::clone(summaries);
        }
        let summaries = spawn_blocking(move || read::summaries(&results)).await;
        let summaries = Arc::new(joined(summaries));
        self.remembered().summaries.insert(key, Arc::clone(&summaries));
        summaries
    }

    /// The figures of each run of one that does not go on any more, where an instance of its service serves so many requests
    /// per second.
    pub(crate) async fn measured(
        &self,
        record: &ExperimentRecord,
        instance_rps: Option<f64>,
    ) -> Arc<Vec<MeasuredRun>> {
        let Some(results) = self.results(record.id) else { return Arc::default() };
        let key = (record.id, record.ended_at, instance_rps.map(f64::to_bits));
        // Whoever waited finds what the one before read.
        let _place = self.reads.acquire().await;
        if let Some((_, runs)) = self.remembered().measured.iter().find(|(own, _)| *own == key) {
            return Arc::clone(runs);
        }
        let capacity = instance_rps.map(CapacityCurve::linear);
        let assumptions = Assumptions { capacity, ..Assumptions::default() };
        let runs = spawn_blocking(move || read::measured(&results, &assumptions)).await;
        // Whatever else strangers can write there, it ends nothing here.
        let runs = Arc::new(runs.unwrap_or_else(|_| vec![MeasuredRun::strange()]));
        let mut remembered = self.remembered();
        remembered.measured.push((key, Arc::clone(&runs)));
        if remembered.measured.len() > REMEMBERED {
            remembered.measured.remove(0);
        }
        runs
    }

    /// Forgets what was read of experiments that are gone.
    pub(crate) fn forget_all_but(&self, records: &[ExperimentRecord]) {
        let is_there = |id: JobId| records.iter().any(|record| record.id == id);
        self.remembered().summaries.retain(|(id, _), _| is_there(*id));
    }

    /// Opens a file of a run or, of the first, of the whole, and says how long it is.
    ///
    /// # Errors
    /// It is not there, or is none that is passed on.
    pub(crate) async fn file(
        &self,
        id: JobId,
        run: RunName,
        file: ResultFile,
    ) -> Result<(File, u64), Unread> {
        let results = self.results(id).ok_or(Unread::Missing)?;
        let path = run.folder().join(file.name());
        joined(spawn_blocking(move || results.open(Path::new(&path), file.most())).await)
    }

    /// Whether an experiment has a report.
    pub(crate) async fn has_report(&self, id: JobId) -> bool {
        self.file(id, RunName::ONLY, ResultFile::Report).await.is_ok()
    }

    fn records(&self) -> Option<host::experiments::Experiments> {
        self.folder.clone().map(host::experiments::Experiments::new)
    }

    fn results(&self, id: JobId) -> Option<Beneath> {
        Some(Beneath::new(self.records()?.of(id).results()))
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MeasuredRun {
    /// One that cannot be computed with.
    fn strange() -> Self {
        let why = "no figures can be computed from what the results say";
        Self { name: RunName::ONLY, measured: Err(why.to_owned()) }
    }
}

/// What a task gave: it is waited for, and ends by itself alone.
fn joined<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
