//! What a policy comes to under a load that lasts, and which load brings it to a number: found by asking the policy
//! itself, so that no policy needs an inverse.

use std::time::Duration;

use model::policies::{Hpa, Measure, Policy, Ratio, Steps, Threshold};
use model::trail::Advice;
use model::why_not::Needed;

use crate::input::{Demand, PolicyInput};
use crate::load::OfferedLoad;
use crate::policies::{PolicyState, advise, measure, rounding};

/// From one look to the next: longer than any window, cooldown or interval of a policy may be, a day, so that nothing
/// is waited for.
const APART: Duration = Duration::from_secs(2 * 86_400);

/// Looks without a change after which none is expected: `adapt` gives back a quarter of an instance at a look.
const LOOKS_UNCHANGED: u32 = 8;

/// Looks at most, for policies that would go to and fro. A step of one instance at a time takes 750.
const LOOKS: u32 = 1000;

/// No service is asked for as much, in whatever a policy measures.
const BEYOND: f64 = 1e12;

/// What would bring `policy` from `input.current` to `ready` instances, or past that, by each figure that it goes by;
/// nothing where no steady figure does.
pub(crate) fn needed(policy: &Policy, input: &PolicyInput, ready: u32) -> Vec<Needed> {
    let of = |measure: &Measure| {
        let now = measure::total(*measure, input).map(|(total, _)| total);
        Some(Needed { measure: *measure, now, bound: bound(policy, input, *measure, ready)? })
    };
    measures(policy).iter().filter_map(of).collect()
}

/// What a policy goes by, and can be brought to more or fewer instances with.
fn measures(policy: &Policy) -> &[Measure] {
    match policy {
        Policy::Threshold(Threshold { measure, .. })
        | Policy::Ratio(Ratio { measure, .. })
        | Policy::Steps(Steps { measure, .. })
        | Policy::Hpa(Hpa { measure, .. }) => std::slice::from_ref(measure),
        Policy::Concurrency(_) | Policy::QueueDepth(_) => &[Measure::InFlight],
        Policy::Utilization(_) => &[Measure::InFlight, Measure::Cpu],
        Policy::TargetTracking(_)
        | Policy::Predictive(_)
        | Policy::React(_)
        | Policy::Adapt(_)
        | Policy::Hist(_)
        | Policy::Reg(_)
        | Policy::Conpaas(_) => &[Measure::Offered],
        Policy::Schedule(_) => &[],
    }
}

/// The figure at which the policy turns: towards more instances the one that must be exceeded, with all else as it is;
/// towards fewer the highest, with all else at rest. `None` where no figure leads there.
fn bound(policy: &Policy, input: &PolicyInput, measure: Measure, ready: u32) -> Option<f64> {
    let is_more = ready > input.current;
    let around = if is_more { *input } else { at_rest(input) };
    let is_past = |figure: f64| {
        let leads_there = comes_to(policy, &with(&around, measure, figure), ready);
        leads_there == is_more
    };
    // Below it the policy stays on this side, and above it on the other.
    if is_past(0.0) {
        return None;
    }
    let doubled = std::iter::successors(Some(1.0), |figure| Some(figure * 2.0));
    let mut above =
        doubled.take_while(|figure| *figure < BEYOND).find(|figure| is_past(*figure))?;
    let mut below = 0.0;
    for _ in 0..50 {
        let middle = f64::midpoint(below, above);
        *(if is_past(middle) { &mut above } else { &mut below }) = middle;
    }
    Some(to_six_digits(below))
}

/// Whether a policy that has seen nothing else comes to `ready` instances or past them, while the fleet follows it.
fn comes_to(policy: &Policy, input: &PolicyInput, ready: u32) -> bool {
    let is_more = ready > input.current;
    let (mut input, mut state, mut unchanged) = (*input, PolicyState::of(policy), 0);
    for _ in 0..LOOKS {
        let Advice::Ready { ready: advised, .. } = advise(policy, &mut state, &input) else {
            return false;
        };
        if if is_more { advised >= ready } else { advised <= ready } {
            return true;
        }
        unchanged = if advised == input.current { unchanged + 1 } else { 0 };
        if unchanged == LOOKS_UNCHANGED {
            return false;
        }
        (input.current, input.ready) = (advised, advised);
        input.now = input.now.after(APART);
    }
    false
}

