//! The system under test: the recipes and programs of the tree, run as a person would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where the system keeps what outlives it.
const STATE: &str = "/var/lib/bellows";

/// The tree of the project.
pub(crate) fn tree() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/bellows lies in the tree").to_owned()
}

/// Runs a recipe as a user whose files nobody else may read.
pub(crate) fn just_with_strict_umask(arguments: &[&str]) -> Output {
    let script = "umask 077; exec \"$0\" \"$@\"";
    run(Command::new("sh").args(["-c", script]).arg(tree().join("just")).args(arguments))
}

/// Runs a recipe of the justfile by the wrapper that people use.
pub(crate) fn just(arguments: &[&str]) -> Output {
    run(Command::new(tree().join("just")).args(arguments))
}

/// Runs the operator's command line itself, for what no recipe does.
pub(crate) fn bellows(arguments: &[&str]) -> Output {
    program("bellows", arguments)
}

/// Runs a scaler beside the one that `up` started.
pub(crate) fn scaler(arguments: &[&str]) -> Output {
    program("scaler", arguments)
}

fn program(name: &str, arguments: &[&str]) -> Output {
    run(Command::new(programs().join(name)).args(arguments))
}

/// The folder of the release build's programs.
pub(crate) fn programs() -> PathBuf {
    tree().join(format!("target/{}-unknown-linux-gnu/release", std::env::consts::ARCH))
}

/// Runs a program from a folder where nothing of ours is.
pub(crate) fn from_elsewhere(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir("/").output().expect("it starts")
}

/// The file of the program that a process runs.
pub(crate) fn program_of(pid: i32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/exe")).expect("it runs")
}

/// Runs the cargo that runs this test.
pub(crate) fn cargo(arguments: &[&str]) -> Output {
    run(Command::new(env!("CARGO")).args(arguments))
}

fn run(command: &mut Command) -> Output {
    eprintln!("end to end: {command:?}");
    command.current_dir(tree()).stdin(Stdio::null()).output().expect("it starts")
}

/// Both outputs as text, for messages and for what must be in them.
pub(crate) fn text(output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
    format!("{stdout}{stderr}")
}

/// Asserts the exit code, and shows the outputs when it is another.
#[track_caller]
pub(crate) fn expect_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "exit code; it printed:\n{}", text(output));
}

/// `status --json`.
pub(crate) fn status() -> Value {
    let output = bellows(&["status", "--json"]);
    expect_code(&output, 0);
    serde_json::from_slice(&output.stdout).expect("status is JSON")
}

/// The process of a long-running program.
pub(crate) fn program_pid(name: &str) -> i32 {
    running_pid(name).unwrap_or_else(|| panic!("{name} does not run: {}", status()))
}

/// The same from `status`; nothing of one that is being started again.
pub(crate) fn running_pid(name: &str) -> Option<i32> {
    let status = status();
    let programs = status["programs"].as_array().expect("programs");
    let program = programs.iter().find(|p| p["name"] == name).expect("the program is listed");
    program["pid"].as_i64().map(|pid| i32::try_from(pid).expect("a pid"))
}

/// The names of the instances in a phase.
pub(crate) fn instances(phase: &str) -> Vec<String> {
    let status = status();
    let instances = status["instances"].as_array().expect("instances");
    let in_phase = instances.iter().filter(|instance| instance["phase"] == phase);
    in_phase.map(|instance| instance["name"].as_str().expect("a name").to_owned()).collect()
}

/// Waits until `holds`, and gives the time it took.
#[track_caller]
pub(crate) fn within(limit: Duration, what: &str, holds: impl FnMut() -> bool) -> Duration {
    looks(limit, Duration::from_millis(10), what, holds)
}

/// The same of what the console's history tells, which it writes down once a second: one such question counts as ten of
/// the 200 that it answers in a second.
#[track_caller]
pub(crate) fn remembered(what: &str, holds: impl FnMut() -> bool) -> Duration {
    looks(Duration::from_secs(10), Duration::from_millis(300), what, holds)
}

#[track_caller]
fn looks(
    limit: Duration,
    pause: Duration,
    what: &str,
    mut holds: impl FnMut() -> bool,
) -> Duration {
    let start = Instant::now();
    loop {
        if holds() {
            let took = start.elapsed();
            eprintln!("end to end: {what} after {took:?}");
            return took;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}\n{}", status());
        sleep(pause);
    }
}

/// Takes the system down when the test ends, however it ends.
pub(crate) struct Down;

impl Drop for Down {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("end to end: it failed with this state:\n{}", text(&bellows(&["status"])));
        }
        let output = bellows(&["down"]);
        if !output.status.success() {
            eprintln!("end to end: down failed:\n{}", text(&output));
        }
    }
}

/// What an operator of this machine has set and the system has learnt, out of the test's way: a
/// bound of 50 that somebody left would be the test's too. It is there again when the test ends.
pub(crate) struct SetAside(Vec<PathBuf>);

impl SetAside {
    pub(crate) fn take() -> Self {
        let names = ["overrides.json", "standing.json", "memory.json"];
        let state = names.map(|name| Path::new(STATE).join(name));
        for file in &state {
            let before = beside(file);
            assert!(
                !before.exists(),
                "{} is of a test that was killed: put it back",
                before.display()
            );
            if file.exists() {
                std::fs::rename(file, before).expect("renamed");
            }
        }
        Self(state.into())
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        for file in &self.0 {
            // What the test itself left is nobody's wish.
            let _ = std::fs::remove_file(file);
            if beside(file).exists() {
                let _ = std::fs::rename(beside(file), file);
            }
        }
    }
}

fn beside(file: &Path) -> PathBuf {
    file.with_extension("json.before-the-test")
}
