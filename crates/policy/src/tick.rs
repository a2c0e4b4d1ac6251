//! The record of one turn of the loop, which the API, the console, the reports and the simulator
//! all read and write.

use serde::{Deserialize, Serialize};

use crate::decision::{Decision, Reason};
use crate::fleet::PhaseCounts;
use crate::names::{InstanceName, ServiceName, Slot};
use crate::plan::{Action, ActionKind, Blocked};
use crate::time::Timestamp;

/// What is known of a service at one moment. "Not known" is a value of its own, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// CPU time that all instances together use, in cores.
    pub cpu_cores: Option<f64>,
    /// Instances by phase.
    pub phases: PhaseCounts,
}

/// An action that has come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was done.
    #[serde(rename = "action")]
    pub kind: ActionKind,
    /// With which instance.
    pub instance: InstanceName,
    /// The instance's slot.
    pub slot: Slot,
    /// When it was planned.
    #[serde(rename = "planned_at_ms")]
    pub planned_at: Timestamp,
    /// When it came to its end.
    #[serde(rename = "finished_at_ms")]
    pub finished_at: Timestamp,
    /// Why it failed; nothing when it did not.
    pub error: Option<String>,
}

/// One turn of the loop for one service: observed, decided, planned, done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// What was decided.
    pub decision: Decision,
    /// What was planned, and started at once.
    pub plan: Vec<Action>,
    /// What was wanted and could not be planned.
    pub blocked: Vec<Blocked>,
    /// Actions of earlier plans that came to their end since the turn before.
    pub done: Vec<Done>,
}

impl Tick {
    /// Whether this tick belongs in the record: it changed something, or wanted to and could not,
    /// or differs in phases or reasons from `last`, the last one kept of the same service.
    pub fn is_worth_keeping(&self, last: Option<&Self>) -> bool {
        let moved = !self.plan.is_empty() || !self.done.is_empty();
        moved
            || last.is_none_or(|last| {
                self.observation.phases != last.observation.phases
                    || self.blocked != last.blocked
                    || self.clamps() != last.clamps()
                    || self.target() != last.target()
            })
    }

    /// The number of ready instances decided on; nothing for a decision to hold.
    pub const fn target(&self) -> Option<u32> {
        match &self.decision {
            Decision::Target { ready, .. } => Some(*ready),
            Decision::Hold { .. } => None,
        }
    }

    /// The reasons that kept the decision from following the need.
    fn clamps(&self) -> Vec<Reason> {
        let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &self.decision;
        let is_clamp = |reason: &Reason| matches!(reason, Reason::AtMax | Reason::NoData);
        reasons.iter().copied().filter(is_clamp).collect()
    }
}
