//! Every service in a line, and what happened last.

use explain::health::{Health, cause};
use explain::turn::versions;
use host::answer_pipe::Class;
use maud::{Markup, html};
use model::job::JobList;
use model::status::ServiceStatus;

use super::cost::{self, Ledger};
use super::table::{mean, share, within};
use super::view::{Asked, View};
use super::{Region, deploy, event, jobs, under_way};
use crate::api::Known;
use crate::api::asker::Asker;
use crate::series::point::{Measure, Row};
use crate::watch::Seen;

/// Events on this page.
const EVENTS: usize = 20;

/// What the page asks for.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    /// Which jobs there are, or why that is not known.
    jobs: Result<JobList, String>,
    /// What each service cost so far.
    ledger: Ledger,
}

impl Answers {
    /// Asks the scaler.
    pub(super) async fn of(known: &Known, asker: &Asker) -> Self {
        let jobs = known.upstream.get_recent("/v1/jobs", asker.secret());
        let (jobs, ledger) = tokio::join!(jobs, cost::ask(known, asker));
        Self { jobs: jobs.map_err(|problem| problem.message().to_owned()), ledger }
    }
}

pub(super) fn regions(view: &View) -> Vec<Region> {
    let is_empty = view.services.is_empty() && view.is_open && view.seen == Seen::Now;
    let services = if is_empty { welcome() } else { services(view) };
    let jobs = answers(view).map(|answers| &answers.jobs);
    // Always there, so that what begins later comes to its place.
    let going = under_way::list(jobs, view).unwrap_or_default();
    let mut regions = Vec::new();
    if !view.services.is_empty() {
        regions.push(Region { id: "first-visit", html: help() });
    }
    regions.extend([
        Region { id: "services", html: services },
        Region { id: "under-way", html: going },
    ]);
    if view.is_open && view.seen == Seen::Now {
        regions.push(Region { id: "deploy", html: deploy::first(is_empty) });
        regions.push(Region { id: "job", html: jobs::log(None) });
    }
    if !view.events.is_empty() {
        let html = html! {
            h2 { "What happened last" }
            (event::list(view.events.iter().take(EVENTS), true))
        };
        regions.push(Region { id: "events", html });
    }
    regions
}

fn answers(view: &View) -> Option<&Answers> {
    match &view.asked {
        Asked::Overview(answers) => Some(answers),
        _ => None,
    }
}

/// What a first visitor sees, before there is anything to see.
fn welcome() -> Markup {
    html! {
        p {
            "Bellows runs web applications in containers on this host, as many instances of each as its load needs, and says why. "
            "Nothing is deployed yet."
        }
        p { "In a folder with a Flask, FastAPI or static site, or with one static program:" }
        pre { code { "sudo bellows deploy ." } }
        p { "It finds out what the folder holds, builds it, tries it on one instance, and serves it below its name. Then it is here." }
    }
}

/// What this is, for who is here for the first time; open until it was closed once.
fn help() -> Markup {
    html! {
        details #help.help open {
            summary { "What is this?" }
            p {
                "Bellows runs web applications in containers on this host, as many instances of each as its load needs. "
                "The page of a service shows how it fares, and \u{201c}Why\u{201d} there tells what its instances were decided on by. "
                "To change something, log in by the link that " code { "sudo bellows open" } " prints on the host. "
                "To run another application, " code { "sudo bellows deploy" } " it from its folder."
            }
        }
    }
}

fn services(view: &View) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Services" {
            table.stacks.dense {
                thead {
                    tr {
                        th scope="col" { "Service" }
                        th scope="col" { "Health" }
                        th scope="col" { "Cause" }
                        @for (name, explained, _) in columns(None, None) {
                            th.n scope="col" title=(explained) { (name) }
                        }
                        th.n scope="col" title="Of all its instances since the ledger began, in the currency of the prices" { "Cost" }
                        th scope="col" { "Policy" }
                    }
                }
                tbody { @for status in &view.services { (row(status, view)) } }
            }
        }
    }
}

