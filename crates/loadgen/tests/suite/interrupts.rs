//! The program and its signals: a run ends in order, whatever it is doing and whoever still reads.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fake_scaler::Fake;
use crate::support::{Conduct, Store};

const SCENARIO: &str = "name = \"long\"\nservice = \"object-store\"\nseed = 1\n\
    [[phases]]\nkind = \"constant\"\nduration_s = 600\nrate = 100\n[objects]\ncount = 3\n";
const DEFAULT: &str = "--default-signal=HUP";
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
    let mut program = start(folder.path(), DEFAULT, &arguments);
    drop((program.stdout.take(), program.stderr.take()));
    let status = ended_by(Signal::SIGINT, program, &store);
    assert_eq!((status.code(), scaler.set()), (Some(130), before));
    assert_eq!(scaler.log(), ["PUT policy", "DELETE policy"]);
    assert_eq!(store.objects(), 0);
}

#[test]
fn ctrl_c_and_the_end_of_the_terminal_end_a_run_in_order() {
    for signal in [Signal::SIGINT, Signal::SIGHUP] {
        let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
        let arguments = ["run", "long.toml", "--target", &store.url()];
        let mut program = start(folder.path(), DEFAULT, &arguments);
        let said = program.stderr.take().unwrap();
        assert_eq!(ended_by(signal, program, &store).code(), Some(130));
        let said = std::io::read_to_string(said).unwrap();
        assert!(said.contains("interrupted: ending in order; once more ends at once"), "{said}");
        let summary = std::fs::read_to_string(folder.path().join("results/latest/summary.json"));
        assert!(summary.unwrap().contains("\"interrupted\": true"));
        assert_eq!(store.objects(), 0);
    }
}

#[test]
fn a_run_ends_in_order_with_the_program_that_started_it() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("long.toml"), SCENARIO).unwrap();
    let mut parent = Command::new("sh")
        .args(["-c", "\"$@\" & wait", "sh", env!("CARGO_BIN_EXE_loadgen"), "--with-parent"])
        .args(["run", "long.toml", "--target", &store.url()])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    ended_by_kill(&mut parent, &store);
    let summary = folder.path().join("results/latest/summary.json");
    wait_for(|| summary.exists() && store.objects() == 0);
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.contains("\"interrupted\": true"), "{summary}");
}

/// Ends the program as nobody can refuse, once the load is there.
fn ended_by_kill(program: &mut Child, store: &Store) {
    wait_for(|| store.count("GET") >= 20);
    program.kill().unwrap();
    program.wait().unwrap();
}

#[test]
fn a_run_that_ignores_the_end_of_its_terminal_goes_on() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    let url = store.url();
    // 600 s made 2 s.
    let arguments = ["run", "long.toml", "--target", &url, "--time-factor", "0.00334"];
    let program = start(folder.path(), "--ignore-signal=HUP", &arguments);
    assert_eq!(ended_by(Signal::SIGHUP, program, &store).code(), Some(0));
}

#[test]
fn an_interrupt_before_the_load_removes_what_was_stored_and_leaves_no_results() {
    let (store, folder) = (Store::start(|_| Conduct::Good), tempfile::tempdir().unwrap());
    // 50 a second are stored: a minute's worth.
    let many = SCENARIO.replace("count = 3", "count = 3000");
    let arguments = ["run", "many.toml", "--target", &store.url()];
    std::fs::write(folder.path().join("many.toml"), many).unwrap();
    let program = start(folder.path(), DEFAULT, &arguments);
    wait_for(|| store.objects() >= 10);
    send(&program, Signal::SIGINT);
    let output = program.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted before the load"), "{said}");
    assert_eq!((store.objects(), store.count("GET")), (0, 0));
    assert!(store.count("DELETE") <= store.count("PUT") + 1);
    assert_eq!(std::fs::read_dir(folder.path().join("results")).unwrap().count(), 0);
}
