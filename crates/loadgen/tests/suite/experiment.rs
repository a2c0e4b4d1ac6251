//! Experiments against a scaler that plays along: settings are changed and put back, whatever
//! happens, and several runs are one result.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use command_line::policies::Choice;
use loadgen::{
    Ending, Error, Experiment, ExperimentReport, Interrupt, LoadedScenario, Memberships, Scaler,
    TraceOptions,
};
use run::figures::Assumptions;
use run::repetitions::Repetitions;
use serde_json::{Value, json};

use crate::fake_scaler::Fake;
use crate::support::{Conduct, Store};

const SCENARIO: &str = r#"
name = "short"
service = "object-store"
seed = 5

[[phases]]
kind = "constant"
duration_s = 0.5
rate = 100

[objects]
count = 3
"#;

fn experiment(store: &Store, scaler: &Fake, folder: &Path, policy: &str) -> Experiment {
    let file = folder.join("short.toml");
    std::fs::write(&file, SCENARIO).unwrap();
    Experiment {
        scenario: LoadedScenario::read(&file, folder, 1.0, None).unwrap(),
        target: store.url().parse().unwrap(),
        scaler: Scaler::new(&scaler.url).unwrap().with_patience(Duration::from_millis(600)),
        results: folder.join("results"),
        policy: Some(Choice::find(policy, folder).unwrap()),
        memberships: Some(Memberships::Reload),
        repetitions: 1,
        assumptions: Assumptions::default(),
        rest_limit: Duration::from_secs(60),
    }
}

fn run(experiment: Experiment) -> Result<(ExperimentReport, Vec<PathBuf>), Error> {
    let (_sender, interrupt) = Interrupt::manual();
    run_until(experiment, interrupt)
}

fn run_until(
    experiment: Experiment,
    interrupt: Interrupt,
) -> Result<(ExperimentReport, Vec<PathBuf>), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut folders = Vec::new();
    let finished = |report: &loadgen::RunReport| folders.push(report.folder.clone());
    let report = runtime.block_on(loadgen::experiment(experiment, interrupt, finished))?;
    Ok((report, folders))
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_service_that_is_held_at_a_number_is_not_experimented_with() {
    let (scaler, folder) = (Fake::start(), folder());
    scaler.state.lock().unwrap().hold = json!({"ready": 4, "since_ms": 1, "until_ms": 2});
    let store = Store::start(|_| Conduct::Good);
    let error = run(experiment(&store, &scaler, folder.path(), "hpa")).unwrap_err();
    let told = "object-store is held at 4 instances; `bellows scale object-store --auto` gives it \
                back to its policy";
    assert_eq!((error.to_string().as_str(), error.exit_code()), (told, 2));
    assert_eq!(scaler.log(), Vec::<String>::new());
}

#[test]
fn a_run_has_its_settings_and_what_it_finds_is_put_back() {
    let (scaler, folder) = (Fake::start(), folder());
    let before = scaler.set();
    // Somebody changes the bounds while the load lasts.
    let meanwhile = Arc::clone(&scaler.state);
    let store = Store::start(move |asked| {
        if asked.method == "GET" {
            meanwhile.lock().unwrap().bounds = json!({"min": 1, "max": 9});
        }
        Conduct::Good
    });
    let (report, folders) = run(experiment(&store, &scaler, folder.path(), "hpa")).unwrap();
    assert_eq!((report.ending, report.tables.as_str()), (Ending::Held, ""));
    assert_eq!(report.folder.as_ref(), folders.first());
    assert_eq!(scaler.set(), before);
    let expected =
        ["PUT policy", "PUT membership", "DELETE policy", "PUT bounds", "DELETE membership"];
    assert_eq!(scaler.log(), expected);
    let summary = json_of(&folders[0].join("summary.json"));
    assert_eq!(summary["conditions"]["policy"], "hpa");
    assert_eq!(summary["conditions"]["membership"], "reload");
    assert_eq!(summary["conditions"]["bounds"], "1 to 4 instances");
}

#[test]
fn repetitions_have_other_seeds_and_say_their_medians() {
    let (store, scaler, folder) = (Store::start(|_| Conduct::Good), Fake::start(), folder());
    let mut twice = experiment(&store, &scaler, folder.path(), "default");
    twice.repetitions = 2;
    let (report, folders) = run(twice).unwrap();
    let all = report.folder.unwrap();
    assert_eq!(folders, [all.join("1"), all.join("2")]);
    let repetitions = Repetitions::read(&all).unwrap().unwrap();
    assert_eq!(repetitions.runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [5, 6]);
    let due = [0, 1]
        .map(|i| json_of(&folders[i].join("summary.json"))["requests"]["due"].as_f64().unwrap());
    let median = repetitions.interval("requests.due").unwrap().median;
    assert!((median - due.iter().sum::<f64>() / 2.0).abs() < 1e-9);
    assert!(report.tables.contains("2 runs of short, reload: medians"), "{}", report.tables);
    let latest = folder.path().join("results/latest");
    assert_eq!(latest.canonicalize().unwrap(), all.canonicalize().unwrap());
    assert_eq!(store.objects(), 0);
}

