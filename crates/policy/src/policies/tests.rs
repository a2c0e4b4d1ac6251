//! What holds of every policy.

use model::bounds::Bounds;
use model::decision::{Decision, Reason};
use model::policies::PolicySpec;
use model::policies::{PolicyKind, Schedule, ScheduleEntry};
use model::tick::HostCpu;
use model::time::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::decide::DecisionState;
use crate::decide::decide;
use crate::input::Demand;
use crate::load::OfferedLoad;
use crate::testing::{input, seconds, store, with_load};

/// Every policy with its default figures, and with figures that let it act at each turn.
fn every_policy() -> Vec<Policy> {
    let quick = r#"[
        {"kind": "threshold", "measure": "offered", "window_ms": 0, "cooldown_ms": 0},
        {"kind": "ratio", "measure": "in_flight", "upper_percent": 80, "lower_percent": 20,
         "grow_ratio": 2, "shrink_ratio": 2, "window_ms": 0, "wait_ms": 0},
        {"kind": "steps", "measure": "served", "window_ms": 0, "cooldown_ms": 0},
        {"kind": "concurrency", "sync_ms": 0, "stable_window_ms": 500, "panic_window_ms": 100},
        {"kind": "hpa", "sync_ms": 0, "stabilisation_in_ms": 300, "stabilisation_out_ms": 200,
         "period_ms": 500},
        {"kind": "queue_depth", "idle_ms": 0}, {"kind": "utilization", "window_ms": 100},
        {"kind": "predictive", "interval_ms": 100, "season_ms": 1000, "season_slots": 5,
         "level_gain": 1, "trend_gain": 1, "season_gain": 1},
        {"kind": "react", "interval_ms": 100}, {"kind": "adapt", "interval_ms": 100},
        {"kind": "hist", "interval_ms": 100}, {"kind": "reg", "interval_ms": 100},
        {"kind": "conpaas", "interval_ms": 100, "readings": 4}
    ]"#;
    let quick: Vec<Policy> = serde_json::from_str(quick).unwrap();
    let entry = ScheduleEntry {
        days: vec![],
        from: "00:00".to_owned(),
        to: "24:00".to_owned(),
        min: 0,
        max: 700,
    };
    let schedule = Schedule { time_zone: "Asia/Kathmandu".to_owned(), entries: vec![entry] };
    let all = Policy::all().chain(quick);
    all.chain([Policy::Schedule(schedule)]).collect()
}

fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 0.0_f64..2000.0,
        1 => prop::sample::select(vec![
            0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE,
        ]),
    ]
}

fn load() -> impl Strategy<Value = Option<OfferedLoad>> {
    let load = (figure(), figure(), figure()).prop_map(|(mean_rps, burst_rps, queue_rps)| {
        OfferedLoad { mean_rps, burst_rps, queue_rps }
    });
    prop::option::weighted(0.9, load)
}

fn count() -> impl Strategy<Value = Option<u32>> {
    prop::option::weighted(0.9, prop_oneof![8 => 0_u32..300, 1 => Just(u32::MAX)])
}

/// Anything that could be read, at a moment that moves on by the first number of milliseconds.
fn any_input() -> impl Strategy<Value = (i64, PolicyInput)> {
    let step = prop_oneof![8 => 0_i64..400, 1 => -5000_i64..100_000];
    let optional = || prop::option::weighted(0.9, figure());
    let counts = (count(), count(), 0_u32..20, 0_u32..4);
    let input = (step, load(), optional(), optional(), counts).prop_map(
        |(step, offered, served_rps, cpu_cores, (in_flight, queued, ready, starting))| {
            let known =
                PolicyInput { served_rps, cpu_cores, in_flight, queued, ..with_load(offered) };
            (step, PolicyInput { ready, starting, ..known })
        },
    );
    (input, any_host())
        .prop_map(|((step, input), host_cpu)| (step, PolicyInput { host_cpu, ..input }))
}

fn any_host() -> impl Strategy<Value = Option<HostCpu>> {
    let busy = prop_oneof![2 => 0.8_f64..=1.0, 1 => figure()];
    prop::option::weighted(0.9, (0_u32..5, busy).prop_map(|(cores, busy)| HostCpu { cores, busy }))
}

#[test]
fn every_policy_is_tried() {
    let tried = every_policy();
    for kind in PolicyKind::all() {
        assert!(tried.iter().filter(|policy| policy.kind() == kind).count() >= 1, "{kind}");
    }
    assert!(tried.iter().all(|policy| policy.check().is_ok()));
}

