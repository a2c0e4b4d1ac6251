//! The instances' firewall against real nftables, in tables and on a bridge of the tests' own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use host::command::{CommandError, CommandLine, HostRunner, Output, Runner};
use host::lock::{Lock, LockError};
use host::network::{Firewall, Network};
use host::settings::Settings;
use model::network::Drift;
use tempfile::TempDir;

/// No other installation's table, bridge or subnet.
const TABLE: &str = "bellows_test_firewall";
const BRIDGE: &str = "bellowst2";
const OTHER_BRIDGE: &str = "bellowst3";
const SUBNET: &str = "10.117.9.0/28";

/// A network that is taken away again, also after a failed test.
struct Place {
    network: Network<HostRunner>,
    settings: Settings,
    _run: TempDir,
    _lock: Lock,
}

impl Place {
    async fn new() -> Self {
        let lock = lock().await;
        clear();
        let run = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.network.bridge = BRIDGE.parse().unwrap();
        settings.network.subnet = SUBNET.parse().unwrap();
        settings.paths.run = run.path().to_owned();
        let network = Network::new(&settings, HostRunner).with_table(TABLE);
        network.ensure().await.unwrap();
        Self { network, settings, _run: run, _lock: lock }
    }

    /// What is found after nft was given these words, and that all is as before once it was put right.
    async fn found_after(&self, words: &[&str]) -> Option<Drift> {
        let before = listed();
        nft(words);
        assert_ne!(listed(), before, "{words:?} changes something");
        let found = self.network.drift().await.unwrap();
        let held = self.network.hold(&BTreeSet::new()).await.unwrap();
        assert_eq!(held.drift, found, "{words:?}");
        assert_eq!(listed(), before, "{words:?}");
        assert_eq!(self.network.drift().await.unwrap(), None, "{words:?}");
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        clear();
    }
}

