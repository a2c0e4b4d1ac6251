use host::answer_pipe::Class;
use model::decision::{Decision, Reason};
use model::feed::{InstanceFigures, ServiceFeed};
use model::instance::Phase;
use model::names::InstanceName;
use model::time::Timestamp;
use proptest::prelude::*;

use super::answers::Answers;
use super::encoding::{decode_instances, decode_service, encode_instances, encode_service};
use super::figure::Figure;
use super::point::{InstancePoint, MEASURES, Measure, Row, ServicePoint, merged};
use super::seconds::Seconds;
use crate::samples::{service_feed, tick};

fn rates(at_ms: u64, cpu_ms: u64, requests: u64) -> ServiceFeed {
    let mut feed = service_feed("store", at_ms, &["bw-store-1-a"]);
    feed.instances = vec![InstanceFigures {
        name: "bw-store-1-a".parse().unwrap(),
        cpu_time_us: Some(cpu_ms * 1000),
        memory_bytes: None,
        in_flight: Some(3),
        requests: Some(requests),
    }];
    feed
}

#[test]
fn a_second_is_the_mean_of_its_turns_and_ends_with_the_first_turn_of_another() {
    let mut seconds = Seconds::default();
    let mut second = None;
    for (at, offered) in
        [(5_000, Some(10.0)), (5_400, None), (5_900, Some(30.0)), (7_000, Some(1.0))]
    {
        let mut tick = tick("store", at);
        tick.observation.offered_rps = offered;
        second = seconds.tick(&tick);
        assert_eq!(second.is_some(), at == 7_000);
    }
    let row = second.unwrap();
    assert_eq!((row.second, row.point.turns), (5, 3));
    let offered = row.point.figure(Measure::OfferedRps);
    assert_eq!((offered.count(), offered.mean(), offered.max()), (2, Some(20.0), Some(30.0)));
    // Second 6 is a hole, and stays one.
    let rest = seconds.close_before(Timestamp::from_millis(8_000));
    assert_eq!(rest.iter().map(|row| row.second).collect::<Vec<_>>(), [7]);
    assert!(seconds.close_all().is_empty());
}

#[test]
fn a_turn_that_holds_has_no_target() {
    let mut hold = tick("store", 1);
    hold.decision = Decision::Hold { reasons: vec![Reason::NoData] };
    assert_eq!(ServicePoint::of(&hold).figure(Measure::Target), Figure::default());
}

#[test]
fn rates_of_an_instance_are_taken_from_one_second_to_the_next_and_not_over_a_gap_or_a_new_worker() {
    let mut seconds = Seconds::default();
    let mut told = |at, cpu, requests| {
        seconds.tick(&tick("store", at));
        seconds.instances(&rates(at, cpu, requests));
        seconds.open_row("store").instances[0].clone()
    };
    assert_eq!(told(1_000, 100, 10).cpu_cores, Figure::default(), "nothing to compare with");
    let point = told(2_000, 350, 30);
    assert_eq!((point.cpu_cores.mean(), point.requests_rps.mean()), (Some(0.25), Some(20.0)));
    // A tenth later is too soon; what comes then is compared with the second before.
    assert_eq!(told(2_100, 950, 31).cpu_cores.count(), 1);
    assert_eq!(told(3_000, 1_350, 5).cpu_cores.mean(), Some(1.0));
    let point = told(4_000, 1_350, 6);
    assert_eq!((point.cpu_cores.mean(), point.requests_rps.mean()), (Some(0.0), Some(1.0)));
    assert_eq!(told(5_000, 1_350, 2).requests_rps, Figure::default(), "another worker counts anew");
    seconds.close_all();
    seconds.tick(&tick("store", 60_000));
    seconds.instances(&rates(60_000, 9_000, 99));
    assert_eq!(seconds.open_row("store").instances[0].cpu_cores, Figure::default());
}

#[test]
fn a_minute_weighs_the_seconds_that_are_there() {
    let row = |second: u64, offered: &[f64], instance: &str| {
        let mut seconds = Seconds::default();
        for offered in offered {
            let mut tick = tick("store", second * 1000);
            tick.observation.offered_rps = Some(*offered);
            seconds.tick(&tick);
        }
        seconds.instances(&service_feed("store", second * 1000, &[instance]));
        seconds.close_all().remove(0)
    };
    let rows = [row(60, &[10.0, 10.0, 10.0], "bw-store-2-a"), row(119, &[50.0], "bw-store-1-b")];
    let minute = merged(60, &rows).unwrap();
    assert_eq!(minute.point.figure(Measure::OfferedRps).mean(), Some(20.0));
    assert_eq!(minute.point.turns, 4);
    let names: Vec<_> = minute.instances.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["bw-store-1-b", "bw-store-2-a"]);
    assert_eq!(merged(60, []), None);
}

#[test]
fn a_minute_has_the_answers_of_its_seconds() {
    let row = |second: u64, time_ms: u32, count: u32| {
        let mut answers = Answers::default();
        (0..count).for_each(|_| answers.add(Class::Success, time_ms));
        let point = ServicePoint { turns: 10, answers, ..ServicePoint::default() };
        Row { service: "store".parse().unwrap(), second, point, instances: Vec::new() }
    };
    // The mean of both seconds' p50 would be 16.
    let minute = merged(60, &[row(60, 2, 1), row(61, 30, 99)]).unwrap().point.answers;
    assert_eq!((minute.of(Class::Success), minute.within_ms(500)), (100, Some(30)));
}

