//! One service: what it is, its charts, its instances, and what happened to it.

use std::time::Duration;

use explain::health::cause;
use maud::{Markup, html};
use model::names::ServiceName;
use model::status::ServiceStatus;

use super::overview::{application, health, others, ready};
use super::table::{UNKNOWN, classes, mean, within};
use super::view::View;
use super::{Region, actions, event, frame, instances};
use crate::series::point::Measure;

/// Events on this page.
const EVENTS: usize = 15;

/// What charts show at first.
const RANGE: Duration = Duration::from_secs(600);

pub(super) fn regions(name: &ServiceName, view: &View) -> Vec<Region> {
    let Some(status) = view.service(name) else { return vec![frame::missing(name.as_str())] };
    let events = view.events.iter().filter(|event| event.service.as_ref() == Some(name));
    let events = event::list(events.take(EVENTS), false);
    vec![
        Region { id: "summary", html: summary(status, view) },
        Region { id: "figures", html: figures(status, view) },
        Region { id: "charts", html: charts(status, RANGE) },
        Region { id: "controls", html: controls(status, view) },
        Region { id: "instances", html: instances::table(status, view) },
        Region { id: "events", html: html! { h2 { "What happened last" } (events) } },
    ]
}

/// How it fares, and what holds for it.
fn summary(status: &ServiceStatus, view: &View) -> Markup {
    html! {
        p.lead { (health(status)) " " (cause(status)) "." }
        p {
            "The policy " strong { (status.policy) }
            " decides within " strong { (status.bounds.min()) " to " (status.bounds.max()) } " instances. "
            @if let Some(hold) = status.hold {
                "An operator holds it at " strong { (hold.ready) } " until " (event::moment(hold.until)) ". "
            }
            a href={ "/services/" (status.name) "/why" } { "Why this many, and why not more?" }
            @if let Some(route) = &status.route { " The application is at " (application(route, view)) "." }
        }
        @if let Some(rollout) = &status.rollout {
            p { "Now " (explain::turn::versions(rollout)) ". " a href={ "/services/" (status.name) "/versions" } { "Versions and deploys" } }
        }
    }
}

/// The last second in figures, which is all there is without scripts.
fn figures(status: &ServiceStatus, view: &View) -> Markup {
    let second = view.seconds.get(&status.name);
    let of = |measure| mean(second.map(|row| row.point.figure(measure)));
    let others = others(status);
    let figures = [
        ("Ready", ready(status)),
        ("Others", if others.is_empty() { UNKNOWN.to_owned() } else { others }),
        ("Requests/s", of(Measure::OfferedRps)),
        ("Answered/s", of(Measure::ServedRps)),
        ("Failed/s", of(Measure::RejectedRps)),
        ("2xx / 3xx / 4xx / 5xx", classes(second)),
        ("p50 ms", within(second, 500)),
        ("p90 ms", within(second, 900)),
        ("p99 ms", within(second, 990)),
        ("Waiting", of(Measure::Queued)),
        ("In flight", of(Measure::InFlight)),
        ("CPU cores", of(Measure::CpuCores)),
    ];
    html! {
        dl.figures {
            @for (name, value) in figures { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// Where scripts draw, from so long ago on at first; the ranges are those of which there are seconds, or minutes.
pub(super) fn charts(status: &ServiceStatus, reach: Duration) -> Markup {
    let ranges =
        [(60, "1 min"), (600, "10 min"), (1_800, "30 min"), (21_600, "6 h"), (86_400, "24 h")];
    let first =
        ranges.iter().find(|(seconds, _)| *seconds >= reach.as_secs()).unwrap_or(&ranges[4]).0;
    let acts =
        [("earlier", "Earlier"), ("later", "Later"), ("closer", "Closer"), ("wider", "Wider")];
    html! {
        div #chart data-service=(status.name) data-objective-ms=(status.objective_ms) hidden {
            div.controls {
                div role="group" aria-label="Range" {
                    @for (seconds, text) in ranges {
                        button type="button" data-range=(seconds) aria-pressed=(if seconds == first { "true" } else { "false" }) { (text) }
                    }
                }
                div role="group" aria-label="What is shown of it" {
                    @for (act, text) in acts {
                        button type="button" data-stretch=(act) { (text) }
                    }
                    button type="button" data-stretch="live" hidden { "Back to live" }
                }
                span #stretch role="status" {}
            }
            p #stretch-help.hint {
                "Drag over a stretch to see it closer, and with Shift to move it. Keys: ← and → move it, + is closer, − wider, Home the "
                "oldest there is, End back to live."
            }
            div #plots.plots tabindex="0" role="group" aria-label="Charts" aria-describedby="stretch-help" {}
            p #marked role="status" {}
        }
    }
}

/// What may be changed here. Without scripts, and so without a token, nothing can.
fn controls(status: &ServiceStatus, view: &View) -> Markup {
    let instances = format!("/v1/services/{}/instances", status.name);
    let hold = format!("/v1/services/{}/hold", status.name);
    html! {
        div.controls data-needs-scripts hidden {
            button type="button" data-method="POST" data-path=(instances) { "One more for an hour" }
            button type="button" data-method="DELETE" data-path=(instances) { "One fewer for an hour" }
            @if status.hold.is_some() {
                button type="button" data-method="DELETE" data-path=(hold) { "Give it back to its policy" }
            }
            (actions::buttons(&status.name, view))
        }
    }
}
