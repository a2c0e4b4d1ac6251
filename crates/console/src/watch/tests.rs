use model::decision::{Decision, Reason};
use model::network::NetworkStatus;
use model::tick::Tick;

use super::{Intake, Now, Seen, Taken};
use crate::events::Happened;
use crate::samples::{service_feed, tick};

fn decided(at: u64, ready: u32, sequence: u64) -> Tick {
    let decision = Decision::Target { ready, reasons: vec![Reason::OfferedLoad] };
    Tick { decision, sequence, ..tick("store", at) }
}

fn words(taken: &[Taken]) -> Vec<String> {
    let word = |taken: &Taken| match taken {
        Taken::Tick(tick) => format!("tick {}", tick.sequence),
        Taken::Event(event) => event.happened.kind().to_owned(),
        Taken::Second(row) => format!("second {}", row.second),
    };
    taken.iter().map(word).collect()
}

#[test]
fn a_turn_is_told_with_what_happened_and_ends_the_second_before() {
    let mut intake = Intake::default();
    assert_eq!(words(&intake.tick(decided(1_000, 1, 1))), ["tick 1"]);
    assert!(intake.tick(decided(1_100, 1, 0)).is_empty());
    let taken = intake.tick(decided(2_000, 2, 2));
    assert_eq!(words(&taken), ["second 1", "target", "tick 2"]);
    let batch = intake.batch();
    assert_eq!((batch.rows.len(), batch.turns.len(), batch.events.len()), (1, 3, 1));
    assert!(intake.batch().is_empty());
    assert!(intake.pass().is_empty(), "a turn of this second may come late");
    let other = |at| tick("other", at);
    intake.tick(other(3_900));
    assert!(intake.pass().is_empty());
    intake.tick(other(4_000));
    assert_eq!(words(&intake.pass()), ["second 2"], "no turn of the first comes any more");
}

#[test]
fn what_was_missed_is_recalled_once_and_told_to_nobody() {
    let mut intake = Intake::default();
    intake.tick(decided(1_000, 1, 1));
    intake.lose();
    intake.batch();
    intake.recall(vec![decided(2_000, 3, 2), decided(9_000, 4, 3)]);
    assert_eq!(intake.sequence(), 3);
    let batch = intake.batch();
    let targets: Vec<_> = batch.events.iter().map(|it| it.at.as_millis()).collect();
    assert_eq!((targets, batch.recalled.len()), (vec![2_000, 9_000], 2));
    // The feed tells of it too, for it was read first.
    assert_eq!(words(&intake.tick(decided(9_000, 4, 3))), ["gap", "tick 3"]);
    assert!(words(&intake.tick(decided(9_100, 5, 4))).contains(&"target".to_owned()));
}

#[test]
fn the_time_without_the_scaler_is_a_gap_and_a_moment_is_none() {
    for (back, gaps) in [(3_900, 0), (4_100, 1)] {
        let mut intake = Intake::default();
        intake.tick(decided(1_000, 1, 0));
        intake.lose();
        intake.lose();
        let taken = intake.tick(decided(back, 1, 0));
        let found = taken.iter().filter_map(|it| match it {
            Taken::Event(event) => Some(event.happened.clone()),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), gaps);
        if let Some(Happened::Gap { from, to, .. }) = found.first() {
            assert_eq!((from.as_millis(), to.as_millis()), (1_000, 4_100));
        }
    }
}

#[test]
fn a_record_of_the_scaler_that_begins_anew_is_followed_from_its_begin() {
    let mut intake = Intake::after(900);
    intake.tick(decided(1_000, 1, 1));
    assert_eq!(intake.sequence(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_scaler_told_is_not_of_now_once_it_is_away() {
    let now = Now::default();
    assert!(matches!(now.seen(), Seen::Away(_)));
    now.found();
    now.service(&service_feed("store", 1_000, &["bw-store-1-a"]));
    now.tick(tick("store", 1_100));
    assert_eq!(now.seen(), Seen::Now);
    let status = now.one(&"store".parse().unwrap()).unwrap();
    assert_eq!((status.instances.len(), status.tick.unwrap().at.as_millis()), (1, 1_100));
    now.lost("it was killed".to_owned());
    assert_eq!(now.seen(), Seen::Away("it was killed".to_owned()));
    assert!(now.host().services.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_told_of_no_more_is_gone_and_a_host_may_have_none() {
    let now = Now::default();
    let pass = |seconds| tokio::time::advance(std::time::Duration::from_secs(seconds));
    now.network(NetworkStatus::default());
    assert_eq!((now.seen(), now.host().services.len()), (Seen::Now, 0));
    now.service(&service_feed("store", 1_000, &[]));
    pass(4).await;
    now.service(&service_feed("other", 5_000, &[]));
    assert_eq!(now.host().services.len(), 2);
    pass(1).await;
    assert_eq!(now.one(&"store".parse().unwrap()), None);
    let names: Vec<_> = now.host().services.into_iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names, ["other"]);
}