#[test]
fn who_knows_nothing_asks_for_nothing() {
    let nothing = PolicyInput {
        served_rps: None,
        in_flight: None,
        queued: None,
        cpu_cores: None,
        ..with_load(None)
    };
    for policy in every_policy() {
        let mut state = PolicyState::of(&policy);
        let _ = advise(&policy, &mut state, &input());
        let advice = advise(&policy, &mut state, &nothing);
        let is_schedule = policy.kind() == PolicyKind::Schedule;
        let asks = matches!(advice, Advice::Ready { .. });
        assert!(!asks && (is_schedule || !matches!(advice, Advice::Within { .. })), "{policy:?}");
    }
}

#[test]
fn without_requests_those_that_go_by_requests_know_nothing_and_the_others_advise() {
    let without = PolicyInput {
        demand: Some(Demand::Uncounted),
        served_rps: None,
        in_flight: None,
        queued: None,
        cpu_cores: Some(0.7),
        ..input()
    };
    for policy in every_policy() {
        let mut state = PolicyState::of(&policy);
        let advice = [0, 60, 120]
            .map(|second| PolicyInput { now: seconds(second), ..without })
            .map(|input| advise(&policy, &mut state, &input));
        let knows_nothing = advice.iter().all(|advice| *advice == Advice::Unknown);
        assert_eq!(knows_nothing, policy.goes_by_requests(), "{policy:?}: {advice:?}");
    }
}

#[test]
fn memory_of_another_policy_is_replaced() {
    let mut state = PolicyState::of(&PolicyKind::Hist.defaults());
    let _ = advise(&PolicyKind::Hpa.defaults(), &mut state, &input());
    assert!(matches!(state, PolicyState::Hpa(_)));
}

/// The lines of a policy's section in the operations' page.
fn documented(kind: PolicyKind) -> Vec<&'static str> {
    let page = include_str!("../../../../docs/operations/policies.md");
    let head = format!("## {kind}");
    let of_section = page.lines().skip_while(|line| line.trim_start_matches('#') != &head[2..]);
    of_section.skip(1).take_while(|line| !line.starts_with('#')).collect()
}

#[test]
fn every_figure_is_documented_with_its_default() {
    for kind in PolicyKind::all() {
        let lines = documented(kind);
        let figures = serde_json::to_value(kind.defaults()).unwrap();
        for (key, default) in figures.as_object().unwrap() {
            if key == "kind" {
                continue;
            }
            let row = lines.iter().find(|line| line.starts_with(&format!("| `{key}` |")));
            let row = row.unwrap_or_else(|| panic!("{kind}: {key} is not documented"));
            let said = row.split('|').nth(3).unwrap().trim().trim_matches('`');
            let is_default = match default {
                serde_json::Value::Number(number) => said.parse() == Ok(number.as_f64().unwrap()),
                serde_json::Value::String(text) => said == text,
                list => toml::from_str::<toml::Table>(&format!("list = {said}")).is_ok_and(|t| {
                    t["list"].as_array().unwrap().len() == list.as_array().unwrap().len()
                }),
            };
            assert!(is_default, "{kind}.{key}: the page says {said}, the default is {default}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_read_the_decision_lies_within_the_bounds(
        readings in prop::collection::vec(any_input(), 1..60), min in 0_u32..5, more in 1_u32..20
    ) {
        let bounds = Bounds::new(min, min + more).unwrap();
        for policy in every_policy() {
            let mut spec = store();
            spec.policy = PolicySpec::new(vec![policy.clone()]).unwrap();
            let (mut state, mut current) = (DecisionState::default(), 0);
            let mut now = seconds(1000).as_millis();
            for (step, input) in &readings {
                now = now.saturating_add_signed(*step);
                let input =
                    PolicyInput { now: Timestamp::from_millis(now), current, bounds, ..*input };
                match decide(&spec, &mut state, &input).decision {
                    Decision::Target { ready, reasons } => {
                        let inside = (bounds.min()..=bounds.max()).contains(&ready);
                        prop_assert!(inside && !reasons.is_empty(), "{ready} by {policy:?}");
                        if reasons.contains(&Reason::HostSaturated) {
                            // Up to four cores, kept busy by instances that each use half of one, or by four
                            // more that compute.
                            let there = (input.ready + input.starting).min(current);
                            let kept = |number: u32| number.max(min).max(1);
                            let known = (kept(there)..=(kept(current) + 4).max(8)).contains(&ready);
                            prop_assert!(known, "{ready} for {reasons:?} by {policy:?}");
                        }
                        current = ready;
                    }
                    Decision::Hold { .. } => prop_assert_eq!(input.demand, None),
                }
            }
        }
    }
}
