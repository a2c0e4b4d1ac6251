//! What is written of a turn, how much of it, and what is said where it cannot be read.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::{ActionKind, Done};
use model::names::Slot;
use model::service::ServiceSpec;
use model::tick::HostCpu;
use model::time::Timestamp;
use model::version::{Version, Wanted};
use model::watch::Answers;
use proptest::prelude::*;

use super::*;
use crate::controller::{ServiceObservation, TurnContext};
use crate::fleet::{ContainerPresence, InstanceObservation, RotationState, SilentCheck};
use crate::load::LoadObservation;
use crate::terms;
use crate::testing::{VERSION, observation, seconds, slots, store, store_name, wanted};

const READY: RotationState = RotationState::In { healthy: true };

fn at_rest(count: u32) -> ServiceObservation {
    let elapsed = Duration::from_nanos(100_123_456);
    let load =
        LoadObservation { elapsed, arrivals: 0, served: 0, rejected: 0, queued: 0, in_flight: 0 };
    let ready = |slot| observation(slot, ContainerPresence::Running, READY);
    ServiceObservation {
        load: Some(load),
        cpu_cores: Some(0.001_234_567_890_123_4),
        host_cpu: Some(HostCpu { cores: 2, busy: 0.051_234_567_890_123 }),
        instances: Some((1..=count).map(ready).collect()),
        ..ServiceObservation::default()
    }
}

fn context<'a>(spec: &'a ServiceSpec, free_slots: &'a [Slot]) -> TurnContext<'a> {
    TurnContext {
        spec,
        wanted: wanted(VERSION),
        release: false,
        free_slots,
        launches_left: 4,
        fits: 100,
        launch_timeout: Duration::from_secs(10),
        hold: None,
        removals: &[],
    }
}

/// The lines of a recording of a service's turns, one a tick.
fn recorded(spec: &ServiceSpec, turns: Vec<ServiceObservation>) -> Vec<String> {
    let free: Vec<_> = slots(990..=993).collect();
    let (mut controller, mut recorder) = (Controller::default(), Recorder::default());
    let header = Header::of(spec.name.clone());
    let mut lines =
        vec![LineRef::Recording(&header).to_text(), LineRef::Start(&controller).to_text()];
    for (index, observed) in (0_u64..).zip(turns) {
        let now = seconds(1_764_000_000).after(Duration::from_millis(index * 100));
        let turn = recorder.inputs(&context(spec, &free), &observed, now);
        let tick = controller.turn(&context(spec, &free), observed, now);
        lines.push(LineRef::Turn(&recorder.outcome(turn, &tick)).to_text());
    }
    lines.into_iter().map(|line| String::from_utf8(line.unwrap()).unwrap()).collect()
}

/// Replays the lines up to the first that cannot be.
fn replayed<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Vec<Step>, RecordingError> {
    let mut replay = Replay::default();
    (1..).zip(lines).map(|(number, line)| replay.line(number, line)).collect()
}

#[test]
fn a_turn_at_rest_takes_less_than_200_bytes_whatever_the_number_of_instances() {
    let mut spec = store();
    spec.bounds = model::bounds::Bounds::new(200, 200).unwrap();
    let lines = recorded(&spec, (0..30).map(|_| at_rest(200)).collect());
    let last = lines.last().unwrap();
    assert!(last.len() < 200, "{} bytes: {last}", last.len());
    // What each instance has in flight changes all the time where there is load.
    let busy = |index: u32| {
        let mut observed = at_rest(200);
        let instances = observed.instances.iter_mut().flatten();
        instances.zip(0..).for_each(|(instance, place)| instance.in_flight = Some(index + place));
        observed
    };
    let lines = recorded(&spec, (0..30).map(busy).collect());
    let last = lines.last().unwrap();
    assert!(last.len() < 200 + 200 * 10, "{} bytes: {last}", last.len());
}

