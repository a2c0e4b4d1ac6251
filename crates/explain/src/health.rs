//! How a service fares.

use model::decision::{Decision, Reason};
use model::output::harmless;
use model::status::ServiceStatus;
use model::version::Rollout;
use serde::Serialize;

use crate::words;

/// How a service fares, in a word: the first of these that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Health {
    /// The scaler has not seen it, or does not know its load.
    Unknown,
    /// It has no instance, and is to have none.
    Idle,
    /// It has none ready, and some are on their way.
    Starting,
    /// It has none ready.
    Down,
    /// An instance of it has failed, and is to be removed.
    Failing,
    /// It has fewer ready than are decided on.
    Short,
    /// It needs more than it may have: its bounds, a schedule or the host keep it from more.
    AtLimit,
    /// A new version is on trial, or watched.
    Deploying,
    /// The version that was deployed last was given up; another one serves.
    GivenUp,
    /// None of these.
    Well,
}

impl Health {
    /// How a service fares, as it was seen last.
    pub fn of(status: &ServiceStatus) -> Self {
        let phases = status.phases;
        let Some(decided) = status.tick.as_ref().and_then(|tick| tick.target()) else {
            return Self::Unknown;
        };
        let limit = limit(status);
        match status.rollout {
            _ if phases.ready == 0 && decided == 0 => Self::Idle,
            _ if phases.ready == 0 && phases.starting > 0 => Self::Starting,
            _ if phases.ready == 0 => Self::Down,
            _ if phases.failed > 0 => Self::Failing,
            _ if phases.ready < decided => Self::Short,
            _ if limit.is_some() => Self::AtLimit,
            Some(Rollout::Proving { .. } | Rollout::Watching { .. }) => Self::Deploying,
            Some(Rollout::GivenUp { .. }) => Self::GivenUp,
            Some(Rollout::Serving { .. }) | None => Self::Well,
        }
    }
}

/// What keeps a service from more instances than it is to have.
fn limit(status: &ServiceStatus) -> Option<String> {
    let tick = status.tick.as_ref()?;
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    let of = |reason: &Reason| match reason {
        Reason::AtMax => Some(format!("its upper bound is {}", status.bounds.max())),
        Reason::AtScheduledMax => Some("the schedule allows no more at this hour".to_owned()),
        Reason::HostSaturated => Some(words::reason(Reason::HostSaturated).to_owned()),
        _ => None,
    };
    let blocked = || tick.blocked.first().map(|blocked| words::blocked(*blocked).to_owned());
    reasons.iter().find_map(of).or_else(blocked)
}

/// Why a service fares as it does, in a sentence without its full stop.
pub fn cause(status: &ServiceStatus) -> String {
    let phases = status.phases;
    let decided = status.tick.as_ref().and_then(|tick| tick.target()).unwrap_or_default();
    let failure = || {
        let failure = status.last_failure.as_ref()?;
        Some(format!(": {}", harmless(&failure.problem)))
    };
    match Health::of(status) {
        Health::Unknown if status.tick.is_none() => {
            "the scaler has not looked at it yet".to_owned()
        }
        Health::Unknown => words::reason(Reason::NoData).to_owned(),
        Health::Idle => "nobody asks for it, and the next request starts an instance".to_owned(),
        Health::Starting => format!("{} on the way", are(phases.starting)),
        Health::Down => format!("no instance is ready{}", failure().unwrap_or_default()),
        Health::Failing => format!(
            "{} of it failed, and will be replaced{}",
            words::instances(phases.failed),
            failure().unwrap_or_default()
        ),
        Health::Short => format!(
            "{} of {decided} ready, {} on the way",
            phases.ready,
            if phases.starting == 0 { "none".to_owned() } else { phases.starting.to_string() }
        ),
        Health::AtLimit => format!("it needs more: {}", limit(status).unwrap_or_default()),
        Health::Deploying | Health::GivenUp => {
            status.rollout.as_ref().map_or_else(String::new, crate::turn::versions)
        }
        Health::Well => format!("{} ready", are(phases.ready)),
    }
}

