use model::action::{Action, ActionKind, Blocked, Done, LaunchStep, StepTime};
use model::decision::{Decision, Reason};
use model::instance::Ended;
use model::names::InstanceName;
use model::tick::Tick;
use model::time::Timestamp;
use model::version::{Rollout, Version};
use strum::IntoEnumIterator as _;

use super::{Derived, Event, Happened, Kind};
use crate::samples::{service_feed, tick};

fn instance() -> InstanceName {
    "bw-store-1-a".parse().unwrap()
}

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.happened.kind()).collect()
}

fn decided(at: u64, ready: u32, reasons: &[Reason]) -> Tick {
    Tick { decision: Decision::Target { ready, reasons: reasons.to_vec() }, ..tick("store", at) }
}

#[test]
fn a_change_of_the_target_is_told_once_with_its_reasons_and_a_hold_is_none() {
    let mut derived = Derived::default();
    assert!(derived.tick(&decided(1, 2, &[Reason::OfferedLoad])).is_empty());
    assert!(derived.tick(&decided(2, 2, &[Reason::Burst])).is_empty());
    let hold = Decision::Hold { reasons: vec![Reason::Cooldown] };
    assert!(derived.tick(&Tick { decision: hold, ..tick("store", 3) }).is_empty());
    let events = derived.tick(&decided(4, 5, &[Reason::Burst, Reason::StepLimit]));
    let reasons = vec![Reason::Burst, Reason::StepLimit];
    assert_eq!(events[0].happened, Happened::Target { from: 2, to: 5, reasons });
    assert_eq!((events[0].at.as_millis(), events.len()), (4, 1));
}

#[test]
fn what_limits_or_blocks_is_told_when_it_begins_and_when_it_ends() {
    let mut derived = Derived::default();
    derived.tick(&decided(1, 2, &[Reason::OfferedLoad]));
    let at_max = decided(2, 2, &[Reason::OfferedLoad, Reason::AtMax]);
    assert_eq!(kinds(&derived.tick(&at_max)), ["limit_began"]);
    let blocked = Tick { blocked: vec![Blocked::HostMemory], ..at_max };
    assert_eq!(kinds(&derived.tick(&blocked)), ["blocked_began"]);
    assert!(derived.tick(&blocked).is_empty());
    let after = decided(4, 2, &[Reason::OfferedLoad]);
    assert_eq!(kinds(&derived.tick(&after)), ["limit_ended", "blocked_ended"]);
}

#[test]
fn what_came_to_its_end_is_told_as_it_ended() {
    let done = |kind, error: Option<&str>| Done {
        kind,
        instance: instance(),
        slot: instance().slot(),
        version: None,
        planned_at: Timestamp::from_millis(100),
        finished_at: Timestamp::from_millis(180),
        error: error.map(str::to_owned),
        last_lines: vec!["a secret of the application's".to_owned()],
        release: None,
        steps: vec![StepTime { step: LaunchStep::Health, took_ms: 70 }],
    };
    let mut told = tick("store", 200);
    told.plan = vec![Action::new(ActionKind::Drain, instance(), None)];
    told.done = vec![
        done(ActionKind::Clone, None),
        done(ActionKind::Clone, Some("no disk")),
        done(ActionKind::Drain, None),
        done(ActionKind::Stop, None),
        done(ActionKind::Kill, None),
    ];
    told.ended = vec![Ended { instance: instance(), version: None, last_lines: vec![] }];
    let events = Derived::default().tick(&told);
    assert_eq!(kinds(&events), ["started", "failed", "removed", "removed", "ended"]);
    let steps = vec![StepTime { step: LaunchStep::Health, took_ms: 70 }];
    assert_eq!(events[0].happened, Happened::Started { instance: instance(), took_ms: 80, steps });
    let before = r#"{"kind":"started","instance":"bw-store-1-a","took_ms":80}"#;
    let before: Happened = serde_json::from_str(before).unwrap();
    assert!(matches!(before, Happened::Started { took_ms: 80, steps, .. } if steps.is_empty()));
    assert!(!serde_json::to_string(&events).unwrap().contains("secret"));
}

#[test]
fn a_rollout_is_told_at_each_of_its_steps() {
    let mut derived = Derived::default();
    let serving = |digest| Some(Rollout::Serving { version: Version::new(digest) });
    derived.tick(&Tick { rollout: serving(1), ..tick("store", 1) });
    assert!(derived.tick(&Tick { rollout: serving(1), ..tick("store", 2) }).is_empty());
    assert_eq!(
        kinds(&derived.tick(&Tick { rollout: serving(2), ..tick("store", 3) })),
        ["rollout"]
    );
}

#[test]
fn bounds_and_policies_that_are_set_are_told_and_those_that_were_there_before_are_not() {
    let mut derived = Derived::default();
    let mut feed = service_feed("store", 1, &[]);
    assert_eq!(derived.service(&feed), None);
    assert_eq!(derived.service(&feed), None);
    feed.status.policy = "concurrency".to_owned();
    assert_eq!(derived.service(&feed).unwrap().happened.kind(), "set");
}

#[test]
fn the_word_of_a_kind_is_that_of_its_json() {
    let happened = Happened::LimitBegan { reason: Reason::AtMax };
    let json = serde_json::to_value(&happened).unwrap();
    assert_eq!(json["kind"], happened.kind());
    let words: Vec<&'static str> = Kind::iter().map(Into::into).collect();
    for word in words {
        assert!(word.parse::<Kind>().is_ok(), "{word}");
    }
}