fn figure() -> impl Strategy<Value = Figure> {
    let known = (0_u32..200, -1e6_f32..1e6, -1e6_f32..1e6);
    known.prop_map(|(count, mean, max)| match count {
        0 => Figure::default(),
        _ => Figure::from_parts(count, mean.into(), max.into()),
    })
}

fn instance() -> impl Strategy<Value = InstancePoint> {
    let phases = [Phase::Starting, Phase::Ready, Phase::Draining, Phase::Failed];
    let names = (1_u32..=1000, 0_u64..1 << 45);
    (names, prop::sample::select(phases.to_vec()), figure(), figure(), figure()).prop_map(
        |((slot, birth), phase, cpu_cores, in_flight, requests_rps)| InstancePoint {
            name: InstanceName::new(
                &"store".parse().unwrap(),
                slot.try_into().unwrap(),
                Timestamp::from_millis(birth),
            ),
            phase,
            cpu_cores,
            in_flight,
            requests_rps,
        },
    )
}

fn answers() -> impl Strategy<Value = Answers> {
    let classes = [Class::Success, Class::Redirection, Class::ClientError, Class::ServerError];
    let answer = (prop::sample::select(classes.to_vec()), any::<u32>());
    prop::collection::vec(answer, 0..50).prop_map(|all| {
        let mut answers = Answers::default();
        all.into_iter().for_each(|(class, time_ms)| answers.add(class, time_ms));
        answers
    })
}

fn is_near(a: Figure, b: Figure) -> bool {
    let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs().max(1.0),
        (a, b) => a == b,
    };
    a.count() == b.count() && near(a.mean(), b.mean()) && near(a.max(), b.max())
}

proptest! {
    #[test]
    fn a_service_is_read_as_it_was_written(
        turns in 1_u32..100, figures in prop::collection::vec(figure(), MEASURES), answers in answers()
    ) {
        let point = ServicePoint { turns, figures: figures.try_into().unwrap(), answers };
        let read = decode_service(&encode_service(&point)).unwrap();
        prop_assert_eq!(read.turns, turns);
        prop_assert_eq!(&read.answers, &point.answers);
        let all = point.figures.iter().zip(&read.figures);
        all.for_each(|(a, b)| assert!(is_near(*a, *b), "{a:?} {b:?}"));
    }

    #[test]
    fn instances_are_read_as_they_were_written(
        instances in prop::collection::vec(instance(), 0..20)
    ) {
        let service = "store".parse().unwrap();
        let read = decode_instances(&service, &encode_instances(&instances)).unwrap();
        prop_assert_eq!(read.len(), instances.len());
        for (a, b) in instances.iter().zip(&read) {
            prop_assert_eq!((&a.name, a.phase), (&b.name, b.phase));
            prop_assert!(is_near(a.cpu_cores, b.cpu_cores));
            prop_assert!(is_near(a.in_flight, b.in_flight));
            prop_assert!(is_near(a.requests_rps, b.requests_rps));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64)
    ) {
        let _ = decode_service(&bytes);
        let _ = decode_instances(&"store".parse().unwrap(), &bytes);
    }
}

#[test]
fn a_row_of_a_release_that_knew_fewer_measures_is_read() {
    // One turn, two measures, both the same in all turns: 1.0 and 2.0.
    let bytes = [&[1, 2, 0b0101][..], &1_f32.to_le_bytes(), &2_f32.to_le_bytes()].concat();
    let point = decode_service(&bytes).unwrap();
    assert_eq!(point.figure(Measure::OfferedRps).mean(), Some(1.0));
    assert_eq!(point.figure(Measure::ServedRps).mean(), Some(2.0));
    assert_eq!(point.figure(Measure::Target), Figure::default());
    assert!(point.answers.is_empty());
}

#[test]
fn answers_go_to_the_second_that_is_open_and_to_none_while_the_scaler_is_away() {
    let mut seconds = Seconds::default();
    let service = "store".parse().unwrap();
    let mut answers = Answers::default();
    answers.add(Class::Success, 12);
    seconds.answers(&service, &answers);
    seconds.tick(&tick("store", 5_000));
    seconds.answers(&service, &answers);
    seconds.tick(&tick("store", 5_100));
    seconds.answers(&service, &answers);
    let row = seconds.tick(&tick("store", 6_000)).unwrap();
    assert_eq!(row.point.answers.of(Class::Success), 2);
    assert!(seconds.close_all()[0].point.answers.is_empty());
    seconds.answers(&service, &answers);
    seconds.tick(&tick("store", 9_000));
    assert!(seconds.open_row("store").point.answers.is_empty());
}

/// What the file is sized by: 1,000 answers between 5 and 80 ms.
#[test]
fn the_answers_of_a_busy_second_take_less_than_150_bytes_and_none_take_nothing() {
    let idle = ServicePoint { turns: 10, ..ServicePoint::default() };
    let mut busy = idle.clone();
    (0..1000).for_each(|number| busy.answers.add(Class::Success, 5 + number % 75));
    let more = encode_service(&busy).len() - encode_service(&idle).len();
    assert!(more < 150, "{more}");
    // The turns, the number of measures and the forms of these.
    assert_eq!(encode_service(&idle).len(), 3);
}
