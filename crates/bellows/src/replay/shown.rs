//! What comes of a replay, as people read it.

use std::fmt::Write as _;

use model::action::{Action, Blocked};
use model::decision::{Decision, Reason};
use model::output::harmless;
use model::version::Rollout;
use policy::recording::Outcome;

use super::report::{Change, Difference, Report};
use crate::clock::moment;

/// All of it.
pub(super) fn report(report: &Report) -> String {
    let mut text = head(report);
    match (&report.policy, &report.first_difference) {
        (Some(policy), _) => text.push_str(&beside(report, policy)),
        (None, Some(first)) => text.push_str(&difference(first)),
        (None, None) => text.push_str("Each decision and plan is the same, to the last bit.\n"),
    }
    if let Some(end) = report.ended {
        let _ = writeln!(text, "The recording ended before its time: {end}.");
    }
    text
}

fn head(report: &Report) -> String {
    let Report { turns, first_at, last_at, .. } = report;
    let service = report.service.as_ref().map_or("", |service| service.as_str());
    let policies: Vec<_> = report.policies.iter().map(|policy| harmless(policy)).collect();
    let releases: Vec<_> = report.releases.iter().map(|release| harmless(release)).collect();
    let starts = match report.starts {
        0 | 1 => String::new(),
        starts => format!(", of {starts} loops one after the other"),
    };
    format!(
        "{turns} turns of {service} from {} to {}{starts}, decided by {}, recorded by release {}.\n",
        moment(*first_at),
        moment(*last_at),
        policies.join(", then "),
        releases.join(" and ")
    )
}

/// What another policy asks for beside what was decided.
fn beside(report: &Report, policy: &str) -> String {
    let policy = harmless(policy);
    let Report { turns_that_differ, .. } = report;
    let mut text = format!(
        "{policy} asks for another number at {turns_that_differ} of them, of the load and the instances that there were.\n\n"
    );
    let decided = |change: &Change| decision(&change.recorded);
    let width = report.changes.iter().map(|change| decided(change).len()).max().unwrap_or(0).max(7);
    let _ = writeln!(
        text,
        "{:>10}  {:>9}  {:>5}  {:<width$}  {}",
        "SECOND",
        "OFFERED/S",
        "READY",
        "DECIDED",
        policy.to_uppercase()
    );
    for change in &report.changes {
        let second = change.at.since(report.first_at).as_secs_f64();
        let offered = change.offered_rps.map_or_else(|| "-".to_owned(), |rps| format!("{rps:.1}"));
        let _ = writeln!(
            text,
            "{second:>10.1}  {offered:>9}  {:>5}  {:<width$}  {}",
            change.ready,
            decided(change),
            decision(&change.now)
        );
    }
    text
}

/// A turn that comes out otherwise: what of it, then and now.
fn difference(first: &Difference) -> String {
    let Difference { line, at, recorded, now } = first;
    let mut text = format!("The turn in line {line}, at {}, comes out otherwise:\n", moment(*at));
    let texts = |it: &Outcome| {
        let rollout = it.rollout.as_ref().map_or_else(|| "none".to_owned(), rollout);
        [decision(&it.decision), rollout, plan(&it.plan), blocked(&it.blocked)]
    };
    let parts = ["decision", "rollout", "plan", "blocked"].into_iter();
    for ((part, recorded), now) in parts.zip(texts(recorded)).zip(texts(now)) {
        if recorded != now {
            let _ =
                writeln!(text, "  {part:<8}  recorded  {recorded}\n  {:<8}  now       {now}", "");
        }
    }
    text
}

fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Target { ready, reasons } => format!("{ready} ({})", codes(reasons)),
        Decision::Hold { reasons } => format!("hold ({})", codes(reasons)),
    }
}

fn codes(reasons: &[Reason]) -> String {
    let codes: Vec<_> = reasons.iter().map(|reason| format!("{reason:?}")).collect();
    codes.join(", ")
}

fn rollout(rollout: &Rollout) -> String {
    harmless(&format!("{rollout:?}")).to_string()
}

fn plan(actions: &[Action]) -> String {
    let action = |action: &Action| {
        let Action { kind, instance, version, releases, .. } = action;
        let version = version.map_or_else(String::new, |version| format!(" of {version}"));
        let releases = if *releases { " with its release command" } else { "" };
        format!("{kind:?} {instance}{version}{releases}").to_lowercase()
    };
    list(actions.iter().map(action))
}

fn blocked(blocked: &[Blocked]) -> String {
    list(blocked.iter().map(|blocked| format!("{blocked:?}")))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}
