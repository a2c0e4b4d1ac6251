//! An operator's hand on the number, and what he is told.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::client::Client;
use super::system::{bellows, expect_code, instances, programs, text, within};

/// What a hold and its end may take, launches and drains included.
const AT_ONCE: Duration = Duration::from_secs(10);

pub(crate) fn an_operator_holds_a_number_and_is_told_why_and_why_not(client: &Client) {
    expect_code(&bellows(&["scale", "object-store", "3", "--for", "5m"]), 0);
    within(AT_ONCE, "three are ready", || instances("ready").len() == 3);
    let told = |words: &[&str]| {
        let output = bellows(words);
        expect_code(&output, 0);
        text(&output)
    };
    let why_not = told(&["why-not", "object-store", "5"]);
    assert!(why_not.contains("An operator holds it at 3"), "{why_not}");
    let why = told(&["explain", "object-store"]);
    assert!(why.contains("an operator holds it"), "{why}");
    expect_code(&bellows(&["scale", "object-store", "99"]), 2);
    one_is_removed_and_another_takes_its_place(client);
    let events = told(&["events", "object-store", "--since", "1m"]);
    assert!(events.contains("object-store: 3 ready"), "{events}");
    expect_code(&bellows(&["scale", "object-store", "--auto"]), 0);
    within(Duration::from_secs(20), "one is left", || instances("ready").len() == 1);
}

/// What happens is recorded, and decided again from the record.
fn one_is_removed_and_another_takes_its_place(client: &Client) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("turns.jsonl");
    let file = file.to_str().expect("text");
    let record = ["record", "object-store", file, "--for", "10s"];
    let record = Command::new(programs().join("bellows")).args(record).stdin(Stdio::null()).spawn();
    let mut record = record.expect("it starts");
    let removed = instances("ready").remove(0);
    let (_, answers) = client.meanwhile("/?limit=1", || {
        expect_code(&bellows(&["instances", "remove", "object-store", &removed]), 0);
        within(AT_ONCE, "it is gone and three are ready", || {
            let ready = instances("ready");
            ready.len() == 3 && !ready.contains(&removed)
        });
    });
    assert!(answers.iter().all(|it| it.is_some_and(|status| status.is_success())), "{answers:?}");
    assert!(record.wait().expect("it ends").success());
    let replayed = bellows(&["replay", file]);
    expect_code(&replayed, 0);
    assert!(text(&replayed).contains("Each decision and plan is the same"), "{}", text(&replayed));
    expect_code(&bellows(&["replay", file, "policy=hpa"]), 0);
}
