//! The console in front of the scaler: nothing depends on it, and it remembers.

use std::time::Duration;

use serde_json::Value;

use crate::client::Client;
use crate::killed::kill_hard;
use crate::machine::output;
use crate::system::{program_pid, remembered, within};
use crate::{BACK_WITHIN, no_request_fails};

const API: &str = "http://127.0.0.1:8090";

/// An answer of the console, or null while there is none.
fn ask(path: &str) -> Value {
    let words = ["--silent", "--show-error", "--max-time", "10", &format!("{API}{path}")];
    serde_json::from_str(&output("curl", &words)).unwrap_or_default()
}

/// When the scaler took its last turn, in milliseconds, as it says itself.
fn last_turn() -> u64 {
    let socket = "/run/bellows/operator.sock";
    let url = "http://localhost/v1/services/object-store";
    let text = output("curl", &["--silent", "--unix-socket", socket, url]);
    let status: Value = serde_json::from_str(&text).expect("JSON");
    status["tick"]["at_ms"].as_u64().expect("a time")
}

/// The seconds that the console remembers of the service, from this one on.
fn seconds(from_ms: u64) -> Vec<u64> {
    let path = format!("/v1/services/object-store/series?step=1s&from={from_ms}");
    let points = ask(&path)["points"].as_array().cloned().unwrap_or_default();
    points.iter().filter_map(|point| point["at_ms"].as_u64()).collect()
}

pub(crate) fn a_killed_console_costs_no_request_and_no_turn_and_remembers(client: &Client) {
    let api = format!("{API}/v1/services");
    within(Duration::from_secs(10), "the console tells", || client.is_good(&api));
    let begun = last_turn();
    let mut first = None;
    remembered("the console remembers", || {
        first = seconds(begun).first().copied();
        first.is_some()
    });
    let load = std::thread::spawn(|| no_request_fails("steps"));
    for _ in 0..5 {
        std::thread::sleep(Duration::from_secs(2));
        let turn = last_turn();
        let console = program_pid("console");
        kill_hard(console);
        within(BACK_WITHIN, "the loop goes on", || last_turn() > turn);
        within(BACK_WITHIN, "the console answers again", || client.is_good(&api));
        assert_ne!(program_pid("console"), console);
    }
    load.join().expect("no request failed");
    assert_eq!(seconds(begun).first().copied(), first, "what it remembered is there");
    let history = ask("/v1/history");
    assert_eq!(history["aside"], Value::Null, "{history}");
}
