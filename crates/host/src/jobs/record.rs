//! A job as it is written down: what is to be done, for whom, and how far it has come.

use std::path::{Path, PathBuf};

use model::access::Who;
use model::experiment::Experiment;
use model::job::{JobId, JobKind, JobStatus, Outcome, Stage, Step};
use model::names::ServiceName;
use model::time::Timestamp;
use model::version::Version;
use serde::{Deserialize, Serialize};

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The service; `None` for what is the whole host's.
    pub service: Option<ServiceName>,
    /// What is to be done.
    pub work: Work,
    /// Who asked for it.
    pub who: Who,
    /// When it was asked for.
    #[serde(rename = "begun_at_ms")]
    pub begun_at: Timestamp,
    /// When it ended; `None` while it has not.
    #[serde(rename = "ended_at_ms")]
    pub ended_at: Option<Timestamp>,
    /// How far it has come.
    pub stage: Stage,
    /// The stages that it came to, in their order; none of a job that a release before carried out.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
}

/// What a job is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// To deploy an application whose files are laid out.
    Deploy(DeployWords),
    /// To deploy an application that lies in the job's archive.
    Archive {
        /// Whether the archive is compressed.
        is_gzip: bool,
        /// Whether it may take the place of what is deployed under this name from a folder.
        replaces: bool,
    },
    /// To go back to a version that is kept.
    Rollback {
        /// The version; `None` for the one before.
        version: Option<Version>,
        /// Whether all that its file said then is in force again.
        revision: bool,
    },
    /// To have the service be what its file says.
    File {
        /// The whole file, as TOML.
        file: String,
        /// What it takes the place of.
        replaces: Replaced,
    },
    /// To remove the service.
    Destroy {
        /// Whether what it keeps on the host goes as well.
        data: bool,
    },
    /// To take everything down.
    Stop,
    /// To offer the service load, and to measure what comes of it.
    Experiment {
        /// What was asked for.
        asked: Experiment,
        /// Whether whoever asked for it may set what is the whole host's, as the way of membership.
        of_host: bool,
    },
}

/// What a service's file may take the place of: who read another one before did not mean what is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replaced {
    /// Whatever is deployed by then.
    Anything,
    /// Nothing: the service is made.
    Nothing,
    /// This file, as it was deployed.
    File(String),
}

impl Replaced {
    /// Whether it is what is deployed now.
    pub fn is(&self, now: Option<&str>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => now.is_none(),
            Self::File(file) => now == Some(file),
        }
    }
}

/// What is deployed of an application's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployWords {
    /// The application's folder, as whoever asked for it named it.
    pub folder: PathBuf,
    /// The whole service's file that was made for it.
    pub file: String,
    /// Whether the file says how an instance shows that it can serve; else that is looked for.
    pub says_health: bool,
    /// The program and its arguments, where the application's own file says them.
    pub command: Option<Vec<String>>,
    /// Whether it may take the place of what is deployed under this name from another folder.
    pub replaces: bool,
}

impl Work {
    /// What the API calls it.
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::Deploy(_) | Self::Archive { .. } => JobKind::Deploy,
            Self::Rollback { .. } => JobKind::Rollback,
            Self::File { .. } => JobKind::File,
            Self::Destroy { .. } => JobKind::Destroy,
            Self::Stop => JobKind::Stop,
            Self::Experiment { .. } => JobKind::Experiment,
        }
    }

    /// Whether no other job of its service may go on beside it. An experiment shows how a deploy fares under load.
    pub const fn holds_service(&self) -> bool {
        !matches!(self, Self::Experiment { .. })
    }

    /// Whether it keeps another one from being begun that is not of its service. What takes everything down waits for
    /// nobody, and beside it nothing is made; of two experiments each would be the other's disturbance.
    pub const fn excludes(&self, other: &Self) -> bool {
        let is_stop = matches!(self, Self::Stop) || matches!(other, Self::Stop);
        is_stop || matches!((self, other), (Self::Experiment { .. }, Self::Experiment { .. }))
    }
}

impl Job {
    /// A job that is asked for at `now`.
    pub fn new(
        id: JobId,
        service: Option<ServiceName>,
        work: Work,
        who: Who,
        now: Timestamp,
    ) -> Self {
        let stage = Stage::Begin;
        let steps = vec![Step { stage, begun_at: now }];
        Self { id, service, work, who, begun_at: now, ended_at: None, stage, steps, outcome: None }
    }

    /// It is at this stage from `now` on.
    pub fn enter(&mut self, stage: Stage, now: Timestamp) {
        if self.stage != stage {
            self.steps.push(Step { stage, begun_at: now });
        }
        self.stage = stage;
    }

    /// The folder that is deployed from, where it is a deploy.
    pub fn folder(&self) -> Option<&Path> {
        match &self.work {
            Work::Deploy(words) => Some(&words.folder),
            Work::Archive { .. } => Some(crate::deployments::by_api()),
            _ => None,
        }
    }
}

/// Whether a job goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// A process is at it, or is about to begin.
    GoesOn,
    /// Its process is gone, and has not noted how it ended.
    CutOff,
    /// It has ended.
    Ended,
}

/// A job that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptJob {
    /// The job.
    pub job: Job,
    /// Whether it goes on.
    pub state: JobState,
}

impl KeptJob {
    /// The same as the API tells it.
    pub fn status(&self) -> JobStatus {
        let Job { id, service, work, who, begun_at, ended_at, stage, steps, outcome } =
            self.job.clone();
        let cut_off = || Outcome {
            is_well: false,
            verdict:
                "it was cut off: its process is gone, and nothing of it goes on. Ask for it again"
                    .to_owned(),
        };
        let outcome = match self.state {
            JobState::CutOff => Some(cut_off()),
            JobState::GoesOn | JobState::Ended => outcome,
        };
        let (kind, who) = (work.kind(), Some(who));
        JobStatus { id, kind, service, who, begun_at, ended_at, stage, steps, outcome }
    }
}
