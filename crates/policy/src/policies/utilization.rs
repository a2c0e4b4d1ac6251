//! Utilization: keep every instance at a share of its places, and of the CPU time that any program can use of what
//! it may: a core at most.
//!
//! What Kubernetes' autoscaler does with two metrics of which the larger one counts, for a service of which
//! nobody knows what an instance serves. Requests in flight tell at once that instances lack, whatever they wait
//! for; CPU time tells it before requests wait, of a service that computes.

use std::time::Duration;

use model::decision::Reason;
use model::policies::{Measure, Utilization};
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::rounding;
use crate::advice::Advice;
use crate::input::{PolicyInput, known};
use crate::window::MeanWindow;

/// Standard deviations by which what is in flight at a moment is lowered before it is believed: as of the bursts
/// of arrivals, whose count deviates by its root too. At 8 places and 80%, one instance is given a second one for
/// a mean of 6.5 within the window, and for 20 at once.
const DEVIATIONS: f64 = 3.0;

/// What it remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    in_flight: MeanWindow,
    cpu: MeanWindow,
}

pub(super) fn advise(figures: &Utilization, state: &mut State, input: &PolicyInput) -> Advice {
    let Some((requests, capacity)) = input.in_system().zip(input.capacity()) else {
        return Advice::Unknown;
    };
    let window = Duration::from_millis(figures.window_ms);
    let target = target(figures);
    state.in_flight.push(input.now, requests, window);
    let asked = asked(state, requests);
    let by_requests = rounding::ceil(asked / (f64::from(capacity.concurrency) * target));
    let Some(cpu) = known(input.cpu_cores) else {
        return without_cpu(by_requests, input.current);
    };
    state.cpu.push(input.now, cpu, window);
    let used = state.cpu.mean().unwrap_or(cpu);
    let by_cpu = rounding::ceil(used / (input.cpus_of_a_thread() * target));
    // What instances do when nobody asks for anything, such as a job of their own, more of them would do too.
    let by_cpu = if asked > 0.0 { by_cpu } else { by_cpu.min(input.current) };
    // What an instance takes to be there must not keep the last one of a service that nobody asks for.
    let is_at_rest = by_requests == 0 && by_cpu <= 1;
    if by_cpu > by_requests && !is_at_rest {
        Advice::ready(by_cpu, Reason::Cpu)
    } else {
        Advice::ready(by_requests, Reason::InFlight)
    }
}

pub(super) fn went_by(
    figures: &Utilization,
    state: &State,
    input: &PolicyInput,
    reason: Reason,
) -> Option<WentBy> {
    let (measure, value, of_an_instance) = if reason == Reason::Cpu {
        (Measure::Cpu, state.cpu.mean()?, input.cpus_of_a_thread())
    } else {
        let places = f64::from(input.capacity()?.concurrency);
        (Measure::InFlight, asked(state, input.in_system()?), places)
    };
    Some(WentBy::Load { measure, value, per_instance: of_an_instance * target(figures) })
}

fn target(figures: &Utilization) -> f64 {
    f64::from(figures.target_percent) / 100.0
}

/// The mean of requests, or so many of those at this moment as are beyond chance.
fn asked(state: &State, requests: f64) -> f64 {
    let mean = state.in_flight.mean().unwrap_or(requests);
    mean.max(requests - DEVIATIONS * requests.sqrt())
}

