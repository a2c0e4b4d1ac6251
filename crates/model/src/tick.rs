//! The record of one turn of the loop, which the API, the console, the reports and the simulator
//! all read and write.

use serde::{Deserialize, Serialize};

use crate::action::{Action, Blocked, Done};
use crate::bounds::Bounds;
use crate::decision::{Decision, Reason};
use crate::instance::{Ended, PhaseCounts};
use crate::names::ServiceName;
use crate::time::Timestamp;
use crate::trail::Trail;
use crate::version::Rollout;
use crate::watch::Watched;

/// What is known of a service at one moment. "Not known" is a value of its own, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Observation {
    /// Load offered, in requests per second: arrivals, and what clears the queue within a second.
    pub offered_rps: Option<f64>,
    /// Requests answered other than 5xx, per second over the last second.
    pub served_rps: Option<f64>,
    /// Requests answered 5xx, per second over the last second.
    pub rejected_rps: Option<f64>,
    /// Requests that wait in the load balancer.
    pub queued: Option<u32>,
    /// Requests that instances work on.
    pub in_flight: Option<u32>,
    /// CPU time that the instances in rotation and those that drain use together, in cores.
    pub cpu_cores: Option<f64>,
    /// The host's processors; not known in the records of releases that did not look at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_cpu: Option<HostCpu>,
    /// Instances by phase.
    pub phases: PhaseCounts,
    /// What is held against each other while a version is watched, up to the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<Watched>,
}

/// The host's processors, and how much all that runs there uses of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostCpu {
    /// How many there are.
    pub cores: u32,
    /// The share of their time that is used, by instances and all else, from 0 to 1.
    pub busy: f64,
}

/// What a plan could count on for more instances of its service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Room {
    /// How many more launches the host takes at once.
    pub launches: u32,
    /// Slots that are free for the service, where they are fewer than the launches; else so many at least.
    pub slots: u32,
    /// For how many more instances the host has memory.
    pub memory: u32,
    /// Launches failed of late, and the next one waits until then.
    #[serde(default, rename = "launches_wait_until_ms", skip_serializing_if = "Option::is_none")]
    pub launches_wait_until: Option<Timestamp>,
}

/// One turn of the loop for one service: observed, decided, planned, done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tick {
    /// Rises by one from each kept tick of the host to the next.
    pub sequence: u64,
    /// When the turn was taken.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The service.
    pub service: ServiceName,
    /// What was observed.
    pub observation: Observation,
    /// Which version serves, and how far the change to the wanted one has come; `None` before the
    /// host was seen, and in the records of releases that knew no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// What was decided.
    pub decision: Decision,
    /// How the target came about; `None` for a decision to hold, and in the records of releases that kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
    /// What the plan could count on beyond the fleet; `None` in the records of releases that kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
    /// What was planned, and started at once.
    pub plan: Vec<Action>,
    /// What was wanted and could not be planned.
    pub blocked: Vec<Blocked>,
    /// Actions of earlier plans that came to their end since the turn before.
    pub done: Vec<Done>,
    /// Instances that ended by themselves since the turn before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Ended>,
    /// Instances of a version that was given up this turn after it was watched, with what they wrote last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<Ended>,
}

impl Tick {
    /// Whether this tick belongs in the record: it changed something, or wanted to and could not,
    /// or differs in phases or reasons from `last`, the last one kept of the same service.
    pub fn is_worth_keeping(&self, last: Option<&Self>) -> bool {
        let moved = !self.plan.is_empty() || !self.done.is_empty() || !self.ended.is_empty();
        moved
            || last.is_none_or(|last| {
                self.observation.phases != last.observation.phases
                    || self.rollout != last.rollout
                    || self.blocked != last.blocked
                    || self.clamps() != last.clamps()
                    || self.target() != last.target()
            })
    }

    /// Leaves out what instances wrote, for those who may not read it.
    pub fn hide_output(&mut self) {
        self.done.iter_mut().for_each(|done| done.last_lines.clear());
        let ended = self.ended.iter_mut().chain(&mut self.given_up);
        ended.for_each(|ended| ended.last_lines.clear());
    }

    /// The number of ready instances decided on; `None` for a decision to hold.
    pub const fn target(&self) -> Option<u32> {
        match &self.decision {
            Decision::Target { ready, .. } => Some(*ready),
            Decision::Hold { .. } => None,
        }
    }

    /// The ready instances that a service without load comes down to, as far as this turn shows:
    /// the number that an operator holds it at, or the lower bound of a schedule in force, where that is above the
    /// service's own.
    pub fn rests_at(&self, bounds: Bounds) -> u32 {
        let Decision::Target { ready, reasons } = &self.decision else { return bounds.min() };
        let is = |any: &[Reason]| reasons.iter().any(|reason| any.contains(reason));
        if is(&[Reason::Held]) {
            return *ready;
        }
        let is_scheduled = is(&[Reason::Schedule, Reason::AtScheduledMin]);
        // These stand for more instances than what the schedule asks for.
        let is_held = is(&[Reason::Patience, Reason::Cooldown, Reason::StepLimit]);
        if is_scheduled && !is_held { *ready } else { bounds.min() }
    }

