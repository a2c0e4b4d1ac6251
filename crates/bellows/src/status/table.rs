//! The view of `status` as text for people.

use std::fmt::Write;

use explain::words::age;
use host::deployments::Origin;
use model::bounds::Bounds;
use model::failure::Failure;
use model::network::NetworkStatus;
use model::output::harmless;
use model::policies::PolicySpec;
use model::refusal::cure;
use model::status::MembershipStatus;
use model::version::Rollout;

use crate::text::{columns, held, phase};

use super::view::{Decided, DeployState, Instance, Program, Service, Set, Source, View};

/// A failure that nobody asked about for an hour is found in the ticks and in the logs.
const FAILURES_SHOWN_MS: u64 = 3_600_000;

/// Renders the view as tables.
pub(crate) fn render(view: &View) -> String {
    let mut text = programs(&view.programs);
    if let Some(error) = &view.scaler_error {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "This is what LXC runs, since {error}.");
    }
    if let Some(MembershipStatus { set: Some(way), .. }) = view.membership {
        let _ = writeln!(
            text,
            "The way of membership was set to {way}; `bellows membership default` goes back to what \
             bellows.toml says."
        );
    }
    if let Some(status) = &view.network {
        text.push_str(&network(status, view.at_ms));
    }
    if !view.services.is_empty() {
        text.push('\n');
        text.push_str(&services(&view.services, view.at_ms));
        text.push_str(&holds(&view.services));
        text.push_str(&costs(&view.services));
        text.push_str(&rollouts(&view.services, view.at_ms));
        text.push_str(&unreadable(&view.services));
        text.push_str(&failures(&view.services, view.at_ms));
    }
    text.push_str(&deploys(&view.deploys, view.at_ms));
    text.push('\n');
    if view.instances.is_empty() && view.source == Source::Host {
        text.push_str("No instances. `./just up` brings the system up.\n");
    } else if view.instances.is_empty() {
        text.push_str("No instances.\n");
    } else {
        text.push_str(&instances(&view.instances, view.at_ms));
    }
    text
}

/// A line for each deploy that goes on, was cut off, or did not end well.
fn deploys(deploys: &[DeployState], now_ms: u64) -> String {
    let line = |deploy: &DeployState| {
        let DeployState { service, folder, stage, .. } = deploy;
        let (origin, age) = (Origin::of(folder), age(deploy.begun_at_ms, now_ms));
        match &deploy.verdict {
            _ if deploy.goes_on => {
                format!("{service} is being deployed {origin} since {age}: {stage}.\n")
            }
            None => format!(
                "The deploy of {service} {origin} was cut off, {age} ago, at {stage}: deploy it again.\n"
            ),
            Some(verdict) => format!("The last deploy, {age} ago: {}.\n", harmless(verdict)),
        }
    };
    deploys.iter().map(line).collect()
}

/// What an operator should know of the instances' firewall; nothing where nothing happened to it.
fn network(status: &NetworkStatus, now_ms: u64) -> String {
    let mut text = String::new();
    if let Some(trouble) = &status.trouble {
        let _ = writeln!(text, "The instances' firewall is not held: {trouble}.");
    }
    let Some(last) = status.last else { return text };
    let age = age(last.at.as_millis(), now_ms);
    let _ = write!(
        text,
        "Rules of the instances' firewall were {} and were put back {age} ago ({} since the scaler \
         started)",
        last.drift, status.put_back
    );
    text.push_str(if last.is_disputed() {
        ", again and again: another program removes them, and `nft monitor` shows which.\n"
    } else {
        ".\n"
    });
    text
}

fn programs(programs: &[Program]) -> String {
    let rows = programs.iter().map(|Program { name, state, pid }| {
        let process = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        [(*name).to_owned(), (*state).to_owned(), process]
    });
    columns(["PROGRAM", "STATE", "PROCESS"], rows)
}

fn services(services: &[Service], now_ms: u64) -> String {
    let rows = services.iter().map(|service| {
        [
            service.name.clone(),
            service.route.clone().unwrap_or_else(|| "-".to_owned()),
            marked(format!("{}..{}", service.min, service.max), service.bounds_set.as_ref(), range),
            marked(service.policy.clone(), service.policy_set.as_ref(), |said| {
                policy_said(service, said)
            }),
            service.offered_rps.map_or_else(|| "-".to_owned(), |rps| format!("{rps:.1}/s")),
            service.decision.as_ref().map_or_else(|| "-".to_owned(), |d| decision(d, now_ms)),
        ]
    });
    columns(["SERVICE", "ROUTE", "BOUNDS", "POLICY", "OFFERED", "LAST DECISION"], rows)
}

/// A line for each service whose number an operator holds.
fn holds(services: &[Service]) -> String {
    let line = |Service { name, hold, held_at, .. }: &Service| {
        let held = held((*hold)?, (*held_at)?);
        Some(format!(
            "{name} is {held}; `bellows scale {name} --auto` gives it back to its policy.\n"
        ))
    };
    services.iter().filter_map(line).collect()
}

