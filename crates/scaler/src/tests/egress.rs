//! Which instance may reach what beyond the host, as the proxy is told.

use std::net::Ipv4Addr;

use host::egress::SourcesFile;
use host::haproxy::{Entrance, Stats};
use model::names::InstanceName;

use super::*;

/// The store's file, which may reach this.
fn reaching(entry: &str) -> String {
    store_file().replacen("[route]", &format!("egress = [\"{entry}\"]\n[route]"), 1)
}

fn file(rig: &Rig) -> SourcesFile {
    SourcesFile::new(&rig.state.path().join(EGRESS))
}

/// What the instance with an address may reach, by the file.
fn told(rig: &Rig, address: Ipv4Addr) -> Option<(InstanceName, String)> {
    let read = file(rig).read().ok()?;
    let source = read.sources.at(address)?;
    let [entry] = source.egress.destinations() else { panic!("{source:?}") };
    Some((source.instance.clone(), entry.to_string()))
}

/// The store's instances by their addresses, with what they may reach.
fn all_may_reach(rig: &Rig, entry: &str) -> bool {
    let instances = rig.status().instances;
    !instances.is_empty()
        && instances
            .iter()
            .all(|it| told(rig, it.address) == Some((it.name.clone(), entry.to_owned())))
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_told_of_before_it_starts_and_no_longer_once_it_is_gone() {
    let mut rig = Rig::with_files(&[(&reaching("a.example:443"), 1)]);
    // The file cannot be written, so no instance may start: it could have what one before it had.
    let path = rig.state.path().join(EGRESS);
    std::fs::create_dir(&path).unwrap();
    let mut failures = Vec::new();
    for _ in 0..10 {
        failures.extend(rig.tick(1).await.done.into_iter().filter_map(|done| done.error));
    }
    assert!(failures[0].contains("could not write"), "{failures:?}");
    assert_eq!(rig.launches(), 0);
    std::fs::remove_dir(&path).unwrap();
    rig.ticks(100, 1).await;
    assert!(rig.launches() > 0 && all_may_reach(&rig, "a.example:443"));
    let gone = rig.status().instances.remove(0);
    rig.actor.containers().die(&gone.name);
    rig.turn(1).await;
    assert_ne!(told(&rig, gone.address).map(|(name, _)| name), Some(gone.name));
}

#[tokio::test(start_paused = true)]
async fn another_list_is_in_force_at_the_next_turn_without_another_instance() {
    let mut rig = Rig::with_files(&[(&reaching("a.example:443"), 1)]);
    rig.ticks(20, 1).await;
    let launches = rig.launches();
    rig.deploy(&[(&reaching("b.example:443"), 1)]);
    rig.tick(1).await;
    assert!(all_may_reach(&rig, "b.example:443"));
    assert_eq!(rig.launches(), launches);
    // Nobody may reach anything, and the file says so.
    rig.deploy(&[(&store_file(), 1)]);
    rig.tick(1).await;
    assert!(file(&rig).read().unwrap().sources.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_right_again_after_a_restart_and_when_the_file_was_removed() {
    let mut rig = Rig::with_files(&[(&reaching("a.example:443"), 1)]);
    rig.ticks(20, 1).await;
    std::fs::remove_file(rig.state.path().join(EGRESS)).unwrap();
    rig.tick(1).await;
    assert!(all_may_reach(&rig, "a.example:443"));
    rig.restart().await;
    rig.tick(1).await;
    assert!(all_may_reach(&rig, "a.example:443"));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_may_reach_anything_there_is_no_file() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    assert!(rig.launches() > 0 && !file(&rig).exists());
}

#[tokio::test(start_paused = true)]
async fn a_right_that_was_taken_back_is_gone_also_while_the_load_balancer_gives_no_answer() {
    let mut rig = Rig::with_files(&[(&reaching("a.example:443"), 1)]);
    rig.ticks(20, 1).await;
    assert!(all_may_reach(&rig, "a.example:443"));
    let address = rig.status().instances[0].address;
    let away = || {
        Stats::parse("<html>", Entrance::Socket, tokio::time::Instant::now(), Subnet::DEFAULT)
            .unwrap_err()
    };
    rig.balancer().fail_scrape(Some(away));
    rig.deploy(&[(&reaching("b.example:443"), 1)]);
    rig.turn(1).await;
    assert_eq!(told(&rig, address).unwrap().1, "b.example:443");
    rig.deploy(&[(&store_file(), 1)]);
    rig.turn(1).await;
    assert_eq!(told(&rig, address), None);
}