/// The same service with another figure.
fn with(input: &PolicyInput, measure: Measure, figure: f64) -> PolicyInput {
    match measure {
        Measure::Cpu => PolicyInput { cpu_cores: Some(figure), ..*input },
        Measure::Offered => PolicyInput { demand: offered(input, figure), ..*input },
        Measure::Served => PolicyInput { served_rps: Some(figure), ..*input },
        Measure::InFlight => {
            PolicyInput { in_flight: Some(rounding::ceil(figure)), queued: Some(0), ..*input }
        }
    }
}

/// The same service, of which nobody asks anything.
fn at_rest(input: &PolicyInput) -> PolicyInput {
    PolicyInput {
        demand: offered(input, 0.0),
        served_rps: Some(0.0),
        in_flight: Some(0),
        queued: Some(0),
        cpu_cores: Some(0.0),
        ..*input
    }
}

fn offered(input: &PolicyInput, mean_rps: f64) -> Option<Demand> {
    match input.demand {
        Some(Demand::Requests { capacity, .. }) => {
            let offered = OfferedLoad { mean_rps, burst_rps: 0.0, queue_rps: 0.0 };
            Some(Demand::Requests { offered, capacity })
        }
        other => other,
    }
}

/// So that 440 is not said as 439.9999998, and what is nothing but the slack of rounding as 0.
fn to_six_digits(figure: f64) -> f64 {
    if figure < 1e-6 {
        return 0.0;
    }
    let scale = 10_f64.powf(5.0 - figure.log10().floor());
    (figure * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use model::policies::PolicyKind;

    use super::*;
    use crate::testing::{input, offered as offering};

    /// What brings a policy with its default figures from three instances to so many.
    fn by(kind: PolicyKind, ready: u32) -> Vec<(Measure, f64)> {
        let three = PolicyInput { current: 3, ready: 3, in_flight: Some(9), ..offering(100.0) };
        let needed =
            needed(&kind.defaults(), &PolicyInput { cpu_cores: Some(2.0), ..three }, ready);
        needed.into_iter().map(|it| (it.measure, it.bound)).collect()
    }

    #[test]
    fn the_load_for_a_number_is_found_by_asking_the_policy() {
        use Measure::{Cpu, InFlight, Offered};
        // 50 requests/s an instance at 80%: eleven are full at 440.
        assert_eq!(by(PolicyKind::TargetTracking, 12), [(Offered, 440.0)]);
        assert_eq!(by(PolicyKind::TargetTracking, 2), [(Offered, 80.0)]);
        assert_eq!(by(PolicyKind::Predictive, 12), [(Offered, 440.0)]);
        // 8 places, each by itself; fewer where neither asks for more.
        assert_eq!(by(PolicyKind::QueueDepth, 5), [(InFlight, 32.0)]);
        assert_eq!(by(PolicyKind::Utilization, 5), [(InFlight, 25.0), (Cpu, 3.2)]);
        assert_eq!(by(PolicyKind::Utilization, 2), [(InFlight, 12.0), (Cpu, 1.6)]);
        // Two more from 75% of three on.
        assert_eq!(by(PolicyKind::Steps, 5), [(Cpu, 2.25)]);
    }

    #[test]
    fn a_policy_without_figures_or_load_is_brought_nowhere() {
        assert_eq!(by(PolicyKind::Ratio, 5), []);
        assert_eq!(by(PolicyKind::Schedule, 5), []);
        let unknown = PolicyInput { demand: None, current: 3, ..input() };
        assert_eq!(needed(&PolicyKind::TargetTracking.defaults(), &unknown, 5), []);
    }

    #[test]
    fn past_the_bound_every_policy_comes_to_the_number_and_before_it_to_none() {
        for policy in Policy::all() {
            let three = PolicyInput { current: 3, ready: 3, in_flight: Some(9), ..offering(100.0) };
            let three = PolicyInput { cpu_cores: Some(1.0), ..three };
            for ready in [1, 2, 4, 9, 40] {
                for Needed { measure, bound, .. } in needed(&policy, &three, ready) {
                    let around = if ready > 3 { three } else { at_rest(&three) };
                    let leads = |figure| comes_to(&policy, &with(&around, measure, figure), ready);
                    let near =
                        if measure == Measure::InFlight { 1.0 } else { 1e-3 * bound.max(1.0) };
                    let sides = [leads((bound - near).max(0.0)), leads(bound + near)];
                    let what = format!("{ready} by {policy:?} at {bound} of {measure:?}");
                    assert_eq!(sides, [ready < 3, ready > 3], "{what}");
                }
            }
        }
    }
}