/// One test at a time, also of several runs on this host.
async fn lock() -> Lock {
    loop {
        match Lock::acquire(Path::new("/run/bellows-test-network.lock")) {
            Err(LockError::Held { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            result => return result.unwrap(),
        }
    }
}

fn clear() {
    for words in ["inet", "bridge"] {
        output("nft", &["delete", "table", words, TABLE]);
    }
    for bridge in [PORT, BRIDGE, OTHER_BRIDGE] {
        output("ip", &["link", "delete", "dev", bridge]);
    }
    output("ip", &["route", "del", "unreachable", SUBNET]);
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn nft(words: &[&str]) -> String {
    let output = Command::new("nft").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn listed() -> [String; 2] {
    ["inet", "bridge"].map(|family| output("nft", &["list", "table", family, TABLE]))
}

/// The handle of the last rule of a chain.
fn last_handle(chain: &str) -> String {
    let listed = nft(&["--handle", "list", "chain", "inet", TABLE, chain]);
    let rule = listed.lines().rfind(|line| line.trim_start().starts_with("drop")).unwrap();
    rule.rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn whatever_somebody_does_to_the_rules_they_are_put_back() {
    let place = Place::new().await;
    let handle = last_handle("output");
    let changes: [(&[&str], Drift); 7] = [
        (&["delete", "table", "inet", TABLE], Drift::Missing),
        (&["delete", "table", "bridge", TABLE], Drift::Missing),
        (&["flush", "table", "inet", TABLE], Drift::Changed),
        (&["insert", "rule", "inet", TABLE, "input", "accept"], Drift::Changed),
        (&["add", "table", "bridge", TABLE, "{ flags dormant; }"], Drift::Changed),
        (&["add", "chain", "inet", TABLE, "of_somebody_else"], Drift::Changed),
        (&["flush", "chain", "bridge", TABLE, "forward"], Drift::Changed),
    ];
    let one_rule: &[&str] = &["delete", "rule", "inet", TABLE, "output", "handle", &handle];
    assert_eq!(place.found_after(one_rule).await, Some(Drift::Changed));
    for (words, drift) in changes {
        assert_eq!(place.found_after(words).await, Some(drift), "{words:?}");
    }
}

#[tokio::test]
async fn what_others_do_to_their_own_tables_is_left_alone() {
    let place = Place::new().await;
    let before = place.network.generation().unwrap();
    let other = format!("{TABLE}_other");
    nft(&["add", "table", "inet", &other]);
    assert_ne!(place.network.generation().unwrap(), before);
    let listed_before = listed();
    assert_eq!(place.network.hold(&BTreeSet::new()).await.unwrap().drift, None);
    assert_eq!(listed(), listed_before);
    nft(&["delete", "table", "inet", &other]);
}

#[tokio::test]
async fn another_release_that_puts_its_rules_in_place_is_no_stranger() {
    let place = Place::new().await;
    let mut settings = place.settings.clone();
    settings.network.bridge = OTHER_BRIDGE.parse().unwrap();
    let other = Network::new(&settings, HostRunner).with_table(TABLE);
    for (up, bridge) in [(&other, OTHER_BRIDGE), (&place.network, BRIDGE)].repeat(4) {
        let hold = async {
            loop {
                assert_eq!(place.network.hold(&BTreeSet::new()).await.unwrap().drift, None);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        };
        tokio::select! {
            done = up.ensure() => assert!(done.is_ok(), "{done:?}"),
            () = hold => {}
        }
        assert_eq!(place.network.hold(&BTreeSet::new()).await.unwrap().drift, None);
        assert!(listed()[0].contains(bridge), "{bridge}");
    }
}

#[tokio::test]
async fn rules_of_which_nothing_was_written_down_are_put_in_place() {
    let place = Place::new().await;
    let before = listed();
    std::fs::remove_file(place.settings.paths.run.join("firewall.json")).unwrap();
    nft(&["delete", "table", "inet", TABLE]);
    assert!(!place.network.is_promised());
    place.network.hold(&BTreeSet::new()).await.unwrap();
    assert!(place.network.is_promised());
    assert_eq!(listed(), before);
    // With the ports of what is deployed by now.
    std::fs::remove_file(place.settings.paths.run.join("firewall.json")).unwrap();
    place.network.hold(&BTreeSet::from([5432])).await.unwrap();
    assert!(listed()[0].contains("tcp dport 5432 redirect"), "{}", listed()[0]);
}

#[tokio::test]
async fn what_was_taken_back_is_not_missed() {
    let place = Place::new().await;
    place.network.remove().await.unwrap();
    assert!(!place.network.is_promised());
    assert_eq!(place.network.drift().await.unwrap(), None);
    assert_eq!(listed(), [String::new(), String::new()]);
}

/// Runs what it is given, and notes of each transaction of nftables whether the port was isolated before it.
#[derive(Default)]
struct Watching {
    seen: Mutex<Vec<String>>,
}

/// The host's end of a pair that could be an instance's.
const PORT: &str = "bw199";

fn isolated() -> String {
    std::fs::read_to_string(format!("/sys/class/net/{PORT}/brport/isolated")).unwrap()
}

impl Runner for Watching {
    async fn run(&self, command: &CommandLine) -> Result<Output, CommandError> {
        if command.to_string() == "nft -f -" {
            self.seen.lock().unwrap().push(isolated());
        }
        HostRunner.run(command).await
    }
}

#[tokio::test]
async fn rules_are_put_in_place_before_ports_are_isolated() {
    let place = Place::new().await;
    output("ip", &["link", "add", PORT, "type", "veth", "peer", "name", "bwpeer199"]);
    output("ip", &["link", "set", PORT, "master", BRIDGE]);
    let watching = Watching::default();
    let network = Network::new(&place.settings, &watching).with_table(TABLE);
    let before = listed();
    for hold in [false, true] {
        std::fs::write(format!("/sys/class/net/{PORT}/brport/isolated"), "0").unwrap();
        nft(&["delete", "table", "bridge", TABLE]);
        match hold {
            true => drop(network.hold(&BTreeSet::new()).await.unwrap()),
            false => drop(network.ensure().await.unwrap()),
        }
        assert_eq!((isolated(), listed()), ("1\n".to_owned(), before.clone()));
    }
    let seen = watching.seen.lock().unwrap().clone();
    assert!(seen.len() >= 2 && seen.iter().all(|it| it == "0\n"), "{seen:?}");
    output("ip", &["link", "delete", "dev", PORT]);
}
