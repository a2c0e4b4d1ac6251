//! The policies: one file each, a pure function from figures, state and input to advice.

use model::policies::Policy;
use serde::{Deserialize, Serialize};

use crate::advice::Advice;
use crate::input::PolicyInput;

mod adapt;
mod band;
mod concurrency;
mod conpaas;
mod hist;
mod holt_winters;
mod hpa;
mod load_reader;
mod measure;
mod predictive;
mod queue_depth;
mod ratio;
mod react;
mod reg;
pub(crate) mod rounding;
mod schedule;
mod steps;
pub mod target_tracking;
mod threshold;
mod timer;
mod utilization;

#[cfg(test)]
mod tests;

/// Each policy's module has its `State`, plain data, and its `advise`.
macro_rules! policies {
    ($($variant:ident in $module:ident;)+) => {
        /// What one policy remembers from turn to turn. It may be lost at any moment.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum PolicyState {
            $(
                #[doc = concat!("Of [`Policy::", stringify!($variant), "`].")]
                $variant($module::State),
            )+
        }

        impl PolicyState {
            /// The state that `policy` starts with.
            pub fn of(policy: &Policy) -> Self {
                match policy {
                    $(Policy::$variant(_) => Self::$variant($module::State::default()),)+
                }
            }
        }

        /// How many ready instances `policy` advises. The state of another policy is replaced by
        /// an empty one of its own.
        pub fn advise(policy: &Policy, state: &mut PolicyState, input: &PolicyInput) -> Advice {
            match (policy, state) {
                $((Policy::$variant(figures), PolicyState::$variant(state)) => {
                    $module::advise(figures, state, input)
                })+
                (_, state) => {
                    *state = PolicyState::of(policy);
                    advise(policy, state, input)
                }
            }
        }
    };
}

policies! {
    TargetTracking in target_tracking;
    Threshold in threshold;
    Ratio in ratio;
    Steps in steps;
    Concurrency in concurrency;
    Hpa in hpa;
    QueueDepth in queue_depth;
    Utilization in utilization;
    Predictive in predictive;
    Schedule in schedule;
    React in react;
    Adapt in adapt;
    Hist in hist;
    Reg in reg;
    Conpaas in conpaas;
}
