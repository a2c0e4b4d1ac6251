//! Another version, by a file that was edited: proved, rolled out, given up and gone back from, under load.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::client::Client;
use crate::machine::output;
use crate::system::{bellows, expect_code, program_pid, status, text, tree, within};

/// The files that `up` reads, to be edited. What is not there comes from the release in force.
pub(crate) fn copy_of_the_tree() -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["bellows.toml", "services", "rootfs"] {
        let from = tree().join(name);
        output("cp", &["-r", &from.to_string_lossy(), &copy.path().to_string_lossy()]);
    }
    copy
}

/// Runs `up` with `from` in the store's file written as `to`.
pub(crate) fn up_with(from: &str, to: &str) -> Output {
    let copy = copy_of_the_tree();
    let file = copy.path().join("services/object-store.toml");
    let shipped = fs::read_to_string(&file).expect("the service's file");
    assert!(shipped.contains(from), "{from}");
    fs::write(&file, shipped.replace(from, to)).expect("written");
    bellows(&["--tree", &copy.path().to_string_lossy(), "up"])
}

/// Does `work` while requests come, of which none may fail.
pub(crate) fn without_a_failed_request<T>(client: &Client, work: impl FnOnce() -> T) -> T {
    let (result, answers) = client.meanwhile("/?limit=1", work);
    assert!(answers.len() > 10, "{} answers", answers.len());
    assert!(answers.iter().all(|status| *status == Some(StatusCode::OK)), "{answers:?}");
    result
}

/// The versions of the ready instances.
pub(crate) fn versions() -> BTreeSet<String> {
    let status = status();
    let instances = status["instances"].as_array().expect("instances");
    let version = |instance: &Value| instance["version"].as_str().expect("a version").to_owned();
    instances.iter().filter(|instance| instance["phase"] == "ready").map(version).collect()
}

pub(crate) fn a_typing_error_in_the_health_path_fails_no_request(
    client: &Client,
    once_given_up: impl FnOnce(),
) {
    let (before, scaler) = (versions(), program_pid("scaler"));
    let mistyped = || up_with("\"/healthz\"", "\"/healthy\"");
    let up = without_a_failed_request(client, mistyped);
    expect_code(&up, 1);
    for part in ["was given up", "/healthy", "goes on to serve"] {
        assert!(text(&up).contains(part), "{part} is not in:\n{}", text(&up));
    }
    assert!(text(&up).contains("wrote last:") && text(&up).contains("listening"), "{}", text(&up));
    once_given_up();
    assert_eq!(versions(), before);
    assert!(text(&bellows(&["status"])).contains("was given up"));
    expect_code(&bellows(&["up"]), 0);
    assert!(!text(&bellows(&["status"])).contains("was given up"));
    assert_eq!((versions(), program_pid("scaler")), (before, scaler));
}

pub(crate) fn another_version_is_rolled_out_under_load(client: &Client) {
    let (before, scaler) = (versions(), program_pid("scaler"));
    let limit = Duration::from_secs(10);
    without_a_failed_request(client, || {
        expect_code(&up_with("memory_mib = 128", "memory_mib = 160"), 0);
        let rolled_out = || versions().is_disjoint(&before);
        within(limit, "every instance is of the new version", rolled_out);
        let kept = text(&bellows(&["versions", "object-store"]));
        assert!(kept.contains("  serves\n") && kept.contains("  served before\n"), "{kept}");
        let start = Instant::now();
        let back = bellows(&["rollback", "object-store"]);
        println!("end to end: the version of before serves after {:?}", start.elapsed());
        expect_code(&back, 0);
        assert!(before.iter().all(|version| text(&back).contains(version)), "{}", text(&back));
        within(limit, "the version of before is back", || versions() == before);
    });
    let left = text(&bellows(&["versions", "object-store"]));
    assert!(left.contains("  gone back from\n"), "{left}");
    // The tree's file makes the same version.
    expect_code(&bellows(&["up"]), 0);
    assert_eq!(versions(), before);
    let already = bellows(&["rollback", "object-store", before.first().expect("a version")]);
    expect_code(&already, 2);
    assert!(text(&already).contains("already"), "{}", text(&already));
    assert_eq!(program_pid("scaler"), scaler, "no version needs a restart");
}
