//! An experiment: one or more runs of a scenario under the settings that it asks for, each from a
//! service at rest; afterwards the settings are what they were, however it ended.

mod rest;
mod results;

use std::path::PathBuf;
use std::time::Duration;

use ::run::figures::Assumptions;
use ::run::{ResultsError, RunFolderError};
use command_line::policies::Choice;
use command_line::terminal;
use model::bounds::Bounds;
use model::status::Membership;
use scaler_client::{Scaler, ScalerError};

use crate::interrupt::Interrupt;
use crate::open_files::{self, OpenFilesError};
use crate::run::{self, RunOptions};
use crate::run_report::{Ending, RunError, RunReport};
use crate::scenario_file::LoadedScenario;
use crate::settings::{RestoreError, Settings};
use crate::target::Target;

pub use rest::RestError;

/// The most runs of one kind.
pub const MAX_REPETITIONS: u32 = 100;

/// What to run, how often, and under which settings.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The load.
    pub scenario: LoadedScenario,
    /// Where it goes.
    pub target: Target,
    /// The scaler whose service it is.
    pub scaler: Scaler,
    /// The folder of all results.
    pub results: PathBuf,
    /// The policy that decides meanwhile; otherwise the one in force.
    pub policy: Option<Choice>,
    /// How HAProxy learns of members meanwhile.
    pub memberships: Memberships,
    /// How many runs of each kind, 1 to [`MAX_REPETITIONS`]; the seed of each is one higher than
    /// that of the one before.
    pub repetitions: u32,
    /// What the figures over several runs suppose.
    pub assumptions: Assumptions,
    /// How long the service may take to come to rest before each run.
    pub rest_limit: Duration,
}

/// With which ways of membership to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memberships {
    /// The one in force.
    InForce,
    /// This one.
    Only(Membership),
    /// Each of them.
    Each,
}

/// What came of an experiment.
#[derive(Debug, Clone)]
pub struct ExperimentReport {
    /// How its runs ended: interrupted when one of them was, else held when all of them held.
    pub ending: Ending,
    /// The figures over several runs, for people; empty for a single run.
    pub tables: String,
    /// The folder of its results; none when it was interrupted before its first run.
    pub folder: Option<PathBuf>,
}

/// Why there is no experiment, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// Not enough open files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The scaler is not there, or refuses a setting.
    #[error(transparent)]
    Scaler(#[from] ScalerError),
    /// The service did not come to rest.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// A run broke down.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The results of several runs could not be read.
    #[error(transparent)]
    Read(#[from] RunFolderError),
    /// The results of several runs could not be written.
    #[error(transparent)]
    Write(#[from] ResultsError),
    /// The settings are not what they were.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The same, after the experiment had broken down.
    #[error("{restore} (the experiment itself had broken down)")]
    BrokenAndNotRestored {
        /// What to do.
        restore: RestoreError,
        /// Why it broke down.
        source: Box<ExperimentError>,
    },
}

/// A finished run.
#[derive(Debug)]
struct Part {
    way: Option<Membership>,
    /// From 1.
    number: u32,
    report: RunReport,
}

impl ExperimentReport {
    /// The exit code that says how it ended.
    pub fn exit_code(&self) -> u8 {
        self.ending.exit_code()
    }
}

impl ExperimentError {
    /// Whether the input is at fault, and nothing was sent.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::OpenFiles(OpenFilesError::TooFew { .. }) => true,
            Self::Scaler(error) => error.is_bad_input(),
            Self::Run(error) => error.is_bad_input(),
            _ => false,
        }
    }
}

/// Carries out an experiment. `finished` is called with the report of each run.
///
/// An interrupt ends the run under way and the experiment; what was measured is kept.
///
/// # Errors
/// An [`ExperimentError`]; the runs that had finished are in their folders, with what they say
/// together.
pub async fn experiment(
    experiment: Experiment,
    interrupt: Interrupt,
    finished: impl FnMut(&RunReport),
) -> Result<ExperimentReport, ExperimentError> {
    open_files::make_room(experiment.scenario.scenario.in_flight.get())?;
    let (scaler, service) = (&experiment.scaler, &experiment.scenario.scenario.service);
    let before = Settings::read(scaler, service).await?;
    let bounds = scaler.service(service).await?.bounds;
    let common = experiment.common_settings(&before, bounds);
    let mut course = Course { experiment: &experiment, common, interrupt, parts: Vec::new() };
    let outcome = course.run(finished).await;
    let restored = before.restore(scaler, service).await;
    let Course { interrupt, parts, .. } = course;
    let concluded = results::conclude(&experiment, &parts);
    match (outcome, restored) {
        (Err(source), Err(restore)) => {
            Err(ExperimentError::BrokenAndNotRestored { restore, source: Box::new(source) })
        }
        (outcome, restored) => {
            outcome?;
            restored?;
            let (folder, tables) = concluded?;
            Ok(ExperimentReport { ending: ending(&interrupt, &parts), tables, folder })
        }
    }
}

