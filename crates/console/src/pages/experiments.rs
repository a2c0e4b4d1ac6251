//! Experiments: where one is started, what goes on, what was tried, and which two are compared.

mod form;
mod list;

pub(super) use list::health;

use std::sync::Arc;
use std::time::Duration;

use explain::words::{age, span};
use maud::{Markup, html};
use model::experiment::{Experiment, ExperimentRecord};
use model::job::{JobStatus, Stage};
use model::time::Timestamp;

use super::event::moment;
use super::view::{Asked, View};
use super::{Region, frame};
use crate::api::Known;
use crate::api::asker::Asker;
use crate::api::experiments::{self, Experiments};
use crate::experiments::Scenarios;

/// What the page asks for.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    experiments: Result<Experiments, String>,
    scenarios: Arc<Scenarios>,
}

impl Answers {
    /// Reads what is kept, and asks the scaler what goes on.
    pub(super) async fn of(known: &Known, asker: &Asker) -> Self {
        let experiments = experiments::all(known, asker).await;
        let experiments = experiments.map_err(|problem| problem.message().to_owned());
        Self { experiments, scenarios: Arc::clone(&known.scenarios) }
    }
}

pub(super) fn regions(view: &View) -> Vec<Region> {
    let Asked::Experiments(answers) = &view.asked else { return Vec::new() };
    let Answers { experiments, scenarios } = &**answers;
    let going = experiments.as_ref().ok().and_then(Experiments::under_way);
    let mut regions = vec![
        Region { id: "about", html: about(view) },
        Region { id: "going", html: going_on(going, experiments, scenarios, view) },
    ];
    // What was typed stays while one goes on.
    if going.is_none() {
        regions.push(Region { id: "start", html: form::of(scenarios) });
    }
    let kept = match experiments {
        Ok(experiments) => list::of(&experiments.listed),
        Err(problem) => frame::unanswered(problem),
    };
    regions.push(Region { id: "experiments", html: kept });
    regions.push(Region { id: "scenarios", html: list::scenarios(scenarios, view) });
    regions
}

fn about(view: &View) -> Markup {
    html! {
        p {
            "An experiment offers a service of this host the load of a scenario, and measures what its clients got, how its instances "
            "followed, and what that took. One goes on at a time; meanwhile the service is under that load, with the policy that is chosen."
        }
        @if !view.services.is_empty() {
            p {
                "Without any load: what another policy would have run in the last 24 hours is simulated by a preview on the page of the policy of "
                @for (index, status) in view.services.iter().enumerate() {
                    @if index > 0 { ", " }
                    a href={ "/services/" (status.name) "/policy#preview" } { (status.name) }
                }
                "."
            }
        }
    }
}

/// What goes on, and how far it has come.
fn going_on(
    going: Option<&JobStatus>,
    experiments: &Result<Experiments, String>,
    scenarios: &Scenarios,
    view: &View,
) -> Markup {
    let Ok(Experiments { listed, jobs }) = experiments else { return html! {} };
    if let Err(problem) = jobs {
        return html! { p.notice { "Whether one goes on is not known. " (problem) } };
    }
    let Some(job) = going else { return html! {} };
    let record = listed.iter().map(|it| &it.record).find(|record| record.id == job.id);
    html! {
        h2 { "Under way" }
        p.lead {
            a href={ "/experiments/" (job.id) } {
                @match record { Some(record) => (told(record)), None => "An experiment" }
            }
            ", since " (moment(job.begun_at)) "."
        }
        p { (how_far(job, record, scenarios, view.at)) }
        (controls(job))
    }
}

/// How far one that goes on has come.
pub(super) fn how_far(
    job: &JobStatus,
    record: Option<&ExperimentRecord>,
    scenarios: &Scenarios,
    now: Timestamp,
) -> Markup {
    let stage = match job.stage {
        Stage::Load => "Load is offered, and measured",
        _ => "It begins",
    };
    let gone = age(job.begun_at.as_millis(), now.as_millis());
    let load = record.and_then(|record| load(&record.experiment, scenarios));
    html! {
        (stage) ". It has gone on for " (gone) "."
        @if let (Some(load), Some(record)) = (load, record) {
            " Its load takes " (span(load))
            @if record.experiment.runs > 1 { " in each of " (record.experiment.runs) " runs" }
            ", and the service comes to rest before and after it."
        }
    }
}

/// How long the load of one run takes.
fn load(experiment: &Experiment, scenarios: &Scenarios) -> Option<Duration> {
    let whole = scenarios.scenario(&experiment.scenario)?.load?;
    Some(whole.mul_f64(experiment.time_factor))
}

/// What may be done with one that goes on.
pub(super) fn controls(job: &JobStatus) -> Markup {
    html! {
        div.controls data-needs-scripts hidden {
            button type="button" data-method="POST" data-path={ "/v1/jobs/" (job.id) "/interrupt" }
                data-confirm="Its load ends now. What was measured so far is kept, and what was set before is set again."
                { "End it" }
        }
    }
}

/// An experiment in a few words.
pub(super) fn told(record: &ExperimentRecord) -> String {
    let ExperimentRecord { service, experiment, .. } = record;
    format!("{} at {service} with {}", experiment.scenario, policy(experiment))
}

/// What decides meanwhile.
pub(super) fn policy(experiment: &Experiment) -> String {
    match experiment.policy.as_deref() {
        None => "the policy in force".to_owned(),
        Some("default") => "the policy of its file".to_owned(),
        Some(word) => format!("the policy {word}"),
    }
}
