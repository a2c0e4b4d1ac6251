//! What goes on beside the loop: jobs such as deploys, and versions that are tried.

use explain::words::age;
use maud::{Markup, html};
use model::job::{JobKind, JobList, JobStatus, Stage};
use model::status::ServiceStatus;
use model::version::Rollout;

use super::event::moment;
use super::view::View;

/// The jobs that go on, and the versions on trial of which no job tells.
pub(super) fn list(jobs: Option<&Result<JobList, String>>, view: &View) -> Option<Markup> {
    let going = jobs.and_then(|jobs| jobs.as_ref().ok()).map(going).unwrap_or_default();
    let of_jobs = |status: &&ServiceStatus| {
        !going.iter().any(|job| job.service.as_ref() == Some(&status.name))
    };
    let tried: Vec<_> = view.services.iter().filter(|it| is_tried(it)).filter(of_jobs).collect();
    let problem = jobs.and_then(|jobs| jobs.as_ref().err());
    let is_there = !going.is_empty() || !tried.is_empty() || problem.is_some();
    is_there.then(|| {
        html! {
            h2 { "Under way" }
            @if let Some(problem) = problem { p { "Which jobs go on is not known. " (problem) } }
            ul.plain {
                @for job in &going { li { (told(job, view)) } }
                @for status in &tried {
                    li {
                        a href={ "/services/" (status.name) } { (status.name) } ": "
                        @if let Some(rollout) = &status.rollout { (explain::turn::versions(rollout)) }
                    }
                }
            }
        }
    })
}

fn going(list: &JobList) -> Vec<&JobStatus> {
    list.jobs.iter().filter(|job| job.outcome.is_none()).collect()
}

fn is_tried(status: &ServiceStatus) -> bool {
    matches!(status.rollout, Some(Rollout::Proving { .. } | Rollout::Watching { .. }))
}

fn told(job: &JobStatus, view: &View) -> Markup {
    html! {
        @if let Some(service) = &job.service { a href={ "/services/" (service) } { (service) } ": " }
        (what(job.kind)) ", for " (age(job.begun_at.as_millis(), view.at.as_millis())) ", since " (moment(job.begun_at))
        @if let Some(who) = &job.who { ", asked for by " (who) }
        ". " (stage(job.stage)) "."
    }
}

const fn what(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Deploy => "it is deployed",
        JobKind::Rollback => "it goes back to a version before",
        JobKind::File => "another file of it is put in force",
        JobKind::Destroy => "it is removed",
        JobKind::Stop => "everything is taken down",
        JobKind::Experiment => "an experiment offers it load",
    }
}

const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Begin => "It begins",
        Stage::Image => "Its image is made",
        Stage::Health => "It is started once, to see how it shows that it can serve",
        Stage::Template => "Its template is made",
        Stage::Rollout => "Its version is tried, and brought in or given up",
        Stage::Removal => "Something is removed",
        Stage::Load => "Load is offered, and measured",
    }
}
