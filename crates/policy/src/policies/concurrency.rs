//! Concurrency: requests in flight per instance, over a stable and a panic window.
//!
//! As Knative defines it: `knative/serving`, `pkg/autoscaler/scaling/autoscaler.go` and the
//! defaults of `pkg/autoscaler/config/config.go`. The target is that of a revision that says how
//! many requests it takes at once, 70% of them; the 100 of one that does not say are no figure for
//! an instance that takes 8. What it has and this has not: activation scale, a delay of scale-in
//! (none by default), the burst capacity of its activator, and the grace of 30 s before the last
//! instance goes, which its activator needs to get into the path of the requests; here HAProxy
//! always is.

use std::time::Duration;

use model::decision::Reason;
use model::policies::{Concurrency, Measure};
use model::time::Timestamp;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::rounding;
use super::timer::Paced;
use crate::advice::Advice;
use crate::input::{PolicyInput, known};
use crate::window::MeanWindow;

/// What it remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    stable: MeanWindow,
    panic: MeanWindow,
    mode: Option<Mode>,
    paced: Paced,
}

/// Panic, or not.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Stable,
    /// Since its cause was seen last, with the most that was advised in it.
    Panic {
        since: Timestamp,
        most: u32,
    },
}

impl State {
    /// Others have set the number: what was advised before is not repeated.
    pub(super) fn ask_anew(&mut self) {
        self.paced.ask_anew();
    }
}

pub(super) fn advise(figures: &Concurrency, state: &mut State, input: &PolicyInput) -> Advice {
    let load = input.in_system().zip(per_instance(figures, input));
    let load = known(load.map(|(requests, per_instance)| requests / per_instance));
    let Some(load) = load else { return Advice::Unknown };
    let now = input.now;
    state.stable.push(now, load, Duration::from_millis(figures.stable_window_ms));
    state.panic.push(now, load, Duration::from_millis(figures.panic_window_ms));
    let Some(means) = state.stable.mean().zip(state.panic.mean()) else { return Advice::Unknown };
    let mode = state.mode.get_or_insert_with(|| Mode::at_start(input));
    let sync = Duration::from_millis(figures.sync_ms);
    state.paced.advise(sync, now, || scale(figures, means, mode, input))
}

pub(super) fn went_by(
    figures: &Concurrency,
    state: &State,
    input: &PolicyInput,
    reason: Reason,
) -> Option<WentBy> {
    let window = if reason == Reason::Panic { &state.panic } else { &state.stable };
    let per_instance = per_instance(figures, input)?;
    let value = window.mean()? * per_instance;
    Some(WentBy::Load { measure: Measure::InFlight, value, per_instance })
}

/// The requests that an instance is to have at the target.
fn per_instance(figures: &Concurrency, input: &PolicyInput) -> Option<f64> {
    let places = f64::from(input.capacity()?.concurrency);
    Some(places * f64::from(figures.target_percent) / 100.0)
}

/// The advice from the stable and the panic mean, both in instances at their target.
fn scale(
    figures: &Concurrency,
    (stable, panic): (f64, f64),
    mode: &mut Mode,
    input: &PolicyInput,
) -> Advice {
    let fleet = f64::from(input.ready.max(1));
    // Rounded away from the fleet, or a rate of 1.1 would never get 2 instances to 3.
    let most = rounding::ceil(figures.max_out_rate * fleet);
    let fewest = rounding::floor(fleet / figures.max_in_rate);
    let stable = rounding::ceil(stable).clamp(fewest, most);
    let asked_in_panic = rounding::ceil(panic);

    let share = 100.0 * f64::from(asked_in_panic) / fleet;
    mode.update(share >= figures.panic_threshold_percent, figures.stable_window_ms, input.now);
    match mode {
        Mode::Stable => Advice::ready(stable, Reason::Concurrency),
        Mode::Panic { most: advised, .. } => {
            *advised = stable.max(asked_in_panic.clamp(fewest, most)).max(*advised);
            Advice::ready(*advised, Reason::Panic)
        }
    }
}

impl Mode {
    /// A fleet of more than one instance is kept until the stable window knows the load: whoever
    /// has just started has seen too little to scale in.
    fn at_start(input: &PolicyInput) -> Self {
        if input.ready > 1 {
            Self::Panic { since: input.now, most: input.ready }
        } else {
            Self::Stable
        }
    }

