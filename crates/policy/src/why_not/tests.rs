use std::time::Duration;

use model::bounds::Bounds;
use model::decision::Reason;
use model::instance::PhaseCounts;
use model::policies::{Measure, PolicyKind, PolicySpec};
use model::service::LargestStep;
use model::tick::{HostCpu, Observation};
use model::time::Timestamp;
use model::version::{Version, Wanted};
use model::why_not::Needed;
use proptest::prelude::*;

use super::*;
use crate::decide::{Decided, DecisionState, decide};
use crate::hold::decide_held;
use crate::testing::{offered, seconds, store};

/// The tick of a turn in which that was read, of a fleet that is as large as was decided before.
fn tick(spec: &ServiceSpec, state: &mut DecisionState, input: &PolicyInput) -> Tick {
    let decided = decide(spec, state, input);
    tick_of(spec, decided, input)
}

/// The same of what was decided.
fn tick_of(spec: &ServiceSpec, Decided { decision, trail }: Decided, input: &PolicyInput) -> Tick {
    let observation = Observation {
        offered_rps: input.offered_rps(),
        served_rps: input.served_rps,
        rejected_rps: Some(0.0),
        queued: input.queued,
        in_flight: input.in_flight,
        cpu_cores: input.cpu_cores,
        host_cpu: input.host_cpu,
        phases: PhaseCounts { ready: input.ready, ..PhaseCounts::default() },
        watched: None,
    };
    Tick {
        sequence: 0,
        at: input.now,
        service: spec.name.clone(),
        observation,
        rollout: None,
        decision,
        trail,
        room: Some(Room { launches: 100, slots: 100, memory: 100, launches_wait_until: None }),
        plan: vec![],
        blocked: vec![],
        done: vec![],
        ended: vec![],
        given_up: vec![],
    }
}

/// What is read at a second of a load, with so many instances.
fn seen(second: u64, rps: f64, current: u32) -> PolicyInput {
    PolicyInput { now: seconds(second), current, ready: current, ..offered(rps) }
}

/// What stands between the store at its first turn and so many.
fn at_once(spec: &ServiceSpec, rps: f64, current: u32, ready: u32) -> Vec<Obstacle> {
    let input = PolicyInput { bounds: spec.bounds, ..seen(0, rps, current) };
    why_not(spec, &tick(spec, &mut DecisionState::default(), &input), ready).obstacles
}

#[test]
fn a_number_that_an_operator_holds_is_what_stands_between_whatever_policies_ask_for() {
    let spec = store();
    let input = PolicyInput { bounds: spec.bounds, ..seen(0, 400.0, 4) };
    let held = decide_held(&spec, &mut DecisionState::default(), &input, 4);
    let tick = tick_of(&spec, held, &input);
    let between = |ready| why_not(&spec, &tick, ready).obstacles;
    assert_eq!(between(4), []);
    assert_eq!(between(5), [Obstacle::Held { ready: 4 }]);
    assert_eq!(between(11), [Obstacle::Held { ready: 4 }, Obstacle::Max { bounds: spec.bounds }]);
}

fn tracking(asks_for: u32, now: f64, bound: f64) -> Obstacle {
    Obstacle::Policy {
        policy: PolicyKind::TargetTracking,
        asks_for,
        reason: Reason::OfferedLoad,
        needed: vec![Needed { measure: Measure::Offered, now: Some(now), bound }],
    }
}

