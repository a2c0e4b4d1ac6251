//! What stands between a service and another number of ready instances, in words.

use std::fmt::Write as _;
use std::time::Duration;

use model::decision::Reason;
use model::policies::PolicyKind;
use model::time::Timestamp;
use model::why_not::{Needed, Obstacle, WhyNot, Wish};

use crate::words::{self, figure, instances, span, span_ms, unit};

const NO_DATA: &str = "The load or the instances are not known, so that nothing is changed. `bellows status` says \
    whether HAProxy runs.";

const ACTIVATION: &str =
    "Somebody asks for it: as long as requests come, wait or are worked on, it has an instance.";

const ONE_AT_MOST: &str = "It never has two instances, since its file says rollout.replacement = \"recreate\", or \
    stateful = true.";

/// What is told of the answer: a line on how the service is, one on what there is of obstacles, and one for each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How the service is, when that was so, and what is decided.
    pub now: String,
    /// That nothing stands in the way, or what comes now.
    pub verdict: String,
    /// What each obstacle is, its figure, and what would have to change.
    pub obstacles: Vec<String>,
}

/// The answer in words.
pub fn told(answer: &WhyNot) -> Told {
    let WhyNot { service, ready, ready_now, starting, obstacles, .. } = answer;
    let decided = match answer.target {
        Some(target) => format!("{target} are decided on"),
        None => "nothing is decided".to_owned(),
    };
    let coming = if *starting > 0 { format!(", {starting} starting") } else { String::new() };
    let verdict = match (obstacles.as_slice(), answer.wish()) {
        ([], Wish::Same) => format!("Nothing stands between it and {ready}."),
        ([], Wish::More | Wish::Fewer) => {
            format!("Nothing stands between it and {ready}: the next turn decides on that.")
        }
        (_, wish) => format!("Between it and {ready}{}:", agreement(obstacles, wish)),
    };
    Told {
        now: format!("{service} at {}: {ready_now} ready{coming}, {decided}.", answer.at),
        verdict,
        obstacles: obstacles.iter().map(|obstacle| obstacle_told(obstacle, answer)).collect(),
    }
}

/// The answer as plain text.
pub fn text(answer: &WhyNot) -> String {
    let Told { now, verdict, obstacles } = told(answer);
    let mut text = format!("{now}\n{verdict}\n");
    for (place, obstacle) in (1..).zip(obstacles) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{place:>3}. {obstacle}");
    }
    text
}

/// How several policies come to one number, where several stand in the way.
fn agreement(obstacles: &[Obstacle], wish: Wish) -> &'static str {
    let policies = obstacles.iter().filter(|it| matches!(it, Obstacle::Policy { .. })).count();
    match wish {
        Wish::More if policies > 1 => ", for which one policy is enough",
        Wish::Fewer if policies > 1 => ", on which all policies must agree",
        Wish::More | Wish::Same | Wish::Fewer => "",
    }
}

