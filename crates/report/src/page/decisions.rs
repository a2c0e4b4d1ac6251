//! The decision log: every kept tick as a line, with its reasons.

use std::collections::BTreeSet;

use model::action::{ActionKind, Blocked};
use model::decision::{Decision, Reason};
use model::tick::Tick;
use run::Run;
use run::numbers::number;
use serde::Serialize;

/// More ticks than this are no reading: the rest is in `ticks.jsonl`.
const MAX_LINES: usize = 3_000;

/// The log, ready for the page.
#[derive(Debug, Serialize)]
pub(crate) struct DecisionLog {
    lines: Vec<Line>,
    /// Ticks that the page leaves out.
    left_out: usize,
    /// The codes that occur, and what each of them means.
    reasons: Vec<Meaning>,
}

/// A tick, ready for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) at_s: f64,
    at: String,
    sequence: u64,
    ready: u32,
    decided: String,
    /// Whether the decision asks for more or fewer than are ready: `out`, `in` or `same`.
    pub(crate) direction: &'static str,
    reasons: Vec<String>,
    blocked: Vec<String>,
    actions: Vec<ActionText>,
    observed: String,
}

#[derive(Debug, Serialize)]
struct ActionText {
    text: String,
    class: &'static str,
}

#[derive(Debug, Serialize)]
struct Meaning {
    code: String,
    text: &'static str,
}

impl DecisionLog {
    pub(crate) fn of(run: &Run) -> Self {
        let ticks = &run.ticks[..run.ticks.len().min(MAX_LINES)];
        let codes: BTreeSet<String> =
            ticks.iter().flat_map(|t| reasons(t).chain(t.blocked.iter().map(blocked))).collect();
        Self {
            lines: ticks.iter().map(|t| line(run, t)).collect(),
            left_out: run.ticks.len() - ticks.len(),
            reasons: codes.into_iter().map(|code| Meaning { text: meaning(&code), code }).collect(),
        }
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The first `limit` of the lines that launched or drained an instance, or wanted to and could
    /// not: what fits on paper.
    pub(crate) fn shortened(mut self, limit: usize) -> Self {
        let all = self.lines.len();
        self.lines.retain(|line| line.direction != "same" || line.is_broken());
        self.lines.truncate(limit);
        self.left_out += all - self.lines.len();
        let shown: BTreeSet<&String> =
            self.lines.iter().flat_map(|l| l.reasons.iter().chain(&l.blocked)).collect();
        self.reasons.retain(|meaning| shown.contains(&meaning.code));
        self
    }
}

impl Line {
    fn is_broken(&self) -> bool {
        !self.blocked.is_empty() || self.actions.iter().any(|a| a.class == "broken")
    }
}

fn line(run: &Run, tick: &Tick) -> Line {
    let ready = tick.observation.phases.ready;
    let wants = |kind: ActionKind| tick.plan.iter().any(|a| a.kind == kind);
    let direction = match (wants(ActionKind::Clone), wants(ActionKind::Drain)) {
        (true, _) => "out",
        (_, true) => "in",
        _ => "same",
    };
    let at_s = run.seconds_of(tick);
    Line {
        at_s,
        at: format!("{at_s:.2}"),
        sequence: tick.sequence,
        ready,
        decided: tick.target().map_or_else(|| "hold".to_owned(), |n| n.to_string()),
        direction,
        reasons: reasons(tick).collect(),
        blocked: tick.blocked.iter().map(blocked).collect(),
        actions: actions(tick),
        observed: observed(tick),
    }
}

/// The actions of a kind in one text each, planned ones before those that are done.
fn actions(tick: &Tick) -> Vec<ActionText> {
    let mut texts = Vec::new();
    let kinds = [
        ActionKind::Clone,
        ActionKind::Admit,
        ActionKind::Drain,
        ActionKind::Stop,
        ActionKind::Kill,
    ];
    for kind in kinds {
        let slots: Vec<String> = tick
            .plan
            .iter()
            .filter(|a| a.kind == kind)
            .map(|a| format!("s{}", a.slot.get()))
            .collect();
        if !slots.is_empty() {
            texts.push(ActionText {
                text: format!("{} {}", verb(kind), slots.join(" ")),
                class: "planned",
            });
        }
    }
    for done in &tick.done {
        let (what, slot) = (verb(done.kind), done.slot.get());
        let took_ms = done.finished_at.since(done.planned_at).as_millis();
        texts.push(match &done.error {
            None => {
                ActionText { text: format!("{what} s{slot}: {took_ms}\u{a0}ms"), class: "done" }
            }
            Some(error) => {
                ActionText { text: format!("{what} s{slot} failed: {error}"), class: "broken" }
            }
        });
    }
    texts
}

fn observed(tick: &Tick) -> String {
    let o = &tick.observation;
    let mut parts = Vec::new();
    if let Some(rps) = o.offered_rps {
        parts.push(format!("offered {}/s", number(rps.round())));
    }
    if let Some(queued) = o.queued.filter(|q| *q > 0) {
        parts.push(format!("{queued} queued"));
    }
    if let Some(in_flight) = o.in_flight.filter(|n| *n > 0) {
        parts.push(format!("{in_flight} in flight"));
    }
    if parts.is_empty() { "load not known".to_owned() } else { parts.join(", ") }
}

const fn verb(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Clone => "launch",
        ActionKind::Admit => "admit",
        ActionKind::Drain => "drain",
        ActionKind::Stop => "stop",
        ActionKind::Kill => "kill",
    }
}

