//! The rate limit over HTTP.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::harness::{JsonBody, Server, header};

const SLOW: &str = "[rate_limit]\nrequests_per_second = 10\nburst = 2\nmax_wait_ms = 300";

#[tokio::test]
async fn requests_wait_a_bounded_time_or_get_429_with_retry_after() {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), SLOW);
    let begun = Instant::now();
    let answers = futures_util::future::join_all((0..10).map(|_| server.get("/"))).await;
    let took = begun.elapsed();
    let (served, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status() == StatusCode::OK);
    // 2 at once, 3 within the 300 ms that they may wait; a busy machine may lose one of these.
    assert!((4..=5).contains(&served.len()), "{} served", served.len());
    assert!(took < Duration::from_secs(2), "{took:?}");
    for answer in refused {
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&answer, "retry-after"), "1");
        assert_eq!(answer.code().await, "rate_limited");
    }
}

#[tokio::test]
async fn probes_and_unknown_paths_are_outside_the_limit() {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), SLOW);
    futures_util::future::join_all((0..10).map(|_| server.get("/objs/a"))).await;
    for _ in 0..20 {
        assert_eq!(server.get("/healthz").await.text().await.unwrap(), "ok\n");
        assert_eq!(server.get("/x").await.status(), StatusCode::NOT_FOUND);
    }
    let metrics = server.get("/metrics").await.text().await.unwrap();
    let figure = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(' ').next_back()?.parse::<u32>().ok()).unwrap()
    };
    let refused = figure("rate_limit_refused_total");
    assert!(refused >= 5, "{metrics}");
    assert_eq!(figure("http_requests_total{method=\"GET\",status=\"429\"}"), refused);
    assert_eq!(figure("rate_limit_waiting"), 0);
}
