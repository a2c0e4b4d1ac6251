//! An experiment: one or more runs of a scenario under the settings that it asks for, each from a
//! service at rest; afterwards the settings are what they were, however it ended.

mod options;
mod rest;
mod results;

use std::path::PathBuf;

use model::status::Membership;

use self::results::Part;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::open_files;
use crate::overrides::Overrides;
use crate::run::{self, RunOptions};
use crate::run_report::{Ending, RunReport};

pub use options::{Experiment, MAX_REPETITIONS, Memberships};

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

/// Carries out an experiment. `finished` is called with the report of each run.
///
/// An interrupt ends the run under way and the experiment; what was measured is kept.
///
/// # Errors
/// An [`Error`]; the runs that had finished are in their folders, with what they say
/// together.
pub async fn experiment(
    experiment: Experiment,
    interrupt: Interrupt,
    finished: impl FnMut(&RunReport),
) -> Result<ExperimentReport, Error> {
    open_files::make_room(experiment.scenario.scenario.in_flight.get())?;
    let (scaler, service) = (&experiment.scaler, &experiment.scenario.scenario.service);
    let before = Overrides::read(scaler, service).await?;
    let status = scaler.service(service).await?;
    Error::where_held(&status)?;
    let bounds = status.bounds;
    let common = experiment.overrides(&before, bounds);
    let mut course = Course { experiment: &experiment, common, interrupt, parts: Vec::new() };
    let outcome = course.run(finished).await;
    let restored = before.restore(scaler, service).await;
    let Course { interrupt, parts, .. } = course;
    let concluded = results::conclude(&experiment, &parts);
    match (outcome, restored) {
        (Err(source), Err(restore)) => {
            let (restore, source) = (Box::new(restore), Box::new(source));
            Err(Error::BrokenAndNotRestored { restore, source })
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
    common: Overrides,
    interrupt: Interrupt,
    parts: Vec<Part>,
}

impl Course<'_> {
    /// The ways of membership take turns, so that a machine that changes with time changes alike
    /// for all of them.
    async fn run(&mut self, mut finished: impl FnMut(&RunReport)) -> Result<(), Error> {
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

    /// Runs once; `None` when it was interrupted before the load.
    async fn one(
        &mut self,
        base: &str,
        way: Option<Membership>,
        number: u32,
    ) -> Result<Option<RunReport>, Error> {
        let Experiment { scenario, scaler, target, results, .. } = self.experiment;
        let service = &scenario.scenario.service;
        let membership = way.or(self.common.membership);
        let overrides = Overrides { membership, ..self.common.clone() };
        overrides.establish(scaler, service).await?;
        let limit = self.experiment.rest_limit;
        let rested = rest::wait(scaler, service, &overrides.service, limit, &mut self.interrupt);
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
            Err(Error::Interrupted) => Ok(None),
            report => Ok(Some(report?)),
        }
    }
}
