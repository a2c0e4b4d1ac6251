use model::bounds::Bounds;
use model::policies::Measure;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_123);

fn seconds_ago(seconds: u64) -> Timestamp {
    NOW.before(std::time::Duration::from_secs(seconds))
}

fn needed(measure: Measure, now: Option<f64>, bound: f64) -> Needed {
    Needed { measure, now, bound }
}

fn policy(policy: PolicyKind, asks_for: u32, reason: Reason, needed: Vec<Needed>) -> Obstacle {
    Obstacle::Policy { policy, asks_for, reason, needed }
}

fn answer(ready: u32, obstacles: Vec<Obstacle>) -> WhyNot {
    let service = "shop".parse().unwrap();
    WhyNot { service, at: NOW, ready, target: Some(4), ready_now: 3, starting: 1, obstacles }
}

#[test]
fn why_not_more_names_each_figure_and_what_would_have_to_change() {
    let bounds = Bounds::new(1, 10).unwrap();
    let load = vec![needed(Measure::Offered, Some(130.0), 440.0)];
    let either = vec![needed(Measure::InFlight, Some(9.0), 70.0), needed(Measure::Cpu, None, 8.8)];
    let until = NOW.after(std::time::Duration::from_secs(4));
    let obstacles = vec![
        policy(PolicyKind::TargetTracking, 4, Reason::OfferedLoad, load),
        policy(PolicyKind::Utilization, 2, Reason::InFlight, either),
        policy(PolicyKind::Reg, 3, Reason::InBand, vec![]),
        Obstacle::NotKnown { policy: PolicyKind::Hpa },
        Obstacle::NotSet { policy: PolicyKind::Ratio },
        Obstacle::ScheduleAlone,
        Obstacle::ScheduledMax { max: 6 },
        Obstacle::Patience { patience_ms: 10_000, since: None },
        Obstacle::Patience { patience_ms: 10_000, since: Some(seconds_ago(4)) },
        Obstacle::Cooldown { cooldown_ms: 60_000, since: seconds_ago(55) },
        Obstacle::StepLimit { largest: 2 },
        Obstacle::HostSaturated { most: 5 },
        Obstacle::Max { bounds },
        Obstacle::OneAtMost,
        Obstacle::NoVersion,
        Obstacle::LaunchBackoff { until },
        Obstacle::HostMemory { fits: 3 },
        Obstacle::NoFreeSlot { free: 2 },
        Obstacle::LaunchLimit { left: 4 },
        Obstacle::Starting { count: 1 },
        Obstacle::Held { ready: 4 },
        Obstacle::NoData,
    ];
    insta::assert_snapshot!(text(&answer(12, obstacles)));
}

#[test]
fn why_not_fewer_says_what_keeps_them_and_until_when() {
    let bounds = Bounds::new(3, 10).unwrap();
    let both =
        vec![needed(Measure::InFlight, Some(30.0), 12.0), needed(Measure::Cpu, Some(0.42), 1.6)];
    let obstacles = vec![
        policy(PolicyKind::Utilization, 5, Reason::InFlight, both),
        Obstacle::ScheduledMin { min: 3 },
        Obstacle::Activation,
        Obstacle::Patience { patience_ms: 3_000, since: Some(seconds_ago(2)) },
        Obstacle::Min { bounds },
    ];
    insta::assert_snapshot!(text(&answer(2, obstacles)));
}

#[test]
fn where_nothing_stands_between_that_is_said() {
    let texts = [
        answer(4, vec![]),
        answer(3, vec![]),
        answer(4, vec![Obstacle::Leaving { count: 1 }, Obstacle::Replacing { count: 2 }]),
        WhyNot { target: None, ..answer(5, vec![Obstacle::NoData]) },
    ];
    insta::assert_snapshot!(texts.each_ref().map(text).join("\n"));
}