fn row(status: &ServiceStatus, view: &View) -> Markup {
    let second = view.seconds.get(&status.name);
    html! {
        tr id={ "service-" (status.name) } {
            th scope="row" {
                a href={ "/services/" (status.name) } { (status.name) }
                @if let Some(route) = &status.route { small { (application(route, view)) } }
            }
            td { (health(status)) }
            td.wide {
                (cause(status))
                @if let Some(deploy) = deploy(status) {
                    small { a href={ "/services/" (status.name) "/versions" } { (deploy) } }
                }
            }
            @for (name, _, value) in columns(Some(status), second) {
                td.n data-label=(name) { (value) }
            }
            td.n data-label="Cost" {
                (cost::so_far(answers(view).map(|answers| &answers.ledger), &status.name))
            }
            td data-label="Policy" {
                (status.policy)
                @if let Some(hold) = status.hold { small { "held at " (hold.ready) } }
            }
        }
    }
}

/// The deploy that is under way, where its cause does not say so already.
fn deploy(status: &ServiceStatus) -> Option<String> {
    let rollout = status.rollout.as_ref()?;
    let is_under_way = rollout.proving().or(rollout.watched()).is_some();
    (is_under_way && Health::of(status) != Health::Deploying).then(|| versions(rollout))
}

/// The columns of figures: their heads, what these mean, and what stands there for a service.
fn columns(status: Option<&ServiceStatus>, second: Option<&Row>) -> [Column; 14] {
    let of = |measure| mean(second.map(|row| row.point.figure(measure)));
    let of_class = |class| share(second, class);
    let told = |tell: fn(&ServiceStatus) -> String| status.map(tell).unwrap_or_default();
    [
        ("Ready", "Instances that take requests", told(ready)),
        ("Others", "Instances by another phase", told(others)),
        (
            "Requests/s",
            "Requests that came, those that were not served among them",
            of(Measure::OfferedRps),
        ),
        ("Failed/s", "Requests without an answer, or with a 5xx", of(Measure::RejectedRps)),
        ("2xx %", "Share of the answers of the last second", of_class(Class::Success)),
        ("3xx %", "Share of the answers of the last second", of_class(Class::Redirection)),
        ("4xx %", "Share of the answers of the last second", of_class(Class::ClientError)),
        ("5xx %", "Share of the answers of the last second", of_class(Class::ServerError)),
        (
            "p50 ms",
            "Half of the answers of the last second began within so many ms",
            within(second, 500),
        ),
        (
            "p90 ms",
            "90 of 100 of the answers of the last second began within so many ms",
            within(second, 900),
        ),
        (
            "p99 ms",
            "99 of 100 of the answers of the last second began within so many ms",
            within(second, 990),
        ),
        ("Waiting", "Requests that wait for an instance", of(Measure::Queued)),
        ("In flight", "Requests that instances work on", of(Measure::InFlight)),
        ("CPU", "Cores that its instances use", of(Measure::CpuCores)),
    ]
}

/// The head of a column, what it means, and what stands in it.
type Column = (&'static str, &'static str, String);

/// The route of a service, as a link to it where it is known how a browser gets there.
pub(super) fn application(route: &str, view: &View) -> Markup {
    match &view.applications {
        Some(applications) => html! { a href=(applications.address(route)) { (route) } },
        None => html! { (route) },
    }
}

/// How it fares, in a word with its colour.
pub(super) fn health(status: &ServiceStatus) -> Markup {
    let health = Health::of(status);
    let class = match health {
        Health::Well => "good",
        Health::Idle | Health::Unknown => "quiet",
        Health::Starting | Health::Short | Health::AtLimit | Health::Deploying => "warn",
        Health::Down | Health::Failing | Health::GivenUp => "bad",
    };
    html! { span.health.(class) { (health.to_string().replace('_', " ")) } }
}

/// How many are ready, and how many are wanted where that is another number.
pub(super) fn ready(status: &ServiceStatus) -> String {
    let ready = status.phases.ready;
    match status.tick.as_ref().and_then(|tick| tick.target()) {
        Some(target) if target != ready => format!("{ready} of {target}"),
        _ => ready.to_string(),
    }
}

/// The instances that are not ready, by phase.
pub(super) fn others(status: &ServiceStatus) -> String {
    let phases = status.phases;
    let all =
        [(phases.starting, "starting"), (phases.draining, "draining"), (phases.failed, "failed")];
    let there = all.iter().filter(|(count, _)| *count > 0);
    there.map(|(count, phase)| format!("{count} {phase}")).collect::<Vec<_>>().join(", ")
}
