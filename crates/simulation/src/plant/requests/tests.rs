//! The plant of requests against queues worked out by hand.

use std::time::Duration;

use model::service::Capacity;
use proptest::prelude::*;
use run::Recorder;
use run::summary::Requests;
use workload::{DueTimes, OpenLoad, Pacing, RateCurve, Segment, Shape, Stage, Stages};

use super::*;
use crate::spread::Spread;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn slot(number: u32) -> Slot {
    Slot::try_from(number).unwrap()
}

fn rules() -> Rules {
    Rules {
        capacity: Capacity { concurrency: 8, requests_per_second: Some(50.0), burst: 10 },
        max_wait: ms(1_000),
        service: Spread::new(1.0, 1.0).unwrap(),
        cpu: Duration::ZERO,
        cores: None,
        cpus: 1.0,
        queue_timeout: ms(10_000),
        client_timeout: ms(10_000),
        in_flight: 4_096,
        step: ms(100),
    }
}

/// Clients of a level load that starts at once.
fn level(pacing: Pacing, rate: f64, length: Duration, seed: u64) -> Clients {
    let curve = RateCurve::new([Segment::new(length, Shape::Line { from: rate, to: rate })]);
    Clients::open(DueTimes::new(seed, OpenLoad { pacing, curve }), Moment::default())
}

/// Threads that start at once; each stage has threads, requests per thread and the largest delay in milliseconds.
fn threads(stages: &[(u32, u32, u32)], seed: u64) -> Clients {
    let stages = stages.iter().map(|&(threads, requests_per_thread, max_delay_ms)| Stage {
        threads,
        requests_per_thread,
        max_delay_ms,
    });
    let stages = Stages { delay_factor: 1.0, stages: stages.collect() };
    Clients::closed(stages, seed, Moment::default())
}

/// A plant under an even load, with instances in slots 1 to `instances`, run to its end.
fn run(rules: Rules, rate: f64, seconds: u64, instances: u32) -> (RequestPlant, Recorder) {
    let clients = level(Pacing::Even, rate, Duration::from_secs(seconds), 1);
    serve(rules, clients, Duration::from_secs(seconds + 30), instances)
}

/// What instances in slots 1 to `instances` make of the clients' requests until `end`.
fn serve(
    rules: Rules,
    clients: Clients,
    end: Duration,
    instances: u32,
) -> (RequestPlant, Recorder) {
    let mut plant = RequestPlant::new(rules, clients, 1);
    let mut recorder = Recorder::new(Duration::ZERO, rules.client_timeout);
    for number in 1..=instances {
        plant.open(slot(number), Moment::default());
    }
    let mut log = Log { outcomes: &mut recorder, load_start: Moment::default() };
    plant.advance(Moment::at(end), &mut log);
    (plant, recorder)
}

#[test]
fn at_its_rate_an_instance_answers_at_once() {
    let (_, recorder) = run(rules(), 50.0, 20, 1);
    let requests = recorder.requests();
    assert_eq!((requests.due, requests.ok), (1_000, 1_000));
    assert!((recorder.latency().max.unwrap() - 1.0).abs() < 0.01, "{:?}", recorder.latency());
}

#[test]
fn above_its_rate_the_wait_grows_by_what_is_missing() {
    // 60 a second for 5 s are 300, the first due at 8.3 ms and the last at 4,991.7 ms. The first
    // ten find a full bucket; the last one is let through 290 tokens of 20 ms after the first one,
    // at 5,808.3 ms, and takes 1 ms.
    let (_, recorder) = run(rules(), 60.0, 5, 1);
    let (requests, latency) = (recorder.requests(), recorder.latency());
    assert_eq!((requests.due, requests.ok), (300, 300));
    assert!((latency.max.unwrap() - 817.7).abs() < 1.0, "{latency:?}");
}

#[test]
fn overload_times_out_exactly_what_does_not_fit() {
    // 97 a second for 60 s, and 50 a second are served. The wait reaches 10 s after some 20 s; from
    // then on each token goes to one that is about to be given up on, and the others are. (At 100 a
    // second each token would meet one that is given up on at that very moment.)
    let (_, recorder) = run(rules(), 97.0, 60, 1);
    let requests = recorder.requests();
    assert_eq!(requests.due, 5_820);
    // The bucket, and a token each 20 ms from the first request, due at 5 ms, to the moment at
    // which the last one, due at 59.995 s, has waited 10 s. Who gets a token less than the 1 ms of
    // service before it has waited 10 s is given up on all the same: one in ten, of those 50 s.
    let tokens = 10 + (69_995 - 5) / 20;
    assert!((tokens - 300..=tokens).contains(&requests.ok), "{requests:?}");
    assert_eq!(requests.failed, requests.due - requests.ok);
    assert_eq!(recorder.failures().keys().collect::<Vec<_>>(), ["timeout"]);
    assert!(recorder.latency().max.unwrap() < 10_010.0, "{:?}", recorder.latency());
}

