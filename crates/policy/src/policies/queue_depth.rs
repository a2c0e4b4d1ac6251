//! Queue depth: requests, waiting and under way, per instance.
//!
//! The rule of KEDA's queue scalers: as many instances as the requests fill, none when there has
//! been none for a while. Bounds of the service decide whether none is allowed.

use std::time::Duration;

use model::decision::Reason;
use model::policies::{Measure, QueueDepth};
use model::time::Timestamp;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::rounding;
use crate::advice::Advice;
use crate::input::{PolicyInput, known};

/// What it remembers.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// When there was work last; at the start, when it began to look.
    busy_at: Option<Timestamp>,
}

pub(super) fn advise(figures: &QueueDepth, state: &mut State, input: &PolicyInput) -> Advice {
    let load = input.in_system().zip(per_instance(figures, input));
    let load = known(load.map(|(requests, per_instance)| requests / per_instance));
    let Some(load) = load else { return Advice::Unknown };
    let now = input.now;
    // A clock that was set back must not lengthen the wait.
    let busy_at = if load > 0.0 { now } else { state.busy_at.unwrap_or(now).min(now) };
    state.busy_at = Some(busy_at);
    // Where there is none, none is kept: a memory that has just begun must not launch one.
    let keeps_last =
        input.current > 0 && now.since(busy_at) < Duration::from_millis(figures.idle_ms);
    Advice::ready(rounding::ceil(load).max(u32::from(keeps_last)), Reason::Queue)
}

pub(super) fn went_by(
    figures: &QueueDepth,
    _: &State,
    input: &PolicyInput,
    _: Reason,
) -> Option<WentBy> {
    let (value, per_instance) = (input.in_system()?, per_instance(figures, input)?);
    Some(WentBy::Load { measure: Measure::InFlight, value, per_instance })
}

/// The requests that an instance is to have.
fn per_instance(figures: &QueueDepth, input: &PolicyInput) -> Option<f64> {
    let of_capacity = || input.capacity().map(|capacity| f64::from(capacity.concurrency));
    figures.requests_per_instance.or_else(of_capacity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{input, seconds};

    fn at(state: &mut State, second: u64, queued: u32, in_flight: u32) -> Advice {
        let policy = QueueDepth { requests_per_instance: Some(5.0), idle_ms: 10_000 };
        let (queued, in_flight) = (Some(queued), Some(in_flight));
        advise(&policy, state, &PolicyInput { now: seconds(second), queued, in_flight, ..input() })
    }

    #[test]
    fn five_pieces_of_work_an_instance_from_zero_and_back_to_zero() {
        let mut state = State::default();
        let mut ready = |second, queued, in_flight| {
            at(&mut state, second, queued, in_flight) == Advice::ready(0, Reason::Queue)
        };
        assert!(!ready(0, 0, 0), "it has looked for too short a time");
        assert!(ready(10, 0, 0));
        assert!(!ready(11, 1, 0));
        assert!(!ready(20, 0, 0));
        assert!(ready(21, 0, 0));
    }

    #[test]
    fn a_service_without_an_instance_that_nobody_asks_for_is_given_none() {
        let silent = PolicyInput { current: 0, queued: Some(0), in_flight: Some(0), ..input() };
        let advice = advise(&QueueDepth::default(), &mut State::default(), &silent);
        assert_eq!(advice, Advice::ready(0, Reason::Queue));
    }

    #[test]
    fn waiting_work_and_work_under_way_count() {
        let asked = [(1, 0), (4, 1), (4, 2), (40, 10)]
            .map(|(queued, in_flight)| at(&mut State::default(), 0, queued, in_flight));
        assert_eq!(asked, [1, 1, 2, 10].map(|ready| Advice::ready(ready, Reason::Queue)));
    }
}
