//! The start of a job: a program of the release in force, as a unit of its own.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Mutex;

use model::job::JobId;

use super::JobFiles;
use crate::deployments::Deployments;
use crate::releases::Releases;
use crate::units::{UnitError, start_job};

/// The program that carries out jobs.
const PROGRAM: &str = "bellows";

/// What begins jobs on a host.
pub trait StartJobs: Debug + Send + Sync {
    /// Begins the job with these files, which goes on by itself from then on.
    fn start<'a>(
        &'a self,
        id: JobId,
        files: &'a JobFiles,
    ) -> Pin<Box<dyn Future<Output = Result<(), UnitError>> + Send + 'a>>;
}

/// Begins jobs of the host with one state folder.
#[derive(Debug)]
pub struct HostJobs {
    state: PathBuf,
}

impl HostJobs {
    /// Those of the host with this state folder.
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }
}

impl StartJobs for HostJobs {
    fn start<'a>(
        &'a self,
        id: JobId,
        files: &'a JobFiles,
    ) -> Pin<Box<dyn Future<Output = Result<(), UnitError>> + Send + 'a>> {
        let program = Releases::new(&self.state).current().join(PROGRAM);
        let settings = Deployments::new(&self.state).settings_file();
        let [program, settings] = [program, settings].map(|path| path.display().to_string());
        let command =
            [program, "--settings".to_owned(), settings, "job".to_owned(), id.to_string()];
        Box::pin(async move { start_job(&format!("job-{id}"), &command, &files.log()).await })
    }
}

/// Begins nothing, and remembers what it was to begin.
#[derive(Debug, Default)]
pub struct FakeJobs {
    started: Mutex<Vec<JobId>>,
}

impl FakeJobs {
    /// The jobs that were to begin, in their order.
    pub fn started(&self) -> Vec<JobId> {
        self.started.lock().map(|started| started.clone()).unwrap_or_default()
    }
}

impl StartJobs for FakeJobs {
    fn start<'a>(
        &'a self,
        id: JobId,
        _: &'a JobFiles,
    ) -> Pin<Box<dyn Future<Output = Result<(), UnitError>> + Send + 'a>> {
        if let Ok(mut started) = self.started.lock() {
            started.push(id);
        }
        Box::pin(std::future::ready(Ok(())))
    }
}
