//! How many ready instances a service should have, and why.

use model::bounds::Bounds;
use model::decision::{Decision, Reason};
use model::policies::PolicySpec;
use model::service::ServiceSpec;
use model::time::Timestamp;
use model::trail::{Advised, PolicyAdvice, Rule, Step, Steps, Trail};
use serde::{Deserialize, Serialize};

use crate::advice::Combined;
use crate::input::PolicyInput;
use crate::memory::LastChanges;
use crate::policies::{self, PolicyState};
use crate::rules::{self, step};
use crate::saturation::{Saturation, Verdict};

/// What deciding remembers from turn to turn.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionState {
    /// The policy that the policies belong to.
    policy: Option<PolicySpec>,
    states: Vec<PolicyState>,
    rules: rules::RuleState,
    saturation: Saturation,
}

impl DecisionState {
    /// A state that remembers nothing but when the number decided on changed last.
    pub fn after(changes: LastChanges) -> Self {
        let mut state = Self::default();
        state.rules.changes = changes;
        state
    }

    /// When the number decided on changed last.
    pub const fn changes(&self) -> LastChanges {
        self.rules.changes
    }

    /// Takes over a number that was decided on by other means than the policies, `before` and `ready`, and when the
    /// number has changed last.
    pub(crate) fn take_over(
        &mut self,
        changes: LastChanges,
        (before, ready): (u32, u32),
        now: Timestamp,
    ) {
        self.rules.changes = changes;
        if ready != before {
            self.states.iter_mut().for_each(|state| state.number_was_set(ready, now));
        }
    }

    /// What each policy of `spec` advises. Where they are not the ones that advised
    /// before, they start without a memory.
    fn advise(&mut self, spec: &PolicySpec, input: &PolicyInput) -> Advised {
        if self.policy.as_ref() != Some(spec) {
            self.policy = Some(spec.clone());
            self.states = spec.policies().iter().map(PolicyState::of).collect();
        }
        let mut advised = Advised::new();
        for (policy, state) in spec.policies().iter().zip(&mut self.states) {
            let advice = policies::advise(policy, state, input);
            let went_by = policies::went_by(policy, state, input, advice);
            advised.push(PolicyAdvice { policy: policy.kind(), advice, went_by });
        }
        advised
    }
}

/// A decision, and how it came about.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Decided {
    /// What was decided.
    pub decision: Decision,
    /// What led to it; `None` for a decision to hold.
    pub trail: Option<Trail>,
}

/// Decides from what is known now: every policy advises, the rules of each direction hold back, the
/// bounds clamp.
///
/// Up at once, down with patience: the number falls only to the highest need of the last
/// `scale_in.patience`, and never while that record has a break. `input.current` is kept while
/// nobody knows how long a lower need has held.
///
/// A service that may go to zero has an instance while it is asked for, whatever its policies say
/// and however slowly they look: the load balancer holds a request for 10 s only.
pub fn decide(spec: &ServiceSpec, state: &mut DecisionState, input: &PolicyInput) -> Decided {
    state.saturation.observe(input);
    if input.demand.is_none() {
        state.rules.interrupt();
        return Decided { decision: Decision::Hold { reasons: vec![Reason::NoData] }, trail: None };
    }
    let (now, current, bounds) = (input.now, input.current, input.bounds);
    let advice = state.advise(&spec.policy, input);
    let combined = Combined::of(&advice);
    let mut steps = Steps::new();
    let floor = u32::from(bounds.min() == 0 && input.is_asked_for());
    let need = combined.need(current, &mut steps);
    // Before the rules, so that the patience counts from the last request; and after them, so that
    // none of them keeps the first instance waiting.
    let need = raised(need, floor, &mut steps);
    let (out, inward) = (spec.scale_out, spec.scale_in.rules);
    let allowed = state.rules.apply(out, inward, (need, current), now, &mut steps);
    let [held_out, held_in] = state.rules.held((out.patience, inward.patience), need, now);
    let allowed = raised(allowed, floor, &mut steps);

    let kept = combined.scheduled_min().max(bounds.min()).max(1);
    let helpful = most_helpful(&state.saturation, kept);
    let allowed = helped(allowed, bounds.max(), helpful, &mut steps);

    let ready = within(allowed, bounds, &mut steps);
    state.rules.changes.note(current, ready, now);
    let LastChanges { rise: rose_at, any: changed_at } = state.rules.changes;
    let reasons = reasons(combined.main_reason(), &steps);
    let trail = Trail { current, advice, steps, held_out, held_in, rose_at, changed_at, helpful };
    Decided { decision: Decision::Target { ready, reasons }, trail: Some(trail) }
}

