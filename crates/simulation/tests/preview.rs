//! Previews against what ran: the policy that ran gives what ran, and another one what the simulator has of it.

// Helpers of tests may panic as tests may, and read what is shipped: the crate reads no file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use model::decision::{Decision, Reason};
use model::policies::{PolicyKind, PolicySpec};
use model::service::ServiceSpec;
use model::tick::Tick;
use model::time::Timestamp;
use run::Recorder;
use simulation::preview::{Grain, HostFacts, Observed, Preview, Question, Stretch, preview};
use simulation::{Detail, HostModel, Load, Simulation};
use workload::{RateCurve, Segment, Shape};

const TICK: Duration = Duration::from_millis(100);

fn store(policy: PolicySpec) -> ServiceSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/object-store.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let spec = config_file::from_toml::<ServiceSpec>("service.toml", &text).unwrap();
    ServiceSpec { policy, ..spec }
}

/// Five minutes: a rise, a wave, a spike and a calm end, as a Poisson process.
fn five_minutes(seed: u64) -> Load {
    let period = Duration::from_secs(90);
    let line =
        |seconds, from, to| Segment::new(Duration::from_secs(seconds), Shape::Line { from, to });
    let wave = Shape::Sine { mean: 150.0, amplitude: 120.0, period };
    let segments = [
        line(40, 30.0, 150.0),
        Segment::new(Duration::from_secs(135), wave),
        line(20, 350.0, 350.0),
        line(35, 60.0, 60.0),
        line(40, 60.0, 250.0),
        line(30, 20.0, 20.0),
    ];
    Load::of_curve("five minutes", seed, RateCurve::new(segments))
}

/// What runs under a policy: each turn of the load.
fn ran(policy: &PolicySpec, load: &Load, detail: Detail) -> Vec<Tick> {
    let host = HostModel::measured();
    let spec = store(policy.clone());
    let mut simulation = Simulation::new(spec, load, host, detail, TICK).unwrap();
    let mut recorder = Recorder::new(Duration::ZERO, load.timeout).without_rows();
    let mut ticks = Vec::new();
    while simulation.elapsed() < load.offered.duration().unwrap() {
        let tick = simulation.turn(&mut recorder).unwrap();
        if simulation.has_started() {
            ticks.push(tick);
        }
    }
    ticks
}

/// What the console keeps of ticks: the mean of what is known within each second.
fn seconds(ticks: &[Tick]) -> Stretch {
    let second = |tick: &Tick| tick.at.as_millis() / 1000;
    let (first, last) = (second(&ticks[0]), second(ticks.last().unwrap()));
    let mut by_second: BTreeMap<u64, Vec<&Tick>> = BTreeMap::new();
    for tick in ticks {
        by_second.entry(second(tick)).or_default().push(tick);
    }
    let steps =
        (first..last).map(|at| by_second.get(&at).map_or_else(Observed::default, |it| mean(it)));
    Stretch::new(Timestamp::from_millis(first * 1000), Grain::Second, steps.collect())
}

fn mean(ticks: &[&Tick]) -> Observed {
    let of = |figure: &dyn Fn(&Tick) -> Option<f64>| {
        let known: Vec<f64> = ticks.iter().filter_map(|tick| figure(tick)).collect();
        (!known.is_empty())
            .then(|| known.iter().sum::<f64>() / f64::from(u32::try_from(known.len()).unwrap()))
    };
    Observed {
        offered_rps: of(&|tick| tick.observation.offered_rps),
        queued: of(&|tick| tick.observation.queued.map(f64::from)),
        served_rps: of(&|tick| tick.observation.served_rps),
        in_flight: of(&|tick| tick.observation.in_flight.map(f64::from)),
        cpu_cores: of(&|tick| tick.observation.cpu_cores),
        ready: of(&|tick| Some(tick.observation.phases.ready.into())),
        instances: of(&|tick| {
            let phases = tick.observation.phases;
            Some((phases.starting + phases.ready + phases.draining + phases.failed).into())
        }),
    }
}

fn launches(ticks: &[Tick]) -> Vec<Duration> {
    let done = ticks.iter().flat_map(|tick| &tick.done);
    let clones = done.filter(|done| done.kind == model::action::ActionKind::Clone);
    clones.map(|done| done.finished_at.since(done.planned_at)).collect()
}

fn previewed(stretch: &Stretch, launches: Vec<Duration>, policy: &PolicySpec) -> Preview {
    let host = HostFacts { launches, ..HostFacts::default() };
    let spec = store(PolicySpec::default());
    preview(&Question { spec: &spec, policy, stretch, host: &host, seed: 1 }, || true).unwrap()
}

