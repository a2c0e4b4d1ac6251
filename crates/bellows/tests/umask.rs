//! What `bellows` starts makes files that others can read, whatever the umask of whoever calls.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Writes the umask that it was given and its process, and goes on for a minute.
const PROGRAM: &str = "umask >umask; echo $$ >pid; mv umask given; exec sleep 60";

fn supervise(run: &Path) -> Child {
    let bellows = env!("CARGO_BIN_EXE_bellows");
    let script = format!(
        "umask 077; exec {bellows:?} supervise --run {run:?} program -- \
         /bin/sh -c 'cd {run:?}; {PROGRAM}'"
    );
    Command::new("sh").args(["-c", &script]).spawn().expect("it starts")
}

#[test]
fn programs_get_the_usual_umask_from_a_caller_with_a_strict_one() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("units")).expect("made");
    let mut supervisor = supervise(folder.path());
    let started = Instant::now();
    let mut given = String::new();
    while given.is_empty() && started.elapsed() < Duration::from_secs(10) {
        given = fs::read_to_string(folder.path().join("given")).unwrap_or_default();
        sleep(Duration::from_millis(10));
    }
    supervisor.kill().expect("it ran");
    supervisor.wait().expect("it ended");
    let pid = fs::read_to_string(folder.path().join("pid")).expect("a process");
    Command::new("kill").arg(pid.trim()).status().expect("kill");
    assert_eq!(given.trim(), "0022");
}
