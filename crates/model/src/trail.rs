//! How a decision came about: what each policy advised and went by, each rule that changed the number
//! after that, and what holds at the next turn whatever is asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::decision::Reason;
use crate::policies::{Measure, PolicyKind};
use crate::time::Timestamp;

/// What policies advised. Most services have one policy: a turn of a simulation takes 3 µs, of which a piece of the
/// heap would be a twentieth.
pub type Advised = SmallVec<[PolicyAdvice; 1]>;

/// Rules that changed a number; seldom more than a patience and a bound.
pub type Steps = SmallVec<[Step; 2]>;

/// What led to the target of one turn. A decision to hold has none: no policy was asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trail {
    /// How many ready instances were decided on at the turn before.
    pub current: u32,
    /// What each policy advised, in the order of the service's policies.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<PolicyAdvice>"))]
    pub advice: Advised,
    /// Each rule that changed the number, or kept it from being found, in the order in which they did.
    #[serde(default, skip_serializing_if = "SmallVec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Step>"))]
    pub steps: Steps,
    /// What the patience on the way out holds back, whatever is in force beside it; `None` where that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<Held>,
    /// The same on the way in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_in: Option<Held>,
    /// When the number decided on rose last, this turn included; `None` where nobody knows.
    #[serde(default, rename = "rose_at_ms", skip_serializing_if = "Option::is_none")]
    pub rose_at: Option<Timestamp>,
    /// When it changed either way.
    #[serde(default, rename = "changed_at_ms", skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// The most instances that the host has CPU time for, where that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helpful: Option<u32>,
}

/// What one policy said, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicyAdvice {
    /// Which policy.
    pub policy: PolicyKind,
    /// What it said.
    pub advice: Advice,
    /// The figure that it went by, as it stood at this turn; `None` where it goes by none, or knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub went_by: Option<WentBy>,
}

/// What one policy says. It knows no bounds: those come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[must_use]
pub enum Advice {
    /// This many ready instances.
    Ready {
        /// The number.
        ready: u32,
        /// Why.
        reason: Reason,
    },
    /// Whatever the others say, no fewer than `min` and no more than `max`.
    Within {
        /// The fewest ready instances.
        min: u32,
        /// The most ready instances.
        max: u32,
    },
    /// A figure that it needs is not known. It asks for nothing and agrees to nothing.
    Unknown,
    /// It is not set up, or has nothing to say at this hour. Others decide without it.
    Silent,
}

impl Advice {
    /// Advice of `ready` instances for `reason`.
    pub const fn ready(ready: u32, reason: Reason) -> Self {
        Self::Ready { ready, reason }
    }
}

/// A figure that a policy went by. Where the policy has a window, it is the mean over that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WentBy {
    /// What all instances have of it together, against what each is to have.
    Load {
        /// Of what: requests per second, requests, or cores.
        measure: Measure,
        /// All of it.
        value: f64,
        /// What one instance is to have of it.
        per_instance: f64,
    },
    /// How full of it the ready instances are, between the bounds within which nothing changes.
    Share {
        /// Of what.
        measure: Measure,
        /// In percent of what they have.
        percent: f64,
        /// Below this, fewer would do.
        lower_percent: f64,
        /// Above this, more are needed.
        upper_percent: f64,
    },
}

/// What patience holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Held {
    /// The number up to which it lets through what is needed, from either side; `None` where the need is not known for
    /// long enough, so that nothing is let through.
    pub at: Option<u32>,
    /// Since when it has known of no need on the other side of that number.
    #[serde(rename = "since_ms")]
    pub since: Timestamp,
}

/// A rule that changed the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// Which rule, with its figures.
    pub rule: Rule,
    /// The number before.
    pub from: u32,
    /// The number after.
    pub to: u32,
}

/// What stands between the number that policies ask for and the one that is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// A policy does not know a figure, and agrees to no fewer than there are.
    NotKnown,
    /// The lower bound of a schedule at this hour.
    ScheduledMin {
        /// The fewest.
        min: u32,
    },
    /// The upper bound of a schedule at this hour.
    ScheduledMax {
        /// The most.
        max: u32,
    },
    /// Somebody asks for the service, which may go to zero.
    Activation,
    /// The need has not held for long enough.
    Patience {
        /// Since when no need on the other side of the number that is let through is known.
        #[serde(rename = "since_ms")]
        since: Timestamp,
        /// For how long it must hold.
        patience_ms: u64,
    },
    /// The last change is too recent.
    Cooldown {
        /// When that was.
        #[serde(rename = "since_ms")]
        since: Timestamp,
        /// The least time up to the next.
        cooldown_ms: u64,
    },
    /// The change is larger than one may be at once.
    StepLimit {
        /// The largest.
        largest: u32,
    },
    /// The host has no CPU time for more.
    HostSaturated {
        /// The most that help.
        most: u32,
    },
    /// An operator holds the number, whatever policies and rules ask for.
    Held,
    /// The lower bound.
    Min {
        /// The fewest.
        min: u32,
    },
    /// The upper bound.
    Max {
        /// The most.
        max: u32,
    },
}

impl Rule {
    /// The code by which a decision names the rule.
    pub const fn reason(self) -> Reason {
        match self {
            Self::NotKnown => Reason::NotKnown,
            Self::ScheduledMin { .. } => Reason::AtScheduledMin,
            Self::ScheduledMax { .. } => Reason::AtScheduledMax,
            Self::Activation => Reason::Activation,
            Self::Patience { .. } => Reason::Patience,
            Self::Cooldown { .. } => Reason::Cooldown,
            Self::StepLimit { .. } => Reason::StepLimit,
            Self::HostSaturated { .. } => Reason::HostSaturated,
            Self::Held => Reason::Held,
            Self::Min { .. } => Reason::AtMin,
            Self::Max { .. } => Reason::AtMax,
        }
    }

    /// Until when it holds at the least; `None` for one that time does not end.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Patience { since, patience_ms: span_ms }
            | Self::Cooldown { since, cooldown_ms: span_ms } => {
                Some(since.after(Duration::from_millis(span_ms)))
            }
            Self::NotKnown
            | Self::ScheduledMin { .. }
            | Self::ScheduledMax { .. }
            | Self::Activation
            | Self::StepLimit { .. }
            | Self::HostSaturated { .. }
            | Self::Held
            | Self::Min { .. }
            | Self::Max { .. } => None,
        }
    }
}

impl Trail {
    /// The number that an operator holds it at, where one does.
    pub fn held(&self) -> Option<u32> {
        self.steps.iter().find(|step| step.rule == Rule::Held).map(|step| step.to)
    }
}