/// What the instances cost for each hour now; nothing where nobody said what one costs.
fn costs(services: &[Service]) -> String {
    let costs: Vec<_> = services
        .iter()
        .filter_map(|service| Some((service.name.as_str(), service.cost_per_hour?)))
        .collect();
    if costs.is_empty() {
        return String::new();
    }
    let all = amount(costs.iter().map(|(_, cost)| cost).sum());
    let each = costs.iter().map(|(name, cost)| format!("{name} {}", amount(*cost)));
    let unknown = services.iter().filter(|service| service.cost_per_hour.is_none());
    let unknown = unknown.map(|service| format!("{} not known", service.name));
    let each = each.chain(unknown).collect::<Vec<_>>().join(", ");
    format!("Instances cost {all} an hour now: {each}.\n")
}

/// A price, of which a sum of fractions may have made 0.30000000000000004.
fn amount(price: f64) -> String {
    let text = format!("{price:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A line for each service whose wanted version does not serve.
fn rollouts(services: &[Service], now_ms: u64) -> String {
    let line = |service: &Service| {
        let name = &service.name;
        match service.rollout.as_ref()? {
            Rollout::Serving { .. } => None,
            first @ Rollout::Proving { next, since, .. } if first.is_first() => Some(format!(
                "Version {} of {name} is to be the first to serve: its release command has been due for {}.\n",
                next.version,
                age(since.as_millis(), now_ms)
            )),
            first @ Rollout::GivenUp { next, reason, .. } if first.is_first() => Some(format!(
                "Version {} of {name} was given up: {reason}. No version has served yet.\n",
                next.version
            )),
            Rollout::Proving { version, next, since } => Some(format!(
                "Version {} of {name} has been on trial for {}; version {version} serves.\n",
                next.version,
                age(since.as_millis(), now_ms)
            )),
            Rollout::Watching { version, next, since } => Some(format!(
                "Version {} of {name} has been watched beside version {version} for {}.\n",
                next.version,
                age(since.as_millis(), now_ms)
            )),
            Rollout::GivenUp { version, next, reason } => Some(format!(
                "Version {} of {name} was given up: {reason}. Version {version} serves.\n",
                next.version
            )),
        }
    };
    services.iter().filter_map(line).collect()
}

/// A line for each version that this release cannot read.
fn unreadable(services: &[Service]) -> String {
    let lines = services.iter().flat_map(|Service { name, unreadable, .. }| {
        unreadable.iter().map(move |(version, problem)| {
            format!("Version {version} of {name} cannot be gone back to: {problem}.\n")
        })
    });
    lines.collect()
}

/// What went wrong last with each service, with what the instance wrote last; nothing of what is long past.
fn failures(services: &[Service], now_ms: u64) -> String {
    let mut text = String::new();
    for failure in services.iter().filter_map(|service| service.last_failure.as_ref()) {
        let Failure { at, instance, problem, last_lines } = failure;
        let at_ms = at.as_millis();
        if now_ms.saturating_sub(at_ms) > FAILURES_SHOWN_MS {
            continue;
        }
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{instance}, {} ago: {}.", age(at_ms, now_ms), harmless(problem));
        if !last_lines.is_empty() {
            text.push_str("  It wrote last:\n");
        }
        for line in last_lines {
            let _ = writeln!(text, "    {}", harmless(line));
        }
        if let Some(cure) = cure(last_lines) {
            let _ = writeln!(text, "  What it was refused: {cure}.");
        }
    }
    text
}

/// What is in force, with a mark where an operator set it.
fn marked<T>(value: String, set: Option<&Set<T>>, text: impl Fn(&T) -> String) -> String {
    match set {
        None => value,
        Some(Set { waits: Some(set), .. }) => format!("{value} (set, and waits: {})", text(set)),
        Some(Set { file_says: None, .. }) => format!("{value} (set)"),
        Some(Set { file_says: Some(said), .. }) => {
            format!("{value} (set; the file says {})", text(said))
        }
    }
}

fn range(bounds: &Bounds) -> String {
    format!("{}..{}", bounds.min(), bounds.max())
}

/// A policy that is not in force, as people tell it from the one that is.
fn policy_said(service: &Service, said: &PolicySpec) -> String {
    let name = said.to_string();
    if *said == service.policy_spec {
        "the same".to_owned()
    } else if name == service.policy {
        "other figures".to_owned()
    } else {
        name
    }
}

fn decision(decision: &Decided, now_ms: u64) -> String {
    let wanted = decision.ready.map_or_else(|| "hold".to_owned(), |ready| format!("{ready} ready"));
    let age = age(decision.at_ms, now_ms);
    let reasons: Vec<String> = decision.reasons.iter().map(|r| format!("{r:?}")).collect();
    let reasons =
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let blocked: Vec<String> = decision.blocked.iter().map(|b| format!("{b:?}")).collect();
    let blocked =
        if blocked.is_empty() { String::new() } else { format!(", waits: {}", blocked.join(", ")) };
    format!("{wanted}{reasons}{blocked}, {age} ago")
}

fn instances(instances: &[Instance], now_ms: u64) -> String {
    let rows = instances.iter().map(|instance| {
        [
            instance.name.clone(),
            phase(instance.phase, instance.to_be_removed),
            instance.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            instance.slot.to_string(),
            instance.address.map_or_else(|| "-".to_owned(), |address| address.to_string()),
            age(instance.born_ms, now_ms),
        ]
    });
    columns(["INSTANCE", "PHASE", "VERSION", "SLOT", "ADDRESS", "AGE"], rows)
}

#[cfg(test)]
mod tests;