/// How far a preview lies from what ran: the mean distance in ready instances, and that of the instance-seconds as a
/// part of them.
fn distance(preview: &Preview, ran: &Stretch) -> (f64, f64) {
    let pairs: Vec<(f64, f64)> = preview
        .points
        .iter()
        .zip(ran.steps())
        .filter_map(|(a, b)| Some((a.ready, b.ready?)))
        .collect();
    let apart: f64 = pairs.iter().map(|(a, b)| (a - b).abs()).sum();
    let seconds: f64 = ran.steps().iter().filter_map(|step| step.instances).sum();
    let count = f64::from(u32::try_from(pairs.len()).unwrap());
    (apart / count, (preview.totals.instance_seconds / seconds - 1.0).abs())
}

/// Policies that go by the load and by the requests in the system, each in its own way.
fn policies() -> [PolicySpec; 5] {
    use PolicyKind::{Hpa, Predictive, React, TargetTracking, Utilization};
    [TargetTracking, Hpa, Predictive, React, Utilization].map(PolicySpec::from)
}

/// What ran under each of them, with the same load, request by request.
static RAN: LazyLock<Vec<(PolicySpec, Vec<Tick>)>> = LazyLock::new(|| {
    let load = five_minutes(7);
    let run = |policy: PolicySpec| {
        let ticks = ran(&policy, &load, Detail::Requests);
        (policy, ticks)
    };
    policies().into_iter().map(run).collect()
});

/// The bounds that decision 49 states: half an instance where a policy goes by the load, a whole one where it goes by the
/// requests in the system, and 8% of the instance-seconds.
#[track_caller]
fn is_close(preview: &Preview, ran: &[Tick], policy: &PolicySpec) {
    let (apart, cost) = distance(preview, &seconds(ran));
    let most = if *policy == PolicyKind::Utilization.into() { 1.0 } else { 0.5 };
    assert!(apart <= most, "{policy:?}: {apart} instances apart on average");
    assert!(cost <= 0.08, "{policy:?}: instance-seconds differ by {cost}");
}

#[test]
fn the_policy_that_ran_is_previewed_close_to_what_ran() {
    for (policy, ticks) in RAN.iter() {
        let preview = previewed(&seconds(ticks), launches(ticks), policy);
        is_close(&preview, ticks, policy);
        let known: f64 = preview.ran.instance_seconds.unwrap();
        let own: f64 = seconds(ticks).steps().iter().filter_map(|step| step.instances).sum();
        assert!((known - own).abs() < 1e-6, "{known} {own}");
    }
}

#[test]
fn another_policy_is_previewed_close_to_what_the_simulator_has_of_it_under_the_same_load() {
    let (default, ticks) = &RAN[0];
    let mut differ = 0;
    for (policy, own) in &RAN[1..] {
        let preview = previewed(&seconds(ticks), launches(ticks), policy);
        is_close(&preview, own, policy);
        // And that is nearer to it than what ran instead.
        let instead =
            distance(&previewed(&seconds(ticks), launches(ticks), default), &seconds(own));
        differ += u32::from(distance(&preview, &seconds(own)).0 < instead.0);
    }
    assert_eq!(differ, 4);
}

/// So many seconds of a load, with as many ready instances; `None` is a hole.
fn stretch(rates: &[Option<f64>]) -> Stretch {
    let step = |rate: &Option<f64>| match rate {
        Some(rate) => Observed {
            offered_rps: Some(*rate),
            queued: Some(0.0),
            served_rps: Some(*rate),
            in_flight: Some(rate * 0.002),
            cpu_cores: Some(rate * 0.001),
            ready: Some(4.0),
            instances: Some(4.0),
        },
        None => Observed::default(),
    };
    let from = Timestamp::from_millis(1_767_571_200_000);
    Stretch::new(from, Grain::Second, rates.iter().map(step).collect())
}