    /// The reasons that kept the decision from following the need.
    fn clamps(&self) -> Vec<Reason> {
        let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &self.decision;
        let is_clamp = |reason: &Reason| {
            matches!(
                reason,
                Reason::Held
                    | Reason::AtMax
                    | Reason::HostSaturated
                    | Reason::NotKnown
                    | Reason::NoData
            )
        };
        reasons.iter().copied().filter(is_clamp).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::{Measure, PolicyKind};
    use crate::trail::{Advice, PolicyAdvice, Rule, Step, WentBy};

    #[test]
    fn a_record_carries_the_hosts_processors_and_one_from_before_they_were_looked_at_knows_none() {
        let host_cpu = Some(HostCpu { cores: 2, busy: 0.97 });
        let text = serde_json::to_string(&Observation { host_cpu, ..Observation::default() });
        let text = text.unwrap();
        assert_eq!(serde_json::from_str::<Observation>(&text).unwrap().host_cpu, host_cpu);
        let before = text.replacen(r#""host_cpu":{"cores":2,"busy":0.97},"#, "", 1);
        assert_ne!(before, text);
        assert_eq!(serde_json::from_str::<Observation>(&before).unwrap().host_cpu, None);
    }

    #[test]
    fn a_record_of_a_release_that_kept_no_trail_is_read_and_figures_that_change_keep_no_tick() {
        let before = r#"{"sequence":1,"at_ms":1,"service":"o","observation":{"offered_rps":0,"served_rps":null,
            "rejected_rps":null,"queued":null,"in_flight":null,"cpu_cores":null,"phases":{"starting":0,"ready":5,
            "draining":0,"failed":0}},"decision":{"kind":"target","ready":5,"reasons":["OfferedLoad"]},"plan":[],
            "blocked":[],"done":[]}"#;
        let before: Tick = serde_json::from_str(before).unwrap();
        assert_eq!((&before.trail, before.room), (&None, None));
        let went_by = |value| WentBy::Load { measure: Measure::Offered, value, per_instance: 40.0 };
        let with = |value: f64| {
            let advice = PolicyAdvice {
                policy: PolicyKind::TargetTracking,
                advice: Advice::ready(5, Reason::OfferedLoad),
                went_by: Some(went_by(value)),
            };
            let at = Timestamp::from_millis(7);
            let rule = Rule::Patience { since: at, patience_ms: 3 };
            let step = Step { rule, from: 4, to: 5 };
            let trail = Trail {
                advice: [advice].into_iter().collect(),
                steps: [step].into_iter().collect(),
                ..Trail::default()
            };
            let room = Some(Room { slots: 3, launches_wait_until: Some(at), ..Room::default() });
            Tick { trail: Some(trail), room, ..before.clone() }
        };
        let text = serde_json::to_string(&with(200.0)).unwrap();
        assert_eq!(serde_json::from_str::<Tick>(&text).unwrap(), with(200.0));
        assert!(with(200.0).is_worth_keeping(None));
        assert!(!with(199.0).is_worth_keeping(Some(&with(200.0))));
        assert!(!with(199.0).is_worth_keeping(Some(&before)));
    }

    #[test]
    fn a_service_rests_at_its_lower_bound_or_where_a_schedule_holds_it() {
        use Reason::{AtMax, AtScheduledMin, OfferedLoad, Patience, Schedule};
        let rests = |decision: &str| {
            let json = format!(
                r#"{{"sequence":1,"at_ms":1,"service":"o","observation":{{"offered_rps":0,
                    "served_rps":null,"rejected_rps":null,"queued":null,"in_flight":null,
                    "cpu_cores":null,"phases":{{"starting":0,"ready":5,"draining":0,
                    "failed":0}}}},"decision":{decision},"plan":[],"blocked":[],"done":[]}}"#
            );
            let tick: Tick = serde_json::from_str(&json).unwrap();
            tick.rests_at(Bounds::new(1, 10).unwrap())
        };
        let target = |reasons: &[Reason]| {
            let reasons = serde_json::to_string(reasons).unwrap();
            rests(&format!(r#"{{"kind":"target","ready":5,"reasons":{reasons}}}"#))
        };
        assert_eq!(target(&[OfferedLoad]), 1);
        assert_eq!(target(&[OfferedLoad, AtScheduledMin]), 5);
        assert_eq!(target(&[OfferedLoad, AtScheduledMin, AtMax]), 5);
        assert_eq!(target(&[Schedule]), 5);
        assert_eq!(target(&[Reason::Held]), 5);
        // More than the schedule asks for, until the patience is over.
        assert_eq!(target(&[OfferedLoad, AtScheduledMin, Patience]), 1);
        assert_eq!(rests(r#"{"kind":"hold","reasons":["NoData"]}"#), 1);
    }
}
