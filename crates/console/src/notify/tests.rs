//! Episodes from turn to turn, and for any sequence of turns.

use std::collections::{BTreeMap, BTreeSet};

use host::settings::EpisodeKind;
use model::decision::{Decision, Reason};
use model::instance::Ended;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use model::version::{Rollout, Version, Wanted};
use proptest::prelude::*;

use super::episodes::{Episodes, Seen};
use super::full_disk::Room;
use super::message::{Change, Message};
use crate::samples;

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

fn turn(second: u64, reason: Reason) -> Tick {
    let decision = Decision::Target { ready: 10, reasons: vec![reason] };
    Tick { decision, ..samples::tick("store", second * 1000) }
}

fn given_up(second: u64, deploy: u64) -> Tick {
    let next = Wanted { version: Version::new(2), deployed_at: at(deploy) };
    let rollout = Rollout::GivenUp { version: Version::new(1), next, reason: String::new() };
    Tick { rollout: Some(rollout), ..turn(second, Reason::OfferedLoad) }
}

fn told(messages: &[Message]) -> Vec<(EpisodeKind, Change)> {
    messages.iter().map(|message| (message.kind, message.state)).collect()
}

/// Takes in a turn in each of these seconds.
fn seconds(episodes: &mut Episodes, seconds: std::ops::Range<u64>, reason: Reason) -> Vec<Message> {
    let see = |second| episodes.see(Seen::Tick(&turn(second, reason)), at(second));
    seconds.flat_map(see).collect()
}

#[test]
fn a_service_at_its_bound_is_told_once_and_once_when_it_is_over() {
    let mut episodes = Episodes::default();
    let began = seconds(&mut episodes, 0..500, Reason::AtMax);
    assert_eq!(told(&began), [(EpisodeKind::AtMaximum, Change::Began)]);
    assert_eq!((began[0].at, &*began[0].episode), (at(30), "at_maximum-store-30000"));
    let ended = seconds(&mut episodes, 500..900, Reason::OfferedLoad);
    assert_eq!(told(&ended), [(EpisodeKind::AtMaximum, Change::Ended)]);
    assert_eq!((ended[0].at, &ended[0].episode), (at(560), &began[0].episode));
    assert_eq!(episodes.under_way().count(), 0);
}

#[test]
fn an_episode_that_an_earlier_run_left_is_not_told_again_and_its_end_is() {
    let mut first = Episodes::default();
    let began = seconds(&mut first, 0..100, Reason::AtMax);
    let mut goes_on = Episodes::resume(first.under_way().cloned());
    assert!(seconds(&mut goes_on, 200..400, Reason::AtMax).is_empty());
    let mut is_over = Episodes::resume(first.under_way().cloned());
    let ended = seconds(&mut is_over, 200..400, Reason::OfferedLoad);
    assert_eq!(told(&ended), [(EpisodeKind::AtMaximum, Change::Ended)]);
    assert_eq!(ended[0].episode, began[0].episode);
}

#[test]
fn another_deploy_that_fails_is_another_episode_and_the_same_one_is_not() {
    let mut episodes = Episodes::default();
    let mut see = |tick: Tick| told(&episodes.see(Seen::Tick(&tick), tick.at));
    let (began, ended) =
        ((EpisodeKind::FailedDeploy, Change::Began), (EpisodeKind::FailedDeploy, Change::Ended));
    assert_eq!(see(given_up(1, 1)), [began]);
    assert_eq!(see(given_up(2, 1)), []);
    assert_eq!(see(given_up(3, 2)), [ended, began]);
    let serving = Rollout::Serving { version: Version::new(2) };
    assert_eq!(see(Tick { rollout: Some(serving), ..turn(4, Reason::OfferedLoad) }), [ended]);
}

#[test]
fn what_goes_on_of_a_service_that_is_removed_ends_a_minute_later() {
    let mut episodes = Episodes::default();
    episodes.see(Seen::Tick(&given_up(1, 1)), at(1));
    let mut episodes = Episodes::resume(episodes.under_way().cloned());
    let (none, one) = (BTreeSet::new(), BTreeSet::from(["store".parse().unwrap()]));
    let mut pass =
        |told: &BTreeSet<ServiceName>, second| episodes.see(Seen::Services(told), at(second));
    assert!((0..59).all(|second| pass(&none, second).is_empty()));
    assert!(pass(&one, 59).is_empty());
    assert!((60..119).all(|second| pass(&none, second).is_empty()));
    let ended = pass(&none, 119);
    assert_eq!(told(&ended), [(EpisodeKind::FailedDeploy, Change::Ended)]);
    insta::assert_snapshot!(ended[0].text, @"store is not deployed any more, after 1 min 58 s.");
    assert!((120..300).all(|second| pass(&none, second).is_empty()));
}

#[test]
fn what_instances_wrote_and_why_a_version_was_given_up_is_in_no_message() {
    let next = Wanted { version: Version::new(2), deployed_at: at(1) };
    let reason = "SECRET".to_owned();
    let rollout = Some(Rollout::GivenUp { version: Version::new(1), next, reason });
    let instance: model::names::InstanceName = "bw-store-1-a".parse().unwrap();
    let ended = Ended { instance, version: None, last_lines: vec!["SECRET".to_owned()] };
    let tick = Tick { rollout, ended: vec![ended; 5], ..turn(1, Reason::OfferedLoad) };
    let messages = Episodes::default().see(Seen::Tick(&tick), at(1));
    assert_eq!(messages.len(), 2);
    assert!(messages.iter().all(|message| !message.body("web1").contains("SECRET")));
}