/// One obstacle: what it is, its figure, and what would have to change.
fn obstacle_told(obstacle: &Obstacle, answer: &WhyNot) -> String {
    let WhyNot { service, ready, .. } = answer;
    match obstacle {
        Obstacle::NoData => NO_DATA.to_owned(),
        Obstacle::Policy { policy, asks_for, reason, needed } => {
            policy_told(*policy, (*asks_for, *reason), needed, answer)
        }
        Obstacle::Held { ready } => held_told(*ready, answer),
        Obstacle::NotKnown { policy } => format!(
            "{policy} lacks a figure that it goes by: it asks for nothing, and agrees to no fewer than there are."
        ),
        Obstacle::NotSet { policy } => format!(
            "{policy} is not set, or says nothing for this hour, and no other policy decides: what there is stays. \
             `bellows policy {service}` shows it."
        ),
        Obstacle::ScheduleAlone => format!(
            "The schedule is the only policy, and keeps what there is within its bounds: change its entries, or give \
             {service} another policy beside it."
        ),
        Obstacle::ScheduledMax { max } => {
            format!("The schedule allows {max} at most at this hour.")
        }
        Obstacle::ScheduledMin { min } => {
            format!("The schedule asks for {min} at least at this hour.")
        }
        Obstacle::Activation => ACTIVATION.to_owned(),
        Obstacle::Patience { patience_ms, since } => patience_told(*patience_ms, *since, answer),
        Obstacle::Cooldown { cooldown_ms, since } => cooldown_told(*cooldown_ms, *since, answer),
        Obstacle::StepLimit { largest } => {
            let rules = rules(answer);
            format!(
                "The largest change at once is {largest} ({rules}.max_step, {rules}.max_step_percent): it takes several."
            )
        }
        Obstacle::HostSaturated { most } => format!(
            "The host has CPU time for {most} at most (HostSaturated): more would take it from each other. Others on \
             the host have to use less, or it needs more cores."
        ),
        Obstacle::Max { bounds } => format!(
            "bounds.max is {}: `bellows bounds {service} {} {ready}`.",
            bounds.max(),
            bounds.min()
        ),
        Obstacle::Min { bounds } => format!(
            "bounds.min is {}: `bellows bounds {service} {ready} {}`.",
            bounds.min(),
            bounds.max()
        ),
        Obstacle::OneAtMost => ONE_AT_MOST.to_owned(),
        Obstacle::NoVersion => format!(
            "No version of it has served yet: `bellows versions {service}` says how far the first one is."
        ),
        Obstacle::LaunchBackoff { until } => format!(
            "Launches failed of late, and the next one comes at {}: `bellows status` says why.",
            until
        ),
        Obstacle::LaunchLimit { left } => format!(
            "The host takes {left} more launches at once now (parallel_launches): the others come as these end."
        ),
        Obstacle::HostMemory { fits } => format!(
            "The host has memory for {fits} more: lower instance.memory_mib, or the bounds of other services."
        ),
        Obstacle::NoFreeSlot { free } => format!(
            "{free} more slots are free on the host: fewer instances of others, or a wider network.subnet, make more."
        ),
        Obstacle::Starting { count } => format!("{} on the way.", are(*count)),
        Obstacle::Leaving { count } => format!("{} still ready, and to leave.", are(*count)),
        Obstacle::Replacing { count } => {
            format!("{} there beside them while a version is tried or takes over.", are(*count))
        }
    }
}

fn held_told(held: u32, WhyNot { service, ready, .. }: &WhyNot) -> String {
    format!(
        "An operator holds it at {held}: `bellows scale {service} {ready}` holds it at {ready}, and `bellows scale \
         {service} --auto` gives it back to its policy."
    )
}

/// The table of the service's file whose rules hold back.
fn rules(answer: &WhyNot) -> &'static str {
    match answer.wish() {
        Wish::More | Wish::Same => "scale_out",
        Wish::Fewer => "scale_in",
    }
}

fn patience_told(patience_ms: u64, since: Option<Timestamp>, answer: &WhyNot) -> String {
    let (rules, patience) = (rules(answer), span_ms(patience_ms));
    let which = if answer.wish() == Wish::Fewer { "fewer" } else { "more" };
    match since {
        None => format!(
            "Patience: once {which} are needed, that must hold for {patience} ({rules}.patience_ms)."
        ),
        Some(since) => format!(
            "Patience: {which} have been needed for {} of {patience} ({rules}.patience_ms), so not before {}.",
            span(answer.at.since(since)),
            end(since, patience_ms)
        ),
    }
}

fn cooldown_told(cooldown_ms: u64, since: Timestamp, answer: &WhyNot) -> String {
    format!(
        "Cooldown: the last change was {} ago, and the next one comes {} after it ({}.cooldown_ms), so not before {}.",
        span(answer.at.since(since)),
        span_ms(cooldown_ms),
        rules(answer),
        end(since, cooldown_ms)
    )
}

fn are(count: u32) -> String {
    format!("{} {}", instances(count), if count == 1 { "is" } else { "are" })
}

fn end(since: Timestamp, span_ms: u64) -> String {
    since.after(Duration::from_millis(span_ms)).to_string()
}

fn policy_told(
    policy: PolicyKind,
    (asks_for, reason): (u32, Reason),
    needed: &[Needed],
    answer: &WhyNot,
) -> String {
    let ready = answer.ready;
    let asks = format!("{policy} asks for {asks_for}, since {}", words::reason(reason));
    if needed.is_empty() {
        return format!("{asks}: no steady load of the kind that it goes by leads it to {ready}.");
    }
    let is_more = answer.wish() == Wish::More;
    let bound = if is_more { "more than" } else { "at most" };
    let figures = needed.iter().map(|Needed { measure, now, bound: figure_needed }| {
        let now = now.map_or_else(|| "not known".to_owned(), figure);
        format!("{bound} {} {}, now {now}", figure(*figure_needed), unit(*measure))
    });
    let joint = if is_more { "; or " } else { "; and " };
    let or_fewer = if is_more || ready == 0 { "" } else { " or fewer" };
    let figures = figures.collect::<Vec<_>>().join(joint);
    format!("{asks}: {ready}{or_fewer} would need {figures}.")
}

#[cfg(test)]
mod tests;
