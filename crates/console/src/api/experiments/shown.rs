//! Experiments as the API tells them.

use std::collections::BTreeMap;

use model::experiment::ExperimentRecord;
use model::job::JobList;
use model::names::{ScenarioName, ServiceName};
use run::figures::by_key;
use run::repetitions::Interval;
use run::summary::Summary;
use serde::Serialize;

use super::super::Known;
use super::super::asker::Asker;
use super::{instance_rps, is_deployed};
use crate::experiments::{Measured, MeasuredRun, SummaryOfRun};

/// How far an experiment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, schemars(rename = "ExperimentState"))]
pub(crate) enum State {
    /// It goes on.
    UnderWay,
    /// It has ended.
    Ended,
    /// It was cut off, and nobody wrote down how it ended.
    CutOff,
    /// It has not ended as far as is known, and the scaler does not tell what goes on.
    Unknown,
}

impl State {
    /// That of one, among these jobs.
    pub(crate) fn of(record: &ExperimentRecord, jobs: &Result<JobList, String>) -> Self {
        let job = |jobs: &JobList| jobs.jobs.iter().find(|job| job.id == record.id).cloned();
        match (&record.outcome, jobs.as_ref().map(job)) {
            (Some(_), _) => Self::Ended,
            (None, Err(_)) => Self::Unknown,
            (None, Ok(Some(job))) if job.outcome.is_none() => Self::UnderWay,
            (None, Ok(_)) => Self::CutOff,
        }
    }
}

/// Some experiments.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownExperiments {
    /// The one that began last first.
    pub(super) experiments: Vec<Listed>,
}

/// An experiment in short.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Listed {
    /// What was asked for.
    #[serde(rename = "experiment")]
    pub(crate) record: ExperimentRecord,
    /// How far it has come.
    pub(crate) state: State,
    /// What came of it.
    pub(crate) figures: Headlines,
}

/// The first figures to be looked at: the medians of all runs that were not interrupted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Headlines {
    /// Requests outside the objective, in percent.
    pub(crate) outside_objective_percent: Option<f64>,
    /// Within how many ms 99 of 100 good answers came.
    #[serde(rename = "latency_ms.p99")]
    pub(crate) p99_ms: Option<f64>,
    /// For how long instances existed, added up.
    #[serde(rename = "instances.seconds")]
    pub(crate) instance_seconds: Option<f64>,
}

impl Headlines {
    pub(super) fn of(runs: &[SummaryOfRun]) -> Self {
        let all: Vec<&Summary> = runs.iter().filter_map(|run| run.summary.as_ref().ok()).collect();
        let complete: Vec<&Summary> = all.iter().filter(|it| !it.interrupted).copied().collect();
        let counted = if complete.is_empty() { all } else { complete };
        let median = |of: fn(&Summary) -> Option<f64>| {
            let values: Vec<f64> = counted.iter().filter_map(|summary| of(summary)).collect();
            Interval::of(&values).map(|interval| interval.median)
        };
        Self {
            outside_objective_percent: median(Summary::outside_objective),
            p99_ms: median(|summary| summary.latency_ms.p99),
            instance_seconds: median(|summary| summary.instances.seconds),
        }
    }
}

/// An experiment.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownExperiment {
    /// What was asked for.
    experiment: ExperimentRecord,
    /// How far it has come.
    state: State,
    /// Its runs; none while it goes on.
    runs: Vec<ShownRun>,
    /// Whether it has a report.
    has_report: bool,
}

/// A run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownRun {
    /// `run` of the only one; else its number, the way of membership, or both: `reload-2`.
    name: String,
    /// Why nothing is known of it, or of some figures.
    problem: Option<String>,
    /// What is known of it.
    result: Option<ShownResult>,
}

/// What came of a run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownResult {
    /// The seed of everything random.
    seed: u64,
    /// When its load began.
    started_at_ms: u64,
    /// Whether it was stopped before its load was over.
    interrupted: bool,
    /// Under which conditions it took place.
    conditions: BTreeMap<String, String>,
    /// Whether all limits of the scenario held.
    held: bool,
    /// Those that did not, a sentence each.
    broken: Vec<String>,
    /// Every figure by its key; what is not known is `null`.
    figures: BTreeMap<String, Option<f64>>,
}

impl ShownExperiment {
    pub(super) async fn of(record: ExperimentRecord, state: State, known: &Known) -> Self {
        if !matches!(state, State::Ended | State::CutOff) {
            return Self { experiment: record, state, runs: Vec::new(), has_report: false };
        }
        let instance_rps = instance_rps(known, &record.service);
        let runs = known.experiments.measured(&record, instance_rps).await;
        let has_report = known.experiments.has_report(record.id).await;
        let runs = runs.iter().map(ShownRun::of).collect();
        Self { experiment: record, state, runs, has_report }
    }
}

impl ShownRun {
    fn of(run: &MeasuredRun) -> Self {
        let name = run.name.to_string();
        match &run.measured {
            Err(problem) => Self { name, problem: Some(problem.clone()), result: None },
            Ok(measured) => {
                let problem = Some(measured.unread.join("; ")).filter(|text| !text.is_empty());
                Self { name, problem, result: Some(ShownResult::of(measured)) }
            }
        }
    }
}

impl ShownResult {
    fn of(Measured { summary, figures, .. }: &Measured) -> Self {
        let broken = summary.limits.broken();
        let figures = by_key(figures).into_iter().map(|(key, value)| (key.to_owned(), value));
        Self {
            seed: summary.seed,
            started_at_ms: summary.started_at_ms,
            interrupted: summary.interrupted,
            conditions: summary.conditions.clone(),
            held: broken.is_empty(),
            broken,
            figures: figures.collect(),
        }
    }
}

/// What an experiment can be asked for with.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownScenarios {
    scenarios: Vec<ShownScenario>,
    /// Every word that names a policy: that of the service's own file, kinds, and those of the release.
    policies: Vec<String>,
}

/// A scenario.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShownScenario {
    name: ScenarioName,
    /// What it offers, in a sentence.
    description: String,
    /// Whom it offers that.
    service: ServiceName,
    /// How long its load lasts, in seconds; `null` where that is as long as answers take.
    load_s: Option<f64>,
    /// Whether that service is there, and whoever asks may see it.
    deployed: bool,
}

impl ShownScenarios {
    pub(super) fn of(known: &Known, asker: &Asker) -> Self {
        let scenario = |it: &crate::experiments::ScenarioOnOffer| ShownScenario {
            name: it.name.clone(),
            description: it.description.clone(),
            service: it.service.clone(),
            load_s: it.load.map(|load| load.as_secs_f64()),
            deployed: is_deployed(&it.service, known, asker),
        };
        Self {
            scenarios: known.scenarios.scenarios().iter().map(scenario).collect(),
            policies: known.scenarios.policy_words(),
        }
    }
}
