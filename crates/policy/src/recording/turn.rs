//! One turn as it is written.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::{Action, Blocked, Done};
use model::decision::Decision;
use model::names::{InstanceName, Slot};
use model::tick::HostCpu;
use model::time::Timestamp;
use model::version::{Rollout, Version, Wanted};
use model::watch::Answers;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exact;
use crate::fleet::InstanceObservation;
use crate::load::LoadObservation;

/// One turn: its moment, what of its inputs differs from the turn before, and what came of it. What is missing is as it
/// was, where the comment says so; else it is nothing, or not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turn {
    /// The moment of the turn.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The service as a file describes it, as far as decisions read it; else as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<Value>,
    /// The version that is wanted; else as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wanted: Option<Wanted>,
    /// Whether its release command is to be run; else as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) release: Option<bool>,
    /// The slots that are free; else as they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) free_slots: Option<Vec<Slot>>,
    /// How many more launches the host takes; else as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) launches_left: Option<u32>,
    /// For how many more instances there is memory; else as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fits: Option<u32>,
    /// How long a launch may take; else as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) launch_timeout: Option<Duration>,
    /// The number that an operator holds it at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hold: Option<u32>,
    /// The instances that an operator wants gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) removals: Vec<InstanceName>,
    /// What the load balancer counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load: Option<Counts>,
    /// CPU time that the instances use, in cores.
    #[serde(skip_serializing_if = "Option::is_none", with = "exact")]
    pub(super) cpu_cores: Option<f64>,
    /// The host's processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host_cpu: Option<Processors>,
    /// Whether the instances could not be seen. Those of the next turn that can be told of differ from the last ones
    /// that were seen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) unseen: bool,
    /// Instances that are there no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) gone: Vec<InstanceName>,
    /// Instances that are new or otherwise than they were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) seen: Vec<InstanceObservation>,
    /// Instances of which the number of requests alone differs, by their place in the order of names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) in_flight: Vec<(usize, Option<u32>)>,
    /// Answers by the version of who gave them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) answers: BTreeMap<Version, Answers>,
    /// Actions that came to their end, without what instances wrote.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) done: Vec<Done>,
    /// What was decided; else the same as in the turn before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<Decision>,
    /// Which version serves; else as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rollout: Option<Rollout>,
    /// What was planned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) plan: Vec<Action>,
    /// What could not be planned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) blocked: Vec<Blocked>,
}

/// What the load balancer counted, as a list: nanoseconds, arrivals, served, rejected, queued, in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts(u64, u64, u64, u64, u32, u32);

impl From<LoadObservation> for Counts {
    fn from(load: LoadObservation) -> Self {
        let LoadObservation { elapsed, arrivals, served, rejected, queued, in_flight } = load;
        // 2^64 ns are 584 years.
        let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        Self(elapsed, arrivals, served, rejected, queued, in_flight)
    }
}

impl From<Counts> for LoadObservation {
    fn from(Counts(elapsed, arrivals, served, rejected, queued, in_flight): Counts) -> Self {
        let elapsed = Duration::from_nanos(elapsed);
        Self { elapsed, arrivals, served, rejected, queued, in_flight }
    }
}

/// The host's processors, as a list: how many, and the share of their time that is used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Processors(u32, #[serde(with = "exact")] f64);

impl From<HostCpu> for Processors {
    fn from(HostCpu { cores, busy }: HostCpu) -> Self {
        Self(cores, busy)
    }
}

impl From<Processors> for HostCpu {
    fn from(Processors(cores, busy): Processors) -> Self {
        Self { cores, busy }
    }
}
