//! One turn of a service in words.

mod decided;

use std::fmt::Write as _;

use model::action::{Action, Done, ReleaseEnd};
use model::instance::Ended;
use model::output::harmless;
use model::tick::{Observation, Tick};
use model::version::Rollout;

use crate::words::{self, figure, span};

/// What is told of one part of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Of which part, as a heading.
    pub heading: &'static str,
    /// A line each; at least one.
    pub lines: Vec<String>,
}

/// What a turn decided, in half a sentence.
pub fn summary(tick: &Tick) -> String {
    decided::summary(tick)
}

/// The parts of a turn of which there is something to tell, in the order in which they came about.
pub fn sections(tick: &Tick) -> Vec<Section> {
    let blocked = tick.blocked.iter().map(|blocked| words::blocked(*blocked).to_owned());
    let all = [
        ("Observed", observed(&tick.observation, tick.rollout.as_ref())),
        ("Asked for", decided::asked(tick)),
        ("Then", decided::steps(tick)),
        ("Started", tick.plan.iter().map(started).collect()),
        ("Could not be started", blocked.collect()),
        ("Came to an end", tick.done.iter().map(ended).collect()),
        ("Ended by itself", tick.ended.iter().map(named).collect()),
        ("Given up", tick.given_up.iter().map(named).collect()),
    ];
    let told = all.into_iter().filter(|(_, lines)| !lines.is_empty());
    told.map(|(heading, lines)| Section { heading, lines }).collect()
}

/// A turn as plain text, a paragraph for each of its parts.
pub fn text(tick: &Tick) -> String {
    let mut text = format!("{} at {}: {}\n", tick.service, tick.at, summary(tick));
    for Section { heading, lines } in sections(tick) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "\n{heading}");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn observed(seen: &Observation, rollout: Option<&Rollout>) -> Vec<String> {
    let of_requests = [
        told(seen.offered_rps, "requests/s offered"),
        told(seen.served_rps, "answered"),
        told(seen.rejected_rps.filter(|rate| *rate > 0.0), "failed"),
        told(seen.queued.map(f64::from), "waiting"),
        told(seen.in_flight.map(f64::from), "in flight"),
    ];
    let of_time = [
        told(seen.cpu_cores, "cores in use by its instances"),
        seen.host_cpu.map(|host| {
            format!("{}% of the host's {} cores by all", figure(100.0 * host.busy), host.cores)
        }),
    ];
    let phases = seen.phases;
    let of_fleet = [
        (phases.ready, "ready"),
        (phases.starting, "starting"),
        (phases.draining, "draining"),
        (phases.failed, "failed"),
    ];
    let is_there = |(count, phase): &(u32, &str)| *count > 0 || *phase == "ready";
    let fleet = of_fleet.iter().filter(|it| is_there(it));
    let fleet: Vec<_> = fleet.map(|(count, phase)| format!("{count} {phase}")).collect();
    let mut lines = vec![
        joined(&of_requests).unwrap_or_else(|| "the load is not known".to_owned()),
        joined(&of_time).unwrap_or_else(|| "CPU time is not known".to_owned()),
        format!("instances: {}", fleet.join(", ")),
    ];
    lines.extend(rollout.map(versions));
    lines
}

fn told(value: Option<f64>, what: &str) -> Option<String> {
    value.map(|value| format!("{} {what}", figure(value)))
}

fn joined(parts: &[Option<String>]) -> Option<String> {
    let known: Vec<&str> = parts.iter().flatten().map(String::as_str).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// Which version serves, and how far the change to another one has come.
pub fn versions(rollout: &Rollout) -> String {
    match rollout {
        Rollout::Serving { version } => format!("version {version} serves"),
        Rollout::Proving { next, .. } if rollout.is_first() => {
            format!("version {} is tried, the first one of all", next.version)
        }
        Rollout::Proving { version, next, .. } => {
            format!("version {version} serves, {} is tried on one instance", next.version)
        }
        Rollout::Watching { version, next, .. } => {
            format!("version {version} serves, one instance of {} is watched", next.version)
        }
        Rollout::GivenUp { next, reason, .. } => {
            format!("version {} was given up: {}", next.version, harmless(reason))
        }
    }
}

fn started(action: &Action) -> String {
    let version = action.version.map(|version| format!(", version {version}")).unwrap_or_default();
    let release = if action.releases { ", which runs the release command first" } else { "" };
    format!("{} {}{version}{release}", words::action(action.kind), action.instance)
}

fn ended(done: &Done) -> String {
    let took = span(done.finished_at.since(done.planned_at));
    let (what, instance) = (words::action(done.kind), &done.instance);
    let release = match done.release {
        Some(ReleaseEnd::Well) => "; its release command ended well",
        Some(ReleaseEnd::Failed) => "; its release command failed",
        None => "",
    };
    match &done.error {
        None => format!("{what} {instance}: done, {took} after it was planned{release}"),
        Some(error) => {
            let error = harmless(error);
            format!("{what} {instance}: failed, {took} after it was planned: {error}{release}")
        }
    }
}

fn named(ended: &Ended) -> String {
    let version = ended.version.map(|version| format!(", version {version}")).unwrap_or_default();
    format!("{}{version}", ended.instance)
}

/// So many ready instances.
fn ready(count: u32) -> String {
    format!("{count} ready instance{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