#[test]
fn a_queue_of_shorter_patience_than_the_client_refuses() {
    let impatient = Rules { queue_timeout: ms(2_000), ..rules() };
    let (plant, recorder) = run(impatient, 100.0, 20, 1);
    let requests = recorder.requests();
    assert_eq!(recorder.failures().keys().collect::<Vec<_>>(), ["status_503"]);
    assert_eq!(requests.failed, requests.rejected);
    assert_eq!(plant.statistics().counters.rejected, requests.rejected);
}

#[test]
fn with_nothing_in_rotation_requests_wait_as_long_as_the_queue_allows() {
    let impatient = Rules { queue_timeout: ms(3_000), ..rules() };
    let (_, recorder) = run(impatient, 10.0, 1, 0);
    assert_eq!(recorder.requests().rejected, 10);
    assert_eq!(recorder.latency().max, None);
}

#[test]
fn the_first_instance_takes_what_waited_for_it() {
    let clients = level(Pacing::Even, 8.0, Duration::from_secs(1), 1);
    let mut plant = RequestPlant::new(rules(), clients, 1);
    let mut recorder = Recorder::new(Duration::ZERO, ms(10_000));
    let mut log = Log { outcomes: &mut recorder, load_start: Moment::default() };
    let first = Moment::at(ms(1_500));
    plant.advance(first, &mut log);
    assert_eq!((plant.statistics().queued, plant.statistics().in_flight), (8, 0));
    plant.open(slot(1), first);
    plant.advance(Moment::at(ms(9_000)), &mut log);
    assert_eq!(recorder.requests(), Requests { due: 8, ok: 8, ..Requests::default() });
}

#[test]
fn requests_go_round_by_turns() {
    let slow = Rules { service: Spread::new(60_000.0, 60_000.0).unwrap(), ..rules() };
    let patient = Rules { client_timeout: ms(120_000), ..slow };
    let (plant, _) = run(patient, 9.0, 1, 3);
    let held: Vec<_> = plant.servers.iter().skip(1).map(Server::in_flight).collect();
    assert_eq!(held, [3, 3, 3]);
}

#[test]
fn a_crash_moves_the_requests_to_another_instance() {
    let slow = Rules { service: Spread::new(500.0, 500.0).unwrap(), ..rules() };
    let clients = level(Pacing::Even, 8.0, Duration::from_secs(1), 1);
    let mut plant = RequestPlant::new(slow, clients, 1);
    let mut recorder = Recorder::new(Duration::ZERO, ms(10_000));
    let mut log = Log { outcomes: &mut recorder, load_start: Moment::default() };
    plant.open(slot(1), Moment::default());
    plant.open(slot(2), Moment::default());
    let crash = Moment::at(ms(600));
    plant.advance(crash, &mut log);
    assert_eq!((plant.in_flight_of(slot(1)), plant.in_flight_of(slot(2))), (2, 2));
    plant.remove(slot(1), crash);
    assert_eq!((plant.in_flight_of(slot(1)), plant.in_flight_of(slot(2))), (0, 4));
    plant.advance(Moment::at(ms(9_000)), &mut log);
    assert_eq!(recorder.requests(), Requests { due: 8, ok: 8, ..Requests::default() });
    // The one that was due at 312 ms began anew at 600 ms.
    assert!((recorder.latency().max.unwrap() - 788.0).abs() < 2.0, "{:?}", recorder.latency());
}

#[test]
fn what_is_beyond_the_generators_means_is_dropped() {
    let (_, recorder) = run(Rules { in_flight: 20, ..rules() }, 200.0, 1, 1);
    let requests = recorder.requests();
    assert_eq!(requests.failed, 0);
    // 200, less the bucket, the 50 of that second and the 20 that may be under way at its end.
    assert!(requests.dropped.abs_diff(120) <= 3, "{requests:?}");
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Open(u32),
    Drain(u32),
    Remove(u32),
}

