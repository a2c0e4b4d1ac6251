//! What stands between a service and another number of ready instances.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::decision::Reason;
use crate::names::ServiceName;
use crate::policies::{Measure, PolicyKind};
use crate::time::Timestamp;

/// Why a service has not so many ready instances, as of its last turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WhyNot {
    /// The service.
    pub service: ServiceName,
    /// When that turn was taken.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The number that was asked about.
    pub ready: u32,
    /// The number that was decided on; `None` for a decision to hold.
    pub target: Option<u32>,
    /// Instances that are ready.
    pub ready_now: u32,
    /// Instances that are being made.
    pub starting: u32,
    /// What is in the way, in the order in which a turn asks: policies, rules, bounds, the host. Nothing where the
    /// number is what was decided on and the instances are there.
    pub obstacles: Vec<Obstacle>,
}

/// Which way from the number decided on the number lies that was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// More ready instances.
    More,
    /// As many.
    Same,
    /// Fewer.
    Fewer,
}

/// One thing in the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Obstacle {
    /// The load or the fleet is not known: nothing is changed.
    NoData,
    /// An operator holds it at another number.
    Held {
        /// The number.
        ready: u32,
    },
    /// A policy asks for another number. Towards more, one policy that asks for it is enough; towards fewer, all
    /// must agree.
    Policy {
        /// Which policy.
        policy: PolicyKind,
        /// What it asks for.
        asks_for: u32,
        /// Why.
        reason: Reason,
        /// What would make it ask for the number, each by itself towards more and all of them together towards fewer;
        /// none where no steady load does.
        needed: Vec<Needed>,
    },
    /// A policy does not know a figure that it goes by, so that it asks for nothing and agrees to no fewer.
    NotKnown {
        /// Which policy.
        policy: PolicyKind,
    },
    /// A policy has nothing to say, and no other decides.
    NotSet {
        /// Which policy.
        policy: PolicyKind,
    },
    /// The schedule is the only policy that says anything: it keeps what is, within its bounds.
    ScheduleAlone,
    /// The upper bound of a schedule at this hour.
    ScheduledMax {
        /// The most.
        max: u32,
    },
    /// The lower bound of a schedule at this hour.
    ScheduledMin {
        /// The fewest.
        min: u32,
    },
    /// Somebody asks for the service, and so it has an instance.
    Activation,
    /// The need has not held for long enough.
    Patience {
        /// For how long it must.
        patience_ms: u64,
        /// Since when it has, with which the wait began; `None` while nothing asks for the number.
        #[serde(rename = "since_ms")]
        since: Option<Timestamp>,
    },
    /// The last change is too recent.
    Cooldown {
        /// The least time from it to the next.
        cooldown_ms: u64,
        /// When it was.
        #[serde(rename = "since_ms")]
        since: Timestamp,
    },
    /// The change is larger than one may be at once: it takes several.
    StepLimit {
        /// The largest.
        largest: u32,
    },
    /// The host has no CPU time for more.
    HostSaturated {
        /// The most that help.
        most: u32,
    },
    /// The upper bound.
    Max {
        /// The bounds in force.
        bounds: Bounds,
    },
    /// The lower bound.
    Min {
        /// The bounds in force.
        bounds: Bounds,
    },
    /// The service never has two instances, since one leaves before the next one comes.
    OneAtMost,
    /// No version has served yet.
    NoVersion,
    /// Launches failed of late, and the next one waits.
    LaunchBackoff {
        /// Until when.
        #[serde(rename = "until_ms")]
        until: Timestamp,
    },
    /// The host takes no more launches at once: the others come as these end.
    LaunchLimit {
        /// How many more it takes now.
        left: u32,
    },
    /// The host's memory has room for no more.
    HostMemory {
        /// For how many more.
        fits: u32,
    },
    /// No more slots of the host are free for the service.
    NoFreeSlot {
        /// How many more.
        free: u32,
    },
    /// Instances are being made.
    Starting {
        /// How many.
        count: u32,
    },
    /// Ready instances are still to leave.
    Leaving {
        /// How many.
        count: u32,
    },
    /// A version is on trial, or takes the place of another: there are more instances meanwhile.
    Replacing {
        /// How many more.
        count: u32,
    },
}

/// A figure that would lead a policy to the number, if it lasted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Needed {
    /// Of what: requests per second, requests, or cores, of the whole service.
    pub measure: Measure,
    /// What it is now; `None` where that is not known.
    pub now: Option<f64>,
    /// Towards more, the figure that must be exceeded; towards fewer, the highest one. To six digits.
    pub bound: f64,
}

impl WhyNot {
    /// Which way the number lies from the one decided on; from what is ready where nothing was decided.
    pub fn wish(&self) -> Wish {
        let from = self.target.unwrap_or(self.ready_now);
        match self.ready.cmp(&from) {
            Ordering::Greater => Wish::More,
            Ordering::Equal => Wish::Same,
            Ordering::Less => Wish::Fewer,
        }
    }
}
