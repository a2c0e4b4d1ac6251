//! The policies: one file each, a pure function from figures, state and input to advice.

use model::policies::Policy;
use model::time::Timestamp;
use model::trail::WentBy;
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
pub(crate) mod measure;
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

impl PolicyState {
    /// Others have set the number that was decided on to `ready`: what the policy asked for before was from another
    /// number, and is not repeated. What it has seen of the load, it keeps.
    pub(crate) fn number_was_set(&mut self, ready: u32, now: Timestamp) {
        match self {
            Self::Threshold(state) | Self::Ratio(state) | Self::Steps(state) => {
                state.number_was_set(ready, now);
            }
            Self::Hpa(state) => state.ask_anew(),
            Self::Concurrency(state) => state.ask_anew(),
            Self::React(state) => state.ask_anew(),
            Self::Adapt(state) => state.ask_anew(),
            Self::Hist(state) => state.ask_anew(),
            Self::Reg(state) => state.ask_anew(),
            Self::Conpaas(state) => state.ask_anew(),
            Self::TargetTracking(_)
            | Self::QueueDepth(_)
            | Self::Utilization(_)
            | Self::Predictive(_)
            | Self::Schedule(_) => {}
        }
    }
}

/// Each policy's module has its `State`, plain data, its `advise`, and `went_by`: the figure that this went by.
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

        /// The figure that `policy` went by when it gave `advice`; `None` where it knew none.
        pub fn went_by(
            policy: &Policy,
            state: &PolicyState,
            input: &PolicyInput,
            advice: Advice,
        ) -> Option<WentBy> {
            let Advice::Ready { reason, .. } = advice else { return None };
            match (policy, state) {
                $((Policy::$variant(figures), PolicyState::$variant(state)) => {
                    $module::went_by(figures, state, input, reason)
                })+
                _ => None,
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