impl Change {
    fn apply(self, plant: &mut RequestPlant, now: Moment) {
        match self {
            Self::Open(number) if plant.in_flight_of(slot(number)) == 0 => {
                plant.drain(slot(number));
                plant.open(slot(number), now);
            }
            Self::Open(number) => plant.reopen(slot(number), now),
            Self::Drain(number) => plant.drain(slot(number)),
            Self::Remove(number) => plant.remove(slot(number), now),
        }
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    (0..3, 1_u32..6).prop_map(|(kind, number)| match kind {
        0 => Change::Open(number),
        1 => Change::Drain(number),
        _ => Change::Remove(number),
    })
}

#[test]
fn a_thread_asks_once_it_has_its_answer() {
    // The first ten requests find a full bucket and take 1 ms each. The eleventh is sent at 10 ms
    // and let through by the token of 20 ms; each one after it is sent 1 ms after a token, and
    // waits for the next: the twentieth is let through at 200 ms.
    let clients = threads(&[(1, 20, 0)], 1);
    let (plant, recorder) = serve(rules(), clients, ms(10_000), 1);
    assert_eq!(recorder.requests().ok, 20);
    assert_eq!(plant.over_at(), Some(Moment::at(ms(201))));
    assert!((recorder.latency().max.unwrap() - 20.0).abs() < 0.1, "{:?}", recorder.latency());
}

#[test]
fn a_stage_begins_when_all_threads_of_the_one_before_have_ended() {
    // Nothing is in rotation and nothing waits: a refusal comes at once, and only delays take time.
    let impatient = Rules { queue_timeout: Duration::ZERO, ..rules() };
    let stages = [(3, 50, 100), (1, 1, 0), (2, 40, 50)];
    let lasts = |stages: &[_]| {
        let (plant, recorder) = serve(impatient, threads(stages, 5), ms(100_000), 0);
        (plant.over_at().unwrap(), recorder.requests().rejected)
    };
    let (whole, refused) = lasts(&stages);
    assert_eq!(refused, 150 + 1 + 80);
    let slowest = |stage: usize| {
        let Clients::Closed(closed) = threads(&stages, 5) else { panic!("threads are closed") };
        let threads = closed.stages().delays(5, stage).into_iter();
        threads.map(Iterator::sum::<Duration>).max().unwrap()
    };
    assert_eq!(whole, Moment::at(slowest(0) + slowest(1) + slowest(2)));
}

#[test]
fn threads_go_on_after_requests_that_fail() {
    // One instance never answers in time: each of 16 threads gives up after 2 s, five times. Half of
    // them wait for a place.
    let stuck = Rules { service: Spread::new(60_000.0, 60_000.0).unwrap(), ..rules() };
    let impatient = Rules { client_timeout: ms(2_000), ..stuck };
    let clients = threads(&[(16, 5, 0)], 1);
    let (plant, recorder) = serve(impatient, clients, ms(60_000), 1);
    assert_eq!((recorder.requests().due, recorder.requests().failed), (80, 80));
    assert_eq!(plant.over_at(), Some(Moment::at(ms(10_000))));
}

proptest! {
    #[test]
    fn every_request_is_served_waits_or_has_failed_whatever_the_fleet_does(
        changes in prop::collection::vec(any_change(), 1..60), rate in 1.0_f64..400.0, seed in 0_u64..9
    ) {
        let clients = level(Pacing::Poisson, rate, ms(20_000), seed);
        let mut plant = RequestPlant::new(rules(), clients, seed);
        let mut recorder = Recorder::new(Duration::ZERO, ms(10_000));
        for (i, change) in (1_u64..).zip(changes) {
            let now = Moment::at(ms(i * 300));
            let mut log = Log { outcomes: &mut recorder, load_start: Moment::default() };
            plant.advance(now, &mut log);
            change.apply(&mut plant, now);
            let Statistics { counters, queued, in_flight, .. } = plant.statistics();
            let Requests { ok, failed, dropped, due, .. } = recorder.requests();
            prop_assert_eq!(due, ok + failed + dropped);
            prop_assert_eq!(counters.arrivals, ok + failed + u64::from(queued + in_flight));
            let held: u32 = plant.servers.iter().map(Server::in_flight).sum();
            prop_assert_eq!(held, in_flight);
            let free: u32 = plant.rotation.iter().map(|i| plant.servers[*i].free_places()).sum();
            prop_assert_eq!(free, plant.free_places);
            prop_assert!(queued == 0 || free == 0, "a place is free and someone waits");
        }
    }

    #[test]
    fn no_request_of_a_thread_is_lost_and_a_thread_has_one_under_way(
        seed: u64,
        stages in prop::collection::vec((1_u32..20, 1_u32..20, 0_u32..500), 1..4),
        changes in prop::collection::vec(any_change(), 0..20),
    ) {
        let mut plant = RequestPlant::new(rules(), threads(&stages, seed), seed);
        let mut recorder = Recorder::new(Duration::ZERO, ms(10_000));
        let most = stages.iter().map(|stage| stage.0).max().unwrap();
        for (i, change) in (1_u64..).zip(changes) {
            let now = Moment::at(ms(i * 300));
            let mut log = Log { outcomes: &mut recorder, load_start: Moment::default() };
            plant.advance(now, &mut log);
            change.apply(&mut plant, now);
            let Statistics { queued, in_flight, .. } = plant.statistics();
            prop_assert!(queued + in_flight <= most);
        }
        let mut log = Log { outcomes: &mut recorder, load_start: Moment::default() };
        plant.advance(Moment::at(Duration::from_secs(10_000)), &mut log);
        let all: u64 = stages.iter().map(|s| u64::from(s.0 * s.1)).sum();
        let Requests { due, ok, failed, dropped, .. } = recorder.requests();
        prop_assert_eq!((due, dropped), (all, 0));
        prop_assert_eq!(ok + failed, due);
        prop_assert!(plant.over_at().is_some());
    }
}