#[test]
fn everything_that_stands_between_is_told_in_order_with_its_figure() {
    let mut spec = store();
    spec.scale_out = Rules {
        patience: Duration::from_secs(5),
        cooldown: Duration::from_secs(60),
        largest_step: Some(LargestStep { count: Some(2), percent: None }),
    };
    let mut state = DecisionState::default();
    let mut at = |second, rps, current| tick(&spec, &mut state, &seen(second, rps, current));
    let _ = [at(0, 130.0, 1), at(4, 130.0, 1)];
    // Five seconds of a load for four: two more at once, and then a minute without any.
    let rise = at(5, 130.0, 1);
    assert_eq!(rise.target(), Some(3));
    let full = Room { launches: 4, slots: 3, memory: 5, launches_wait_until: Some(seconds(8)) };
    let rise = Tick { room: Some(full), ..rise };
    assert_eq!(
        why_not(&spec, &rise, 12).obstacles,
        [
            tracking(4, 130.0, 440.0),
            Obstacle::Patience { patience_ms: 5000, since: None },
            Obstacle::Cooldown { cooldown_ms: 60_000, since: seconds(5) },
            Obstacle::StepLimit { largest: 2 },
            Obstacle::Max { bounds: spec.bounds },
            Obstacle::LaunchBackoff { until: seconds(8) },
            Obstacle::HostMemory { fits: 5 },
            Obstacle::NoFreeSlot { free: 3 },
            Obstacle::LaunchLimit { left: 4 },
        ]
    );
}

#[test]
fn patience_tells_since_when_fewer_are_needed() {
    let (spec, mut state) = (store(), DecisionState::default());
    let _ = tick(&spec, &mut state, &seen(0, 200.0, 5));
    let fall = tick(&spec, &mut state, &seen(4, 40.0, 5));
    let since = |since| Obstacle::Patience { patience_ms: 10_000, since };
    assert_eq!(why_not(&spec, &fall, 2).obstacles, [since(Some(seconds(0)))]);
    let no_fewer = [tracking(1, 40.0, 0.0), since(None), Obstacle::Min { bounds: spec.bounds }];
    assert_eq!(why_not(&spec, &fall, 0).obstacles[..1], no_fewer[..1]);
    assert_eq!(
        why_not(&spec, &fall, 0).obstacles[2..],
        [since(None), Obstacle::Min { bounds: spec.bounds }]
    );
    assert_eq!(why_not(&spec, &fall, 5).obstacles, []);
}

#[test]
fn a_full_host_and_a_service_that_is_asked_for_say_so() {
    let spec = store();
    let host_cpu = Some(HostCpu { cores: 2, busy: 0.99 });
    let input = PolicyInput { host_cpu, cpu_cores: Some(1.9), ..seen(0, 300.0, 3) };
    let full = tick(&spec, &mut DecisionState::default(), &input);
    assert_eq!(why_not(&spec, &full, 5).obstacles, [Obstacle::HostSaturated { most: 3 }]);
    let mut spec = spec;
    spec.bounds = Bounds::new(0, 10).unwrap();
    assert!(at_once(&spec, 1.0, 1, 0).contains(&Obstacle::Activation));
    assert!(!at_once(&spec, 0.0, 1, 0).contains(&Obstacle::Activation));
}

