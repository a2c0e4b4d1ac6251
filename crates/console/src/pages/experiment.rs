//! One experiment: what was asked for, what goes on, what came of it; and how that differs from another one's.

mod comparison;
mod figures;
mod runs;

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use explain::words::span;
use maud::{Markup, html};
use model::experiment::ExperimentRecord;
use model::job::{JobId, JobStatus};
use model::output::harmless;

use super::event::moment;
use super::view::{Asked, View};
use super::{Region, experiments, frame, jobs, service};
use crate::api::Known;
use crate::api::asker::Asker;
use crate::api::experiments::{self as api, Progress};
use crate::experiments::{MeasuredRun, Scenarios};

/// What the page asks for.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    one: Found,
    /// The one that it is compared with, where that was asked.
    other: Option<Found>,
    scenarios: Arc<Scenarios>,
}

/// An experiment, or why there is none.
type Found = Result<Told, Untold>;

/// Why an experiment is not told of.
#[derive(Debug, Clone)]
enum Untold {
    Missing,
    Problem(String),
}

/// What is known of an experiment.
#[derive(Debug, Clone)]
struct Told {
    record: ExperimentRecord,
    state: Progress,
    /// Where it is still known.
    job: Option<JobStatus>,
    /// None while it goes on.
    runs: Arc<Vec<MeasuredRun>>,
    has_report: bool,
}

impl Answers {
    /// Reads what is kept of them, and asks the scaler what goes on.
    pub(super) async fn to(id: JobId, with: Option<JobId>, known: &Known, asker: &Asker) -> Self {
        let one = Told::find(id, known, asker).await;
        let other = match with {
            Some(with) => Some(Told::find(with, known, asker).await),
            None => None,
        };
        Self { one, other, scenarios: Arc::clone(&known.scenarios) }
    }

    /// Whether there is no such experiment.
    pub(super) const fn is_missing(&self) -> bool {
        matches!(self.one, Err(Untold::Missing))
    }
}

impl Told {
    async fn find(id: JobId, known: &Known, asker: &Asker) -> Found {
        let record = api::record(&id.to_string(), known, asker).await;
        let record = record.map_err(|problem| match problem.status() {
            StatusCode::NOT_FOUND => Untold::Missing,
            _ => Untold::Problem(problem.message().to_owned()),
        })?;
        let jobs = api::jobs(known, asker).await;
        let state = Progress::of(&record, &jobs);
        let job = jobs.ok().and_then(|list| list.jobs.into_iter().find(|job| job.id == id));
        let (mut runs, mut has_report) = (Arc::default(), false);
        if matches!(state, Progress::Ended | Progress::CutOff) {
            let instance_rps = api::instance_rps(known, &record.service);
            runs = known.experiments.measured(&record, instance_rps).await;
            has_report = known.experiments.has_report(id).await;
        }
        Ok(Self { record, state, job, runs, has_report })
    }
}

pub(super) fn regions(id: JobId, view: &View) -> Vec<Region> {
    let Asked::Experiment(answers) = &view.asked else { return Vec::new() };
    let told = match &answers.one {
        Ok(told) => told,
        Err(Untold::Missing) => return vec![missing(&id.to_string())],
        Err(Untold::Problem(problem)) => {
            return vec![Region { id: "asked", html: frame::unanswered(problem) }];
        }
    };
    match &answers.other {
        Some(Ok(other)) => comparison::regions(told, other),
        Some(Err(Untold::Missing)) => vec![Region {
            id: "asked",
            html: html! { (summary(told)) p { "The one that it is to be compared with is not there. " (all()) } },
        }],
        Some(Err(Untold::Problem(problem))) => {
            vec![Region { id: "asked", html: frame::unanswered(problem) }]
        }
        None => alone(told, &answers.scenarios, view),
    }
}

/// What is said where there is no experiment.
pub(super) fn missing(id: &str) -> Region {
    let html = html! { p { "There is no experiment " code { (harmless(id)) } " here. " (all()) } };
    Region { id: "missing", html }
}

