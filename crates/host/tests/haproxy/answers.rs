//! What HAProxy counts of each instance, and the verdict on a new version that follows from it.

use std::time::{Duration, Instant};

use host::haproxy::{AnswerCounts, LoadBalancer, ServerState, Stats, Way};
use host::settings::Membership;
use model::version::Version;
use model::watch::{Answers, VersionFigures, Watched};
use policy::watch::{Verdict, judge};

use crate::rig::{Instance, Rig, slot, store};

/// Follows the answers of the instances of a rig.
struct Count {
    counts: AnswerCounts,
    last: Stats,
}

impl Count {
    async fn begin(rig: &Rig) -> Self {
        let mut count = Self { counts: AnswerCounts::default(), last: rig.stats().await };
        assert!(count.counts.increase(None, &count.last).is_empty());
        count
    }

    /// The answers since the last call, as slot, failed, all.
    async fn more(&mut self, rig: &Rig) -> Vec<(u32, u64, u64)> {
        let now = rig.stats().await;
        let mut increase = self.counts.increase(Some(&self.last), &now);
        self.last = now;
        let slots = increase.remove(&store()).unwrap_or_default().into_iter();
        slots.map(|(slot, new)| (u32::from(slot.get()), new.failed, new.all)).collect()
    }
}

/// The status of the answer to a POST, which is not sent again, or to a GET.
async fn status(rig: &Rig, method: &str, path: &str) -> String {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let answer = rig.raw(request.as_bytes(), false).await;
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_answers_for_its_own_failures_and_not_for_what_haproxy_refuses_without_it() {
    let mut rig = Rig::start(Membership::Runtime, 3).await;
    let instance = rig.scale_out(1).await.0;
    let mut count = Count::begin(&rig).await;
    for (method, path, answer) in [
        ("GET", "/", "200"),
        ("GET", "/absent", "404"),
        ("GET", "/fails", "500"),
        ("POST", "/leave", "502"),
    ] {
        assert_eq!(status(&rig, method, path).await, answer, "{path}");
    }
    assert_eq!(count.more(&rig).await, [(1, 2, 4)], "the 500, and what it did not answer");
    drop(instance);
    assert_eq!(status(&rig, "POST", "/").await, "503");
    assert_eq!(count.more(&rig).await, [], "nobody refused it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_counted_once_whoever_gets_the_line_and_whichever_worker_counts() {
    let mut rig = Rig::start(Membership::Runtime, 3).await;
    let first = rig.scale_out(1).await.0;
    let mut count = Count::begin(&rig).await;
    status(&rig, "GET", "/fails").await;
    assert_eq!(count.more(&rig).await, [(1, 1, 1)]);
    rig.scale_in(1).await;
    drop(first);
    assert_eq!(count.more(&rig).await, []);
    let _second = rig.scale_out(2).await.0;
    assert_eq!(count.more(&rig).await, [], "what the first one left on the line is not its own");
    status(&rig, "GET", "/").await;
    assert_eq!(count.more(&rig).await, [(2, 0, 1)]);
    status(&rig, "GET", "/fails").await;
    assert_eq!(count.more(&rig).await, [(2, 1, 1)]);

    rig.haproxy.set_membership(Membership::Reload);
    let (_third, applied) = rig.scale_out(3).await;
    assert!(matches!(applied.way, Way::Reload { .. }), "{applied:?}");
    assert_eq!(count.more(&rig).await, [], "a new worker has counted nothing yet");
    for _ in 0..2 {
        status(&rig, "GET", "/fails").await;
    }
    assert_eq!(count.more(&rig).await, [(2, 1, 1), (3, 1, 1)]);
}

/// The figure of the deploy: gone back within 3 s of its first bad answer, while the old version serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_fails_every_second_request_is_told_within_three_seconds() {
    const WATCH: Duration = Duration::from_secs(5);
    let mut rig = Rig::start(Membership::Runtime, 4).await;
    let mut old = Vec::new();
    for number in 1..=3 {
        old.push(rig.scale_out(number).await.0);
    }
    let mut count = Count::begin(&rig).await;
    let _new = Instance::wrong(rig.set(4, ServerState::Ready));
    rig.apply().await;

    let version = Version::new(1);
    let figures = |ready| VersionFigures { ready, ..VersionFigures::default() };
    let mut watched = Watched { old: figures(3), new: figures(1) };
    let (mut sent, mut failed, mut failed_at) = (0, 0, None);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let verdict = loop {
        ticks.tick().await;
        // 20 requests/s, of which a quarter come to the new version.
        for _ in 0..2 {
            sent += 1;
            if status(&rig, "GET", "/").await != "200" {
                failed += 1;
                failed_at.get_or_insert_with(Instant::now);
            }
        }
        for (number, failed, all) in count.more(&rig).await {
            let side = if slot(number) == slot(4) { &mut watched.new } else { &mut watched.old };
            side.answers += Answers { all, failed };
        }
        match judge(&watched, version, Duration::ZERO, WATCH) {
            Verdict::GoesOn => {}
            verdict => break verdict,
        }
        assert!(sent < 100, "nothing is told: {watched:?}");
    };
    let took = failed_at.unwrap().elapsed();
    let Verdict::Bad(reason) = verdict else { panic!("{verdict:?}") };
    println!("{took:?}: {reason}; {failed} of {sent} requests failed");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!((watched.new.answers.failed, watched.old.answers.failed), (failed, 0));
    rig.set(4, ServerState::Drain);
    rig.apply().await;
    for _ in 0..20 {
        assert_eq!(status(&rig, "GET", "/").await, "200");
    }
}