fn ending(interrupt: &Interrupt, parts: &[Part]) -> Ending {
    if interrupt.is_requested() {
        return Ending::Interrupted;
    }
    let endings = parts.iter().map(|part| part.report.ending);
    endings.max_by_key(|ending| ending.exit_code()).unwrap_or(Ending::Held)
}

/// The runs of an experiment, one after another.
struct Course<'a> {
    experiment: &'a Experiment,
    /// What all runs have in common.
    common: Settings,
    interrupt: Interrupt,
    parts: Vec<Part>,
}

impl Course<'_> {
    /// The ways of membership take turns, so that a machine that changes with time changes alike
    /// for all of them.
    async fn run(&mut self, mut finished: impl FnMut(&RunReport)) -> Result<(), ExperimentError> {
        let base = run::name(&self.experiment.scenario);
        for number in 1..=self.experiment.repetitions {
            for way in self.experiment.ways() {
                let Some(report) = self.one(&base, way, number).await? else { return Ok(()) };
                finished(&report);
                let ending = report.ending;
                self.parts.push(Part { way, number, report });
                if ending == Ending::Interrupted {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Runs once; nothing when it was interrupted before the load.
    async fn one(
        &mut self,
        base: &str,
        way: Option<Membership>,
        number: u32,
    ) -> Result<Option<RunReport>, ExperimentError> {
        let Experiment { scenario, scaler, target, results, .. } = self.experiment;
        let service = &scenario.scenario.service;
        let membership = way.or(self.common.membership);
        let settings = Settings { membership, ..self.common.clone() };
        settings.establish(scaler, service).await?;
        let limit = self.experiment.rest_limit;
        let rested = rest::wait(scaler, service, &settings.service, limit, &mut self.interrupt);
        if !rested.await? {
            return Ok(None);
        }
        let options = RunOptions {
            scenario: scenario.with_seed_raised_by(number - 1),
            target: target.clone(),
            scaler: Some(scaler.clone()),
            results: results.clone(),
        };
        let name = self.experiment.folder(base, way, Some(number));
        match run::run_as(&name, options, self.interrupt.clone()).await {
            Err(RunError::Interrupted) => Ok(None),
            report => Ok(Some(report?)),
        }
    }
}

impl Experiment {
    fn ways(&self) -> Vec<Option<Membership>> {
        match self.memberships {
            Memberships::InForce => vec![None],
            Memberships::Only(way) => vec![Some(way)],
            Memberships::Each => vec![Some(Membership::Runtime), Some(Membership::Reload)],
        }
    }

    /// The settings of all runs, given those from before the experiment and the bounds in force.
    fn common_settings(&self, before: &Settings, bounds: Bounds) -> Settings {
        let mut settings = before.clone();
        if let Some(choice) = &self.policy {
            settings.service.policy = choice.spec().cloned();
        }
        // A peak above the upper bound could only ever be missed.
        let peak = self.scenario.peak_instances().filter(|peak| *peak > bounds.max());
        if let Some(Ok(raised)) = peak.map(|peak| Bounds::new(bounds.min(), peak)) {
            let (min, max) = (raised.min(), raised.max());
            terminal::note(format_args!(
                "bounds are {min} to {max} meanwhile, as the peak asks for"
            ));
            settings.service.bounds = Some(raised);
        }
        settings
    }

    /// The folder of a run below that of all results, or of all runs with a way of membership:
    /// `ramp-…`, `ramp-…/2`, `ramp-…/reload` or `ramp-…/reload/2`.
    fn folder(&self, base: &str, way: Option<Membership>, number: Option<u32>) -> String {
        let way = way.filter(|_| self.memberships == Memberships::Each).map(|way| way.to_string());
        let number = number.filter(|_| self.repetitions > 1).map(|number| number.to_string());
        [Some(base.to_owned()), way, number].into_iter().flatten().collect::<Vec<_>>().join("/")
    }
}
