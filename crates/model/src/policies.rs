//! The policies by which a service is scaled, each with its figures. One file each; how a policy
//! decides is in the crate `policy`.

use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;

use crate::output::harmless;
use crate::value::Invalid;

mod adapt;
mod concurrency;
mod conpaas;
mod hist;
mod hpa;
mod measure;
mod predictive;
mod queue_depth;
mod ratio;
mod raw;
mod react;
mod reg;
mod schedule;
mod spec;
mod steps;
mod tables;
mod target_tracking;
mod threshold;
mod utilization;

pub use self::adapt::Adapt;
pub use self::concurrency::Concurrency;
pub use self::conpaas::Conpaas;
pub use self::hist::Hist;
pub use self::hpa::Hpa;
pub use self::measure::Measure;
pub use self::predictive::Predictive;
pub use self::queue_depth::QueueDepth;
pub use self::ratio::{Ratio, Ratios};
pub use self::react::React;
pub use self::reg::Reg;
pub use self::schedule::{Day, Schedule, ScheduleEntry};
pub use self::spec::{PolicyFile, PolicySpec, RawPolicies, RawPolicyFile};
pub use self::steps::{Step, StepUnit, Steps};
pub use self::target_tracking::TargetTracking;
pub use self::threshold::Threshold;
pub use self::utilization::Utilization;

/// One policy with its figures, which [`Policy::check`] checks. Those in a [`PolicySpec`] hold.
#[derive(Debug, Clone, PartialEq, Serialize, strum::EnumDiscriminants, strum::EnumIter)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum_discriminants(name(PolicyKind), doc = "Which policy.")]
#[strum_discriminants(derive(PartialOrd, Ord, Hash, strum::Display, strum::EnumIter))]
#[strum_discriminants(derive(Serialize, Deserialize), serde(rename_all = "snake_case"))]
#[strum_discriminants(derive(strum::EnumString, strum::IntoStaticStr))]
#[cfg_attr(feature = "schema", strum_discriminants(derive(schemars::JsonSchema)))]
#[strum_discriminants(strum(
    serialize_all = "snake_case",
    parse_err_ty = UnknownPolicy,
    parse_err_fn = unknown
))]
pub enum Policy {
    /// Keep every instance at a share of its capacity.
    TargetTracking(TargetTracking),
    /// One more above an upper bound, one less below a lower one.
    Threshold(Threshold),
    /// Multiply above an upper bound, divide below a lower one.
    Ratio(Ratio),
    /// How far past the bound decides how many.
    Steps(Steps),
    /// Requests in flight per instance, over a stable and a panic window.
    Concurrency(Concurrency),
    /// Kubernetes' horizontal pod autoscaler.
    Hpa(Hpa),
    /// Requests, waiting and under way, per instance.
    QueueDepth(QueueDepth),
    /// Requests in flight and CPU time per instance, of what it may have of either.
    Utilization(Utilization),
    /// A forecast of the load, one start-up time ahead.
    Predictive(Predictive),
    /// Bounds by time of day and week.
    Schedule(Schedule),
    /// The reactive baseline of Chieu et al.
    React(React),
    /// The adaptive hybrid controller of Ali-Eldin et al.
    Adapt(Adapt),
    /// The histogram predictor of Urgaonkar et al.
    Hist(Hist),
    /// The regression baseline of Iqbal et al.
    Reg(Reg),
    /// The choice among predictors of Fernandez et al.
    Conpaas(Conpaas),
}

impl Policy {
    /// Every policy there is, each with its default figures.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Which policy it is.
    pub fn kind(&self) -> PolicyKind {
        self.into()
    }

    /// Whether it goes by requests, and has nothing to go by where there are none.
    pub const fn goes_by_requests(&self) -> bool {
        match self {
            Self::Threshold(Threshold { measure, .. })
            | Self::Ratio(Ratio { measure, .. })
            | Self::Steps(Steps { measure, .. })
            | Self::Hpa(Hpa { measure, .. }) => !matches!(measure, Measure::Cpu),
            Self::Schedule(_) => false,
            Self::TargetTracking(_)
            | Self::Concurrency(_)
            | Self::QueueDepth(_)
            | Self::Utilization(_)
            | Self::Predictive(_)
            | Self::React(_)
            | Self::Adapt(_)
            | Self::Hist(_)
            | Self::Reg(_)
            | Self::Conpaas(_) => true,
        }
    }

    /// Whether it goes by the rate that one instance serves, and has nothing to go by where nobody knows it.
    pub const fn goes_by_rate(&self) -> bool {
        match self {
            Self::Threshold(Threshold { measure, .. })
            | Self::Ratio(Ratio { measure, .. })
            | Self::Steps(Steps { measure, .. })
            | Self::Hpa(Hpa { measure, .. }) => {
                matches!(measure, Measure::Offered | Measure::Served)
            }
            Self::Concurrency(_)
            | Self::QueueDepth(_)
            | Self::Utilization(_)
            | Self::Schedule(_) => false,
            Self::TargetTracking(_)
            | Self::Predictive(_)
            | Self::React(_)
            | Self::Adapt(_)
            | Self::Hist(_)
            | Self::Reg(_)
            | Self::Conpaas(_) => true,
        }
    }

    /// Whether it has nothing to say until more of its figures are set.
    pub fn is_off(&self) -> bool {
        match self {
            Self::Ratio(ratio) => ratio.ratios().is_none(),
            Self::Schedule(schedule) => schedule.entries.is_empty(),
            Self::TargetTracking(_)
            | Self::Threshold(_)
            | Self::Steps(_)
            | Self::Concurrency(_)
            | Self::Hpa(_)
            | Self::QueueDepth(_)
            | Self::Utilization(_)
            | Self::Predictive(_)
            | Self::React(_)
            | Self::Adapt(_)
            | Self::Hist(_)
            | Self::Reg(_)
            | Self::Conpaas(_) => false,
        }
    }

    /// Checks its figures.
    ///
    /// # Errors
    /// A figure is out of its range, or does not fit another one.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::TargetTracking(figures) => figures.check(),
            Self::Threshold(figures) => figures.check(),
            Self::Ratio(figures) => figures.check(),
            Self::Steps(figures) => figures.check(),
            Self::Concurrency(figures) => figures.check(),
            Self::Hpa(figures) => figures.check(),
            Self::QueueDepth(figures) => figures.check(),
            Self::Utilization(figures) => figures.check(),
            Self::Predictive(figures) => figures.check(),
            Self::Schedule(figures) => figures.check(),
            Self::React(figures) => figures.check(),
            Self::Adapt(figures) => figures.check(),
            Self::Hist(figures) => figures.check(),
            Self::Reg(figures) => figures.check(),
            Self::Conpaas(figures) => figures.check(),
        }
    }
}

impl PolicyKind {
    /// Every policy there is.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The name, as a service's file has it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The policy with its default figures.
    ///
    /// # Panics
    /// Never: every kind is that of one of the policies.
    pub fn defaults(self) -> Policy {
        Policy::all().find(|policy| policy.kind() == self).expect("a policy of every kind")
    }
}

/// A name that no policy has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a policy: use one of {}", harmless(given), names())]
pub struct UnknownPolicy {
    /// What was given.
    pub given: String,
}

fn names() -> String {
    PolicyKind::all().map(PolicyKind::name).collect::<Vec<_>>().join(", ")
}

fn unknown(given: &str) -> UnknownPolicy {
    UnknownPolicy { given: given.to_owned() }
}
