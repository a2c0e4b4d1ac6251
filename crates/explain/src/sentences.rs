//! Ticks as sentences: what a turn saw end, decided and began.

use std::collections::BTreeMap;

use model::action::{Action, ActionKind, Blocked, Done};
use model::decision::Decision;
use model::instance::Ended;
use model::names::ServiceName;
use model::output::harmless;
use model::tick::Tick;
use model::version::Rollout;

/// Tells ticks in their order. What was so before is not told again.
#[derive(Debug, Default)]
pub struct Sentences {
    last: BTreeMap<ServiceName, Last>,
}

/// What the tick before said of a service.
#[derive(Debug, Default)]
struct Last {
    /// The number decided on; what is was kept for `Some(None)`, and nothing is known of one before for `None`.
    decided: Option<Option<u32>>,
    rollout: Option<Rollout>,
    blocked: Vec<Blocked>,
}

impl Sentences {
    /// Goes on after these ticks, which are not told.
    pub fn after(ticks: &[Tick]) -> Self {
        let mut sentences = Self::default();
        ticks.iter().for_each(|tick| drop(sentences.of(tick)));
        sentences
    }

    /// What a tick has to tell, each sentence with the service's name before it.
    pub fn of(&mut self, tick: &Tick) -> Vec<String> {
        let last = self.last.entry(tick.service.clone()).or_default();
        let ended = tick.ended.iter().map(ended);
        let done = tick.done.iter().filter_map(done);
        let rollout = tick.rollout.as_ref().filter(|now| last.rollout.as_ref() != Some(*now));
        let decided = (last.decided != Some(tick.target())).then(|| decided(tick, last.decided));
        let plan = KINDS.iter().filter_map(|(kind, verb)| planned(&tick.plan, *kind, verb));
        let new = |blocked: &&Blocked| !last.blocked.contains(*blocked);
        let blocked =
            tick.blocked.iter().filter(new).map(|it| format!("more is wanted and waits: {it:?}"));
        let sentences = ended.chain(done).chain(rollout.and_then(version)).chain(decided);
        let sentences = sentences.chain(plan).chain(blocked);
        let sentences = sentences.map(|text| format!("{}: {text}", tick.service)).collect();
        *last = Last {
            decided: Some(tick.target()),
            rollout: tick.rollout.clone(),
            blocked: tick.blocked.clone(),
        };
        sentences
    }
}

const KINDS: [(ActionKind, &str); 5] = [
    (ActionKind::Clone, "launches"),
    (ActionKind::Admit, "takes in"),
    (ActionKind::Drain, "drains"),
    (ActionKind::Stop, "stops"),
    (ActionKind::Kill, "kills"),
];

fn planned(plan: &[Action], kind: ActionKind, verb: &str) -> Option<String> {
    let names: Vec<_> =
        plan.iter().filter(|it| it.kind == kind).map(|it| it.instance.as_str()).collect();
    (!names.is_empty()).then(|| format!("{verb} {}", names.join(", ")))
}

fn ended(ended: &Ended) -> String {
    let Ended { instance, last_lines, .. } = ended;
    match last_lines.last() {
        Some(line) => format!("{instance} ended by itself, and wrote last: {}", harmless(line)),
        None => format!("{instance} ended by itself"),
    }
}

/// How an action ended. That one began is told by its plan, so that a drain, which is begun and done at once, is not told
/// twice.
fn done(done: &Done) -> Option<String> {
    let Done { instance, kind, .. } = done;
    let took_ms = done.finished_at.since(done.planned_at).as_millis();
    Some(match (kind, &done.error) {
        (ActionKind::Clone, None) => format!("{instance} is ready, after {took_ms} ms"),
        (ActionKind::Clone, Some(error)) => {
            format!("{instance} did not get ready: {}", harmless(error))
        }
        (ActionKind::Admit, None) => format!("{instance} is in rotation"),
        (ActionKind::Stop | ActionKind::Kill, None) => format!("{instance} is gone"),
        (ActionKind::Drain, None) => return None,
        (ActionKind::Admit, Some(error)) => {
            format!("{instance} could not be taken in: {}", harmless(error))
        }
        (ActionKind::Drain, Some(error)) => {
            format!("{instance} could not be drained: {}", harmless(error))
        }
        (ActionKind::Stop | ActionKind::Kill, Some(error)) => {
            format!("{instance} could not be stopped: {}", harmless(error))
        }
    })
}

fn version(rollout: &Rollout) -> Option<String> {
    Some(match rollout {
        Rollout::Serving { version } => format!("version {version} serves"),
        Rollout::Proving { next, .. } => format!("version {} is on trial", next.version),
        Rollout::Watching { version, next, .. } => {
            format!("version {} is watched beside version {version}", next.version)
        }
        Rollout::GivenUp { next, reason, .. } => {
            format!("version {} was given up: {}", next.version, harmless(reason))
        }
    })
}