fn are(count: u32) -> String {
    format!("{} {}", words::instances(count), if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service with so many ready, starting and failed instances, of which the last turn decided on so many.
    fn status(counts: [u32; 3], decision: &str, rollout: &str) -> ServiceStatus {
        let [ready, starting, failed] = counts;
        let phases =
            format!(r#"{{"starting":{starting},"ready":{ready},"draining":0,"failed":{failed}}}"#);
        let tick = match decision {
            "" => "null".to_owned(),
            decision => format!(
                r#"{{"sequence":1,"at_ms":1,"service":"shop","observation":{{"offered_rps":0,
                "served_rps":null,"rejected_rps":null,"queued":null,"in_flight":null,
                "cpu_cores":null,"phases":{phases}}},"decision":{decision},"plan":[],"blocked":[],"done":[]}}"#
            ),
        };
        let json = format!(
            r#"{{"name":"shop","route":"/","bounds":{{"min":1,"max":10}},"policy":"hpa",
            "policy_spec":{{"kind":"hpa"}},"objective_ms":250,
            "wanted":{{"version":"00000001","deployed_at_ms":1}},"rollout":{rollout},
            "set":{{"bounds":null,"policy":null}},
            "phases":{phases},"instances":[],"tick":{tick},
            "hold":{{"ready":4,"since_ms":0,"until_ms":9}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    const SERVING: &str = r#"{"state":"serving","version":"00000001"}"#;
    const GIVEN_UP: &str = r#"{"state":"given_up","version":"00000001","next":{"version":"00000002","deployed_at_ms":1},"reason":"no answer"}"#;

    fn target(ready: u32) -> String {
        format!(r#"{{"kind":"target","ready":{ready},"reasons":["Held"]}}"#)
    }

    #[test]
    fn how_a_service_fares_is_told_in_a_word() {
        let health =
            |counts, decision: &str, rollout| Health::of(&status(counts, decision, rollout));
        assert_eq!(health([3, 0, 0], "", SERVING), Health::Unknown);
        let blind = r#"{"kind":"hold","reasons":["NoData"]}"#;
        assert_eq!(health([3, 0, 0], blind, SERVING), Health::Unknown);
        assert_eq!(health([0, 0, 0], &target(0), SERVING), Health::Idle);
        assert_eq!(health([0, 1, 0], &target(1), SERVING), Health::Starting);
        assert_eq!(health([0, 0, 1], &target(1), SERVING), Health::Down);
        assert_eq!(health([3, 0, 1], &target(4), SERVING), Health::Failing);
        assert_eq!(health([3, 1, 0], &target(4), SERVING), Health::Short);
        assert_eq!(health([4, 0, 0], &target(4), GIVEN_UP), Health::GivenUp);
        assert_eq!(health([4, 0, 0], &target(4), SERVING), Health::Well);
        let at_max = r#"{"kind":"target","ready":4,"reasons":["OfferedLoad","AtMax"]}"#;
        assert_eq!(health([4, 0, 0], at_max, SERVING), Health::AtLimit);
        assert_eq!(Health::GivenUp.to_string(), "given_up", "as programs are told");
    }

    #[test]
    fn why_it_fares_so_is_told_in_a_sentence() {
        let cause = |counts, decision: &str, rollout| cause(&status(counts, decision, rollout));
        let at_max = r#"{"kind":"target","ready":4,"reasons":["OfferedLoad","AtMax"]}"#;
        let blind = r#"{"kind":"hold","reasons":["NoData"]}"#;
        insta::assert_snapshot!([
            cause([3, 0, 0], "", SERVING),
            cause([3, 0, 0], blind, SERVING),
            cause([0, 0, 0], &target(0), SERVING),
            cause([0, 1, 0], &target(1), SERVING),
            cause([0, 0, 1], &target(1), SERVING),
            cause([3, 0, 1], &target(4), SERVING),
            cause([3, 1, 0], &target(4), SERVING),
            cause([4, 0, 0], at_max, SERVING),
            cause([4, 0, 0], &target(4), GIVEN_UP),
            cause([1, 0, 0], &target(1), SERVING),
        ]
        .join("\n"), @r"
        the scaler has not looked at it yet
        the load or the instances are not known, so that nothing is changed
        nobody asks for it, and the next request starts an instance
        1 instance is on the way
        no instance is ready
        1 instance of it failed, and will be replaced
        3 of 4 ready, 1 on the way
        it needs more: its upper bound is 10
        version 00000002 was given up: no answer
        1 instance is ready
        ");
    }
}
