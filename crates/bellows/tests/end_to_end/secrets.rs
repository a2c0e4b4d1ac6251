//! A secret: set, given to instances, shown by nothing, and removed.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::machine::{command_lines, output};
use crate::rollout::{up_with, versions};
use crate::system::{bellows, expect_code, instances, programs, text, within};

const PORT: &str = "port = 8000\n";
const VALUE: &str = "hush-4f1c9e";

/// How long a rollout may take.
const ROLLED_OUT_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn a_secret_reaches_instances_and_is_shown_by_nothing() {
    let before = versions();
    let refused = up_with_secret();
    expect_code(&refused, 2);
    let cure = "`bellows secret set object-store key` reads it from standard input";
    assert!(text(&refused).contains(cure), "{}", text(&refused));

    expect_code(&set(VALUE), 0);
    expect_code(&up_with_secret(), 0);
    within(ROLLED_OUT_WITHIN, "every instance has it", || versions().is_disjoint(&before));
    for instance in instances("ready") {
        let pid = output("lxc-info", &["-n", &instance, "-p", "-H"]);
        let file = format!("/proc/{}/root/run/secrets/key", pid.trim());
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), VALUE);
    }
    assert!(
        !command_lines().iter().any(|(_, line)| line.contains(VALUE)),
        "in a list of processes"
    );
    for words in [
        &["secret", "list", "object-store"][..],
        &["status", "--json"],
        &["changes"],
        &["logs", "object-store"],
    ] {
        let told = bellows(words);
        expect_code(&told, 0);
        assert!(!text(&told).contains(VALUE), "{words:?} shows it");
    }
    assert!(text(&bellows(&["secret", "list", "object-store"])).contains("key"));

    let remove = ["secret", "remove", "object-store", "key"];
    let in_use = bellows(&remove);
    expect_code(&in_use, 2);
    assert!(text(&in_use).contains("names the secret `key`"), "{}", text(&in_use));
    expect_code(&bellows(&["up"]), 0);
    within(ROLLED_OUT_WITHIN, "the version of before is back", || versions() == before);
    expect_code(&bellows(&remove), 0);
}

fn up_with_secret() -> Output {
    up_with(PORT, &format!("{PORT}secrets = [{{ name = \"key\" }}]\n"))
}

fn set(value: &str) -> Output {
    let mut set = Command::new(programs().join("bellows"))
        .args(["secret", "set", "object-store", "key"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bellows starts");
    set.stdin.take().expect("a pipe").write_all(value.as_bytes()).expect("it reads");
    set.wait_with_output().expect("it ends")
}
