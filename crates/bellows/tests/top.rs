//! `bellows top` on a real terminal: it takes the screen, and gives it back as it was.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

/// What terminals are told to show another screen, and the one from before.
const OTHER_SCREEN: &str = "\u{1b}[?1049h";
const OWN_SCREEN: &str = "\u{1b}[?1049l";

/// What a terminal shows where no scaler runs while these keys are pressed, and how it is set afterwards.
fn shown(keys: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("bellows.toml");
    let [run, state] = ["run", "state"].map(|name| folder.path().join(name));
    let paths = format!("[paths]\nrun = {run:?}\nstate = {state:?}\n");
    fs::write(&settings, paths).expect("settings");
    let top = format!("{} --settings {} top", env!("CARGO_BIN_EXE_bellows"), settings.display());
    let line = format!("{top}; echo ended with $?; stty -a");
    let mut script = Command::new("timeout")
        .args(["60", "script", "-qec", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script of util-linux");
    let mut stdin = script.stdin.take().expect("a pipe");
    let mut stdout = script.stdout.take().expect("a pipe");
    let mut text = Vec::new();
    // A key before that would be one of a line that the terminal edits.
    while !String::from_utf8_lossy(&text).contains(OTHER_SCREEN) {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("it takes the screen");
        text.extend(byte);
    }
    stdin.write_all(keys.as_bytes()).expect("keys");
    stdout.read_to_end(&mut text).expect("an end");
    script.wait().expect("an end");
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn it_takes_the_screen_and_gives_it_back_as_it_was() {
    for keys in ["q", "\u{3}"] {
        let text = shown(keys);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what:?} in {text}"));
        assert!(at(OTHER_SCREEN) < at(OWN_SCREEN) && at(OWN_SCREEN) < at("ended with 0"), "{text}");
        let settings = &text[at("ended with 0")..];
        for is_set in [" icanon", " echo "] {
            assert!(settings.contains(is_set), "{is_set}: {settings}");
        }
    }
}

#[test]
fn where_there_is_no_terminal_it_ends_with_bad_input_and_draws_nothing() {
    let ran = Command::new(env!("CARGO_BIN_EXE_bellows")).arg("top").output().expect("it runs");
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0));
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(told.starts_with("error[usage]: top draws on a terminal"), "{told}");
}