#[test]
fn who_knows_nothing_and_who_only_bounds_are_told() {
    let with = |policies: &str| {
        let mut spec = store();
        spec.policy = serde_json::from_str::<PolicySpec>(policies).unwrap();
        spec
    };
    let by = |kinds: &str, ready| at_once(&with(kinds), 100.0, 3, ready);
    let blind = r#"[{"kind":"target_tracking"},{"kind":"utilization"}]"#;
    let blind = tick(
        &with(blind),
        &mut DecisionState::default(),
        &PolicyInput { queued: None, ..seen(0, 100.0, 3) },
    );
    let not_known = Obstacle::NotKnown { policy: PolicyKind::Utilization };
    assert!(
        why_not(&with("[{\"kind\":\"utilization\"}]"), &blind, 2).obstacles.contains(&not_known)
    );
    let unset = Obstacle::NotSet { policy: PolicyKind::Ratio };
    assert_eq!(by(r#"{"kind":"ratio"}"#, 5), [unset]);
    let day = r#"{"kind":"schedule","entries":[{"from":"00:00","to":"24:00","min":2,"max":4}]}"#;
    let max = Obstacle::ScheduledMax { max: 4 };
    assert_eq!(by(day, 5), [Obstacle::ScheduleAlone, max.clone()]);
    let both = format!(r#"[{{"kind":"target_tracking"}},{day}]"#);
    assert_eq!(by(&both, 5), [tracking(3, 100.0, 160.0), max]);
}

#[test]
fn what_is_decided_on_waits_for_its_instances_alone() {
    let spec = store();
    let decided = tick(&spec, &mut DecisionState::default(), &seen(0, 190.0, 5));
    let with = |ready, starting, memory| {
        let mut tick = decided.clone();
        tick.observation.phases = PhaseCounts { ready, starting, ..PhaseCounts::default() };
        tick.room = Some(Room { launches: 4, slots: 4, memory, launches_wait_until: None });
        tick
    };
    let why = |tick: &Tick| why_not(&spec, tick, 5).obstacles;
    assert_eq!(why(&with(5, 0, 9)), []);
    assert_eq!(why(&with(3, 2, 9)), [Obstacle::Starting { count: 2 }]);
    let starting = Obstacle::Starting { count: 1 };
    assert_eq!(why(&with(3, 1, 0)), [Obstacle::HostMemory { fits: 0 }, starting]);
    assert_eq!(why(&with(6, 0, 9)), [Obstacle::Leaving { count: 1 }]);
    let next = Wanted { version: Version::new(2), deployed_at: seconds(0) };
    let watching = Rollout::Watching { version: Version::new(1), next, since: seconds(0) };
    let watching = Tick { rollout: Some(watching), ..with(6, 0, 9) };
    assert_eq!(why(&watching), [Obstacle::Replacing { count: 1 }]);
    let first = Rollout::Proving { version: Version::new(2), next, since: seconds(0) };
    let first = Tick { rollout: Some(first), ..with(4, 0, 9) };
    assert_eq!(why(&first), [Obstacle::NoVersion]);
}

#[test]
fn without_data_that_is_told_and_a_service_that_never_has_two_says_so() {
    let mut spec = store();
    let blind = PolicyInput { demand: None, ..seen(0, 0.0, 3) };
    let blind = tick(&spec, &mut DecisionState::default(), &blind);
    assert_eq!(why_not(&spec, &blind, 4).obstacles, [Obstacle::NoData]);
    spec.replacement = Replacement::Recreate;
    spec.bounds = Bounds::new(1, 1).unwrap();
    assert_eq!(at_once(&spec, 100.0, 1, 2), [Obstacle::OneAtMost]);
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let span = || prop_oneof![Just(0_u64), 1_u64..4000].prop_map(Duration::from_millis);
    let step = prop::option::of(1_u32..4)
        .prop_map(|count| count.map(|count| LargestStep { count: Some(count), percent: Some(20) }));
    (span(), span(), step).prop_map(|(patience, cooldown, largest_step)| Rules {
        patience,
        cooldown,
        largest_step,
    })
}

/// The store with policies whose advice is that of the moment, and any bounds and rules.
fn any_spec() -> impl Strategy<Value = ServiceSpec> {
    let schedule = prop::option::of((0_u32..6, 0_u32..8));
    let bounds = (0_u32..4, 1_u32..12);
    (schedule, bounds, any_rules(), any_rules(), any::<bool>()).prop_map(
        |(schedule, (min, more), out, inward, by_queue)| {
            let mut spec = store();
            let mut policies = vec![PolicyKind::TargetTracking.defaults()];
            policies.extend(by_queue.then(|| PolicyKind::QueueDepth.defaults()));
            policies.extend(schedule.map(|(min, more)| all_day(min, min + more)));
            spec.policy = PolicySpec::new(policies).unwrap();
            spec.bounds = Bounds::new(min, min + more).unwrap();
            (spec.scale_out, spec.scale_in.rules) = (out, inward);
            spec
        },
    )
}

fn all_day(min: u32, max: u32) -> Policy {
    let entry = format!(r#"{{"from":"00:00","to":"24:00","min":{min},"max":{max}}}"#);
    serde_json::from_str(&format!(r#"{{"kind":"schedule","entries":[{entry}]}}"#)).unwrap()
}

/// Whether a wait is over by then.
fn ends_by(obstacle: &Obstacle, at: u64) -> bool {
    match obstacle {
        Obstacle::Patience { since: Some(since), patience_ms: span_ms }
        | Obstacle::Cooldown { since, cooldown_ms: span_ms } => since.as_millis() + span_ms <= at,
        _ => false,
    }
}

/// The service without what an obstacle stands for; `None` where that is none of its rules and bounds.
fn lifted(mut spec: ServiceSpec, obstacle: &Obstacle, wish: Wish) -> Option<ServiceSpec> {
    let rules = match wish {
        Wish::More => &mut spec.scale_out,
        Wish::Same | Wish::Fewer => &mut spec.scale_in.rules,
    };
    match obstacle {
        Obstacle::Patience { .. } => rules.patience = Duration::ZERO,
        Obstacle::Cooldown { .. } => rules.cooldown = Duration::ZERO,
        Obstacle::StepLimit { .. } => rules.largest_step = None,
        Obstacle::Max { .. } => spec.bounds = Bounds::new(spec.bounds.min(), 750).unwrap(),
        Obstacle::Min { .. } => spec.bounds = Bounds::new(0, spec.bounds.max()).unwrap(),
        Obstacle::ScheduledMax { .. } | Obstacle::ScheduledMin { .. } => {
            let unbound = |policy: &Policy| match policy {
                Policy::Schedule(_) => all_day(0, 750),
                other => other.clone(),
            };
            let policies = spec.policy.policies().iter().map(unbound).collect();
            spec.policy = PolicySpec::new(policies).unwrap();
        }
        _ => return None,
    }
    Some(spec)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_is_in_the_way_of_what_is_decided_and_lifting_all_that_is_and_no_less_leads_there(
        spec in any_spec(),
        readings in prop::collection::vec((1_u64..3000, 0_u32..500, 0_u32..60), 1..20),
        ready in 0_u32..20,
    ) {
        let (mut state, mut current, mut now) = (DecisionState::default(), 3, seconds(0).as_millis());
        let mut last = None;
        for (step_ms, rps, in_flight) in readings {
            now += step_ms;
            let input = PolicyInput {
                now: Timestamp::from_millis(now),
                in_flight: Some(in_flight),
                current,
                ready: current,
                bounds: spec.bounds,
                ..offered(f64::from(rps))
            };
            let tick = tick(&spec, &mut state, &input);
            current = tick.target().unwrap();
            last = Some((tick, input));
        }
        let (tick, input) = last.unwrap();
        let answer = why_not(&spec, &tick, ready);
        let wish = answer.wish();
        let is_of_the_fleet = |it: &&Obstacle| matches!(
            it, Obstacle::Leaving { .. } | Obstacle::Starting { .. } | Obstacle::LaunchLimit { .. }
        );
        let of_the_decision: Vec<_> = answer.obstacles.iter().filter(|it| !is_of_the_fleet(it)).collect();
        if ready == current {
            prop_assert_eq!(of_the_decision, Vec::<&Obstacle>::new());
            return Ok(());
        }
        let all: Option<Vec<_>> =
            of_the_decision.iter().map(|it| lifted(spec.clone(), it, wish)).collect();
        if all.is_none() {
            return Ok(());
        }
        let after = |lifts: &[&Obstacle]| {
            let lift = |spec, it: &&Obstacle| lifted(spec, it, wish).unwrap();
            let mut without = lifts.iter().fold(spec.clone(), lift);
            // The policies may ask for more still, or fewer.
            let (min, max) = (without.bounds.min(), without.bounds.max());
            without.bounds = match wish {
                Wish::More => Bounds::new(min, max.min(ready)).unwrap(),
                Wish::Same | Wish::Fewer => Bounds::new(min.max(ready).min(max), max).unwrap(),
            };
            let bounds = without.bounds;
            let at = Timestamp::from_millis(now + 1);
            let next = PolicyInput { now: at, current, ready: current, bounds, ..input };
            self::tick(&without, &mut state.clone(), &next).target()
        };
        prop_assert_eq!(after(&of_the_decision), Some(ready), "{:?} of {:?}", answer, tick);
        for (index, obstacle) in of_the_decision.iter().enumerate() {
            if ends_by(obstacle, now + 1) {
                continue;
            }
            let mut others = of_the_decision.clone();
            others.remove(index);
            prop_assert_ne!(after(&others), Some(ready), "{:?} of {:?}", obstacle, answer);
        }
    }
}
