//! A browser's login: by the link that an operator is given, through the port, as a user without rights.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::machine::command_lines;
use crate::stranger::{SET_BOUNDS, STRANGER};
use crate::system::{bellows, expect_code, just, text};

const PLACE: &str = "http://127.0.0.1:8090/";

/// For how long the console goes by what the scaler said of a token.
const HOLDS: Duration = Duration::from_secs(3);

/// What a stranger's request gets: the body, and the status, 000 where there is no answer.
fn asked(words: &[&str]) -> (String, String) {
    let curl = ["curl", "--silent", "--write-out", "\n%{http_code}"];
    let done = Command::new("setpriv").args(STRANGER).args(curl).args(words).output();
    let told = String::from_utf8(done.expect("setpriv runs").stdout).expect("UTF-8");
    let (body, status) = told.rsplit_once('\n').expect("a line of its own");
    (body.to_owned(), status.to_owned())
}

fn log_in(code: &str) -> (String, String) {
    let (url, body) = (format!("{PLACE}v1/login"), format!(r#"{{"code":"{code}"}}"#));
    asked(&["--header", "content-type: application/json", "--data", &body, &url])
}

pub(crate) fn a_browser_logs_in_once_by_the_link_of_an_operator_and_logs_out() {
    let told = bellows(&["open", "--json"]);
    expect_code(&told, 0);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let (address, code) =
        told["url"].as_str().and_then(|url| url.split_once("#code=")).expect("a code");
    assert_eq!((address, told["opened"].as_bool()), (PLACE, Some(false)));
    let operators = ["--unix-socket", "/run/bellows/operator.sock", "--request", "POST"];
    let refused = asked(&[operators.as_slice(), &["http://localhost/v1/logins"]].concat());
    assert_eq!(refused.1, "000", "a stranger is given no code");

    let (made, status) = log_in(code);
    assert_eq!(status, "201", "{made}");
    assert_eq!(log_in(code).1, "403", "it was used");
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let name = made["token"]["name"].as_str().expect("a name");
    let secret = made["secret"].as_str().expect("a secret");
    assert!(name.starts_with("browser-of-root-"), "{name}");

    let bearer = format!("authorization: Bearer {secret}");
    let bounds = format!("{PLACE}v1/services/object-store/bounds");
    let set = || asked(&[SET_BOUNDS.as_slice(), &["--header", &bearer, &bounds]].concat()).1;
    assert_eq!(set(), "200");
    for words in [&["token", "list"][..], &["changes"]] {
        let told = text(&bellows(words));
        assert!(told.contains(name), "{words:?}: {told}");
        assert!(!told.contains(secret) && !told.contains(code), "{words:?} shows it");
    }
    let lines = command_lines();
    assert!(!lines.iter().any(|(_, line)| line.contains(code)), "in a list of processes");

    let url = format!("{PLACE}v1/login");
    assert_eq!(asked(&["--request", "DELETE", "--header", &bearer, &url]).1, "200");
    sleep(HOLDS);
    assert_eq!(set(), "401");
    expect_code(&just(&["bounds", "object-store", "default"]), 0);
}