    /// Begins, prolongs and ends panic. A clock that was set back does not prolong it.
    fn update(&mut self, is_over: bool, stable_window_ms: u64, now: Timestamp) {
        let window = Duration::from_millis(stable_window_ms);
        *self = match *self {
            Self::Panic { most, .. } if is_over => Self::Panic { since: now, most },
            Self::Panic { since, .. } if now.since(since) > window => Self::Stable,
            Self::Panic { since, most } => Self::Panic { since: since.min(now), most },
            Self::Stable if is_over => Self::Panic { since: now, most: 0 },
            Self::Stable => Self::Stable,
        };
    }
}

#[cfg(test)]
mod tests {
    use model::policies::Policy;

    use super::*;
    use crate::input::Demand;
    use crate::load::OfferedLoad;
    use crate::testing::{input, seconds};
    use model::service::Capacity;

    /// The input of a service whose instances are given so many requests at a time.
    fn taking(concurrency: u32) -> PolicyInput {
        let capacity = Capacity { requests_per_second: Some(50.0), concurrency, burst: 0 };
        let offered = OfferedLoad::default();
        PolicyInput { demand: Some(Demand::Requests { offered, capacity }), ..input() }
    }

    /// Ten requests in flight per instance, of which seven are aimed for.
    fn at(state: &mut State, second: u64, in_flight: u32, ready: u32) -> Advice {
        let input = PolicyInput {
            now: seconds(second),
            in_flight: Some(in_flight),
            queued: Some(0),
            ready,
            ..taking(10)
        };
        advise(&Concurrency::default(), state, &input)
    }

    #[test]
    fn the_stable_mean_decides_while_nothing_is_unusual() {
        let mut state = State::default();
        for second in 0..=60 {
            let _ = at(&mut state, second, 7, 1);
        }
        assert_eq!(at(&mut state, 62, 7, 1), Advice::ready(1, Reason::Concurrency));
    }

    #[test]
    fn a_sudden_doubling_panics_and_the_panic_never_scales_in() {
        let mut state = State::default();
        for second in 0..60 {
            let _ = at(&mut state, second, 7, 1);
        }
        // Six seconds of 21 ask for 3 instances; the stable mean of 8.4 asks for 2.
        for second in 60..66 {
            let _ = at(&mut state, second, 21, 1);
        }
        assert_eq!(at(&mut state, 66, 21, 1), Advice::ready(3, Reason::Panic));
        for second in 67..126 {
            assert_eq!(at(&mut state, second, 0, 3), Advice::ready(3, Reason::Panic));
        }
        for second in 126..130 {
            let _ = at(&mut state, second, 0, 3);
        }
        // The most that goes at once is half of the three: floor(3 / 2) stay.
        assert_eq!(at(&mut state, 130, 0, 3), Advice::ready(1, Reason::Concurrency));
    }

    #[test]
    fn a_low_rate_still_grows_by_one() {
        // The counter-example of Knative's source: rate 1.1, 2 instances, 3 times the target.
        let policy = Concurrency { max_out_rate: 1.1, target_percent: 100, ..Default::default() };
        let input = PolicyInput { in_flight: Some(3), queued: Some(0), ready: 2, ..taking(1) };
        let advice = advise(&policy, &mut State::default(), &input);
        assert_eq!(advice, Advice::ready(3, Reason::Panic), "it starts in panic");
    }

    #[test]
    fn it_starts_in_panic_so_that_a_restart_takes_nothing_away() {
        let mut state = State::default();
        assert_eq!(at(&mut state, 0, 0, 5), Advice::ready(5, Reason::Panic));
        assert_eq!(at(&mut state, 2, 0, 5), Advice::ready(5, Reason::Panic));
    }

    #[test]
    fn a_panic_window_above_the_stable_one_is_refused() {
        let crossed = Concurrency { panic_window_ms: 70_000, ..Default::default() };
        let error = Policy::Concurrency(crossed).check().unwrap_err().to_string();
        assert_eq!(
            error,
            "policy.panic_window_ms is 70000, not below policy.stable_window_ms, 60000: lower one \
             or raise the other"
        );
    }
}
