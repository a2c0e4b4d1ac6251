//! The instances of a service: their phases, and what the API says of each.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::names::{InstanceName, Slot};
use crate::time::Timestamp;
use crate::version::Version;

/// An instance at its end, with what it wrote last: one that ended although nothing was to end it, or one of
/// a version that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ended {
    /// The instance.
    pub instance: InstanceName,
    /// Its version, where its container told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What it wrote last, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// What an instance is doing. An instance that is gone is not in the fleet.
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
    strum::IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Phase {
    /// Cloned or booting, or running and not in rotation yet.
    Starting,
    /// In rotation.
    Ready,
    /// Finishing its requests, given no new ones.
    Draining,
    /// Dead, hung, or never came up: to be removed.
    Failed,
}

/// How many instances are in each phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PhaseCounts {
    /// In [`Phase::Starting`].
    pub starting: u32,
    /// In [`Phase::Ready`].
    pub ready: u32,
    /// In [`Phase::Draining`].
    pub draining: u32,
    /// In [`Phase::Failed`].
    pub failed: u32,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InstanceStatus {
    /// Its name.
    pub name: InstanceName,
    /// Its slot.
    pub slot: Slot,
    /// Its address on the bridge.
    pub address: Ipv4Addr,
    /// Its version; unknown while its container does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What it is doing.
    pub phase: Phase,
    /// Since when it has been doing that, as far as the scaler has seen.
    #[serde(rename = "since_ms")]
    pub since: Timestamp,
    /// Whether an operator wants it gone: it leaves as soon as another has taken its place, or none has to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub to_be_removed: bool,
}