/// What programs are told is not for all who may see decisions, and neither is what they write.
#[test]
fn nothing_that_no_decision_reads_is_written() {
    let text = r#"
        name = "store"
        image = "hidden-image"
        route = { host = "hidden.example", path_prefix = "/hidden" }
        release = ["/hidden-release"]
        egress = ["hidden.example:443"]
        application = { hidden = "hidden" }
        [instance]
        port = 8000
        health_path = "/hidden"
        command = ["/hidden"]
        environment = { HIDDEN = "hidden" }
        user = "hidden"
        working_folder = "/hidden"
        mounts = [{ source = "hidden", target = "/hidden" }]
        secrets = [{ name = "hidden", environment = "HIDDEN_TOO" }]
        reaches = ["hidden"]
        [capacity]
        requests_per_second = 50
        [bounds]
        min = 1
        max = 10
    "#;
    let spec: ServiceSpec = config_file::from_toml("store.toml", text).unwrap();
    let observed = ServiceObservation {
        done: vec![Done {
            last_lines: vec!["hidden".to_owned()],
            ..ended(ActionKind::Clone, 1, Some("no answer"))
        }],
        ..at_rest(2)
    };
    let lines = recorded(&spec, vec![observed, at_rest(2)]).concat();
    assert!(!lines.to_lowercase().contains("hidden"), "{lines}");
    assert!(
        lines.contains("no answer") && lines.contains("\"requests_per_second\":50.0"),
        "{lines}"
    );
}

#[test]
fn a_recording_that_is_cut_spoilt_or_newer_is_told_with_its_line_and_the_cure() {
    let lines = recorded(&store(), (0..4).map(|_| at_rest(1)).collect());
    let told = |lines: &[&str]| {
        let mut error = None::<RecordingError>;
        let mut replay = Replay::default();
        for (number, line) in (1..).zip(lines) {
            error = error.or(replay.line(number, line).err());
        }
        error.unwrap().to_string()
    };
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(replayed(lines.iter().copied()).is_ok());
    let cut = &lines[4][..lines[4].len() / 2];
    assert_eq!(
        told(&[lines[0], lines[1], lines[2], cut]),
        "line 4 is cut in the middle: remove it, and what stands before it can be replayed"
    );
    assert!(told(&[lines[0], lines[1], ""]).starts_with("line 3 is cut in the middle"));
    for spoilt in ["{\"turn\":{\"at_ms\":\"now\"}}\n", "nonsense\n", "{\"magic\":1}\n"] {
        let told = told(&[lines[0], lines[1], spoilt]);
        assert!(told.starts_with("line 3 is no line of a recording: remove it and"), "{told}");
    }
    let newer = lines[0].replace("\"format\":1", "\"format\":2").replace("0.1.0", "0.9.0");
    assert_eq!(
        told(&[&newer]),
        "line 1: release 0.9.0 wrote this in format 2, and this release reads formats up to 1: replay it with that \
         release, or a later one"
    );
    for first in [lines[2], "{}\n", "# A page\n"] {
        let told = told(&[first]);
        assert!(told.starts_with("line 1 should be the first of a recording"), "{told}");
    }
    let told_gap = told(&[lines[0], lines[2]]);
    assert!(told_gap.starts_with("line 2 is a turn that no start stands before"), "{told_gap}");
    let told_gap = told(&[lines[0], lines[1], lines[3]]);
    assert!(
        told_gap.starts_with("line 3 does not follow on the turn before it (it has no"),
        "{told_gap}"
    );
    let gone = r#"{"turn":{"at_ms":1,"gone":["bw-store-9-x"]}}"#;
    let told_gap = told(&[lines[0], lines[1], lines[2], gone]);
    assert!(told_gap.contains("it tells of instances that there were not"), "{told_gap}");
    let bounds = lines[2].replace("\"max\":10", "\"max\":0");
    let error = replayed([lines[0], lines[1], &bounds]).unwrap_err();
    assert_eq!(error.to_string(), "line 3: the service's description does not hold");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("bounds.m"));
}

/// As the first release that records wrote it; what a later one adds to the format is passed over.
#[test]
fn a_recording_of_the_first_format_is_read_and_what_a_later_release_adds_is_passed_over() {
    let first = include_str!("tests/first_format.jsonl");
    let mut turns = 0;
    for step in replayed(first.lines()).unwrap() {
        if let Step::Decided(decided) = step {
            turns += 1;
            assert_eq!(decided.recorded, decided.now());
        }
    }
    assert_eq!(turns, 3);
    let later = first.replace("{\"at_ms\"", "{\"moon\":\"full\",\"at_ms\"");
    let later = later.replace("\"fleet\":{", "\"moon\":{},\"fleet\":{\"moon\":1,");
    assert_ne!(later, first);
    assert_eq!(replayed(later.lines()).unwrap().len(), first.lines().count());
}

