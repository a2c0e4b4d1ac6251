//! The program as a process: what it starts, hands on and tells.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn init(folder: &Path, json: &str) -> Command {
    let file = folder.join("command.json");
    std::fs::write(&file, json).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_init"));
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn shell(script: &str) -> String {
    let script = script.replace('"', "\\\"");
    format!(
        r#"{{"command":["/bin/sh","-c","{script}","a","b c","d'e"],"environment":{{"A":"x y"}},"working_folder":"/tmp"}}"#
    )
}

fn run(json: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), json).output().unwrap()
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn arguments_environment_and_folder_are_those_of_the_file_and_outputs_stay_apart() {
    let output = run(&shell(r#"echo "$0|$1|$2|$A|$PWD|$HOME"; echo oops >&2; exit 3"#));
    assert_eq!(output.status.code(), Some(3));
    let (stdout, stderr) = told(&output);
    assert_eq!(stdout, "a|b c|d'e|x y|/tmp|\n");
    assert_eq!(stderr, "oops\nbellows: the program ended with status 3\n");
}

#[test]
fn a_signal_reaches_the_program_and_its_end_by_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let mut child = init(folder.path(), &shell(script)).spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), told(&output).0.as_str()), (Some(5), "asked\n"));
    let killed = run(&shell("kill -9 $$"));
    assert_eq!(killed.status.code(), Some(137));
    assert_eq!(told(&killed).1, "bellows: the program was killed by SIGKILL\n");
}

#[test]
fn a_process_that_outlives_the_program_does_not_keep_its_output_open() {
    let started = Instant::now();
    let output = run(&shell("sleep 5 & echo gone"));
    assert_eq!(told(&output).0, "gone\n");
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn what_cannot_be_started_is_told() {
    let json = |command: &str, folder: &str| {
        format!(r#"{{"command":["{command}"],"environment":{{}},"working_folder":"{folder}"}}"#)
    };
    for (json, part) in [
        (json("/does/not/exist", "/"), "/does/not/exist cannot be started (No such file"),
        (json("/etc/passwd", "/"), "it is not executable"),
        (
            json("/bin/true", "/nowhere"),
            "/nowhere is no folder of the image: mend instance.working",
        ),
        ("{".to_owned(), "command.json"),
    ] {
        let output = run(&json);
        assert_eq!(output.status.code(), Some(127), "{json}");
        assert!(told(&output).1.contains(part), "{json}: {output:?}");
    }
}

#[test]
fn a_value_from_a_file_is_in_the_programs_environment() {
    assert_eq!(with_secret(b"two\nlines").stdout, b"[two\nlines]\n");
    assert_eq!(with_secret(b"of echo\n").stdout, b"[of echo]\n");
    assert_eq!(with_secret(b"\xff\xfe\n\n").stdout, b"[\xff\xfe\n]\n");
}

#[test]
fn a_value_that_no_variable_can_hold_is_told_with_the_variable() {
    let output = with_secret(b"a\0b");
    assert_eq!(output.status.code(), Some(127));
    let (stdout, stderr) = told(&output);
    assert_eq!(stdout, "");
    assert!(stderr.starts_with("bellows: the secret for S has a NUL, which no"), "{stderr}");
}

/// What a program writes that shows its variable `S`, whose value is in a file.
fn with_secret(value: &[u8]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, value).unwrap();
    let json = format!(
        r#"{{"command":["/bin/sh","-c","printf '[%s]' \"$S\""],"environment":{{}},"environment_files":{{"S":"{}"}},"working_folder":"/"}}"#,
        secret.display()
    );
    run(&json)
}

/// What a program does whose release command is this script, in an instance that runs it; and what the host is told.
fn released(release: &str) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let (child, pipe) = releasing(folder.path(), release);
    (child.wait_with_output().unwrap(), word(pipe))
}

