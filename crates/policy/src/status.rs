//! What is known of a service right now, as the API says it and its clients read it.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::fleet::{Phase, PhaseCounts};
use crate::names::{InstanceName, ServiceName, Slot};
use crate::tick::Tick;
use crate::time::Timestamp;

/// All services of the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostStatus {
    /// In the order of their names.
    pub services: Vec<ServiceStatus>,
}

/// Some of the ticks that were kept, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TickPage {
    /// The ticks.
    pub ticks: Vec<Tick>,
    /// The sequence number to go on after; that of the last tick, or the one asked for.
    pub next: u64,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: ServiceName,
    /// The start of the paths that go to it.
    pub route: String,
    /// The bounds in force.
    pub bounds: Bounds,
    /// The name of the policy in force.
    pub policy: String,
    /// Instances by phase.
    pub phases: PhaseCounts,
    /// Its instances, in the order of their names.
    pub instances: Vec<InstanceStatus>,
    /// The last turn of the loop, kept or not; nothing before the first one.
    pub tick: Option<Tick>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its name.
    pub name: InstanceName,
    /// Its slot.
    pub slot: Slot,
    /// Its address on the bridge.
    pub address: Ipv4Addr,
    /// What it is doing.
    pub phase: Phase,
    /// Since when it has been doing that, as far as the scaler has seen.
    #[serde(rename = "since_ms")]
    pub since: Timestamp,
}