fn decided(tick: &Tick, before: Option<Option<u32>>) -> String {
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    let reasons: Vec<_> = reasons.iter().map(|reason| format!("{reason:?}")).collect();
    let reasons = reasons.join(", ");
    let number = |ready| match ready {
        1 => "1 ready is decided on".to_owned(),
        ready => format!("{ready} ready are decided on"),
    };
    match (tick.target(), before.flatten()) {
        (Some(ready), Some(before)) => format!("{}, {before} before ({reasons})", number(ready)),
        (Some(ready), None) => format!("{} ({reasons})", number(ready)),
        (None, _) => format!("what is, stays ({reasons})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(json: &str) -> Tick {
        let json = format!(
            r#"{{"sequence":1,"at_ms":1795000000000,"service":"shop","observation":{{"offered_rps":0,
            "served_rps":null,"rejected_rps":null,"queued":null,"in_flight":null,"cpu_cores":null,
            "phases":{{"starting":0,"ready":5,"draining":0,"failed":0}}}},{json}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn what_was_so_before_the_first_tick_that_is_told_is_not_told_either() {
        let at_two = || {
            tick(
                r#""decision":{"kind":"target","ready":2,"reasons":["OfferedLoad"]},"plan":[],
                "rollout":{"state":"serving","version":"00000001"},"blocked":["HostMemory"],"done":[]"#,
            )
        };
        assert_eq!(Sentences::default().of(&at_two()).len(), 3);
        assert_eq!(Sentences::after(&[at_two()]).of(&at_two()), [""; 0]);
    }

    #[test]
    fn ticks_are_told_in_sentences_and_what_was_so_before_is_not_told_again() {
        let mut sentences = Sentences::default();
        let version = r#""rollout":{"state":"serving","version":"00000001"}"#;
        let clone = |slot: u32| {
            format!(r#"{{"action":"clone","instance":"bw-shop-{slot}-a","slot":{slot}}}"#)
        };
        let ended = |kind: &str, error: &str| {
            format!(
                r#"{{"action":"{kind}","instance":"bw-shop-1-a","slot":1,"planned_at_ms":100,"finished_at_ms":180,
                "error":{error}}}"#
            )
        };
        let ticks = [
            format!(
                r#""decision":{{"kind":"target","ready":2,"reasons":["OfferedLoad"]}},{version},
                "plan":[{},{}],"blocked":["HostMemory"],"done":[]"#,
                clone(1),
                clone(2)
            ),
            format!(
                r#""decision":{{"kind":"target","ready":2,"reasons":["OfferedLoad"]}},{version},
                "plan":[],"blocked":["HostMemory"],"done":[{},{}]"#,
                ended("clone", "null"),
                ended("drain", "null")
            ),
            format!(
                r#""decision":{{"kind":"hold","reasons":["NoData"]}},{version},"plan":[],"blocked":[],
                "done":[{},{}],"ended":[{{"instance":"bw-shop-2-a","last_lines":["one","oops \u001b[31m"]}}]"#,
                ended("clone", r#""no answer""#),
                ended("stop", "null")
            ),
            r#""decision":{"kind":"target","ready":1,"reasons":["Held","AtMax"]},
            "rollout":{"state":"given_up","version":"00000001","next":{"version":"00000002","deployed_at_ms":1},
            "reason":"2 of 3 answers failed"},"plan":[],"blocked":[],"done":[]"#
                .to_owned(),
            r#""decision":{"kind":"target","ready":3,"reasons":["Held"]},
            "rollout":{"state":"given_up","version":"00000001","next":{"version":"00000002","deployed_at_ms":1},
            "reason":"2 of 3 answers failed"},"plan":[],"blocked":[],"done":[]"#
                .to_owned(),
        ];
        let told: Vec<String> = ticks.iter().flat_map(|json| sentences.of(&tick(json))).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        shop: version 00000001 serves
        shop: 2 ready are decided on (OfferedLoad)
        shop: launches bw-shop-1-a, bw-shop-2-a
        shop: more is wanted and waits: HostMemory
        shop: bw-shop-1-a is ready, after 80 ms
        shop: bw-shop-2-a ended by itself, and wrote last: oops \u{1b}[31m
        shop: bw-shop-1-a did not get ready: no answer
        shop: bw-shop-1-a is gone
        shop: what is, stays (NoData)
        shop: version 00000002 was given up: 2 of 3 answers failed
        shop: 1 ready is decided on (Held, AtMax)
        shop: 3 ready are decided on, 1 before (Held)
        ");
    }
}
