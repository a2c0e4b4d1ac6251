//! What several runs say together: medians with intervals, and one way of membership beside the
//! other.

use std::path::PathBuf;

use model::status::Membership;
use run::figures::{self, Figure};
use run::repetitions::{Repetition, Repetitions};
use run::{ResultsFolder, Run, text};

use super::options::Experiment;
use crate::error::Error;
use crate::run_report::{Ending, RunReport};

/// A finished run.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) way: Option<Membership>,
    /// From 1.
    pub(super) number: u32,
    pub(super) report: RunReport,
}

/// The figures of the runs of one way of membership.
struct Kind {
    name: String,
    /// Those of the run, or the medians of all of them.
    figures: Vec<Figure>,
}

/// Writes what belongs to more than one run, and gives the experiment's folder and its tables. Runs
/// that were interrupted keep their folders and count for nothing.
pub(super) fn conclude(
    experiment: &Experiment,
    parts: &[Part],
) -> Result<(Option<PathBuf>, String), Error> {
    let Some(first) = parts.first() else { return Ok((None, String::new())) };
    let base = first.report.summary.run.split('/').next().unwrap_or_default().to_owned();
    let folder = ResultsFolder::reuse(&experiment.results, &base)?;
    let mut tables = String::new();
    let mut kinds = Vec::new();
    for way in experiment.ways() {
        let complete = |part: &&Part| part.way == way && part.report.ending != Ending::Interrupted;
        let parts: Vec<&Part> = parts.iter().filter(complete).collect();
        let mut runs = Vec::with_capacity(parts.len());
        for part in &parts {
            let run = Run::read(&part.report.folder)?;
            let seed = run.summary.seed;
            let repetition = Repetition { folder: part.number.to_string(), seed };
            runs.push((repetition, figures::measure(&run, &experiment.assumptions)));
        }
        let Some((_, figures)) = runs.first() else { continue };
        let name = way.map_or_else(String::new, |way| way.to_string());
        if experiment.repetitions == 1 {
            kinds.push(Kind { name, figures: figures.clone() });
            continue;
        }
        let scenario = &experiment.scenario.scenario.name;
        let repetitions = Repetitions::of(scenario, &runs);
        let kind = experiment.folder(&base, way, None);
        repetitions.write(&ResultsFolder::reuse(&experiment.results, &kind)?.path())?;
        tables += &text::repetitions(&name, figures, &repetitions);
        kinds.push(Kind { name, figures: repetitions.medians(figures) });
    }
    if let [first, second] = kinds.as_slice() {
        let differences = figures::differences(&second.figures, &first.figures);
        tables += &text::differences(&first.name, &second.name, &differences);
    }
    folder.become_latest()?;
    Ok((Some(folder.path()), tables))
}
