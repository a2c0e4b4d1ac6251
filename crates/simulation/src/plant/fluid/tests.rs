//! The plant of amounts against the same queues as the plant of requests.

use std::time::Duration;

use model::service::Capacity;
use run::Recorder;
use workload::{Segment, Shape};

use super::*;
use crate::spread::Spread;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn slot(number: u32) -> Slot {
    Slot::try_from(number).unwrap()
}

/// A plant under an even load, without instances.
fn plant_of(rate: f64, seconds: u64) -> FluidPlant {
    let capacity = Capacity { concurrency: 8, requests_per_second: Some(50.0), burst: 10 };
    let rules = Rules {
        capacity,
        max_wait: ms(1_000),
        service: Spread::new(1.0, 1.0).unwrap(),
        cpu: Duration::ZERO,
        cores: None,
        cpus: 1.0,
        queue_timeout: ms(10_000),
        client_timeout: ms(10_000),
        in_flight: 4_096,
        step: ms(100),
    };
    let level = Shape::Line { from: rate, to: rate };
    let curve = RateCurve::new([Segment::new(Duration::from_secs(seconds), level)]);
    let load = OpenLoad { pacing: Pacing::Even, curve };
    FluidPlant::new(rules, load, Moment::default(), 1)
}

/// The same with instances in slots 1 to `instances`, run to its end.
fn run(rate: f64, seconds: u64, instances: u32) -> (FluidPlant, Recorder) {
    let mut plant = plant_of(rate, seconds);
    let mut recorder = Recorder::new(Duration::ZERO, ms(10_000)).without_rows();
    for number in 1..=instances {
        plant.open(slot(number), Moment::default());
    }
    let mut log = Log { outcomes: &mut recorder, load_start: Moment::default() };
    plant.advance(Moment::at(Duration::from_secs(seconds + 30)), &mut log);
    (plant, recorder)
}

#[test]
fn at_its_rate_an_instance_answers_at_once() {
    let (_, recorder) = run(50.0, 20, 1);
    assert_eq!(recorder.requests().ok, 1_000);
    assert!((recorder.latency().max.unwrap() - 1.0).abs() < 0.01, "{:?}", recorder.latency());
}

#[test]
fn overload_times_out_what_does_not_fit() {
    let (_, recorder) = run(100.0, 60, 1);
    let requests = recorder.requests();
    assert_eq!(requests.due, 6_000);
    // As for the plant of requests, to a step's worth of them.
    assert!(requests.ok.abs_diff(10 + 50 * 70) <= 10, "{requests:?}");
    assert_eq!(requests.failed, requests.due - requests.ok);
    assert_eq!(recorder.failures().keys().collect::<Vec<_>>(), ["timeout"]);
}

#[test]
fn above_its_rate_the_wait_grows_by_what_is_missing() {
    let (_, recorder) = run(60.0, 5, 1);
    let latency = recorder.latency();
    assert_eq!(recorder.requests().ok, 300);
    assert!((latency.max.unwrap() - 800.0).abs() < 110.0, "{latency:?}");
}

#[test]
fn without_an_instance_requests_wait_for_the_next_one() {
    let mut recorder = Recorder::new(Duration::ZERO, ms(10_000));
    let mut plant = plant_of(40.0, 1);
    let mut log = Log { outcomes: &mut recorder, load_start: Moment::default() };
    plant.advance(Moment::at(ms(1_000)), &mut log);
    assert_eq!((plant.statistics().queued, plant.statistics().in_flight), (40, 0));
    plant.open(slot(1), plant.now);
    plant.remove(slot(1), Moment::default());
    plant.open(slot(2), plant.now);
    plant.advance(Moment::at(ms(5_000)), &mut log);
    assert_eq!((recorder.requests().ok, recorder.requests().failed), (40, 0));
}
