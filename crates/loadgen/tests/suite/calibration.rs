//! Calibration on the command line, against a store that is always good and a scaler that does at
//! once what it is told.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use run::Calibration;
use serde_json::{Value, json};

use crate::support::{Conduct, Store};

const SCENARIO: &str = "name = \"short\"\nservice = \"object-store\"\nseed = 1\n\
    [[phases]]\nkind = \"constant\"\nduration_s = 5\nrate = 100\n[objects]\ncount = 3\n";
const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services/object-store.toml");

/// The scaler's host has no room for a larger fleet.
const SLOTS: u64 = 20;

/// The bounds that were asked for, in order; null where those of the file were.
type Asked = Arc<Mutex<Vec<Value>>>;

/// What the scaler answers when these are the bounds that an operator set.
fn status(set: &Value) -> Json<Value> {
    let bounds = if set.is_null() { &json!({"min": 1, "max": 10}) } else { set };
    Json(json!({
        "name": "object-store", "route": "/", "bounds": bounds, "policy": "target_tracking",
        "policy_spec": {"kind": "target_tracking", "target_percent": 80}, "objective_ms": 100,
        "wanted": {"version": "00000001", "deployed_at_ms": 1}, "rollout": null,
        "set": {"bounds": set, "policy": null}, "instances": [], "tick": null,
        "phases":
            {"starting": 0, "ready": bounds["min"], "draining": 0, "failed": 0},
    }))
}

/// Starts the scaler on a free port of loopback; an operator has set `bounds`, or null.
fn scaler(bounds: Value) -> (String, Asked) {
    type Shared = State<(Asked, Value)>;
    let asked = Asked::default();
    let now = async |State((asked, before)): Shared| {
        status(asked.lock().unwrap().last().unwrap_or(&before))
    };
    let set = async |State((asked, _)): Shared, Json(bounds): Json<Value>| {
        if bounds["max"].as_u64() > Some(SLOTS) {
            let error = json!({"error": {"code": "too_many_slots", "message": "No slots."}});
            return (StatusCode::UNPROCESSABLE_ENTITY, Json(error));
        }
        asked.lock().unwrap().push(bounds.clone());
        (StatusCode::OK, status(&bounds))
    };
    let clear = async |State((asked, _)): Shared| {
        asked.lock().unwrap().push(Value::Null);
        status(&Value::Null)
    };
    let routes = Router::new()
        .route("/v1/services/object-store", get(now))
        .route("/v1/services/object-store/bounds", put(set).delete(clear))
        .route("/v1/ticks", get(async || Json(json!({"ticks": [], "next": 0}))))
        .with_state((Arc::clone(&asked), bounds));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
    });
    (url, asked)
}

