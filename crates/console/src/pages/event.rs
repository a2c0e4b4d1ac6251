//! What happened, in a sentence.

use std::time::Duration;

use explain::words;
use maud::{Markup, html};
use model::decision::Reason;
use model::output::harmless;
use model::time::Timestamp;

use crate::events::{Cause, Event, Happened};

/// A list of what happened, the newest first.
pub(super) fn list<'a>(events: impl Iterator<Item = &'a Event>, with_service: bool) -> Markup {
    html! {
        ol.events {
            @for event in events {
                li class=(weight(&event.happened)) {
                    (moment(event.at))
                    " "
                    @if let (true, Some(service)) = (with_service, &event.service) {
                        a href={ "/services/" (service) } { (service) }
                        " "
                    }
                    span { (told(&event.happened)) }
                }
            }
        }
    }
}

/// A moment, which a browser shows in its own time zone.
pub(super) fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at) } }
}

/// How much a reader should care.
fn weight(happened: &Happened) -> &'static str {
    match happened {
        Happened::Failed { .. }
        | Happened::Ended { .. }
        | Happened::Removed { killed: true, .. }
        | Happened::Rollout { rollout: model::version::Rollout::GivenUp { .. } }
        | Happened::Aside { .. } => "bad",
        Happened::LimitBegan { .. } | Happened::BlockedBegan { .. } | Happened::Gap { .. } => {
            "warn"
        }
        _ => "plain",
    }
}

/// A sentence without its full stop.
pub(super) fn told(happened: &Happened) -> String {
    match happened {
        Happened::Target { from, to, reasons } => {
            format!("{to} instead of {from} decided on: {}", because(reasons))
        }
        Happened::Started { instance, took_ms, .. } => {
            format!("{instance} is in rotation, {} after it was planned", words::span_ms(*took_ms))
        }
        Happened::Removed { instance, killed: false } => format!("{instance} was removed"),
        Happened::Removed { instance, killed: true } => {
            format!("{instance} gave no sign of life and was killed")
        }
        Happened::Failed { action, instance, error } => {
            format!("{} {instance} failed: {}", words::action(*action), harmless(error))
        }
        Happened::Ended { instance } => format!("{instance} ended by itself"),
        Happened::Rollout { rollout } => explain::turn::versions(rollout),
        Happened::LimitBegan { reason } => format!("from now on: {}", words::reason(*reason)),
        Happened::LimitEnded { reason } => format!("not any more: {}", words::reason(*reason)),
        Happened::BlockedBegan { reason } => format!("more is wanted: {}", words::blocked(*reason)),
        Happened::BlockedEnded { reason } => format!("not any more: {}", words::blocked(*reason)),
        Happened::Set { bounds, policy } => {
            format!(
                "{} to {} instances and the policy {policy} are in force",
                bounds.min(),
                bounds.max()
            )
        }
        Happened::Gap { from, to, cause } => {
            format!("nothing was recorded for {}: {}", span(*from, *to), absent(*cause))
        }
        Happened::Aside { file, reason } => {
            format!(
                "the history began anew: {}; the old one is {}",
                harmless(reason),
                harmless(file)
            )
        }
    }
}

fn span(from: Timestamp, to: Timestamp) -> String {
    words::span(Duration::from_secs(to.since(from).as_secs()))
}

const fn absent(cause: Cause) -> &'static str {
    match cause {
        Cause::ScalerAway => "the scaler was away",
        Cause::ConsoleAway => "the console was away",
        Cause::NotWritten => "the history could not be written",
    }
}

fn because(reasons: &[Reason]) -> String {
    let told: Vec<&str> = reasons.iter().map(|reason| words::reason(*reason)).collect();
    told.join("; ")
}