fn reasons(tick: &Tick) -> impl Iterator<Item = String> {
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    reasons.iter().map(|r: &Reason| format!("{r:?}"))
}

fn blocked(blocked: &Blocked) -> String {
    format!("{blocked:?}")
}

/// What a code means. A code that has no sentence here stands for itself: it is a word.
fn meaning(code: &str) -> &'static str {
    match code {
        "OfferedLoad" => "the mean rate of arrivals asks for it",
        "Burst" => "arrivals of the last tenths of a second ask for more than their mean does",
        "Queue" => "requests that wait ask for more than the arrivals do",
        "Patience" => "the need has fallen, but not for long enough yet",
        "Cooldown" => "the last change is too recent for the next one",
        "StepLimit" => "the change is cut to the largest one allowed at once",
        "Activation" => "somebody asks for the service, so it has an instance",
        "AtMin" => "fewer would do, but the lower bound forbids it",
        "AtMax" => "more are needed, but the upper bound forbids it",
        "NotKnown" => "a figure that the policy needs is not known: it agrees to nothing",
        "NotSet" => "the policy says nothing for now: what is, stays",
        "NoData" => "the load is not known: nothing is changed",
        "AboveUpper" => "the policy's measure lies above its upper bound",
        "BelowLower" => "the policy's measure lies below its lower bound",
        "InBand" => "the measure lies between its bounds: what is, stays",
        "WindowFilling" => "the policy's window is not covered yet: what is, stays",
        "Utilisation" => "the ratio of the measure to its target asks for it",
        "Stabilised" => "the policy's stabilisation window keeps what it recommended earlier",
        "InFlight" => "requests in flight and waiting ask for it",
        "Cpu" => "the CPU time that instances use asks for it",
        "HostSaturated" => "more are needed, but the host has no CPU time that they could use",
        "Held" => "an operator holds the number",
        "Concurrency" => "the mean of requests in flight asks for it",
        "Panic" => "the short panic window asked for it, and panic never scales in",
        "Forecast" => "the forecast asks for more than the present load does",
        "Released" => "the controller gives back, step by step, what the load does not use",
        "History" => "what was seen at this hour of earlier days asks for it",
        "Schedule" => "the schedule decides",
        "AtScheduledMin" => "fewer would do, but the schedule's lower bound forbids it",
        "AtScheduledMax" => "more are needed, but the schedule's upper bound forbids it",
        "LaunchBackoff" => "launches failed of late; the next attempt waits",
        "LaunchLimit" => "as many launches are under way as the host takes at once",
        "HostMemory" => "the host's memory has no room for another instance",
        "NoFreeSlot" => "every slot of the service is taken",
        "ActionBackoff" => "the last action on the instance failed a moment ago; the next waits",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;
    use crate::testing;

    #[test]
    fn a_tick_is_a_line_with_its_reasons_and_actions() {
        let log = DecisionLog::of(&testing::run());
        let text = |l: &Line| {
            let actions: Vec<&str> = l.actions.iter().map(|a| a.text.as_str()).collect();
            format!(
                "{} s: {} -> {} ({}), {}: {}; {}",
                l.at,
                l.ready,
                l.decided,
                l.direction,
                l.reasons.join(" "),
                actions.join(", "),
                l.observed
            )
        };
        let lines: Vec<String> = log.lines.iter().map(text).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        4.40 s: 1 -> 2 (out), Burst Patience: launch s2; offered 89/s, 3 queued, 8 in flight
        4.50 s: 2 -> 2 (same), Burst Patience: launch s2: 100 ms; offered 89/s, 3 queued, 8 in flight
        ");
        let codes: Vec<&str> = log.reasons.iter().map(|m| m.code.as_str()).collect();
        assert_eq!(codes, ["Burst", "Patience"]);
    }

    #[test]
    fn a_flood_of_ticks_is_cut_and_says_so() {
        let mut run = testing::run();
        run.ticks = vec![run.ticks[0].clone(); MAX_LINES + 7];
        let log = DecisionLog::of(&run);
        assert_eq!((log.lines.len(), log.left_out), (MAX_LINES, 7));
    }

    #[test]
    fn on_paper_are_the_changes_alone_with_their_codes() {
        let mut run = testing::run();
        run.ticks.extend([run.ticks[0].clone(), run.ticks[1].clone()]);
        let log = DecisionLog::of(&run).shortened(1);
        assert_eq!((log.lines.len(), log.left_out), (1, 3));
        assert_eq!(log.lines[0].direction, "out");
        assert_eq!(log.reasons.len(), 2);
    }

    #[test]
    fn every_code_of_today_has_a_meaning() {
        for reason in Reason::iter() {
            assert!(!meaning(&format!("{reason:?}")).is_empty(), "{reason:?}");
        }
    }
}