#[test]
fn in_a_hole_the_loop_holds_nothing_is_taken_away_and_nothing_is_counted() {
    let mut rates = vec![Some(150.0); 30];
    rates.extend([None; 60]);
    rates.extend([Some(150.0); 30]);
    let preview = previewed(&stretch(&rates), vec![], &PolicySpec::default());
    let (before, hole, after) =
        (&preview.points[..30], &preview.points[30..90], &preview.points[90..]);
    assert!(hole.iter().all(|it| it.offered_rps.is_none() && it.served_rps.is_none()));
    assert!(hole.iter().all(|it| it.failed_rps.is_none() && it.latency_ms.is_none()));
    // A load of 0 for as long would have come down to the lower bound within a few seconds.
    let ready = before[29].ready;
    assert!(ready >= 4.0 && hole.iter().chain(after).all(|it| it.ready >= ready), "{preview:?}");
    assert!(hole[1..].iter().all(|it| it.target.is_none()));
    assert!((preview.totals.known_s - 60.0).abs() < 1e-9);
    assert!((preview.ran.instance_seconds.unwrap() - 240.0).abs() < 1e-9);
    assert!(preview.totals.instance_seconds < ready * 61.0, "{:?}", preview.totals);
    let told: Vec<_> = preview.decisions.iter().map(|it| (it.at, &it.decision)).collect();
    let holds = |it: &(Timestamp, &Decision)| matches!(it.1, Decision::Hold { reasons } if *reasons == [Reason::NoData]);
    let (hold, again) = (told.iter().find(|it| holds(it)).unwrap(), told.last().unwrap());
    let second = |at: Timestamp| at.since(preview.points[0].at).as_secs();
    assert_eq!((second(hold.0), second(again.0)), (30, 90));
    assert!(matches!(again.1, Decision::Target { ready: 4, .. }), "{again:?}");
    let silent = previewed(
        &stretch(&[vec![Some(150.0); 30], vec![Some(0.0); 60]].concat()),
        vec![],
        &PolicySpec::default(),
    );
    assert!(silent.points[89].ready < 2.0);
}

#[test]
fn it_begins_with_the_instances_that_ran_under_the_load_of_the_beginning() {
    let preview = previewed(&stretch(&[Some(160.0); 20]), vec![], &PolicySpec::default());
    assert_eq!(preview.assumed.ready, 4);
    // 160 requests/s at 40 an instance.
    assert!(preview.points.iter().all(|it| (it.ready - 4.0).abs() < 1e-9), "{:?}", preview.points);
    assert_eq!(preview.decisions.len(), 1);
    assert!(preview.totals.outside_objective_percent.unwrap() < 1e-9);
    let point = preview.points[10];
    assert!((point.served_rps.unwrap() - 160.0).abs() <= 2.0, "{point:?}");
    // By Little's law 2 ms, and 1 ms of CPU time.
    let assumed = preview.assumed;
    assert!(
        (assumed.request_ms - 2.0).abs() < 1e-6 && (assumed.cpu_ms - 1.0).abs() < 1e-6,
        "{assumed:?}"
    );
    assert!((1.0..60.0).contains(&point.latency_ms.unwrap()), "{point:?}");
}

#[test]
fn launches_take_as_long_as_they_were_measured_and_requests_wait_for_them() {
    let rise = [vec![Some(20.0); 10], vec![Some(320.0); 50]].concat();
    let with = |seconds| {
        let took = vec![Duration::from_secs(seconds); 20];
        previewed(&stretch(&rise), took, &PolicySpec::default())
    };
    let (quick, slow) = (with(1), with(20));
    assert!((slow.assumed.launch_ms - 20_000.0).abs() < 1e-6);
    let ready_at = |preview: &Preview, wanted: f64| {
        preview.points.iter().position(|it| it.ready >= wanted).unwrap()
    };
    assert!((11..15).contains(&ready_at(&quick, 7.9)), "{}", ready_at(&quick, 7.9));
    assert!(ready_at(&slow, 4.9) >= 30, "{}", ready_at(&slow, 4.9));
    let worst = |preview: &Preview| {
        preview.points.iter().filter_map(|it| it.latency_ms).fold(0.0, f64::max)
    };
    assert!(
        worst(&slow) > 5_000.0 && worst(&quick) < 2_000.0,
        "{} {}",
        worst(&slow),
        worst(&quick)
    );
    assert!(slow.totals.failed > 0 && quick.totals.failed == 0);
}

#[test]
fn what_waits_is_not_offered_twice() {
    let mut steps = stretch(&[Some(50.0); 20]).steps().to_vec();
    for step in &mut steps[10..] {
        step.offered_rps = Some(450.0);
        step.queued = Some(400.0);
    }
    let from = Timestamp::from_millis(1_767_571_200_000);
    let stretch = Stretch::new(from, Grain::Second, steps);
    let preview = previewed(&stretch, vec![], &PolicySpec::default());
    assert!(preview.points.iter().all(|it| it.offered_rps == Some(50.0)));
}

#[test]
fn the_same_question_has_the_same_answer() {
    let rates: Vec<_> = (0..120).map(|second| Some(f64::from(second % 40) * 9.0)).collect();
    for policy in policies() {
        let ask = || previewed(&stretch(&rates), vec![], &policy);
        assert_eq!(ask(), ask());
    }
}

