//! `bellows explain`: one turn of a service in words.

mod decided;

use std::fmt::Write as _;

use anyhow::anyhow;
use command_line::terminal;
use host::settings::Settings;
use model::action::{Action, Done, ReleaseEnd};
use model::instance::Ended;
use model::names::ServiceName;
use model::output::harmless;
use model::tick::{Observation, Tick};
use model::time::Timestamp;
use model::version::Rollout;
use scaler_client::{Scaler, TickFilter};

use crate::clock::{moment, now, past};
use crate::error::BadInput;
use crate::scaler;
use crate::words::{self, figure, span};

/// Explains the last turn of a service, or the last one that is kept up to a moment.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    at: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let at = at.map(|text| past("--at", text, now())).transpose()?;
    let scaler = scaler::client(settings)?;
    let status = scaler::known(&scaler, service).await?;
    let tick = match at {
        Some(at) => kept(&scaler, service, at).await?,
        None => status.tick.ok_or_else(|| no_turn(service))?,
    };
    if json {
        terminal::tell_line(serde_json::to_string_pretty(&tick)?)?;
    } else {
        terminal::tell(explained(&tick))?;
    }
    Ok(())
}

/// A service of which nothing can be told yet.
pub(crate) fn no_turn(service: &ServiceName) -> BadInput {
    BadInput::new(anyhow!("{service} has had no turn yet: ask again in a second"))
}

/// The last turn of a service that is kept up to a moment.
async fn kept(scaler: &Scaler, service: &ServiceName, at: Timestamp) -> anyhow::Result<Tick> {
    let of_service = TickFilter { service: Some(service.clone()), ..TickFilter::default() };
    let up_to = TickFilter { to: Some(at), ..of_service.clone() };
    // The clock may have been set back in between: the newest of the record counts.
    if let Some(tick) = scaler.newest_tick(&up_to).await? {
        return Ok(tick);
    }
    let oldest = scaler.oldest_tick(&of_service).await?.map(|tick| tick.at);
    Err(none_kept(service, at, oldest).into())
}

fn none_kept(service: &ServiceName, at: Timestamp, oldest: Option<Timestamp>) -> BadInput {
    let told = format!("no turn of {service} is kept up to {}", moment(at));
    BadInput::new(match oldest {
        Some(oldest) => anyhow!("{told}: the oldest is of {}", moment(oldest)),
        None => anyhow!("{told}, nor any after it"),
    })
}

/// A turn in words, a paragraph for each of its parts.
pub(crate) fn explained(tick: &Tick) -> String {
    let mut text = format!("{} at {}: ", tick.service, moment(tick.at));
    text.push_str(&decided::summary(tick));
    text.push('\n');
    section(&mut text, "Observed", observed(&tick.observation, tick.rollout.as_ref()));
    section(&mut text, "Asked for", decided::asked(tick));
    section(&mut text, "Then", decided::steps(tick));
    section(&mut text, "Started", tick.plan.iter().map(started));
    let blocked = tick.blocked.iter().map(|blocked| words::blocked(*blocked).to_owned());
    section(&mut text, "Could not be started", blocked);
    section(&mut text, "Came to an end", tick.done.iter().map(ended));
    section(&mut text, "Ended by itself", tick.ended.iter().map(named));
    section(&mut text, "Given up", tick.given_up.iter().map(named));
    text
}

/// A paragraph with a heading; nothing where there are no lines.
fn section(text: &mut String, heading: &str, lines: impl IntoIterator<Item = String>) {
    for (index, line) in lines.into_iter().enumerate() {
        if index == 0 {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n{heading}\n");
        }
        let _ = writeln!(text, "  {line}");
    }
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

fn versions(rollout: &Rollout) -> String {
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