/// Requests alone ask for more, and never for fewer: instances may be at work on what came before.
fn without_cpu(by_requests: u32, current: u32) -> Advice {
    if by_requests < current {
        Advice::ready(current, Reason::NotKnown)
    } else {
        Advice::ready(by_requests, Reason::InFlight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{input, seconds};

    const AT_80: Utilization = Utilization { target_percent: 80, window_ms: 1_000 };

    /// Of a service of 8 places and a core an instance.
    fn seen(requests: u32, cpu_cores: Option<f64>, current: u32) -> PolicyInput {
        PolicyInput { in_flight: Some(requests), cpu_cores, current, ready: current, ..input() }
    }

    /// The advice after two seconds of the same.
    fn steady(requests: u32, cpu_cores: Option<f64>, current: u32) -> Advice {
        let mut state = State::default();
        let at =
            |second| PolicyInput { now: seconds(second), ..seen(requests, cpu_cores, current) };
        let _ = advise(&AT_80, &mut state, &at(0));
        let _ = advise(&AT_80, &mut state, &at(1));
        advise(&AT_80, &mut state, &at(2))
    }

    #[test]
    fn the_larger_one_of_requests_and_cpu_time_decides_and_says_so() {
        assert_eq!(steady(6, Some(0.8), 1), Advice::ready(1, Reason::InFlight));
        assert_eq!(steady(7, Some(0.8), 1), Advice::ready(2, Reason::InFlight));
        assert_eq!(steady(6, Some(0.81), 1), Advice::ready(2, Reason::Cpu));
        assert_eq!(steady(33, Some(3.3), 4), Advice::ready(6, Reason::InFlight));
        assert_eq!(steady(2, Some(3.3), 4), Advice::ready(5, Reason::Cpu));
    }

    #[test]
    fn cpu_time_that_nobody_asked_for_keeps_what_there_is_and_adds_nothing() {
        assert_eq!(steady(0, Some(1.9), 2), Advice::ready(2, Reason::Cpu));
        assert_eq!(steady(1, Some(1.9), 2), Advice::ready(3, Reason::Cpu));
    }

    #[test]
    fn an_instance_of_several_cores_is_full_where_a_program_of_one_thread_is() {
        let of_cores = |cpus, used| {
            let input = PolicyInput { cpus, ..seen(2, Some(used), 1) };
            advise(&AT_80, &mut State::default(), &input)
        };
        assert_eq!(of_cores(2.0, 1.0), Advice::ready(2, Reason::Cpu));
        assert_eq!(of_cores(8.0, 0.8), Advice::ready(1, Reason::InFlight));
        assert_eq!(of_cores(0.5, 0.5), Advice::ready(2, Reason::Cpu), "half a core is all it may");
    }

    #[test]
    fn one_look_asks_for_no_more_than_it_makes_certain() {
        let mut state = State::default();
        let mut at = |millis: u64, requests| {
            let now = seconds(0).after(Duration::from_millis(millis));
            advise(&AT_80, &mut state, &PolicyInput { now, ..seen(requests, Some(0.1), 1) })
        };
        for tenth in 0..10 {
            assert_eq!(at(tenth * 100, 2), Advice::ready(1, Reason::InFlight));
        }
        assert_eq!(at(1_000, 12), Advice::ready(1, Reason::InFlight), "by chance");
        assert_eq!(at(1_100, 100), Advice::ready(11, Reason::InFlight), "100 - 3 x 10 are certain");
    }

    #[test]
    fn without_cpu_time_it_goes_by_requests_and_never_scales_in() {
        assert_eq!(steady(2, None, 4), Advice::ready(4, Reason::NotKnown));
        assert_eq!(steady(0, Some(f64::NAN), 4), Advice::ready(4, Reason::NotKnown));
        assert_eq!(steady(40, None, 4), Advice::ready(7, Reason::InFlight));
        let blind = PolicyInput { queued: None, ..seen(2, Some(0.5), 4) };
        assert_eq!(advise(&AT_80, &mut State::default(), &blind), Advice::Unknown);
    }

    #[test]
    fn what_an_idle_instance_takes_keeps_none_and_what_it_works_on_does() {
        assert_eq!(steady(0, Some(0.01), 1), Advice::ready(0, Reason::InFlight));
        assert_eq!(steady(1, Some(0.01), 1), Advice::ready(1, Reason::InFlight));
        assert_eq!(steady(0, Some(0.9), 2), Advice::ready(2, Reason::Cpu));
    }
}
