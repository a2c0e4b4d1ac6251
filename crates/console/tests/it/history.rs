//! What is recorded, and read again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use console::events::{Cause, Event, Happened, Kind};
use console::history::retention::Class;
use console::history::{self, Batch, History, Place, Recorder, SIZE_MIN_BYTES, Step, Wanted};
use console::samples;
use console::series::point::{Measure, Row};
use console::series::seconds::Seconds;
use model::action::Blocked;
use model::decision::{Decision, Reason};
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use rusqlite::Connection;

pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap())
}

pub(crate) fn open(folder: &Path) -> (Recorder, History) {
    history::open(Place { file: folder.join("history.sqlite"), size_bytes: SIZE_MIN_BYTES })
}

pub(crate) fn store() -> ServiceName {
    "store".parse().unwrap()
}

/// The newest of all events or turns.
pub(crate) fn newest() -> Wanted {
    Wanted { limit: 1_000, ..Wanted::default() }
}

/// A turn, kept in the scaler's record under this number or not.
pub(crate) fn turn(at: Timestamp, sequence: u64) -> Tick {
    Tick { sequence, ..samples::tick("store", at.as_millis()) }
}

/// One second of a service with an instance, in which this load was offered.
pub(crate) fn row(second: u64, offered: f64) -> Row {
    let mut seconds = Seconds::default();
    let mut tick = samples::tick("store", second * 1000);
    tick.observation.offered_rps = Some(offered);
    seconds.tick(&tick);
    seconds.instances(&samples::service_feed("store", second * 1000, &["bw-store-1-a"]));
    seconds.close_all().remove(0)
}

pub(crate) fn of_turns(turns: impl IntoIterator<Item = Tick>) -> Batch {
    Batch { turns: turns.into_iter().map(Arc::new).collect(), ..Batch::default() }
}

async fn kinds(history: &History) -> Vec<&'static str> {
    let events = history.events(newest(), None).await.unwrap();
    events.iter().map(|it| it.happened.kind()).collect()
}