/// What a sequence is made of.
#[derive(Debug, Clone)]
enum Step {
    /// A turn, so many seconds later, of one of three services.
    Turn {
        service: usize,
        later_s: u64,
        reason: Reason,
        rollout: u64,
        deaths: usize,
    },
    Disk {
        free_mib: u64,
    },
    Services {
        is_there: bool,
    },
    /// The clock is set back.
    Back,
    /// The console is killed and goes on with what it left.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reason = prop_oneof![3 => Just(Reason::AtMax), 2 => Just(Reason::OfferedLoad), 1 => Just(Reason::NoData)];
    let turn = (0..3_usize, 0..40_u64, reason, 0..6_u64, 0..3_usize);
    let turn = turn.prop_map(|(service, later_s, reason, rollout, deaths)| Step::Turn {
        service,
        later_s,
        reason,
        rollout,
        deaths,
    });
    let disk = prop_oneof![Just(1), Just(700), Just(9_000)];
    let step = prop_oneof![
        12 => turn,
        2 => disk.prop_map(|free_mib| Step::Disk { free_mib }),
        2 => any::<bool>().prop_map(|is_there| Step::Services { is_there }),
        1 => Just(Step::Back),
        1 => Just(Step::Restart),
    ];
    // Runs of the same: without them nothing ever lasts.
    let run = (step, 1..80_usize).prop_map(|(step, times)| vec![step; times]);
    prop::collection::vec(run, 1..40).prop_map(|runs| runs.concat())
}

fn tick(second: u64, service: usize, reason: Reason, rollout: u64, deaths: usize) -> Tick {
    let name = ["store", "shop", "web"][service];
    let decision = match reason {
        Reason::NoData => Decision::Hold { reasons: vec![reason] },
        _ => Decision::Target { ready: 10, reasons: vec![reason] },
    };
    let instance: model::names::InstanceName = "bw-store-1-a".parse().unwrap();
    let ended = Ended { instance, version: None, last_lines: vec![] };
    let rollout = match rollout {
        0 => None,
        1 | 2 => given_up(second, rollout).rollout,
        _ => Some(Rollout::Serving { version: Version::new(1) }),
    };
    let tick = samples::tick(name, second * 1000);
    Tick { decision, rollout, ended: vec![ended; deaths], ..tick }
}

fn taken(episodes: &mut Episodes, step: &Step, second: &mut u64) -> Vec<Message> {
    match step {
        Step::Turn { service, later_s, reason, rollout, deaths } => {
            *second += later_s;
            let tick = tick(*second, *service, *reason, *rollout, *deaths);
            episodes.see(Seen::Tick(&tick), at(*second))
        }
        Step::Disk { free_mib } => {
            let room = Room { free_mib: *free_mib, size_mib: 10_000, files: (0, 0) };
            episodes.see(Seen::Disk(room), at(*second))
        }
        Step::Services { is_there } => {
            let names = ["store", "shop", "web"].map(|name| name.parse().unwrap());
            let told = names.into_iter().filter(|_| *is_there).collect();
            episodes.see(Seen::Services(&told), at(*second))
        }
        Step::Back => {
            *second = second.saturating_sub(500);
            vec![]
        }
        Step::Restart => {
            *episodes = Episodes::resume(episodes.under_way().cloned());
            vec![]
        }
    }
}

proptest! {
    #[test]
    fn for_any_sequence_each_beginning_has_one_end_after_it_and_no_end_comes_without(steps in steps()) {
        let mut episodes = Episodes::default();
        let mut second = 100_000;
        let mut open: BTreeMap<(EpisodeKind, Option<ServiceName>), String> = BTreeMap::new();
        for step in &steps {
            for message in taken(&mut episodes, step, &mut second) {
                let key = (message.kind, message.service.clone());
                match message.state {
                    Change::Began => prop_assert_eq!(open.insert(key, message.episode), None),
                    Change::Ended => prop_assert_eq!(open.remove(&key), Some(message.episode)),
                }
            }
            let under_way: BTreeSet<_> =
                episodes.under_way().map(|it| (it.kind, it.service.clone())).collect();
            prop_assert_eq!(&under_way, &open.keys().cloned().collect());
        }
    }

    #[test]
    fn for_any_sequence_a_pair_of_messages_is_far_from_the_next_where_a_state_swings(
        reasons in prop::collection::vec(any::<bool>(), 1..2_000)
    ) {
        let mut episodes = Episodes::default();
        let mut ended = None;
        for (second, is_at_max) in reasons.into_iter().enumerate() {
            let second = second as u64;
            let reason = if is_at_max { Reason::AtMax } else { Reason::OfferedLoad };
            for message in episodes.see(Seen::Tick(&turn(second, reason)), at(second)) {
                match message.state {
                    Change::Ended => ended = Some(second),
                    // 60 s below, and 30 at the bound.
                    Change::Began => prop_assert!(ended.is_none_or(|ended| second - ended >= 30)),
                }
            }
        }
    }
}
