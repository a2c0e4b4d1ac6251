//! What happened, as one reads it afterwards: derived from what the scaler tells, never decided here.

mod derive;
#[cfg(test)]
mod tests;

pub use derive::Derived;
pub(crate) use derive::reasons;

use model::action::{ActionKind, Blocked, StepTime};
use model::bounds::Bounds;
use model::decision::Reason;
use model::names::{InstanceName, ServiceName};
use model::time::Timestamp;
use model::version::Rollout;
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Of which service; `None` of the whole host.
    pub service: Option<ServiceName>,
    /// What.
    #[serde(rename = "what")]
    pub happened: Happened,
}

/// What happened. The words of `kind` are those by which the API asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, strum::EnumDiscriminants)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum_discriminants(name(Kind), vis(pub))]
#[strum_discriminants(doc = "A kind of event.")]
#[strum_discriminants(derive(
    Hash,
    PartialOrd,
    Ord,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr
))]
#[strum_discriminants(strum(serialize_all = "snake_case"))]
pub enum Happened {
    /// Another number of ready instances was decided on.
    Target {
        /// Before.
        from: u32,
        /// Since.
        to: u32,
        /// Why, the main reason first.
        reasons: Vec<Reason>,
    },
    /// An instance got into rotation.
    Started {
        /// Which.
        instance: InstanceName,
        /// The time since it was planned, in milliseconds.
        took_ms: u64,
        /// How long each step took; none where the scaler did not tell it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        steps: Vec<StepTime>,
    },
    /// An instance was removed as planned.
    Removed {
        /// Which.
        instance: InstanceName,
        /// Whether it had given no sign of life.
        killed: bool,
    },
    /// Something planned did not succeed.
    Failed {
        /// What.
        action: ActionKind,
        /// With which instance.
        instance: InstanceName,
        /// Why.
        error: String,
    },
    /// An instance ended by itself.
    Ended {
        /// Which.
        instance: InstanceName,
    },
    /// Another version is tried, watched, serves, or was given up.
    Rollout {
        /// How it stands.
        rollout: Rollout,
    },
    /// From now on something keeps the service from following its need.
    LimitBegan {
        /// The reason.
        reason: Reason,
    },
    /// It does not any more.
    LimitEnded {
        /// The reason.
        reason: Reason,
    },
    /// From now on something wanted cannot be planned.
    BlockedBegan {
        /// The reason.
        reason: Blocked,
    },
    /// It can again.
    BlockedEnded {
        /// The reason.
        reason: Blocked,
    },
    /// Other bounds or another policy are in force.
    Set {
        /// The bounds.
        bounds: Bounds,
        /// The policy's name.
        policy: String,
    },
    /// For this time nothing is recorded; what the scaler's own record has of it was filled in.
    Gap {
        /// From when on.
        #[serde(rename = "from_ms")]
        from: Timestamp,
        /// Until when.
        #[serde(rename = "to_ms")]
        to: Timestamp,
        /// Why.
        cause: Cause,
    },
    /// The history could not be read, was moved away, and began anew.
    Aside {
        /// Where it is.
        file: String,
        /// Why.
        reason: String,
    },
}

/// Why nothing was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// The scaler gave no answer.
    ScalerAway,
    /// The console did not run.
    ConsoleAway,
    /// The history's file could not be written, or not as fast as it came.
    NotWritten,
}

impl Happened {
    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        Kind::from(self).into()
    }

    /// The instance that it happened to, where it was one.
    pub fn instance(&self) -> Option<&InstanceName> {
        match self {
            Self::Started { instance, .. }
            | Self::Removed { instance, .. }
            | Self::Failed { instance, .. }
            | Self::Ended { instance } => Some(instance),
            _ => None,
        }
    }
}
