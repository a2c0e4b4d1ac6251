//! The statistics, which any user of the host may read: who takes all of them takes nothing else.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use host::haproxy::{Applied, Haproxy, HaproxySettings, LoadBalancer as _, Way};
use tokio::task::JoinSet;

use super::rig::Rig;
use super::sources::{GREEDY, OTHER, ask_at, bounds, connect_to, is_answered_soon, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_statistics_in_a_loop_keep_nothing_from_the_services_and_the_control_loop() {
    let (rig, _instance) = start(bounds(), &[]).await;
    let socket = std::fs::metadata(rig.settings.scrape_socket.as_path()).unwrap();
    assert_eq!((socket.mode() & 0o777, socket.uid()), (0o600, 0), "others may open it");
    let (statistics, pages) = (rig.settings.statistics, Arc::new(AtomicU32::new(0)));
    let (mut greedy, started) = (JoinSet::new(), Instant::now());
    for _ in 0..8 {
        let pages = Arc::clone(&pages);
        greedy.spawn(async move {
            loop {
                assert_eq!(ask_at(statistics, GREEDY, "/stats").await.0, 200);
                pages.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    all_is_well_for_two_seconds(&rig).await;
    while pages.load(Ordering::Relaxed) < 10 {
        assert!(started.elapsed() < Duration::from_secs(20), "nobody gets the statistics");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // 10 a second, and 10 more of the second that had begun before, and of the one that has not ended. Read in this
    // order: what comes in between is not counted.
    let (pages, took) = (pages.load(Ordering::Relaxed), started.elapsed());
    assert!(u64::from(pages) <= 10 * (took.as_secs() + 2), "{pages} in {took:?}");
}

/// With a fiftieth of the connections that the template allows in all, and as many a second as one likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_connections_to_the_statistics_keep_nothing_from_the_services_and_the_control_loop() {
    let others = [("maxconn 9000", "maxconn 180"), ("rate-limit sessions 10", "")];
    let (rig, _instance) = start(bounds(), &others).await;
    let statistics = rig.settings.statistics;
    let mut greedy = JoinSet::new();
    for _ in 0..300 {
        greedy.spawn(async move {
            let _held = connect_to(statistics, GREEDY).await;
            std::future::pending::<()>().await;
        });
    }
    all_is_well_for_two_seconds(&rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_haproxy_that_the_release_before_configured_is_read_and_taken_over_by_the_first_change() {
    let own =
        "frontend bellows.scrape from statistics\n    bind unix@{{ scrape_socket }} mode 600\n";
    let (rig, _instance) = start(bounds(), &[(own, "")]).await;
    let socket = rig.settings.scrape_socket.as_path();
    assert!(!socket.exists());
    let settings = HaproxySettings { template: None, ..rig.settings.clone() };
    let owner = Haproxy::new(settings).unwrap();
    assert_eq!(owner.scrape().await.unwrap().worker.generation, 1);
    let Applied { way, generation } = owner.apply(&rig.backends()).await.unwrap();
    assert!(matches!(way, Way::Reload { .. }) && socket.exists(), "{way:?}");
    assert_eq!(owner.scrape().await.unwrap().worker.generation, generation);
}

/// Asks as the control loop and as a client, again and again.
async fn all_is_well_for_two_seconds(rig: &Rig) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let scrape = rig.haproxy.scrape().await;
        assert!(scrape.is_ok(), "{scrape:?}");
        is_answered_soon(rig, OTHER).await;
    }
}
