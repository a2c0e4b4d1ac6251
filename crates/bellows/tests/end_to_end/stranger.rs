//! What a user of the host without rights can do, what one of the operators' group can, and what a token
//! is good for.

use std::process::Command;

use crate::machine::output;
use crate::system::{bellows, expect_code, just, text};

/// Words of `setpriv` for a user without rights.
const STRANGER: [&str; 5] = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];

/// The same user, in the operators' group.
const OPERATOR: [&str; 6] =
    ["--reuid", "65534", "--regid", "65534", "--groups", "bellows-operators"];

/// Words of curl that set bounds, but for the place of the API.
const SET_BOUNDS: [&str; 6] = [
    "--request",
    "PUT",
    "--header",
    "content-type: application/json",
    "--data",
    r#"{"min":1,"max":9}"#,
];

const BOUNDS: &str = "/v1/services/object-store/bounds";

/// Whether a command succeeds that somebody else runs.
fn succeeds(who: &[&str], command: &[&str]) -> bool {
    let done = Command::new("setpriv").args(who).args(command).output();
    done.expect("setpriv runs").status.success()
}

/// The status that a request of somebody else gets; 000 where there is no answer.
fn status(who: &[&str], words: &[&str]) -> String {
    let curl = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"];
    let done = Command::new("setpriv").args(who).args(curl).args(words).output();
    text(&done.expect("setpriv runs"))
}

/// Words of curl for a socket of the scaler.
fn by(socket: &str) -> [String; 3] {
    let path = format!("/run/bellows/{socket}.sock");
    ["--unix-socket".to_owned(), path, format!("http://localhost{BOUNDS}")]
}

fn set_by_socket(who: &[&str], socket: &str, more: &[&str]) -> String {
    let place = by(socket);
    let place = place.each_ref().map(String::as_str);
    status(who, &[SET_BOUNDS.as_slice(), more, &place].concat())
}

pub(crate) fn a_stranger_reads_and_changes_nothing() {
    let services = "http://127.0.0.1:8090/v1/services";
    assert_eq!(status(&STRANGER, &[services]), "200");
    assert_eq!(status(&STRANGER, &["--header", "host: evil.example", services]), "403");
    let bounds = format!("http://127.0.0.1:8090{BOUNDS}");
    assert_eq!(status(&STRANGER, &[SET_BOUNDS.as_slice(), &[&bounds]].concat()), "403");
    for socket in ["operator", "console"] {
        assert_eq!(set_by_socket(&STRANGER, socket, &[]), "000", "{socket}");
    }
    for lock in ["/run/bellows/scaler.lock", "/run/bellows/operator.lock"] {
        assert!(!succeeds(&STRANGER, &["flock", "--nonblock", lock, "true"]), "{lock}");
    }
    for command in [["ls", "/run/bellows"], ["cat", "/var/lib/bellows/tokens.json"]] {
        assert!(!succeeds(&STRANGER, &command), "{command:?}");
    }
    // The record outlives the system, and so an earlier run of this test.
    let changes = || text(&bellows(&["changes"])).matches("nobody").count();
    let before = changes();
    assert_eq!(set_by_socket(&OPERATOR, "operator", &[]), "200");
    assert_eq!(changes(), before + 1);
    expect_code(&just(&["bounds", "object-store", "default"]), 0);
}

pub(crate) fn a_token_is_of_use_until_it_is_revoked() {
    let make = ["token", "make", "ci", "--rights", "operate", "--services", "object-store"];
    let made = bellows(&make);
    expect_code(&made, 0);
    let secret = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    expect_code(&bellows(&make), 2);
    assert!(!text(&bellows(&["token", "list"])).contains(&secret));
    let bearer = format!("authorization: Bearer {secret}");
    let root = ["--reuid", "0"];
    let answer = || set_by_socket(&root, "console", &["--header", &bearer]);
    assert_eq!(answer(), "200");
    assert_eq!(set_by_socket(&root, "console", &[]), "401");
    assert!(!output("bellows", &["changes"]).contains(&secret));
    expect_code(&bellows(&["token", "revoke", "ci"]), 0);
    assert_eq!(answer(), "401");
    expect_code(&bellows(&["token", "revoke", "ci"]), 2);
    expect_code(&just(&["bounds", "object-store", "default"]), 0);
}
