//! What becomes of a command whose output nobody reads any more, as behind `| head`.

use std::fs::OpenOptions;
use std::io::pipe;
use std::process::{Command, Output, Stdio};

/// A pipe that nobody reads.
fn unread() -> Stdio {
    pipe().expect("a pipe").1.into()
}

fn bellows(words: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellows"));
    command.args(words).stdout(stdout).stderr(stderr).output().expect("it runs")
}

#[test]
fn a_command_that_only_tells_ends_quietly_where_nobody_reads_it() {
    for words in
        [&["help", "codes"][..], &["help", "not-root"], &["--help"], &["completions", "bash"]]
    {
        let ran = bellows(words, unread(), Stdio::piped());
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!((ran.status.code(), &*told), (Some(141), ""), "{words:?}");
    }
}

#[test]
fn an_output_without_room_is_told() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let ran = bellows(&["help", "codes"], full.into(), Stdio::piped());
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{told}");
    assert!(told.starts_with("error[disk-full]: the output cannot be written: see that"), "{told}");
}

#[test]
fn a_fault_has_its_exit_code_where_nobody_reads_the_message() {
    assert_eq!(bellows(&["services", "--jsn"], unread(), unread()).status.code(), Some(2));
}
