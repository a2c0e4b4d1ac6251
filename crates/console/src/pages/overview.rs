//! Every service in a line, and what happened last.

use explain::health::{Health, cause};
use explain::turn::versions;
use maud::{Markup, html};
use model::status::ServiceStatus;

use super::table::{mean, within};
use super::view::View;
use super::{Region, event};
use crate::series::point::Measure;
use crate::watch::Seen;

/// Events on this page.
const EVENTS: usize = 20;

pub(super) fn regions(view: &View) -> Vec<Region> {
    let is_empty = view.services.is_empty() && view.is_open && view.seen == Seen::Now;
    let services = if is_empty { welcome() } else { services(view) };
    let mut regions = vec![Region { id: "services", html: services }];
    if !view.events.is_empty() {
        let html = html! {
            h2 { "What happened last" }
            (event::list(view.events.iter().take(EVENTS), true))
        };
        regions.push(Region { id: "events", html });
    }
    regions
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

fn services(view: &View) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Services" {
            table {
                thead {
                    tr {
                        th scope="col" { "Service" }
                        th scope="col" { "Health" }
                        th scope="col" { "Cause" }
                        th.n scope="col" { "Ready" }
                        th.n scope="col" { "Others" }
                        th.n scope="col" { "Requests/s" }
                        th.n scope="col" { "Failed/s" }
                        th.n scope="col" title="Half of the answers of the last second began within so many ms" { "p50 ms" }
                        th.n scope="col" title="99 of 100 of the answers of the last second began within so many ms" { "p99 ms" }
                        th.n scope="col" { "Waiting" }
                        th.n scope="col" { "In flight" }
                        th.n scope="col" { "CPU" }
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
    let of = |measure| mean(second.map(|row| row.point.figure(measure)));
    html! {
        tr id={ "service-" (status.name) } {
            th scope="row" {
                a href={ "/services/" (status.name) } { (status.name) }
                @if let Some(route) = &status.route { small { (route) } }
            }
            td { (health(status)) }
            td.wide { (cause(status)) @if let Some(deploy) = deploy(status) { small { a href={ "/services/" (status.name) "/versions" } { (deploy) } } } }
            td.n { (ready(status)) }
            td.n { (others(status)) }
            td.n { (of(Measure::OfferedRps)) }
            td.n { (of(Measure::RejectedRps)) }
            td.n { (within(second, 500)) }
            td.n { (within(second, 990)) }
            td.n { (of(Measure::Queued)) }
            td.n { (of(Measure::InFlight)) }
            td.n { (of(Measure::CpuCores)) }
            td { (status.policy) @if let Some(hold) = status.hold { small { "held at " (hold.ready) } } }
        }
    }
}

/// The deploy that is under way, where its cause does not say so already.
fn deploy(status: &ServiceStatus) -> Option<String> {
    let rollout = status.rollout.as_ref()?;
    let is_under_way = rollout.proving().or(rollout.watched()).is_some();
    (is_under_way && Health::of(status) != Health::Deploying).then(|| versions(rollout))
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
