//! What another policy would have run under the load that was, as the console's API says it and its clients read it: what is
//! not known is `None`.

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::decision::Decision;
use crate::policies::PolicySpec;
use crate::time::Timestamp;

/// What a policy would have run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preview {
    /// The policy, with every figure.
    pub policy: PolicySpec,
    /// The length of the steps, in seconds.
    pub step_s: u64,
    /// One for each step, oldest first.
    pub points: Vec<PreviewPoint>,
    /// The first decision, and each whose number differs from the one before; at most 1,000.
    pub decisions: Vec<PreviewDecision>,
    /// How many more there were.
    pub decisions_left_out: u64,
    /// What it would have come to, in the steps whose load is known.
    pub totals: PreviewTotals,
    /// What ran, in the same steps.
    pub ran: PreviewRan,
    /// What it goes by beside the load.
    pub assumed: PreviewAssumed,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviewPoint {
    /// When it begins.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Requests that came, per second; `null` where that is not known: there the policy holds.
    pub offered_rps: Option<f64>,
    /// Requests answered, per second.
    pub served_rps: Option<f64>,
    /// Requests that failed, per second.
    pub failed_rps: Option<f64>,
    /// How long those answered took on average, in milliseconds.
    pub latency_ms: Option<f64>,
    /// The mean of the instances in rotation.
    pub ready: f64,
    /// The mean of those that ran.
    pub ran_ready: Option<f64>,
    /// The mean of all instances.
    pub instances: f64,
    /// The number decided on last in it; `null` where the decision is to hold.
    pub target: Option<u32>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviewDecision {
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// What, and why.
    pub decision: Decision,
}

/// What a policy would have come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviewTotals {
    /// For so many seconds the load is known.
    pub known_s: f64,
    /// Existence of all instances, in seconds.
    pub instance_seconds: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those that failed or took longer than the objective, in percent.
    pub outside_objective_percent: Option<f64>,
}

/// What ran. Of answers nothing is known where nobody told of any.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviewRan {
    /// Existence of all instances, in seconds.
    pub instance_seconds: Option<f64>,
    /// Requests that were answered.
    pub answers: Option<u64>,
    /// Answers of 5xx.
    pub failed: Option<u64>,
    /// Answers that began later than the objective, of whatever status. A time is at most 3% away.
    pub late: Option<u64>,
}

/// What a preview goes by beside the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviewAssumed {
    /// The bounds in force.
    pub bounds: Bounds,
    /// Instances ready at the beginning.
    pub ready: u32,
    /// The median of a launch, in milliseconds.
    pub launch_ms: f64,
    /// A request's mean time in an instance that nothing holds up, in milliseconds.
    pub request_ms: f64,
    /// CPU time that a request takes, in milliseconds.
    pub cpu_ms: f64,
    /// Requests per second that one instance serves.
    pub instance_rps: Option<f64>,
}
