//! Recordings are decided again by the program as a user calls it. Each file in `recordings/` is a run that went as it
//! should: what it decided and planned then, this build decides and plans.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The kept recordings.
fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let entries = fs::read_dir(folder).expect("the folder of recordings");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|it| it == "jsonl")).collect();
    files.sort();
    files
}

fn spike() -> String {
    let spike = recordings().into_iter().find(|file| file.ends_with("simulated-spike.jsonl"));
    fs::read_to_string(spike.expect("the recording of a spike")).expect("its text")
}

/// `bellows replay` from a folder that is no tree of the project's.
fn replay(file: &Path, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellows"));
    command.current_dir(&folder).arg("replay").arg(file).args(arguments);
    command.output().expect("it runs")
}

fn out(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A file with this text, and the folder that it is in.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    fs::write(&path, text).expect("written");
    (folder, path)
}

#[test]
fn every_kept_recording_is_decided_again_as_it_was() {
    let recordings = recordings();
    assert!(recordings.len() >= 3, "{recordings:?}");
    for recording in recordings {
        let (code, told, failed) = out(&replay(&recording, &[]));
        assert_eq!(code, Some(0), "{}: {told}{failed}", recording.display());
        assert!(told.contains("Each decision and plan is the same, to the last bit.\n"), "{told}");
    }
}

#[test]
fn a_turn_that_comes_out_otherwise_is_told_with_its_line_and_what_differs() {
    let spike = spike();
    let is_rise = |line: &&str| line.contains("\"plan\"") && line.contains("\"kind\":\"target\"");
    let rise = spike.lines().find(is_rise).expect("a rise");
    let number = 1 + spike.lines().position(|line| line == rise).expect("its place");
    let (head, tail) = rise.split_once("\"ready\":").expect("a target");
    let (_, tail) = tail.split_once(',').expect("its reasons");
    let other = format!("{head}\"ready\":9,{tail}");
    let (_folder, path) = file(&spike.replace(rise, &other));
    let (code, told, failed) = out(&replay(&path, &[]));
    assert_eq!(code, Some(1), "{told}{failed}");
    assert!(told.contains(&format!("The turn in line {number}, at ")), "{told}");
    assert!(told.contains("  decision  recorded  9 ("), "{told}");
    assert!(!told.contains("  plan  "), "that is the same: {told}");
    assert!(failed.contains("of 600 turns are decided otherwise than they were"), "{failed}");
    let (code, json, _) = out(&replay(&path, &["--json"]));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["first_difference"]["line"]), (Some(1), &number.into()), "{json}");
    assert_eq!(json["first_difference"]["recorded"]["decision"]["ready"], 9, "{json}");
}

#[test]
fn another_policy_is_shown_beside_what_was_decided_where_a_number_changes() {
    let (_folder, path) = file(&spike());
    let (code, told, failed) = out(&replay(&path, &["policy=concurrency"]));
    assert_eq!(code, Some(0), "{failed}");
    let mut lines = told.lines();
    let head = lines.next().expect("a head");
    assert!(head.starts_with("600 turns of object-store from 20"), "{head}");
    assert!(head.contains("decided by target_tracking, recorded by release "), "{head}");
    let next = lines.next().expect("how many differ");
    assert!(next.starts_with("concurrency asks for another number at "), "{next}");
    let table: Vec<_> = lines.skip(1).collect();
    assert!(table[0].ends_with("CONCURRENCY") && table.len() > 5, "{told}");
    let (_, json, _) = out(&replay(&path, &["policy=concurrency", "--json"]));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["format"], &json["policy"]), (&1.into(), &"concurrency".into()));
    let keys: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
    let documented = [
        "changes",
        "ended",
        "first_at_ms",
        "first_difference",
        "format",
        "last_at_ms",
        "policies",
        "policy",
        "releases",
        "service",
        "starts",
        "turns",
        "turns_that_differ",
    ];
    assert_eq!(keys, documented);
    let changes = json["changes"].as_array().expect("a list");
    assert_eq!(changes.len(), table.len() - 1);
    let numbers =
        |change: &Value| [change["recorded"]["ready"].clone(), change["now"]["ready"].clone()];
    assert!(changes.windows(2).all(|two| numbers(&two[0]) != numbers(&two[1])), "{json}");
}

#[test]
fn a_file_that_is_cut_or_none_is_bad_input_with_its_line() {
    let spike = spike();
    let (_folder, path) = file(&spike[..spike.len() - 20]);
    let (code, _, told) = out(&replay(&path, &[]));
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("a.jsonl: line 602 is cut in the middle: remove it, and"), "{told}");
    let (_folder, path) = file("{}\n");
    let (code, _, told) = out(&replay(&path, &[]));
    assert_eq!(code, Some(2), "{told}");
    let (_folder, path) = file(&spike);
    let (code, _, told) = out(&replay(&path, &["policy=magic"]));
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("there is no policy `magic`"), "{told}");
}
