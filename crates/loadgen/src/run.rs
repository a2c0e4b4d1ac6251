//! One run, from a scenario to the folder of its results.

use std::path::PathBuf;
use std::sync::Arc;

use run::{Recorder, ResultsError, ResultsFolder, Summary, text};
use scaler_client::{Scaler, ScalerError};

use crate::client::Client;
use crate::content::RunIdentity;
use crate::interrupt::Interrupt;
use crate::load::{LoadError, Measurements};
use crate::objects::{Objects, ObjectsError};
use crate::open_files::{self, OpenFilesError};
use crate::progress::{Length, Progress};
use crate::scenario_file::LoadedScenario;
use crate::serving::WallMicros;
use crate::session::Session;
use crate::target::Target;

/// What to run, where, and where to write.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The load.
    pub scenario: LoadedScenario,
    /// Where it goes.
    pub target: Target,
    /// The scaler to ask about the fleet; without one, the figures of instances are unknown.
    pub scaler: Option<Scaler>,
    /// The folder of all results.
    pub results: PathBuf,
}

/// A run that came to its end.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// Its figures.
    pub summary: Summary,
    /// The folder of its results.
    pub folder: PathBuf,
    /// How it ended.
    pub ending: Ending,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All limits of the scenario held.
    Held,
    /// At least one did not.
    NotHeld,
    /// It was interrupted.
    Interrupted,
}

/// Why there is no run, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A limit that nobody could judge.
    #[error(
        "limits.back_to_min = true needs the scaler's API: name it (--api http://HOST:PORT), or \
         set the limit to false"
    )]
    NeedsScaler,
    /// Not enough open files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The scaler is not there.
    #[error(transparent)]
    Scaler(#[from] ScalerError),
    /// The user ended it before its load.
    #[error("interrupted before the load: the objects stored so far are removed")]
    Interrupted,
    /// The objects could not be stored or removed.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The generator broke down.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The results could not be written.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

impl RunError {
    /// Whether the input is at fault, and nothing was sent.
    pub fn is_bad_input(&self) -> bool {
        matches!(self, Self::NeedsScaler | Self::OpenFiles(OpenFilesError::TooFew { .. }))
    }
}

impl RunReport {
    /// The figures as a few lines for people.
    pub fn text(&self) -> String {
        text::summary(&self.summary)
    }

    /// The exit code that says how it ended.
    pub fn exit_code(&self) -> u8 {
        self.ending.exit_code()
    }
}

impl Ending {
    /// The exit code that says it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::NotHeld => 1,
            Self::Interrupted => crate::interrupt::EXIT_CODE,
        }
    }
}

/// The name of a run of this scenario that begins now.
pub(crate) fn name(loaded: &LoadedScenario) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{}-{now}", loaded.scenario.name)
}

/// Runs a scenario: stores its objects, offers its load, records until the fleet has settled,
/// writes the results and removes the objects.
///
/// # Errors
/// A [`RunError`]; an interrupt before the load is one. One that comes after the load, when the scaler
/// is gone or the objects cannot be removed, comes after the results have been written.
pub async fn run(options: RunOptions, interrupt: Interrupt) -> Result<RunReport, RunError> {
    run_as(&name(&options.scenario), options, interrupt).await
}

/// The same with a folder of that name.
pub(crate) async fn run_as(
    name: &str,
    options: RunOptions,
    mut interrupt: Interrupt,
) -> Result<RunReport, RunError> {
    let RunOptions { scenario: loaded, target, scaler, results } = options;
    let LoadedScenario { scenario, offered, .. } = &loaded;
    if scenario.limits.back_to_min && scaler.is_none() {
        return Err(RunError::NeedsScaler);
    }
    open_files::make_room(scenario.in_flight.get())?;
    if let Some(scaler) = &scaler {
        scaler.service(&scenario.service).await?;
    }
    let folder = ResultsFolder::create(&results, name)?;
    let identity = RunIdentity::new(scenario.seed, WallMicros::now());
    let client = Arc::new(Client::new(target, name, identity));

    let mut progress = Progress::new();
    let keys = scenario.keys.count;
    // A rate that nobody knows is taken for the lowest.
    let mut objects = Objects::new(offered.first_rps().unwrap_or(0.0));
    progress.stage("storing", Length::Time(objects.expected(keys)));
    let stored = objects.store(&client, scenario, &mut interrupt).await;
    if !matches!(stored, Ok(true)) {
        folder.discard();
        let removed = objects.remove(&client).await;
        // Where they could not be stored, that is the reason to tell.
        stored?;
        removed?;
        return Err(RunError::Interrupted);
    }
    let measurements = Measurements::new(Recorder::new(scenario.warm_up, scenario.timeout));
    let mut session = Session {
        loaded: &loaded,
        interrupt,
        // The load has connections of its own: those that stored live on another thread's runtime.
        client: Arc::new(client.with_own_connections()),
        measurements: Arc::new(measurements),
        progress,
    };
    let report = session.record(scaler, &folder).await;
    session.progress.stage("removing", Length::Time(objects.expected(keys)));
    let removed = objects.remove(&client).await;
    let report = report?;
    removed?;
    Ok(report)
}
