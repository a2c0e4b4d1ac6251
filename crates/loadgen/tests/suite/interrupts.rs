//! The program and its signals: a run ends in order, whatever it is doing and whoever still reads.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fake_scaler::Fake;
use crate::support::{Conduct, Store};

const SCENARIO: &str = "name = \"long\"\nservice = \"object-store\"\nseed = 1\n\
    [[phases]]\nkind = \"constant\"\nduration_s = 600\nrate = 100\n[keys]\ncount = 3\n";
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services");

/// Starts the program within `folder`, which gets the scenario `long.toml`. `env`, which the program
/// takes the place of, is told what it is to do about a hang-up.
fn start(folder: &Path, hang_up: &str, arguments: &[&str]) -> Child {
    std::fs::write(folder.join("long.toml"), SCENARIO).unwrap();
    let program = Command::new("env")
        .args([hang_up, env!("CARGO_BIN_EXE_loadgen")])
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    program.unwrap()
}

fn send(program: &Child, signal: Signal) {
    kill(Pid::from_raw(program.id().try_into().unwrap()), signal).unwrap();
}

fn wait_for(what: impl Fn() -> bool) {
    while !what() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends the signal once the load is there, and waits for the end.
fn ended_by(signal: Signal, mut program: Child, store: &Store) -> ExitStatus {
    wait_for(|| store.count("GET") >= 20);
    send(&program, signal);
    program.wait().unwrap()
}

#[test]
fn settings_are_put_back_where_nobody_reads_what_is_said() {
    let (store, scaler, folder) =
        (Store::start(|_| Conduct::Good), Fake::start(), tempfile::tempdir().unwrap());
    let before = scaler.set();
    let arguments = ["experiment", "long", "--scenarios", ".", "--services", SERVICES];
    let places = ["--policy", "hpa", "--target", &store.url(), "--api", &scaler.url];
    let arguments = [&arguments[..], &places].concat();
    let mut program = start(folder.path(), "--default-signal=HUP", &arguments);
    drop((program.stdout.take(), program.stderr.take()));
    let status = ended_by(Signal::SIGINT, program, &store);
    assert_eq!((status.code(), scaler.set()), (Some(130), before));
    assert_eq!(scaler.log(), ["PUT policy", "DELETE policy"]);
    assert_eq!(store.objects(), 0);
}

#[test]
fn ctrl_c_ends_a_run_in_order() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    let arguments = ["run", "long.toml", "--target", &store.url()];
    let program = start(folder.path(), "--default-signal=HUP", &arguments);
    assert_eq!(ended_by(Signal::SIGINT, program, &store).code(), Some(130));
    let summary = std::fs::read_to_string(folder.path().join("results/latest/summary.json"));
    assert!(summary.unwrap().contains("\"interrupted\": true"));
    assert_eq!(store.objects(), 0);
}
