//! The policies: one file each, a pure function from what is known, and what it remembers, to how
//! many ready instances it advises.

use serde::{Deserialize, Serialize};

use crate::advice::Advice;
use crate::reading::Reading;
use crate::spec::SpecError;

pub mod adapt;
mod band;
pub mod concurrency;
pub mod conpaas;
pub mod hist;
mod holt_winters;
pub mod hpa;
pub mod measure;
pub mod predictive;
pub mod queue_depth;
pub mod ratio;
pub mod react;
pub mod reg;
mod rounding;
pub mod schedule;
pub mod steps;
pub mod target_tracking;
pub mod threshold;
mod timer;

#[cfg(test)]
mod tests;

/// The closed set of policies. Each module holds its figures (a struct of the variant's name, whose
/// default holds the documented defaults) and its `Memory`, plain data.
macro_rules! policies {
    ($($(#[$doc:meta])* $variant:ident in $module:ident;)+) => {
        /// One policy with its figures, which [`Policy::check`] judges. Those in a
        /// [`PolicySpec`](crate::spec::PolicySpec) hold.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Policy {
            $($(#[$doc])* $variant($module::$variant),)+
        }

        /// What one policy remembers from turn to turn. It may be lost at any moment.
        #[derive(Debug, Clone)]
        pub enum Memory {
            $($(#[$doc])* $variant($module::Memory),)+
        }

        /// Which policy.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $variant,)+
        }

        impl Kind {
            /// Every policy there is.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name, as a service's file has it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($module),)+
                }
            }

            /// The policy with its default figures.
            pub fn defaults(self) -> Policy {
                match self {
                    $(Self::$variant => Policy::$variant($module::$variant::default()),)+
                }
            }
        }

        impl Policy {
            /// Which policy it is.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant(_) => Kind::$variant,)+
                }
            }

            /// The memory that it starts with.
            pub fn memory(&self) -> Memory {
                match self {
                    $(Self::$variant(_) => Memory::$variant($module::Memory::default()),)+
                }
            }

            /// How many ready instances it advises. Memory of another policy is replaced by an
            /// empty one of its own.
            pub fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
                match (self, memory) {
                    $((Self::$variant(policy), Memory::$variant(memory)) => {
                        policy.advise(memory, reading)
                    })+
                    (_, memory) => {
                        *memory = self.memory();
                        self.advise(memory, reading)
                    }
                }
            }

            /// Judges its figures.
            ///
            /// # Errors
            /// A figure is out of its range, or does not fit another one.
            pub fn check(&self) -> Result<(), SpecError> {
                match self {
                    $(Self::$variant(policy) => policy.check(),)+
                }
            }
        }
    };
}

policies! {
    /// Keep every instance at a share of its capacity.
    TargetTracking in target_tracking;
    /// One more above an upper bound, one less below a lower one.
    Threshold in threshold;
    /// Multiply above an upper bound, divide below a lower one.
    Ratio in ratio;
    /// How far past the bound decides how many.
    Steps in steps;
    /// Requests in flight per instance, over a stable and a panic window.
    Concurrency in concurrency;
    /// Kubernetes' horizontal pod autoscaler.
    Hpa in hpa;
    /// Backlog per instance.
    QueueDepth in queue_depth;
    /// A forecast of the load, one start-up time ahead.
    Predictive in predictive;
    /// Bounds by time of day and week.
    Schedule in schedule;
    /// The reactive baseline of Chieu et al.
    React in react;
    /// The adaptive hybrid controller of Ali-Eldin et al.
    Adapt in adapt;
    /// The histogram predictor of Urgaonkar et al.
    Hist in hist;
    /// The regression baseline of Iqbal et al.
    Reg in reg;
    /// The choice among predictors of Fernandez et al.
    Conpaas in conpaas;
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no policy has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a policy: use one of {}", names())]
pub struct UnknownKind {
    /// What was given.
    pub given: String,
}

fn names() -> String {
    Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let named = Self::ALL.iter().copied().find(|kind| kind.name() == text);
        named.ok_or_else(|| UnknownKind { given: text.to_owned() })
    }
}
