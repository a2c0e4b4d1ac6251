use std::time::Duration;

use model::action::{ActionKind, Blocked};
use model::decision::{Decision, Reason};
use model::instance::PhaseCounts;
use model::names::InstanceName;
use model::policies::{Measure, PolicyKind};
use model::tick::HostCpu;
use model::time::Timestamp;
use model::trail::{Advice, PolicyAdvice, Rule, Step, Trail, WentBy};
use model::version::{Version, Wanted};
use strum::IntoEnumIterator as _;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_123);
const FIRST: Version = Version::new(0xa1);
const SECOND: Version = Version::new(0xb2);

fn ago(millis: u64) -> Timestamp {
    NOW.before(Duration::from_millis(millis))
}

fn instance(slot: u32) -> InstanceName {
    InstanceName::new(&"shop".parse().unwrap(), slot.try_into().unwrap(), ago(5_000))
}

fn quiet() -> Tick {
    Tick {
        sequence: 7,
        at: NOW,
        service: "shop".parse().unwrap(),
        observation: Observation::default(),
        rollout: None,
        decision: Decision::Hold { reasons: vec![Reason::NoData] },
        trail: None,
        room: None,
        plan: vec![],
        blocked: vec![],
        done: vec![],
        ended: vec![],
        given_up: vec![],
    }
}

fn advice(policy: PolicyKind, advice: Advice, went_by: Option<WentBy>) -> PolicyAdvice {
    PolicyAdvice { policy, advice, went_by }
}

fn busy_observation() -> Observation {
    Observation {
        offered_rps: Some(130.04),
        served_rps: Some(121.0),
        rejected_rps: Some(2.0),
        queued: Some(6),
        in_flight: Some(21),
        cpu_cores: Some(1.234),
        host_cpu: Some(HostCpu { cores: 2, busy: 0.876 }),
        phases: PhaseCounts { ready: 3, starting: 1, draining: 0, failed: 1 },
        watched: None,
    }
}

fn done(kind: ActionKind, slot: u32, took_ms: u64, error: Option<&str>) -> Done {
    Done {
        kind,
        instance: instance(slot),
        slot: slot.try_into().unwrap(),
        version: Some(FIRST),
        planned_at: ago(took_ms),
        finished_at: NOW,
        error: error.map(str::to_owned),
        last_lines: vec!["a secret".to_owned()],
        release: None,
        steps: Vec::new(),
    }
}

fn every_rule() -> Vec<Step> {
    let rules = [
        Rule::NotKnown,
        Rule::ScheduledMin { min: 3 },
        Rule::ScheduledMax { max: 9 },
        Rule::Activation,
        Rule::Patience { since: ago(4_000), patience_ms: 10_000 },
        Rule::Cooldown { since: ago(55_000), cooldown_ms: 60_000 },
        Rule::StepLimit { largest: 2 },
        Rule::HostSaturated { most: 5 },
        Rule::Held,
        Rule::Min { min: 2 },
        Rule::Max { max: 10 },
    ];
    let step = |(index, rule): (u32, Rule)| Step { rule, from: index, to: index + 1 };
    let steps = (0..).zip(rules).map(step);
    steps
        .chain([Step { rule: rules[4], from: 9, to: 4 }, Step { rule: rules[0], from: 5, to: 5 }])
        .collect()
}

#[test]
fn a_turn_is_told_from_what_was_observed_to_what_came_to_its_end() {
    let next = Wanted { version: SECOND, deployed_at: ago(9_000) };
    let offered = WentBy::Load { measure: Measure::Offered, value: 130.04, per_instance: 40.0 };
    let share = WentBy::Share {
        measure: Measure::Cpu,
        percent: 61.7,
        lower_percent: 30.0,
        upper_percent: 60.0,
    };
    let trail = Trail {
        current: 3,
        advice: [
            advice(
                PolicyKind::TargetTracking,
                Advice::ready(4, Reason::OfferedLoad),
                Some(offered),
            ),
            advice(PolicyKind::Steps, Advice::ready(4, Reason::AboveUpper), Some(share)),
            advice(PolicyKind::Schedule, Advice::Within { min: 1, max: 8 }, None),
            advice(PolicyKind::Utilization, Advice::Unknown, None),
            advice(PolicyKind::Ratio, Advice::Silent, None),
        ]
        .into_iter()
        .collect(),
        steps: every_rule().into(),
        ..Trail::default()
    };
    let plan =
        Action { releases: true, ..Action::new(ActionKind::Clone, instance(4), Some(SECOND)) };
    let ended = |slot| Ended { instance: instance(slot), version: Some(FIRST), last_lines: vec![] };
    let tick = Tick {
        observation: busy_observation(),
        rollout: Some(Rollout::Watching { version: FIRST, next, since: ago(2_000) }),
        decision: Decision::Target { ready: 4, reasons: vec![Reason::OfferedLoad] },
        trail: Some(trail),
        plan: vec![plan, Action::new(ActionKind::Drain, instance(1), None)],
        blocked: Blocked::iter().collect(),
        done: vec![
            done(ActionKind::Clone, 2, 83, None),
            done(ActionKind::Stop, 5, 12_500, Some("no answer\u{1b}[31m")),
            Done {
                release: Some(ReleaseEnd::Failed),
                ..done(ActionKind::Clone, 6, 900, Some("status 3"))
            },
        ],
        ended: vec![ended(7)],
        given_up: vec![ended(8)],
        ..quiet()
    };
    insta::assert_snapshot!(text(&tick));
}

#[test]
fn a_turn_without_data_and_one_of_a_release_that_kept_no_trail_say_what_they_know() {
    let reasons = Reason::iter().collect();
    let earlier = Tick { decision: Decision::Target { ready: 2, reasons }, ..quiet() };
    insta::assert_snapshot!([quiet(), earlier].each_ref().map(text).join("\n---\n"));
}