#[test]
fn a_day_of_minutes_is_previewed_minute_by_minute() {
    let minute = |minute: u32| {
        let angle = f64::from(minute) / 1_440.0 * std::f64::consts::TAU;
        let rate = 150.0 - 140.0 * angle.cos();
        Observed {
            offered_rps: Some(rate),
            served_rps: Some(rate),
            ready: Some(1.0),
            ..Observed::default()
        }
    };
    let mut steps: Vec<_> = (0..1_440).map(minute).collect();
    steps[600] = Observed::default();
    let from = Timestamp::from_millis(1_767_571_200_000);
    let stretch = Stretch::new(from, Grain::Minute, steps);
    let preview = previewed(&stretch, vec![], &PolicySpec::default());
    assert_eq!(preview.points.len(), 1_440);
    assert_eq!(preview.points[600].offered_rps, None);
    for point in &preview.points {
        let Some(offered) = point.offered_rps else { continue };
        // 80% of the 50 requests/s of an instance; chance asks for one or two more, and patience keeps them.
        let needed = (offered / 40.0).ceil();
        assert!(point.ready >= needed - 1.0 && point.ready <= needed + 3.0, "{point:?}");
        assert!(
            (point.served_rps.unwrap() / offered - 1.0).abs() < 0.2 || offered < 30.0,
            "{point:?}"
        );
    }
    assert!((preview.totals.known_s - 1_439.0 * 60.0).abs() < 1e-6);
    assert!(preview.totals.outside_objective_percent.unwrap() < 2.0, "{:?}", preview.totals);
}

/// The means of the minutes of a stretch of seconds.
fn minutes(seconds: &Stretch) -> Stretch {
    let mean = |minute: &[Observed], of: fn(&Observed) -> Option<f64>| {
        let known: Vec<f64> = minute.iter().filter_map(of).collect();
        let count = f64::from(u32::try_from(known.len()).unwrap());
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / count)
    };
    let minute = |steps: &[Observed]| Observed {
        offered_rps: mean(steps, |it| it.offered_rps),
        queued: mean(steps, |it| it.queued),
        served_rps: mean(steps, |it| it.served_rps),
        in_flight: mean(steps, |it| it.in_flight),
        cpu_cores: mean(steps, |it| it.cpu_cores),
        ready: mean(steps, |it| it.ready),
        instances: mean(steps, |it| it.instances),
    };
    let steps = seconds.steps().chunks_exact(60).map(minute).collect();
    Stretch::new(seconds.from(), Grain::Minute, steps)
}

#[test]
fn minutes_are_previewed_within_a_tenth_of_the_instance_seconds_that_ran() {
    let period = Duration::from_secs(1_800);
    let wave = Shape::Sine { mean: 150.0, amplitude: 120.0, period };
    let curve = RateCurve::new([Segment::new(Duration::from_secs(3_600), wave)]);
    let load = Load::of_curve("an hour", 3, curve);
    for policy in [PolicyKind::TargetTracking, PolicyKind::Hpa].map(PolicySpec::from) {
        let ticks = ran(&policy, &load, Detail::Fluid);
        let stretch = minutes(&seconds(&ticks));
        let preview = previewed(&stretch, launches(&ticks), &policy);
        let cost = preview.totals.instance_seconds / preview.ran.instance_seconds.unwrap();
        assert!((cost - 1.0).abs() <= 0.1, "{policy:?}: {cost}");
    }
}

#[test]
fn what_cannot_be_previewed_says_why() {
    let (host, spec) = (HostFacts::default(), store(PolicySpec::default()));
    let refused = |spec: &ServiceSpec, policy: PolicyKind, stretch: &Stretch| {
        let question = Question { spec, policy: &policy.into(), stretch, host: &host, seed: 1 };
        preview(&question, || true).unwrap_err().to_string()
    };
    let (tracking, known) = (PolicyKind::TargetTracking, stretch(&[Some(1.0)]));
    for unknown in [stretch(&[]), stretch(&[None, Some(f64::NAN), Some(-1.0)])] {
        assert_eq!(refused(&spec, tracking, &unknown), "the load is not known of any of this time");
    }
    let text = "name = \"app\"\nimage = \"python\"\nroute = { path_prefix = \"/\" }\n\
        instance = { port = 8000, health_path = \"/\", memory_mib = 64, cpus = 1.0, processes = 64 }\n\
        bounds = { min = 1, max = 10 }\n";
    let app: ServiceSpec = config_file::from_toml("app.toml", text).unwrap();
    assert!(
        refused(&app, tracking, &known)
            .starts_with("policy.kind is target_tracking: use utilization")
    );
    let by_use = Question {
        spec: &app,
        policy: &PolicyKind::Utilization.into(),
        stretch: &known,
        host: &host,
        seed: 1,
    };
    assert!(preview(&by_use, || true).is_ok());
    let mut turns = 0;
    let hundred = || {
        turns += 1;
        turns <= 100
    };
    assert_eq!(preview(&by_use, hundred).unwrap_err().to_string(), "it was not waited for");
}