#[tokio::test]
async fn what_was_recorded_is_read_again_by_the_next_run_and_seconds_without_a_turn_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let second = now().as_millis() / 1000 - 300;
    {
        let (recorder, _history) = open(folder.path());
        let rows = [0, 1, 4]
            .map(|offset| row(second + offset, 7.0 + f64::from(u32::try_from(offset).unwrap())));
        let turns = of_turns([turn(Timestamp::from_millis(second * 1000), 0)]);
        recorder.record(Batch { rows: rows.to_vec(), ..turns });
    }
    let (recorder, history) = open(folder.path());
    recorder.flush().await;
    let span = (second, second + 60);
    let series = history.service_series(store(), Step::Second, span, 100).await.unwrap();
    let offered =
        |point: &console::series::point::ServicePoint| point.figure(Measure::OfferedRps).mean();
    let read: Vec<_> = series.iter().map(|(at, point)| (at - second, offered(point))).collect();
    assert_eq!(read, [(0, Some(7.0)), (1, Some(8.0)), (4, Some(11.0))]);
    let instance = "bw-store-1-a".parse().unwrap();
    let series = history.instance_series(instance, Step::Second, span, 2).await.unwrap();
    assert_eq!(series.iter().map(|(at, _)| at - second).collect::<Vec<_>>(), [0, 1]);
    let other = "bw-store-2-a".parse().unwrap();
    assert!(history.instance_series(other, Step::Second, span, 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn minutes_are_made_of_the_seconds_that_are_there_also_of_those_that_an_earlier_run_left() {
    let folder = tempfile::tempdir().unwrap();
    let minute = now().as_millis() / 60_000 * 60 - 300;
    {
        let (recorder, _history) = open(folder.path());
        recorder.flush().await;
        let rows = vec![row(minute + 1, 10.0), row(minute + 59, 20.0), row(minute + 180, 30.0)];
        recorder.record(Batch { rows, ..Batch::default() });
    }
    let (recorder, history) = open(folder.path());
    recorder.record(Batch::default());
    recorder.flush().await;
    let span = (minute, minute + 300);
    let series = history.service_series(store(), Step::Minute, span, 100).await.unwrap();
    let read: Vec<_> = series
        .iter()
        .map(|(at, point)| {
            (at - minute, point.figure(Measure::OfferedRps).mean().unwrap(), point.turns)
        })
        .collect();
    assert_eq!(read, [(0, 15.0, 2), (180, 30.0, 1)]);
    let instance = "bw-store-1-a".parse().unwrap();
    assert_eq!(history.instance_series(instance, Step::Minute, span, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn every_turn_is_there_and_those_that_the_scaler_keeps_are_found_by_number_service_and_reason()
 {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, history) = open(folder.path());
    let from = now().before(Duration::from_secs(60));
    let at = |tenths: u64| from.after(Duration::from_millis(100 * tenths));
    let mut turns: Vec<_> = (0..20).map(|tenths| turn(at(tenths), 0)).collect();
    turns[3].sequence = 8;
    turns[5].sequence = 9;
    turns[5].decision = Decision::Target { ready: 2, reasons: vec![Reason::Burst, Reason::AtMax] };
    turns[7].sequence = 10;
    turns[7].service = "other".parse().unwrap();
    turns[7].blocked = vec![Blocked::HostMemory];
    let (first, second) = turns.split_at(10);
    recorder.record(of_turns(first.to_vec()));
    recorder.record(of_turns(second.to_vec()));
    // What the scaler's record tells again is there once.
    recorder.record(Batch { recalled: vec![turns[3].clone()], ..Batch::default() });
    recorder.flush().await;
    let all = history.turns(store(), (at(2), at(12)), 1_000).await.unwrap();
    let expected: Vec<_> =
        turns[2..12].iter().filter(|it| it.service == store()).cloned().collect();
    assert_eq!(all, expected);
    assert_eq!(history.last_sequence().await.unwrap(), 10);

    let sequences = async |wanted, reason: Option<&str>| {
        let (ticks, next) = history.changed(wanted, reason.map(str::to_owned)).await.unwrap();
        (ticks.iter().map(|it| it.sequence).collect::<Vec<_>>(), next)
    };
    assert_eq!(sequences(newest(), None).await, (vec![8, 9, 10], Some(3)));
    let since = |since, limit| Wanted { since: Some(since), limit, service: None };
    assert_eq!(sequences(since(0, 1), None).await, (vec![8], Some(1)));
    assert_eq!(sequences(since(1, 9), None).await, (vec![9, 10], Some(3)));
    assert_eq!(sequences(since(3, 9), None).await, (vec![], None));
    assert_eq!(sequences(Wanted { limit: 1, ..newest() }, None).await.0, [10]);
    let of_store = Wanted { service: Some(store()), ..newest() };
    assert_eq!(sequences(of_store, None).await.0, [8, 9]);
    assert_eq!(sequences(newest(), Some("AtMax")).await.0, [9]);
    assert_eq!(sequences(newest(), Some("HostMemory")).await.0, [10]);
    assert_eq!(sequences(newest(), Some("At")).await.0, [0; 0]);
}

#[tokio::test]
async fn events_are_found_by_number_service_and_kind() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, history) = open(folder.path());
    let event = |service: Option<ServiceName>, reason| Event {
        at: now(),
        service,
        happened: Happened::LimitBegan { reason },
    };
    let ended = Happened::LimitEnded { reason: Reason::AtMax };
    let events = vec![
        event(Some(store()), Reason::AtMax),
        Event { happened: ended, ..event(Some(store()), Reason::AtMax) },
        event(Some("other".parse().unwrap()), Reason::NoData),
    ];
    recorder.record(Batch { events: events.clone(), ..Batch::default() });
    recorder.flush().await;
    let read = history.events(newest(), None).await.unwrap();
    assert_eq!(read.iter().map(|it| Event::from(it.clone())).collect::<Vec<_>>(), events);
    let after = Wanted { since: Some(read[0].id), ..newest() };
    assert_eq!(history.events(after, None).await.unwrap().len(), 2);
    assert_eq!(history.events(newest(), Some(Kind::LimitEnded)).await.unwrap().len(), 1);
    let of_store = Wanted { service: Some(store()), ..newest() };
    assert_eq!(history.events(of_store, None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_time_in_which_the_console_did_not_run_is_told_as_a_gap_and_a_quick_restart_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let ago = |seconds| now().before(Duration::from_secs(seconds));
    for (at, gaps) in [(ago(100), 0), (ago(99), 0), (ago(60), 1), (ago(30), 2)] {
        let (recorder, history) = open(folder.path());
        recorder.record(of_turns([turn(at, 0)]));
        recorder.flush().await;
        assert_eq!(kinds(&history).await.len(), gaps);
        // Within a run, the feed tells of gaps.
        recorder.record(of_turns([turn(at.after(Duration::from_secs(8)), 0)]));
        recorder.flush().await;
        assert_eq!(kinds(&history).await.len(), gaps);
    }
    let (_recorder, history) = open(folder.path());
    let events = history.events(newest(), Some(Kind::Gap)).await;
    let events = events.unwrap_or_default();
    let causes = events.iter().map(|it| match it.happened {
        Happened::Gap { from, to, cause } => (to.since(from).as_secs(), cause),
        _ => panic!("{it:?}"),
    });
    for (length, cause) in causes {
        assert_eq!(cause, Cause::ConsoleAway);
        assert!((21..=32).contains(&length), "{length}");
    }
}

#[tokio::test]
async fn a_reader_that_takes_its_time_keeps_nothing_from_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, history) = open(folder.path());
    recorder.record(of_turns([turn(now(), 1)]));
    recorder.flush().await;
    let slow = Connection::open(history.file()).unwrap();
    slow.execute_batch("BEGIN; SELECT count(*) FROM changed;").unwrap();
    for sequence in 2..50 {
        recorder.record(of_turns([turn(now(), sequence)]));
        recorder.flush().await;
    }
    assert_eq!(history.last_sequence().await.unwrap(), 49);
    assert_eq!((history.status().problem, history.status().seconds_missed), (None, 0));
}

#[tokio::test]
async fn what_is_too_old_goes_and_each_class_has_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let ago = |seconds: u64| now().before(Duration::from_secs(seconds));
    {
        let (recorder, _history) = open(folder.path());
        // The first round of housekeeping comes with the first batch, and the next a minute later.
        recorder.record(Batch::default());
        // The second is of a minute that is not made any more: a start makes those of the last 28, and some seconds.
        for (age_s, sequence) in [(31 * 60, 1), (29 * 60 + 45, 2), (24 * 3600 + 60, 3)] {
            let rows = vec![row(ago(age_s).as_millis() / 1000, 1.0)];
            recorder.record(Batch { rows, ..of_turns([turn(ago(age_s), sequence)]) });
            recorder.flush().await;
        }
    }
    let (recorder, history) = open(folder.path());
    recorder.record(Batch::default());
    recorder.flush().await;
    let (ticks, _) = history.changed(newest(), None).await.unwrap();
    assert_eq!(ticks.iter().map(|it| it.sequence).collect::<Vec<_>>(), [1, 2]);
    let turns = history.turns(store(), (Timestamp::default(), now()), 99).await.unwrap();
    assert_eq!(turns.iter().map(|it| it.sequence).collect::<Vec<_>>(), [2]);
    let span = (0, u64::MAX >> 1);
    let seconds = history.service_series(store(), Step::Second, span, 99).await.unwrap();
    assert_eq!(seconds.len(), 1);
    let kept = history.kept().await.unwrap();
    let of = |class| kept.iter().find(|it| it.class == class).unwrap().from_ms;
    assert!(of(Class::Turns).unwrap() > ago(30 * 60));
    assert_eq!(of(Class::Minutes), None);
}