/// A program that writes `serves`, started with this release command, and the host's end of its pipe.
fn releasing(folder: &Path, release: &str) -> (Child, File) {
    let (pipe, host) = release_pipe(folder);
    let json = release_file(folder, r#"["/bin/echo","serves"]"#, release);
    (init(folder, &json).arg(pipe).spawn().unwrap(), host)
}

/// The pipe of a release command, and the host's end of it.
fn release_pipe(folder: &Path) -> (PathBuf, File) {
    let pipe = folder.join("release");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let host = host_end(&pipe);
    (pipe, host)
}

/// The end that a scaler opens.
fn host_end(pipe: &Path) -> File {
    let mut options = std::fs::OpenOptions::new();
    let options = options.read(true).write(true);
    options.custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(pipe).unwrap()
}

/// What starts this command after this release command, both in `folder`.
fn release_file(folder: &Path, command: &str, release: &str) -> String {
    format!(
        r#"{{"command":{command},"environment":{{"A":"x y"}},"working_folder":"{}","release":{release}}}"#,
        folder.display()
    )
}

/// Waits until something has written this file.
fn wait_for(file: &Path) {
    let started = Instant::now();
    while !file.exists() {
        assert!(started.elapsed() < Duration::from_secs(5), "{}", file.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a scaler reads that looks now.
fn word(mut pipe: File) -> String {
    let mut word = [0; 64];
    let count = pipe.read(&mut word).unwrap_or(0);
    String::from_utf8(word[..count].to_vec()).unwrap()
}

#[test]
fn a_release_command_runs_before_the_program_where_the_host_says_so_as_the_program_would() {
    let script =
        r#"["/bin/sh","-c","echo \"$A|${PWD##*/}|$HOME\"; (sleep 0.1; echo orphan) & wait"]"#;
    let (output, told_host) = released(script);
    let (stdout, stderr) = told(&output);
    let lines: Vec<_> = stdout.lines().collect();
    assert!(lines[0].starts_with("x y|") && lines[0].ends_with('|'), "{stdout}");
    assert_eq!(lines[1..], ["orphan", "serves"]);
    let release = "bellows: the release command ended with status 0\n";
    assert_eq!(stderr, format!("{release}bellows: the program ended with status 0\n"));
    assert_eq!((output.status.code(), told_host.as_str()), (Some(0), "well\n"));
    // Every other instance starts the program alone.
    let json = r#"{"command":["/bin/echo","serves"],"environment":{},"working_folder":"/","release":["/bin/false"]}"#;
    assert_eq!(told(&run(json)).0, "serves\n");
}

#[test]
fn a_release_command_that_fails_ends_the_instance_and_is_told() {
    for (release, words, status) in [
        (
            r#"["/bin/sh","-c","echo bad >&2; exit 3"]"#,
            "bad\nbellows: the release command ended with status 3\n",
            "status 3\n",
        ),
        (
            r#"["/bin/sh","-c","kill -9 $$"]"#,
            "bellows: the release command was killed by SIGKILL\n",
            "signal 9\n",
        ),
        (
            r#"["/nowhere"]"#,
            "bellows: /nowhere cannot be started (No such file or directory (os error 2)): it, or the interpreter that its first line names, is not in the image: mend release\n",
            "not started\n",
        ),
    ] {
        let (output, told_host) = released(release);
        let (stdout, stderr) = told(&output);
        assert_eq!((stdout.as_str(), stderr.as_str(), told_host.as_str()), ("", words, status));
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn an_instance_that_is_asked_to_end_during_its_release_command_starts_no_program() {
    let script =
        r#"["/bin/sh","-c","trap 'exit 0' TERM; echo >ready; while :; do sleep 0.01; done"]"#;
    let folder = tempfile::tempdir().unwrap();
    let (child, pipe) = releasing(folder.path(), script);
    wait_for(&folder.path().join("ready"));
    ask_to_end(&child.id().to_string());
    let output = child.wait_with_output().unwrap();
    assert_eq!(word(pipe), "stopped\n");
    assert_eq!(told(&output), (String::new(), STOPPED.to_owned()));
}

#[test]
fn how_a_release_command_ended_is_kept_for_a_scaler_that_did_not_run_at_that_moment() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (pipe, first) = release_pipe(folder);
    let until = |file: &str| format!("while [ ! -e {file} ]; do sleep 0.01; done");
    let command = format!(r#"["/bin/sh","-c","echo >serves; {}"]"#, until("end"));
    let release = format!(r#"["/bin/sh","-c","echo >begun; {}"]"#, until("go"));
    let json = release_file(folder, &command, &release);
    let child = init(folder, &json).arg(&pipe).spawn().unwrap();
    wait_for(&folder.join("begun"));
    drop(first);
    std::fs::write(folder.join("go"), "").unwrap();
    wait_for(&folder.join("serves"));
    assert_eq!(word(host_end(&pipe)), "well\n");
    std::fs::write(folder.join("end"), "").unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn all_that_a_release_command_started_is_asked_to_end_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let migration = "trap 'sleep 0.3; echo rolled back; exit 0' TERM\necho >ready\nwhile :; do sleep 0.01; done\n";
    std::fs::write(folder.join("migrate"), migration).unwrap();
    let release = r#"["/bin/sh","-c","/bin/sh ./migrate && echo next"]"#;
    let (pipe, host) = release_pipe(folder);
    let json = release_file(folder, r#"["/bin/echo","serves"]"#, release);
    let init = init(folder, &json);
    // The first process of a system of its own, as in an instance: it may ask all others there.
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]).arg(init.get_program()).args(init.get_args());
    command.arg(pipe).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_for(&folder.join("ready"));
    let id = child.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    ask_to_end(children.trim());
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = told(&output);
    // A shell tells of what was ended under it.
    assert!(stdout == "rolled back\n" && stderr.ends_with(STOPPED), "{stdout}{stderr}");
    assert_eq!(word(host), "stopped\n");
}

const STOPPED: &str = "bellows: the release command was stopped with its instance\n";

fn ask_to_end(process: &str) {
    assert!(Command::new("kill").args(["-TERM", process]).status().unwrap().success());
}