#[test]
fn each_way_of_membership_has_a_run_and_the_two_are_compared() {
    let (store, scaler, folder) = (Store::start(|_| Conduct::Good), Fake::start(), folder());
    let mut both = experiment(&store, &scaler, folder.path(), "default");
    both.memberships = Some(Memberships::Both);
    let (report, folders) = run(both).unwrap();
    let all = report.folder.unwrap();
    assert_eq!(folders, [all.join("runtime"), all.join("reload")]);
    for folder in &folders {
        let summary = json_of(&folder.join("summary.json"));
        assert_eq!(
            summary["conditions"]["membership"],
            folder.file_name().unwrap().to_str().unwrap()
        );
        assert_eq!(summary["seed"], 5);
    }
    assert!(report.tables.contains("runtime         reload difference"), "{}", report.tables);
    assert_eq!(scaler.set()[2], Value::Null);
}

#[test]
fn an_interrupt_keeps_what_was_measured_and_puts_everything_back() {
    let (store, scaler, folder) =
        (Arc::new(Store::start(|_| Conduct::Good)), Fake::start(), folder());
    let before = scaler.set();
    let mut long = experiment(&store, &scaler, folder.path(), "hpa");
    let text = SCENARIO.replace("duration_s = 0.5", "duration_s = 600");
    let text =
        text.replace("seed = 5", "seed = 5\nsettle_s = 9") + "[limits]\nback_to_min = true\n";
    let file = folder.path().join("long.toml");
    std::fs::write(&file, text).unwrap();
    long.scenario = LoadedScenario::read(&file, folder.path(), 1.0, None).unwrap();
    long.repetitions = 3;
    let (sender, interrupt) = Interrupt::manual();
    let watched = Arc::clone(&store);
    let user = std::thread::spawn(move || {
        while watched.count("GET") < 5 {
            std::thread::sleep(Duration::from_millis(10));
        }
        sender.send(true).unwrap();
        sender
    });
    let (report, folders) = run_until(long, interrupt).unwrap();
    drop(user.join());
    assert_eq!((report.ending.exit_code(), folders.len()), (130, 1));
    let summary = json_of(&folders[0].join("summary.json"));
    assert_eq!(summary["interrupted"], true);
    assert!(summary["requests"]["ok"].as_u64().unwrap() >= 5);
    // Nobody waited for it, so nobody says that it took too long.
    assert_eq!(summary["limits"]["back_to_min"], Value::Null);
    assert_eq!(scaler.set(), before);
    assert_eq!(store.objects(), 0);
}

#[test]
fn an_interrupt_while_objects_are_stored_keeps_the_runs_before_it() {
    let (sender, interrupt) = Interrupt::manual();
    // The second run stores its first object after the first one's load.
    let store = Store::start(move |asked| {
        if (asked.method.as_str(), asked.count) == ("PUT", 60) {
            sender.send_replace(true);
        }
        Conduct::Good
    });
    let (scaler, folder) = (Fake::start(), folder());
    let before = scaler.set();
    let mut twice = experiment(&store, &scaler, folder.path(), "hpa");
    let text = SCENARIO.replace("count = 3", "count = 50");
    let file = folder.path().join("read.toml");
    std::fs::write(&file, text).unwrap();
    twice.scenario = LoadedScenario::read(&file, folder.path(), 1.0, None).unwrap();
    twice.repetitions = 2;
    let (report, folders) = run_until(twice, interrupt).unwrap();
    let all = report.folder.as_ref().unwrap();
    assert_eq!((report.ending.exit_code(), folders), (130, vec![all.join("1")]));
    assert!(!all.join("2").exists());
    assert_eq!((store.objects(), scaler.set()), (0, before));
}

#[test]
fn a_service_that_does_not_rest_gets_no_load() {
    let (store, scaler, folder) = (Store::start(|_| Conduct::Good), Fake::start(), folder());
    scaler.state.lock().unwrap().ready = 3;
    let mut restless = experiment(&store, &scaler, folder.path(), "hpa");
    restless.rest_limit = Duration::from_secs(1);
    let error = run(restless.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "object-store did not come to rest within 1 s, so no load was offered: 3 ready, 0 starting, \
         0 draining under hpa, with a lower bound of 1. End other load, or choose bounds and a \
         policy under which it comes back"
    );
    assert_eq!((store.count("PUT"), scaler.set()[1].clone()), (0, Value::Null));
    // The same, and the user does not wait.
    let (sender, interrupt) = Interrupt::manual();
    sender.send(true).unwrap();
    let (report, _) = run_until(restless, interrupt).unwrap();
    assert_eq!((report.ending.exit_code(), report.folder), (130, None));
    assert_eq!((store.count("PUT"), scaler.set()[1].clone()), (0, Value::Null));
}