fn calibrate(folder: &Path, arguments: &[&str]) -> Child {
    std::fs::write(folder.join("short.toml"), SCENARIO).unwrap();
    std::fs::create_dir_all(folder.join("services")).unwrap();
    std::fs::copy(SERVICE, folder.join("services/object-store.toml")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["calibrate", "--scenario", "short", "--scenarios", "."])
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finished(program: Child) -> Output {
    program.wait_with_output().unwrap()
}

/// Begins to calibrate, interrupts it within its first trial, and waits for the end.
fn interrupted(folder: &Path, store: &Store, api: &str) -> Output {
    let program = calibrate(folder, &["--target", &store.url(), "--api", api]);
    while store.count("GET") < 10 {
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(program.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    finished(program)
}

#[test]
fn an_interrupt_gives_the_bounds_back_and_keeps_the_last_whole_calibration() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(|_| Conduct::Good);
    let (api, asked) = scaler(Value::Null);
    let whole = folder.path().join("results/calibration");
    std::fs::create_dir_all(&whole).unwrap();
    std::fs::write(whole.join("calibration.json"), "whole").unwrap();

    let output = interrupted(folder.path(), &store, &api);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let one = json!({"min": 1, "max": 1});
    // One instance to store the objects in, and one to be measured.
    let expected = [json!({"min": 1, "max": 10}), one.clone(), one, Value::Null];
    assert_eq!(*asked.lock().unwrap(), expected);
    assert_eq!(store.objects(), 0);
    assert_eq!(std::fs::read_to_string(whole.join("calibration.json")).unwrap(), "whole");
    let results = std::fs::read_dir(folder.path().join("results")).unwrap();
    let partial = results.map(|entry| entry.unwrap().path()).find(|path| *path != whole).unwrap();
    assert!(partial.to_str().unwrap().contains("calibration-partial-"), "{partial:?}");
    let calibration = Calibration::read(&partial).unwrap().unwrap();
    assert!(!calibration.complete && calibration.points.is_empty());
    assert_eq!(calibration.conditions["objective"], "99% within 100 ms, none failed");
}

#[test]
fn bounds_that_an_operator_had_set_are_set_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(|_| Conduct::Good);
    let (api, asked) = scaler(json!({"min": 2, "max": 3}));
    interrupted(folder.path(), &store, &api);
    assert_eq!(asked.lock().unwrap().last(), Some(&json!({"min": 2, "max": 3})));
}

#[test]
fn a_service_that_fails_every_request_has_no_capacity() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(|asked| match asked.method.as_str() {
        "GET" => Conduct::Status(503),
        _ => Conduct::Good,
    });
    let (api, asked) = scaler(Value::Null);
    let arguments = ["--target", &store.url(), "--api", &api, "--instances", "1"];
    let output = finished(calibrate(folder.path(), &arguments));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no rate could be found"), "{said}");
    assert_eq!(asked.lock().unwrap().last(), Some(&Value::Null));
    assert!(!folder.path().join("results/calibration").exists());
}

#[test]
fn bad_input_is_exit_code_2_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (api, asked) = scaler(Value::Null);
    let cases: [(&[&str], &str); 5] = [
        (&["--instances", "0", "--api", &api], "instances is 0: use 1 to 750"),
        (&["--instances", "751", "--api", &api], "instances is 751: use 1 to 750"),
        (&["policies=x"], "`policies=x`: use instances, scenario, results,"),
        (&["--api", "ftp://x"], "use /run/bellows/operator.sock, or http://HOST:PORT"),
        (&["--services", ".", "--api", &api], "object-store.toml cannot be read"),
    ];
    for (arguments, message) in cases {
        let output = finished(calibrate(folder.path(), arguments));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
    assert!(asked.lock().unwrap().is_empty());
    assert!(!folder.path().join("results").exists());
}

#[test]
fn a_fleet_that_the_host_has_no_slots_for_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(|_| Conduct::Good);
    let (api, asked) = scaler(json!({"min": 2, "max": 3}));
    let arguments = ["--target", &store.url(), "--api", &api, "--instances", "21"];
    let output = finished(calibrate(folder.path(), &arguments));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("No slots."), "{said}");
    assert_eq!(*asked.lock().unwrap(), [json!({"min": 2, "max": 3})]);
    assert!(store.count("GET") == 0 && !folder.path().join("results").exists());
}

#[test]
fn a_service_without_a_figure_is_not_calibrated_and_is_told_what_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(|_| Conduct::Good);
    let (api, asked) = scaler(Value::Null);
    let shipped = std::fs::read_to_string(SERVICE).unwrap();
    let (head, rest) = shipped.split_once("[capacity]").unwrap();
    let (_, rest) = rest.split_once("[objective]").unwrap();
    let (middle, rest) = rest.split_once("[policy]").unwrap();
    let (_, tail) = rest.split_once("[scale_in]").unwrap();
    let without = folder.path().join("without");
    std::fs::create_dir(&without).unwrap();
    let text = format!("{head}[objective]{middle}[scale_in]{tail}");
    std::fs::write(without.join("object-store.toml"), text).unwrap();
    let url = store.url();
    let program =
        calibrate(folder.path(), &["--target", &url, "--api", &api, "--services", "without"]);
    let output = finished(program);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    let missing = "capacity.requests_per_second: service object-store has none";
    assert!(told.contains(missing), "{told}");
    assert!(asked.lock().unwrap().is_empty(), "nothing was changed");
}
