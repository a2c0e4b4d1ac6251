//! Fetches the statistics over HTTP, anew each time.

use std::net::SocketAddrV4;
use std::time::Duration;

use reqwest::header::{CONNECTION, HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::error::HaproxyError;
use super::stats::{Stats, StatsError};
use crate::slots::Subnet;

/// The statistics of 200 instances in 100 services are 104 KB and take 2.6 ms, and would be 345 KB and
/// 7.3 ms with the free lines; one that takes longer than this is of no use to a control loop that looks
/// once a second.
const DEADLINE: Duration = Duration::from_millis(500);

/// A client for one HAProxy.
#[derive(Debug)]
pub(super) struct Scraper {
    client: reqwest::Client,
    url: String,
    subnet: Subnet,
}

impl Scraper {
    pub(super) fn new(statistics: SocketAddrV4, subnet: Subnet) -> Result<Self, HaproxyError> {
        // A connection that is kept would go on reading the worker of before a reload.
        let close = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
        let client = reqwest::Client::builder()
            .default_headers(close)
            .pool_max_idle_per_host(0)
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .map_err(HaproxyError::Client)?;
        Ok(Self { client, url: format!("http://{statistics}/stats;csv;no-maint"), subnet })
    }

    pub(super) async fn scrape(&self) -> Result<Stats, StatsError> {
        let asked_at = Instant::now();
        let fetch = async {
            let response = self.client.get(&self.url).send().await?;
            response.error_for_status()?.text().await
        };
        let text = fetch.await.map_err(|error: reqwest::Error| StatsError::Fetch {
            url: self.url.clone(),
            source: error.without_url().into(),
        })?;
        Stats::parse(&text, asked_at, self.subnet)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Scrapes a server that answers with `head` and the captured statistics, then goes silent.
    async fn scrape_of(head: &'static str) -> Result<Stats, StatsError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
            assert!(request.starts_with("get /stats;csv;no-maint http/1.1\r\n"), "{request}");
            assert!(request.contains("connection: close"), "{request}");
            if !head.is_empty() {
                let answer = format!("{head}\r\n\r\n{}", include_str!("fixtures/stats.csv"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        Scraper::new(address, Subnet::DEFAULT).unwrap().scrape().await
    }

    #[tokio::test]
    async fn statistics_come_over_a_connection_of_their_own() {
        let length = "HTTP/1.1 200 OK\r\ncontent-length: 3653";
        assert_eq!(scrape_of(length).await.unwrap().worker.generation, 17);
    }

    #[tokio::test]
    async fn silence_a_wrong_status_and_a_body_without_end_are_errors_within_the_deadline() {
        let start = Instant::now();
        let wrong = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3653";
        let endless = "HTTP/1.1 200 OK\r\ncontent-length: 9999";
        let (a, b, c) = tokio::join!(scrape_of(""), scrape_of(wrong), scrape_of(endless));
        for outcome in [a, b, c] {
            assert!(matches!(outcome, Err(StatsError::Fetch { .. })), "{outcome:?}");
        }
        assert!(start.elapsed() < 2 * DEADLINE);
    }
}
