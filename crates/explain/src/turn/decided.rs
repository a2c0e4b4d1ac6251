//! How a decision came about, in words.

use model::decision::{Decision, Reason};
use model::tick::Tick;
use model::time::Timestamp;
use model::trail::{Advice, PolicyAdvice, Rule, Step, WentBy};

use super::ready;
use crate::words::{self, figure, span, unit, whole};

/// What was decided, in half a sentence.
pub(super) fn summary(tick: &Tick) -> String {
    match (tick.target(), &tick.trail) {
        (None, _) => {
            "nothing was changed, since the load or the instances are not known".to_owned()
        }
        (Some(target), Some(trail)) if trail.current != target => {
            format!("{}, {} before", decided_on(target), trail.current)
        }
        (Some(target), Some(_)) => format!("{}, as before", decided_on(target)),
        (Some(target), None) => decided_on(target),
    }
}

fn decided_on(target: u32) -> String {
    let were = if target == 1 { "was" } else { "were" };
    format!("{} {were} decided on", ready(target))
}

/// What each policy asked for; of a record of a release that did not keep it, the reasons.
pub(super) fn asked(tick: &Tick) -> Vec<String> {
    match (&tick.trail, &tick.decision) {
        (Some(trail), _) => trail.advice.iter().map(policy).collect(),
        (None, Decision::Target { reasons, .. }) => reasons.iter().copied().map(alone).collect(),
        (None, Decision::Hold { .. }) => Vec::new(),
    }
}

fn alone(reason: Reason) -> String {
    words::reason(reason).to_owned()
}

fn policy(said: &PolicyAdvice) -> String {
    let PolicyAdvice { policy, advice, went_by } = said;
    match advice {
        Advice::Ready { ready, reason } => {
            let by = went_by.map(|it| format!(" ({})", measured(it))).unwrap_or_default();
            format!("{policy}: {ready}, since {}{by}", words::reason(*reason))
        }
        Advice::Within { min, max } => format!("{policy}: {min} to {max} at this hour"),
        Advice::Unknown => {
            format!("{policy}: nothing, and no fewer: a figure that it goes by is not known")
        }
        Advice::Silent => {
            format!("{policy}: nothing, since it is not set for this hour, or at all")
        }
    }
}

fn measured(went_by: WentBy) -> String {
    match went_by {
        WentBy::Load { measure, value, per_instance } => {
            format!("{} {}, {} an instance", figure(value), unit(measure), figure(per_instance))
        }
        WentBy::Share { measure, percent, lower_percent, upper_percent } => format!(
            "{}% of {}, where {}% to {}% change nothing",
            figure(percent),
            whole(measure),
            figure(lower_percent),
            figure(upper_percent)
        ),
    }
}

/// Each rule that changed the number, in order.
pub(super) fn steps(tick: &Tick) -> Vec<String> {
    let steps = tick.trail.iter().flat_map(|trail| &trail.steps);
    steps.map(|step| rule(step, tick.at)).collect()
}

fn rule(step: &Step, at: Timestamp) -> String {
    let Step { rule, from, to } = step;
    let change = match from == to {
        true => format!("{to}"),
        false => format!("{to} instead of {from}"),
    };
    format!("{change}: {}", why(*rule, to > from, at))
}

fn why(rule: Rule, is_raised: bool, at: Timestamp) -> String {
    let until = || rule.until().map(|at| at.to_string()).unwrap_or_default();
    match rule {
        Rule::NotKnown => "a policy lacks a figure, and agrees to no fewer".to_owned(),
        Rule::ScheduledMin { min } => format!("the schedule asks for {min} at least"),
        Rule::ScheduledMax { max } => format!("the schedule allows {max} at most"),
        Rule::Activation => "somebody asks for the service, so that it has an instance".to_owned(),
        Rule::Patience { since, patience_ms } => {
            let what = if is_raised { "fewer" } else { "more" };
            let held = span(at.since(since));
            let patience = words::span_ms(patience_ms);
            format!("patience: {what} have been needed for {held} of {patience}, until {}", until())
        }
        Rule::Cooldown { since, cooldown_ms } => {
            let cooldown = words::span_ms(cooldown_ms);
            format!(
                "cooldown: the last change was {} ago, of {cooldown}, until {}",
                span(at.since(since)),
                until()
            )
        }
        Rule::StepLimit { largest } => format!("the largest change at once is {largest}"),
        Rule::HostSaturated { most } => {
            format!("the host has CPU time for {most} at most: more would take it from each other")
        }
        Rule::Held => "an operator holds it (`bellows scale` shows until when)".to_owned(),
        Rule::Min { min } => format!("bounds.min is {min}"),
        Rule::Max { max } => format!("bounds.max is {max}"),
    }
}