fn all() -> Markup {
    html! { a href="/experiments" { "All experiments" } }
}

fn alone(told: &Told, scenarios: &Scenarios, view: &View) -> Vec<Region> {
    let mut regions = vec![Region {
        id: "asked",
        html: html! { (summary(told)) (going_on(told, scenarios, view)) p { (all()) } },
    }];
    match told.state {
        Progress::UnderWay => {
            if let Some(status) = view.service(&told.record.service) {
                regions.push(Region {
                    id: "charts",
                    html: service::charts(status, since(told, view)),
                });
            }
        }
        Progress::Unknown => {}
        Progress::Ended | Progress::CutOff => {
            let figures = Region { id: "figures", html: figures::tables(told) };
            let runs = Region { id: "runs", html: runs::all(told) };
            // One picture says most, and of several the medians do.
            let is_one = told.runs.len() == 1;
            regions.extend(if is_one { [runs, figures] } else { [figures, runs] });
        }
    }
    regions.push(Region { id: "job", html: log(told) });
    regions
}

/// What it writes, which is followed while it goes on.
fn log(told: &Told) -> Markup {
    let is_over = told.state != Progress::UnderWay;
    html! {
        (jobs::log(Some(if is_over { "It is shown when it is asked for." } else { "It is followed while it goes on." })))
        @if is_over {
            p data-needs-scripts hidden { button type="button" data-job=(told.record.id) { "Show what it wrote" } }
        }
    }
}

/// How far back its begin lies, at the begin of this page.
fn since(told: &Told, view: &View) -> Duration {
    let (begun, now) = (told.record.begun_at.as_millis(), view.at.as_millis());
    Duration::from_millis(now.saturating_sub(begun))
}

/// What was asked for, and how it ended.
fn summary(told: &Told) -> Markup {
    let Told { record, state, .. } = told;
    let asked = &record.experiment;
    let is_well = record.outcome.as_ref().map(|it| it.is_well);
    html! {
        p.lead { (experiments::health(*state, is_well)) @if let Some(words) = verdict(told) { ": " (words) } }
        p {
            "The load of " strong { (asked.scenario.as_str()) } " for "
            a href={ "/services/" (record.service) } { (record.service) } ", with " (experiments::policy(asked))
            @match asked.runs { 1 => ", once", runs => { ", in " (runs) " runs" } }
            @if asked.time_factor < 1.0 { ", at " (asked.time_factor) " of its length" }
            @if let Some(seed) = asked.seed { ", with the seed " (seed) }
            ". Begun " (moment(record.begun_at))
            @if let Some(ended) = record.ended_at {
                ", it took " (span(Duration::from_secs(ended.since(record.begun_at).as_secs())))
            }
            ". "
            a href={ "/services/" (record.service) "/why?at=" (record.begun_at.as_millis()) } { "Why it had the instances that it had at the beginning" }
        }
    }
}

/// How it ended, in words; nothing while it goes on.
fn verdict(told: &Told) -> Option<String> {
    let words = match (&told.record.outcome, told.state) {
        (Some(outcome), _) => return Some(harmless(&outcome.verdict).to_string()),
        (None, Progress::UnderWay) => return None,
        (None, Progress::CutOff) => {
            "nobody wrote down how it ended. What was measured by then is kept"
        }
        (None, _) => "whether it goes on is not known, since the scaler does not tell",
    };
    Some(words.to_owned())
}

/// How far one that goes on has come, and the way to its end.
fn going_on(told: &Told, scenarios: &Scenarios, view: &View) -> Markup {
    let job = told.job.as_ref().filter(|_| told.state == Progress::UnderWay);
    html! {
        @if let Some(job) = job {
            p data-goes-on=(job.id) { (experiments::how_far(job, Some(&told.record), scenarios, view.at)) }
            (experiments::controls(job))
        }
    }
}
