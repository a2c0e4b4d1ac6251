//! What is done with instances: the actions of a plan, what kept others out of it, and how each ended.

use serde::{Deserialize, Serialize};

use crate::names::{InstanceName, Slot};
use crate::time::Timestamp;
use crate::version::Version;

/// What can be done with an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Clone it from the template, wait until it is healthy, put it in rotation.
    Clone,
    /// It runs already: wait until it is healthy, put it in rotation.
    Admit,
    /// Give it no new requests.
    Drain,
    /// Take it out of rotation, stop it and remove what is left of it.
    Stop,
    /// It serves, or ends what it had, and gives no sign of life: the same without asking it to end, so
    /// that the load balancer sends its requests to others.
    Kill,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Action {
    /// What to do.
    #[serde(rename = "action")]
    pub kind: ActionKind,
    /// With which instance.
    pub instance: InstanceName,
    /// The instance's slot.
    pub slot: Slot,
    /// The instance's version, of which a clone is made; unknown where its container does not tell,
    /// and in the records of releases that knew no versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Whether the clone runs the release command of its version before its program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub releases: bool,
}

impl Action {
    /// Doing `kind` with an instance of this version.
    pub fn new(kind: ActionKind, instance: InstanceName, version: Option<Version>) -> Self {
        let slot = instance.slot();
        Self { kind, instance, slot, version, releases: false }
    }
}

/// Why something that is wanted is not in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::EnumIter)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Blocked {
    /// Launches failed of late; the next attempt waits.
    LaunchBackoff,
    /// As many launches are under way as the host takes at once.
    LaunchLimit,
    /// The host's memory has no room for another instance of the service, beside those that there are
    /// and those that others are always to have.
    HostMemory,
    /// No slot of the host is free for the service.
    NoFreeSlot,
    /// The last action on the instance failed a moment ago; the next attempt waits.
    ActionBackoff,
}

/// An action that has come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Done {
    /// What was done.
    #[serde(rename = "action")]
    pub kind: ActionKind,
    /// With which instance.
    pub instance: InstanceName,
    /// The instance's slot.
    pub slot: Slot,
    /// The instance's version, as in the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// When it was planned.
    #[serde(rename = "planned_at_ms")]
    pub planned_at: Timestamp,
    /// When it came to its end.
    #[serde(rename = "finished_at_ms")]
    pub finished_at: Timestamp,
    /// Why it failed; `None` when it did not.
    pub error: Option<String>,
    /// What an instance that failed wrote last, oldest first: when the action did not succeed, and when the
    /// instance was killed or removed because it was not well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// What became of the release command that the instance was to run first; `None` where it ran none, or nobody
    /// knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseEnd>,
    /// How long each step took that was begun, in their order; of launches alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTime>,
}

/// A step of a launch.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LaunchStep {
    /// Its container is made of the template, and started.
    #[strum(serialize = "clone")]
    Clone,
    /// Its release command runs, where it has one.
    #[strum(serialize = "release command")]
    Release,
    /// It is asked until it is healthy.
    #[strum(serialize = "health")]
    Health,
    /// It is put in rotation.
    #[strum(serialize = "rotation")]
    Rotation,
}

/// How long a step took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepTime {
    /// Which.
    pub step: LaunchStep,
    /// How long it took, also where it failed, in milliseconds.
    pub took_ms: u64,
}

/// What became of a release command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReleaseEnd {
    /// It ended with status 0.
    Well,
    /// It did not, or not in its time.
    Failed,
}
