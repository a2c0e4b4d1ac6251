//! How many ready instances a service should have, with the reasons.

use serde::{Deserialize, Serialize};

/// What a service should have, always with the reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[must_use]
pub enum Decision {
    /// This many ready instances, outdated ones not counted twice.
    Target {
        /// The number, within the bounds.
        ready: u32,
        /// What led to it, the main reason first, then each clamp that changed it.
        reasons: Vec<Reason>,
    },
    /// Change nothing.
    Hold {
        /// Why nothing may be changed.
        reasons: Vec<Reason>,
    },
}

/// A code for why a decision is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::EnumIter)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Reason {
    /// The mean rate of arrivals asks for it.
    OfferedLoad,
    /// Arrivals of the last tenths of a second ask for more than their mean does.
    Burst,
    /// Requests that wait in the load balancer ask for more than the arrivals do.
    #[serde(alias = "Backlog")]
    Queue,
    /// The measure of the policy lies above its upper bound.
    AboveUpper,
    /// The measure of the policy lies below its lower bound.
    BelowLower,
    /// The measure lies between its bounds, or within the tolerance: what is, stays.
    InBand,
    /// The policy's window is not covered yet: what is, stays.
    WindowFilling,
    /// The measure's ratio to its target asks for it.
    Utilisation,
    /// The policy's own stabilisation window keeps what it recommended earlier.
    Stabilised,
    /// Requests in flight and waiting, against what instances are given at once, ask for it.
    InFlight,
    /// The CPU time that instances use, against what they may use, asks for it.
    Cpu,
    /// The mean of requests in flight over the stable window asks for it.
    Concurrency,
    /// The panic window asked for it, and panic never scales in.
    Panic,
    /// The forecast asks for more than the present load does.
    Forecast,
    /// The controller gives back, step by step, what the load does not use.
    Released,
    /// What was seen at this hour of earlier days asks for it.
    History,
    /// Somebody asks for the service, which is allowed to have no instance: it has one.
    Activation,
    /// The schedule alone decides, and what is lies within its bounds.
    Schedule,
    /// Fewer would do, but the schedule's lower bound forbids it.
    AtScheduledMin,
    /// More are needed, but the schedule's upper bound forbids it.
    AtScheduledMax,
    /// An operator holds the service at a number, whatever its policies say.
    Held,
    /// The need has changed, but not for long enough yet.
    Patience,
    /// The last change is too recent for the next one.
    Cooldown,
    /// The change is cut to the largest one allowed at once.
    StepLimit,
    /// More are needed, but the host has no CPU time left that they could use.
    HostSaturated,
    /// Fewer would do, but the lower bound forbids it.
    AtMin,
    /// More are needed, but the upper bound forbids it.
    AtMax,
    /// A figure that a policy needs is not known: it agrees to nothing.
    NotKnown,
    /// The policy's figures are not set, or say nothing for this hour: what is, stays.
    NotSet,
    /// The load is not known.
    NoData,
}
