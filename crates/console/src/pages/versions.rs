//! The versions of a service: those that are kept, what became of each, the way back to one, and the way to the next.

use explain::words::version_state;
use maud::{Markup, html};
use model::job::{JobKind, JobList, JobStatus};
use model::names::ServiceName;
use model::output::harmless;
use model::status::ServiceStatus;
use model::version::{VersionList, VersionState, VersionStatus};
use serde::de::DeserializeOwned;

use super::event::moment;
use super::table::UNKNOWN;
use super::view::{Asked, View};
use super::{Region, deploy, frame, jobs};
use crate::api::Known;
use crate::api::asker::Asker;

/// What the page asks of the scaler: each, or why it is not known.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    versions: Result<VersionList, String>,
    jobs: Result<JobList, String>,
}

impl Answers {
    /// Asks for both.
    pub(super) async fn to(service: &ServiceName, known: &Known, asker: &Asker) -> Self {
        let (versions, jobs) =
            (format!("/v1/services/{service}/versions"), format!("/v1/jobs?service={service}"));
        let (versions, jobs) =
            tokio::join!(answer(&versions, known, asker), answer(&jobs, known, asker));
        Self { versions, jobs }
    }
}

async fn answer<T: DeserializeOwned>(
    path: &str,
    known: &Known,
    asker: &Asker,
) -> Result<T, String> {
    let answer = known.upstream.get_recent(path, asker.secret()).await;
    answer.map_err(|problem| problem.message().to_owned())
}

pub(super) fn regions(name: &ServiceName, view: &View) -> Vec<Region> {
    let Some(status) = view.service(name) else { return vec![frame::missing(name.as_str())] };
    let Asked::Versions(answers) = &view.asked else { return Vec::new() };
    let jobs = answers.jobs.as_ref().map(|list| list.jobs.as_slice());
    let versions = match &answers.versions {
        Ok(list) => table(status, list, jobs.unwrap_or_default()),
        Err(problem) => html! { p.bad { "The versions are not known: " (problem) } },
    };
    let told = match jobs {
        Ok(jobs) => jobs::list(jobs, view.at),
        Err(problem) => html! { p.bad { "The deploys are not known: " (problem) } },
    };
    vec![
        Region { id: "rollout", html: rollout(status) },
        Region { id: "versions", html: versions },
        Region { id: "deploy", html: deploy::next(name) },
        Region { id: "jobs", html: html! { h2 { "Deploys" } (told) } },
        Region { id: "job", html: jobs::log(Some("No log is shown: each of these has one.")) },
    ]
}

/// How far the change to the version that is wanted has come.
fn rollout(status: &ServiceStatus) -> Markup {
    html! {
        p.lead {
            @match &status.rollout {
                Some(rollout) => { (sentence(&explain::turn::versions(rollout))) }
                None => { "The scaler has not looked at it yet." }
            }
        }
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn table(status: &ServiceStatus, list: &VersionList, jobs: &[JobStatus]) -> Markup {
    let goes_on = jobs.iter().any(|job| job.outcome.is_none());
    html! {
        h2 { "Versions" }
        div.scroll tabindex="0" role="region" aria-label="Versions" {
            table {
                thead {
                    tr {
                        th scope="col" { "Version" }
                        th scope="col" { "State" }
                        th scope="col" { "Deployed" }
                        th scope="col" { "By" }
                        th scope="col" { span.hidden { "Change" } }
                    }
                }
                tbody { @for version in &list.versions { (row(status, version, jobs, goes_on)) } }
            }
        }
        @if goes_on { p.quiet { "None can be gone back to before the job that is under way has ended." } }
    }
}

fn row(
    status: &ServiceStatus,
    version: &VersionStatus,
    jobs: &[JobStatus],
    goes_on: bool,
) -> Markup {
    html! {
        tr id={ "version-" (version.version) } {
            th scope="row" { code { (version.version) } @if status.wanted.version == version.version { small { "wanted" } } }
            td.wide { (state(version)) }
            td { @match version.deployed_at { Some(at) => (moment(at)), None => (UNKNOWN) } }
            td { (deployed_by(version, jobs).unwrap_or_else(|| UNKNOWN.to_owned())) }
            td { @if !goes_on { (go_back(&status.name, version)) } }
        }
    }
}

fn state(version: &VersionStatus) -> Markup {
    let class = match version.state {
        VersionState::Serves => "good",
        VersionState::OnTrial | VersionState::Watched => "warn",
        VersionState::GivenUp => "bad",
        VersionState::ServedBefore | VersionState::GoneBackFrom | VersionState::Kept => "quiet",
    };
    html! {
        span.health.(class) { (version_state(version.state)) }
        @if let Some(reason) = &version.reason { small { (harmless(reason)) } }
    }
}

/// What deployed a version last, where the job that did is still known, and who asked for it where one may know.
fn deployed_by(version: &VersionStatus, jobs: &[JobStatus]) -> Option<String> {
    let at = version.deployed_at?;
    let deploys = |job: &&JobStatus| {
        let is_one = matches!(job.kind, JobKind::Deploy | JobKind::Rollback | JobKind::File);
        is_one && job.begun_at <= at && job.ended_at.is_none_or(|ended| at <= ended)
    };
    let job = jobs.iter().find(deploys)?;
    let who = job.who.as_ref().map(|who| format!(" of {who}")).unwrap_or_default();
    Some(format!("{}{who}", jobs::what(job.kind)))
}

/// What has the service go back to a version that neither serves nor is on its way.
fn go_back(service: &ServiceName, version: &VersionStatus) -> Markup {
    let (text, then) = match version.state {
        VersionState::Serves | VersionState::OnTrial | VersionState::Watched => return html! {},
        VersionState::GivenUp => ("Try this again", "tried again"),
        VersionState::ServedBefore | VersionState::GoneBackFrom | VersionState::Kept => {
            ("Go back to this", "deployed again")
        }
    };
    let body = serde_json::json!({ "version": version.version }).to_string();
    html! {
        button type="button" data-needs-scripts hidden data-method="POST"
            data-path={ "/v1/services/" (service) "/rollback" } data-body=(body)
            data-confirm={ "Version " (version.version) " is " (then) ": one instance first, then all. What serves now goes on until then." }
            { (text) }
    }
}