/// The reasons of the decision: the main one first, then each rule that changed the number. Activation, which may raise
/// it twice, is named once.
fn reasons(main: Option<Reason>, steps: &[Step]) -> Vec<Reason> {
    let mut reasons = Vec::with_capacity(1 + steps.len());
    reasons.extend(main);
    for step in steps {
        let reason = step.rule.reason();
        if reason != Reason::Activation || !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// The most instances that the host has CPU time for, of those that are there; `None` where it has no limit. What is
/// `kept` is always let through: the first instance, the lower bound, and that of a schedule, which goes by the clock
/// and not by what is lacking.
fn most_helpful(saturation: &Saturation, kept: u32) -> Option<u32> {
    let helps = match saturation.verdict() {
        Verdict::Open => return None,
        Verdict::UpTo(most) => most,
        Verdict::Reached => 0,
    };
    Some(saturation.there().max(kept).max(helps))
}

/// The number, without those that the host has no CPU time for. The bound says it first where it is lower.
fn helped(number: u32, max: u32, most: Option<u32>, steps: &mut Steps) -> u32 {
    let Some(most) = most.filter(|most| number.min(max) > *most) else { return number };
    steps.push(step(Rule::HostSaturated { most }, number, most));
    most
}

/// The number, raised to `floor`.
fn raised(number: u32, floor: u32, steps: &mut Steps) -> u32 {
    if number < floor {
        steps.push(step(Rule::Activation, number, floor));
    }
    number.max(floor)
}

/// The number within the bounds.
pub(crate) fn within(number: u32, bounds: Bounds, steps: &mut Steps) -> u32 {
    let (min, max) = (bounds.min(), bounds.max());
    let ready = bounds.clamp(number);
    if ready < number {
        steps.push(step(Rule::Max { max }, number, ready));
    } else if ready > number {
        steps.push(step(Rule::Min { min }, number, ready));
    }
    ready
}

#[cfg(test)]
mod tests {
    use model::policies::{Policy, PolicyKind};

    use super::*;
    use crate::load::OfferedLoad;
    use crate::testing::{seconds, store, with_load};
    use model::policies::Hpa;
    use model::policies::TargetTracking;
    use model::tick::HostCpu;

    /// The decision alone.
    fn decide(spec: &ServiceSpec, state: &mut DecisionState, input: &PolicyInput) -> Decision {
        super::decide(spec, state, input).decision
    }

    fn rps(mean_rps: f64) -> Option<OfferedLoad> {
        Some(OfferedLoad { mean_rps, burst_rps: 0.0, queue_rps: 0.0 })
    }

    fn known(offered: Option<OfferedLoad>, current: u32, second: u64) -> PolicyInput {
        PolicyInput { current, now: seconds(second), ..with_load(offered) }
    }

    fn target(ready: u32, reasons: &[Reason]) -> Decision {
        Decision::Target { ready, reasons: reasons.to_vec() }
    }

    #[test]
    fn more_is_decided_at_once_and_fewer_after_the_patience() {
        let (spec, mut state) = (store(), DecisionState::default());
        let mut at =
            |second, load, current| decide(&spec, &mut state, &known(rps(load), current, second));
        assert_eq!(at(0, 120.0, 1), target(3, &[Reason::OfferedLoad]));
        assert_eq!(at(1, 40.0, 3), target(3, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(10, 40.0, 3), target(3, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(11, 40.0, 3), target(1, &[Reason::OfferedLoad]));
    }

    #[test]
    fn the_trail_has_what_each_policy_went_by_and_each_rule_with_its_figure() {
        use model::policies::{Measure, PolicyKind};
        use model::trail::{Advice, Held, WentBy};
        let (mut spec, mut state) = (store(), DecisionState::default());
        spec.policy =
            serde_json::from_str(r#"[{"kind":"target_tracking"},{"kind":"ratio"}]"#).unwrap();
        let mut at = |second, load, current| {
            super::decide(&spec, &mut state, &known(load, current, second)).trail
        };
        assert_eq!(at(0, None, 1), None, "nothing led to what was held");
        let rise = at(1, rps(600.0), 1).unwrap();
        let value =
            |value| Some(WentBy::Load { measure: Measure::Offered, value, per_instance: 40.0 });
        let said = |policy, advice, went_by| PolicyAdvice { policy, advice, went_by };
        assert_eq!(
            rise.advice[..],
            [
                said(
                    PolicyKind::TargetTracking,
                    Advice::ready(15, Reason::OfferedLoad),
                    value(600.0)
                ),
                said(PolicyKind::Ratio, Advice::Silent, None),
            ]
        );
        assert_eq!(rise.steps[..], [step(Rule::Max { max: 10 }, 15, 10)]);
        let (rose_at, since) = (Some(seconds(1)), seconds(1));
        assert_eq!((rise.current, rise.rose_at, rise.changed_at), (1, rose_at, rose_at));
        let fall = at(5, rps(120.0), 10).unwrap();
        assert_eq!(fall.advice[0].went_by, value(120.0));
        let patience = Rule::Patience { since, patience_ms: 10_000 };
        assert_eq!(fall.steps[..], [step(patience, 3, 10)]);
        assert_eq!(fall.held_in, Some(Held { at: None, since }), "four seconds are no ten");
        // The need for fifteen counts for ten seconds, and then that for three.
        assert_eq!(at(11, rps(120.0), 10).unwrap().held_in, Some(Held { at: Some(15), since }));
        assert_eq!(at(12, rps(120.0), 10).unwrap().held_in, None);
    }

    #[test]
    fn missing_data_holds_and_starts_the_patience_anew() {
        let (spec, mut state) = (store(), DecisionState::default());
        let mut at = |second, load| decide(&spec, &mut state, &known(load, 5, second));
        assert_eq!(at(0, rps(0.0)), target(5, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(9, None), Decision::Hold { reasons: vec![Reason::NoData] });
        assert_eq!(at(11, rps(0.0)), target(5, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(21, rps(0.0)), target(1, &[Reason::OfferedLoad, Reason::AtMin]));
    }

    #[test]
    fn the_bounds_clamp_and_say_so() {
        let decision = decide(&store(), &mut DecisionState::default(), &known(rps(9e9), 1, 0));
        assert_eq!(decision, target(10, &[Reason::OfferedLoad, Reason::AtMax]));
    }

    #[test]
    fn a_policy_that_knows_too_little_keeps_what_is_within_the_bounds() {
        let (mut spec, mut state) = (store(), DecisionState::default());
        spec.policy = PolicySpec::new(vec![Policy::Hpa(Hpa::default())]).unwrap();
        let mut at = |current| {
            let blind = PolicyInput { ready: 0, ..known(rps(1.0), current, 0) };
            decide(&spec, &mut state, &blind)
        };
        assert_eq!(at(4), target(4, &[Reason::NotKnown]));
        assert_eq!(at(0), target(1, &[Reason::NotKnown, Reason::AtMin]));
    }

    /// The store, allowed to go to zero under `policy`.
    fn to_zero(policy: &str) -> ServiceSpec {
        let mut spec = store();
        spec.policy = PolicySpec::new(vec![serde_json::from_str(policy).unwrap()]).unwrap();
        spec.bounds = Bounds::new(0, 10).unwrap();
        spec
    }

    /// What is decided at each second for these arrivals per second, from `current` on.
    fn follow(spec: &ServiceSpec, mut current: u32, arrivals: &[f64]) -> Vec<u32> {
        let mut state = DecisionState::default();
        let at = |(second, load)| {
            let known = known(rps(load), current, second);
            let in_flight = Some(u32::from(load > 0.0));
            let input = PolicyInput { ready: current, in_flight, bounds: spec.bounds, ..known };
            if let Decision::Target { ready, .. } = decide(spec, &mut state, &input) {
                current = ready;
            }
            current
        };
        (0..).zip(arrivals.iter().copied()).map(at).collect()
    }

    #[test]
    fn an_idle_service_goes_to_zero_after_the_patience_and_one_request_brings_it_back() {
        let spec = to_zero(r#"{"kind":"target_tracking"}"#);
        let quiet = [0.0; 10];
        let decided = follow(&spec, 1, &[&quiet[..], &[0.0, 1.0], &quiet[..], &[0.0]].concat());
        assert_eq!(decided[..10], [1; 10], "patience");
        assert_eq!(decided[10..12], [0, 1]);
        assert_eq!(decided[12..21], [1; 9], "patience again");
        assert_eq!(decided[22], 0);
    }

    #[test]
    fn whatever_the_policy_and_its_rules_the_first_request_starts_an_instance() {
        let slow = model::service::Rules {
            patience: std::time::Duration::from_secs(60),
            cooldown: std::time::Duration::from_secs(60),
            ..Default::default()
        };
        for kind in PolicyKind::all() {
            let mut spec = to_zero(&format!(r#"{{"kind":"{kind}"}}"#));
            spec.scale_out = slow;
            assert_eq!(follow(&spec, 0, &[0.0, 0.0, 1.0]), [0, 0, 1], "{kind}");
            assert_eq!(follow(&spec, 1, &[1.0; 90])[89], 1, "{kind}");
        }
    }

    #[test]
    fn whatever_the_policy_a_service_at_zero_that_nobody_asks_for_stays_there() {
        for kind in PolicyKind::all() {
            let spec = to_zero(&format!(r#"{{"kind":"{kind}"}}"#));
            assert_eq!(follow(&spec, 0, &[0.0; 1000]), [0; 1000], "{kind}");
        }
    }

    #[test]
    fn an_idle_service_goes_to_zero_unless_its_policy_has_nothing_to_say() {
        let mut kept = Vec::new();
        for kind in PolicyKind::all() {
            let spec = to_zero(&format!(r#"{{"kind":"{kind}"}}"#));
            if follow(&spec, 2, &[0.0; 1000])[999] > 0 {
                kept.push(kind.to_string());
            }
        }
        // Two are not set, and a parabola that comes to 0 is none that `reg` believes.
        assert_eq!(kept, ["ratio", "schedule", "reg"]);
    }

    /// The table of docs/operations/settings.md, after ten minutes of a load for one instance.
    #[test]
    fn the_last_instance_goes_when_its_policy_no_longer_remembers_a_load() {
        use PolicyKind::{
            Adapt, Concurrency, Hpa, Predictive, QueueDepth, React, Steps, TargetTracking,
            Threshold, Utilization,
        };
        let load = [[10.0; 600], [0.0; 600]].concat();
        for (kinds, seconds) in [
            (&[TargetTracking, Predictive, Utilization][..], 3..=6),
            (&[Threshold, Steps, Concurrency, React], 3..=65),
            (&[Adapt], 60..=185),
            (&[QueueDepth, Hpa], 240..=305),
        ] {
            for kind in kinds {
                let mut spec = to_zero(&format!(r#"{{"kind":"{kind}"}}"#));
                spec.scale_in.rules.patience = std::time::Duration::from_secs(3);
                let decided = follow(&spec, 1, &load);
                let gone = decided[600..].iter().position(|ready| *ready == 0);
                assert!(gone.is_some_and(|at| seconds.contains(&at)), "{kind}: {gone:?}");
            }
        }
    }

    /// What is decided of a load for so many instances on a host that is full of this service's work, where
    /// `current` were decided before.
    fn on_a_full_host(spec: &ServiceSpec, current: u32, instances: f64) -> Decision {
        let host_cpu = Some(HostCpu { cores: 2, busy: 0.99 });
        let known = known(rps(40.0 * instances), current, 0);
        let bounds = spec.bounds;
        let input = PolicyInput { host_cpu, cpu_cores: Some(1.9), ready: current, bounds, ..known };
        decide(spec, &mut DecisionState::default(), &input)
    }

    #[test]
    fn a_full_host_adds_none_beyond_what_is_there_under_any_policy() {
        use Reason::{AtMax, HostSaturated, OfferedLoad, Patience};
        let spec = store();
        let decided = |current, instances| on_a_full_host(&spec, current, instances);
        assert_eq!(decided(3, 5.0), target(3, &[OfferedLoad, HostSaturated]));
        assert_eq!(decided(3, 3.0), target(3, &[OfferedLoad]), "nothing was held back");
        assert_eq!(
            decided(3, 2.0),
            target(3, &[OfferedLoad, Patience]),
            "fewer are no matter of it"
        );
        assert_eq!(decided(10, 99.0), target(10, &[OfferedLoad, AtMax]), "the bound says it first");
        let asking = |policy: &str| {
            let mut spec = store();
            spec.policy = PolicySpec::new(vec![serde_json::from_str(policy).unwrap()]).unwrap();
            let host_cpu = Some(HostCpu { cores: 2, busy: 0.99 });
            let known = known(rps(400.0), 1, 0);
            let input =
                PolicyInput { host_cpu, cpu_cores: Some(1.9), in_flight: Some(70), ..known };
            decide(&spec, &mut DecisionState::default(), &input)
        };
        for policy in [
            r#"{"kind":"concurrency"}"#,
            r#"{"kind":"hpa"}"#,
            r#"{"kind":"predictive"}"#,
            r#"{"kind":"queue_depth"}"#,
            r#"{"kind":"react"}"#,
            r#"{"kind":"threshold","window_ms":0}"#,
            r#"{"kind":"utilization"}"#,
        ] {
            let Decision::Target { ready, reasons } = asking(policy) else { unreachable!() };
            assert_eq!((ready, reasons.last()), (1, Some(&HostSaturated)), "{policy}: {reasons:?}");
        }
    }

    #[test]
    fn on_a_full_host_lower_bounds_and_schedules_are_kept_and_the_first_instance_comes() {
        let mut spec = store();
        spec.bounds = Bounds::new(4, 10).unwrap();
        let held = [Reason::OfferedLoad, Reason::HostSaturated];
        assert_eq!(on_a_full_host(&spec, 1, 9.0), target(4, &held));
        spec.bounds = Bounds::new(0, 10).unwrap();
        assert_eq!(on_a_full_host(&spec, 0, 9.0), target(1, &held));
        let all_day =
            r#"{"kind":"schedule","entries":[{"from":"00:00","to":"24:00","min":5,"max":9}]}"#;
        let tracking = r#"{"kind":"target_tracking"}"#;
        let both = [tracking, all_day].map(|policy| serde_json::from_str(policy).unwrap());
        spec.policy = PolicySpec::new(both.into()).unwrap();
        let by_the_clock = [Reason::OfferedLoad, Reason::AtScheduledMin];
        assert_eq!(on_a_full_host(&spec, 2, 1.0), target(5, &by_the_clock));
        assert_eq!(on_a_full_host(&spec, 2, 7.0), target(5, &held), "no fewer for more load");
    }

    #[test]
    fn a_request_that_takes_long_keeps_its_instance() {
        let spec = to_zero(r#"{"kind":"target_tracking"}"#);
        let mut state = DecisionState::default();
        let mut at = |second, in_flight| {
            let known = known(rps(0.0), 1, second);
            let input = PolicyInput { in_flight: Some(in_flight), bounds: spec.bounds, ..known };
            decide(&spec, &mut state, &input)
        };
        let kept = target(1, &[Reason::OfferedLoad, Reason::Activation]);
        assert_eq!([at(0, 1), at(30, 1)], [kept.clone(), kept]);
        assert_eq!(at(40, 0), target(1, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(50, 0), target(0, &[Reason::OfferedLoad]));
    }

    #[test]
    fn missing_data_at_zero_holds_and_starts_nothing_until_it_is_back() {
        let spec = to_zero(r#"{"kind":"target_tracking"}"#);
        let mut state = DecisionState::default();
        let mut at = |second, load| {
            let input = PolicyInput { ready: 0, bounds: spec.bounds, ..known(load, 0, second) };
            decide(&spec, &mut state, &input)
        };
        assert_eq!(at(0, None), Decision::Hold { reasons: vec![Reason::NoData] });
        assert_eq!(at(1, rps(0.0)), target(0, &[Reason::OfferedLoad]));
        assert_eq!(at(2, rps(0.1)), target(1, &[Reason::OfferedLoad]));
    }

    #[test]
    fn another_policy_takes_over_at_the_next_turn_and_patience_goes_on() {
        let (mut spec, mut state) = (store(), DecisionState::default());
        let at = |spec: &ServiceSpec, state: &mut DecisionState, current, second| {
            decide(spec, state, &known(rps(160.0), current, second))
        };
        assert_eq!(at(&spec, &mut state, 1, 0), target(4, &[Reason::OfferedLoad]));
        let tracking = |target_percent| {
            let policy = Policy::TargetTracking(TargetTracking { target_percent });
            PolicySpec::new(vec![policy]).unwrap()
        };
        spec.policy = tracking(40);
        assert_eq!(at(&spec, &mut state, 4, 1), target(8, &[Reason::OfferedLoad]));
        spec.policy = tracking(80);
        let patient = [Reason::OfferedLoad, Reason::Patience];
        assert_eq!(at(&spec, &mut state, 8, 2), target(8, &patient));
        assert_eq!(at(&spec, &mut state, 8, 11), target(8, &patient));
        assert_eq!(at(&spec, &mut state, 8, 12), target(4, &[Reason::OfferedLoad]));
    }
}