#[test]
fn a_service_that_a_schedule_holds_rests_there() {
    let (store, scaler, folder) = (Store::start(|_| Conduct::Good), Fake::start(), folder());
    let phases = json!({"starting": 0, "ready": 3, "draining": 0, "failed": 0});
    {
        let mut settings = scaler.state.lock().unwrap();
        settings.ready = 3;
        settings.tick = json!({"sequence": 1, "at_ms": 1, "service": "object-store",
            "observation": {"offered_rps": 0.0, "served_rps": null, "rejected_rps": null,
                            "queued": null, "in_flight": null, "cpu_cores": null, "phases": phases},
            "decision": {"kind": "target", "ready": 3, "reasons": ["OfferedLoad", "AtScheduledMin"]},
            "plan": [], "blocked": [], "done": []});
    }
    let mut held = experiment(&store, &scaler, folder.path(), "default");
    let text = SCENARIO.replace("seed = 5", "seed = 5\nsettle_s = 9");
    let file = folder.path().join("held.toml");
    std::fs::write(&file, text + "[limits]\nback_to_min = true\n").unwrap();
    held.scenario = LoadedScenario::read(&file, folder.path(), 1.0, None).unwrap();
    held.rest_limit = Duration::from_secs(3);
    let (report, folders) = run(held).unwrap();
    assert_eq!(report.ending, Ending::Held);
    let summary = json_of(&folders[0].join("summary.json"));
    assert_eq!(summary["limits"]["back_to_min"]["held"], true);
}

#[test]
fn a_trace_gets_the_bounds_that_its_peak_asks_for_if_there_is_room() {
    let (store, scaler, folder) = (Store::start(|_| Conduct::Good), Fake::start(), folder());
    let before = scaler.set();
    let trace = folder.path().join("t.csv");
    std::fs::write(&trace, "second,requests\n0,1\n1,2\n").unwrap();
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    let of = |peak| {
        let peak = Some(peak);
        let options = TraceOptions { peak, ..TraceOptions::default() };
        LoadedScenario::of_trace(&trace, &options, &services, 0.5, None).unwrap()
    };
    let mut replay = experiment(&store, &scaler, folder.path(), "default");
    replay.scenario = of(20.5);
    let error = run(replay.clone()).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().ends_with(": No slots."), "{error}");
    assert_eq!((store.count("PUT"), scaler.set()), (0, before.clone()));

    replay.scenario = of(5.5);
    let (_, folders) = run(replay.clone()).unwrap();
    let conditions = |folder: &Path| json_of(&folder.join("summary.json"))["conditions"].clone();
    assert_eq!(conditions(&folders[0])["bounds"], "1 to 6 instances");
    assert_eq!(scaler.set(), before);

    replay.scenario = of(3.5);
    let (_, folders) = run(replay).unwrap();
    assert_eq!(conditions(&folders[0])["bounds"], "1 to 4 instances");
}

#[test]
fn a_policy_that_the_scaler_refuses_is_bad_input() {
    let (store, scaler, folder) = (Store::start(|_| Conduct::Good), Fake::start(), folder());
    let error = run(experiment(&store, &scaler, folder.path(), "queue_depth")).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert_eq!(error.to_string(), "the scaler did not do it: It does not fit.");
    assert_eq!((store.count("PUT"), scaler.set()[2].clone()), (0, Value::Null));
}

#[test]
fn without_a_scaler_the_error_says_how_to_put_the_settings_back() {
    let (mut scaler, folder) = (Fake::start(), folder());
    let url = scaler.url.clone();
    let end = Mutex::new(scaler.end.take());
    let store = Store::start(move |asked| {
        let end = end.lock().unwrap().take_if(|_| asked.method == "GET");
        if let Some(end) = end {
            let _ = end.send(());
        }
        Conduct::Good
    });
    let error = run(experiment(&store, &scaler, folder.path(), "hpa")).unwrap_err();
    let text = error.to_string();
    for command in [
        format!("curl -X DELETE {url}/v1/services/object-store/policy"),
        format!("--data '{{\"max\":4,\"min\":1}}' {url}/v1/services/object-store/bounds"),
        format!("curl -X DELETE {url}/v1/membership"),
    ] {
        assert!(text.contains(&command), "{command}: {text}");
    }
    assert_eq!(error.exit_code(), 1);
    let summary = json_of(&folder.path().join("results/latest/summary.json"));
    assert!(summary["requests"]["ok"].as_u64().unwrap() > 0);
    assert_eq!(store.objects(), 0);
}
