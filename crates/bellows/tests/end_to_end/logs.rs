//! What instances write: kept, bounded, and shown to whoever may read it.

use std::process::Command;

use serde_json::Value;

use crate::system::{bellows, expect_code, instances, remembered, text};

pub(crate) fn what_instances_write_is_kept() {
    let logs = bellows(&["logs", "object-store"]);
    expect_code(&logs, 0);
    assert!(
        text(&logs).contains("  stderr  ") && text(&logs).contains("listening"),
        "{}",
        text(&logs)
    );
    let instance = instances("ready").remove(0);
    let one = bellows(&["logs", "object-store", &instance, "-n", "1"]);
    assert_eq!(text(&one).lines().count(), 1, "{}", text(&one));
    let since = |when| text(&bellows(&["logs", "object-store", "--since", when]));
    assert!(since("1h").contains("listening"), "{}", since("1h"));
    assert_eq!(since("2100-01-01T00:00:00Z"), "Nothing was written since.\n");
    expect_code(&bellows(&["logs", "object-store", "--since", "soon"]), 2);
    let unknown = bellows(&["logs", "none"]);
    expect_code(&unknown, 2);
    assert!(text(&unknown).contains("There is no service"), "{}", text(&unknown));
}

/// After a version was given up, beside which its last lines stand.
pub(crate) fn only_those_who_may_read_it_see_what_instances_wrote() {
    let curl = |words: &[&str]| {
        text(&Command::new("curl").arg("--silent").args(words).output().expect("curl"))
    };
    let by_socket = |path: &str| {
        let url = format!("http://localhost{path}");
        curl(&["--unix-socket", "/run/bellows/operator.sock", &url])
    };
    // The record may hold those of earlier days, a page after the other.
    let mut newest = 0;
    loop {
        let page = by_socket(&format!("/v1/ticks?since={newest}"));
        let page: Value = serde_json::from_str(&page).expect("JSON");
        let next = page["next"].as_u64().expect("a number");
        if next == newest {
            break;
        }
        newest = next;
    }
    let ticks = format!("/v1/ticks?since={}", newest.saturating_sub(500));
    assert!(by_socket(&ticks).contains("\"last_lines\":["), "no last lines in {ticks}");
    // The console numbers the ticks that it keeps itself.
    let mut told = String::new();
    remembered("the console tells what failed", || {
        told = curl(&["http://127.0.0.1:8090/v1/ticks"]);
        told.contains("/healthy did not answer")
    });
    assert!(!told.contains("last_lines"), "ticks over TCP");
    let output = curl(&["http://127.0.0.1:8090/v1/services/object-store/output"]);
    assert!(output.contains("\"unauthorized\""), "{output}");
}
