//! What is known of the host and its services right now, as the API says it and its clients read it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::failure::Failure;
use crate::hold::Hold;
use crate::instance::{InstanceStatus, PhaseCounts};
use crate::names::ServiceName;
use crate::network::NetworkStatus;
use crate::policies::PolicySpec;
use crate::tick::Tick;
use crate::version::{Rollout, Wanted};

/// All services of the host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostStatus {
    /// In the order of their names.
    pub services: Vec<ServiceStatus>,
    /// The instances' firewall; nothing in the answers of releases that did not watch it.
    #[serde(default)]
    pub network: NetworkStatus,
}

/// Some of the ticks that were kept, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TickPage {
    /// The ticks.
    pub ticks: Vec<Tick>,
    /// The sequence number to go on after; that of the last tick, or the one asked for.
    pub next: u64,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceStatus {
    /// Its name.
    pub name: ServiceName,
    /// The start of the paths that go to it from outside; `None` where none do.
    pub route: Option<String>,
    /// The services that its instances may send requests to, once they are of the version wanted.
    #[serde(default)]
    pub reaches: BTreeSet<ServiceName>,
    /// The bounds in force.
    pub bounds: Bounds,
    /// The name of the policy in force, of several joined by `+`.
    pub policy: String,
    /// The policy in force with its figures.
    pub policy_spec: PolicySpec,
    /// The objective of a request, in milliseconds.
    pub objective_ms: u64,
    /// The version that it was last deployed as.
    pub wanted: Wanted,
    /// Which version serves, and how far the change to that one has come; `None` before the host was
    /// seen.
    pub rollout: Option<Rollout>,
    /// Which of these an operator set.
    pub set: ServiceOverrides,
    /// The number that an operator holds it at; `None` where its policy decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Instances by phase.
    pub phases: PhaseCounts,
    /// Its instances, in the order of their names.
    pub instances: Vec<InstanceStatus>,
    /// The last turn of the loop, kept or not; `None` before the first one.
    pub tick: Option<Tick>,
    /// What went wrong last since the scaler started; `None` where nothing did.
    #[serde(default)]
    pub last_failure: Option<Failure>,
}

impl ServiceStatus {
    /// Leaves out what instances wrote, for those who may not read it.
    pub fn hide_output(&mut self) {
        self.tick.iter_mut().for_each(Tick::hide_output);
        self.last_failure.iter_mut().for_each(|failure| failure.last_lines.clear());
    }

    /// The ready instances that the service has at rest: its lower bound, that of a schedule, or what it is held at.
    pub fn rests_at(&self) -> u32 {
        self.tick.as_ref().map_or(self.bounds.min(), |tick| tick.rests_at(self.bounds))
    }
}

/// What an operator set for a service while it runs; `None` where its file's holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceOverrides {
    /// The bounds.
    pub bounds: Option<Bounds>,
    /// The policy.
    pub policy: Option<PolicySpec>,
}

/// One value of a service that can be set while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InForce<T> {
    /// What is in force.
    pub in_force: T,
    /// What an operator set; `None` where nothing is set. Where it is not what is in force, it waits.
    pub set: Option<T>,
}

/// The number that a service is held at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldStatus {
    /// As the bounds in force clamp it; `None` where its policy decides.
    pub in_force: Option<Hold>,
    /// As it was asked for.
    pub set: Option<Hold>,
}

/// How a change of membership reaches the running load balancer. It is shown by the word that the
/// settings and the API have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Membership {
    /// Commands on the admin socket; a reload only for what they cannot do.
    Runtime,
    /// Every change is a reload, but for the first and the last instance of a service: requests may
    /// wait in the running process, and one that a reload replaced takes no more commands.
    Reload,
}

/// The way of membership of the whole host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MembershipStatus {
    /// The one in force.
    pub membership: Membership,
    /// The one that an operator set; `None` where that of the host's settings holds.
    pub set: Option<Membership>,
}