#[test]
fn another_policy_is_refused_where_it_cannot_decide_for_the_service() {
    let text = r#"
        name = "worker"
        image = "worker"
        instance = { port = 8000 }
        bounds = { min = 1, max = 3 }
        policy = { kind = "hpa", measure = "cpu" }
    "#;
    let spec: ServiceSpec = config_file::from_toml("worker.toml", text).unwrap();
    let lines = recorded(&spec, vec![at_rest(1)]);
    assert!(replayed(lines.iter().map(String::as_str)).is_ok());
    let mut replay = Replay::new(Some(model::policies::PolicyKind::TargetTracking.into()));
    let results: Vec<_> = (1..).zip(&lines).map(|(at, line)| replay.line(at, line)).collect();
    let refused = results.into_iter().find_map(Result::err).unwrap();
    assert!(matches!(refused, RecordingError::Policy { line: 3, .. }), "{refused}");
}

fn ended(kind: ActionKind, slot: u32, error: Option<&str>) -> Done {
    let slot = Slot::try_from(slot).unwrap();
    Done {
        kind,
        instance: model::names::InstanceName::new(&store_name(), slot, seconds(0)),
        slot,
        version: Some(VERSION),
        planned_at: seconds(1),
        finished_at: seconds(2),
        error: error.map(str::to_owned),
        last_lines: Vec::new(),
        release: None,
        steps: Vec::new(),
    }
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![0.0_f64..1e3, prop::num::f64::ANY]
}

fn any_instance() -> impl Strategy<Value = InstanceObservation> {
    let presence = prop::sample::select(vec![
        ContainerPresence::Absent,
        ContainerPresence::Stopped,
        ContainerPresence::Running,
    ]);
    let rotation = prop::sample::select(vec![
        RotationState::Out,
        READY,
        RotationState::In { healthy: false },
        RotationState::Drain,
    ]);
    let silent = prop::option::of((any::<bool>(), any::<u64>(), any::<u64>())).prop_map(|silent| {
        silent.map(|(is_down, answered, nanos)| SilentCheck {
            is_down,
            answered,
            cpu_time: Duration::from_nanos(nanos),
        })
    });
    let flags = (any::<bool>(), any::<bool>(), prop::option::of(0_u32..3));
    (1_u32..12, presence, rotation, prop::option::of(0_u32..9), flags, silent).prop_map(
        |(slot, container, rotation, in_flight, (drained, released, version), silent)| {
            InstanceObservation {
                in_flight,
                drained,
                released,
                version: version.map(Version::new),
                silent,
                ..observation(slot, container, rotation)
            }
        },
    )
}

fn any_observation() -> impl Strategy<Value = ServiceObservation> {
    let load = prop::option::of((any::<u64>(), any::<[u64; 3]>(), any::<[u32; 2]>()));
    let load = load.prop_map(|load| {
        load.map(|(nanos, [arrivals, served, rejected], [queued, in_flight])| {
            let elapsed = Duration::from_nanos(nanos);
            LoadObservation { elapsed, arrivals, served, rejected, queued, in_flight }
        })
    });
    let host_cpu = prop::option::of((any::<u32>(), any_float()));
    let instances = prop::option::weighted(0.8, prop::collection::vec(any_instance(), 0..12));
    let answers = prop::collection::btree_map(0_u32..3, (any::<u64>(), any::<u64>()), 0..3);
    let done = prop::collection::vec((1_u32..9, prop::option::of("[ -~\\n\u{e9}]{0,9}")), 0..3);
    (load, prop::option::of(any_float()), host_cpu, instances, answers, done).prop_map(
        |(load, cpu_cores, host_cpu, instances, answers, done)| ServiceObservation {
            load,
            cpu_cores,
            host_cpu: host_cpu.map(|(cores, busy)| HostCpu { cores, busy }),
            instances: instances.map(distinct),
            answers: answers
                .into_iter()
                .map(|(version, (all, failed))| (Version::new(version), Answers { all, failed }))
                .collect(),
            done: done
                .into_iter()
                .map(|(slot, error)| ended(ActionKind::Stop, slot, error.as_deref()))
                .collect(),
        },
    )
}

/// An instance is observed once; in which order says nothing.
fn distinct(instances: Vec<InstanceObservation>) -> Vec<InstanceObservation> {
    let by_name: BTreeMap<_, _> = instances.into_iter().map(|it| (it.name.clone(), it)).collect();
    by_name.into_values().collect()
}

proptest! {
    /// Every input comes back as it was, to the last bit: the text of a float names all its bits but those of one
    /// that is no number.
    #[test]
    fn inputs_come_back_from_their_turns_as_they_were(
        turns in prop::collection::vec(
            (any_observation(), 1_u32..4, 0_u32..2, any::<u64>(), prop::collection::vec(1_u32..1000, 0..4), any::<bool>()),
            1..12,
        )
    ) {
        let (mut recorder, mut player) = (Recorder::default(), Player::default());
        let mut spec = store();
        for (line, (observed, max, fits, now, free, reversed)) in turns.into_iter().enumerate() {
            spec.bounds = model::bounds::Bounds::new(1, max).unwrap();
            let free: Vec<_> = free.into_iter().map(|n| Slot::try_from(n).unwrap()).collect();
            let wanted = Wanted { version: Version::new(max), deployed_at: Timestamp::from_millis(fits.into()) };
            let hold = reversed.then_some(fits);
            let removals: Vec<_> = observed.done.iter().map(|done| done.instance.clone()).collect();
            let context = TurnContext {
                fits, wanted, release: reversed, hold, removals: &removals, ..context(&spec, &free)
            };
            let mut shown = observed.clone();
            if reversed {
                shown.instances.iter_mut().for_each(|instances| instances.reverse());
            }
            let now = Timestamp::from_millis(now);
            let turn = recorder.inputs(&context, &shown, now);
            let tick = Controller::default().turn(&context, ServiceObservation::default(), now);
            let turn = recorder.outcome(turn, &tick);
            let text = LineRef::Turn(&turn).to_text().unwrap();
            let Line::Turn(read) = serde_json::from_slice(&text).unwrap() else { panic!("no turn") };
            let (inputs, outcome) = player.turn(*read, line).unwrap();
            prop_assert_eq!(format!("{:?}", inputs.observed), format!("{observed:?}"));
            prop_assert_eq!((inputs.now, inputs.wanted, inputs.fits), (now, wanted, fits));
            prop_assert_eq!((&inputs.free_slots, inputs.release), (&free, reversed));
            prop_assert_eq!((inputs.hold, inputs.removals), (hold, removals));
            prop_assert_eq!((inputs.spec.bounds, &inputs.spec.policy), (spec.bounds, &spec.policy));
            prop_assert_eq!(outcome, Outcome::of(&tick));
        }
    }
}

#[test]
fn what_decisions_read_of_a_service_comes_back_as_it_was() {
    let shipped = include_str!("../../../../services/object-store.toml");
    let requests = "name = 'a'\nimage = 'a'\ninstance = { port = 80, cpus = 0.1 }\nroute = { path_prefix = '/' }";
    let rules = "scale_out = { patience_ms = 1, cooldown_ms = 2, max_step = 3 }
        scale_in = { patience_ms = 4, max_step_percent = 5, drain_timeout_ms = 6 }
        rollout = { watch_ms = 7 }
        capacity = { requests_per_second = 51.24817868573422, concurrency = 8, burst = 9 }
        policy = [{ kind = 'predictive' }, { kind = 'schedule', time_zone = 'Europe/Berlin', \
            entries = [{ days = [], from = '08:00', to = '20:00', min = 2, max = 8 }] }]";
    let rules = rules.replace("\\\n", "");
    let recreate = "rollout = { replacement = 'recreate' }\nbounds = { min = 0, max = 1 }";
    let bounds = "bounds = { min = 1, max = 9 }";
    let uncounted =
        "name = 'a'\nimage = 'a'\ninstance = { port = 80 }\npolicy = { kind = 'schedule' }";
    for text in [
        shipped.to_owned(),
        format!("{bounds}\n{rules}\n{requests}"),
        format!("{recreate}\n{requests}"),
        format!("{bounds}\n{uncounted}"),
    ] {
        let spec: ServiceSpec = config_file::from_toml("a.toml", &text).unwrap();
        let file = terms::Terms::of(&spec).to_file();
        let back = terms::spec(&serde_json::from_str(&file.to_string()).unwrap()).unwrap();
        assert_eq!(terms::Terms::of(&back), terms::Terms::of(&spec), "{text}");
    }
}
