//! Fetches the statistics over HTTP, anew each time: by a socket that is root's, so that no user of this host
//! stands in the way.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{CONNECTION, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder};
use tokio::time::Instant;

use super::error::HaproxyError;
use super::settings::HaproxySettings;
use super::stats::{Entrance, Stats, StatsError};
use crate::slots::Subnet;

/// The statistics of 200 instances in 100 services are 104 KB and take 2.6 ms, and would be 345 KB and
/// 7.3 ms with the free lines; one that takes longer than this is of no use to a control loop that looks
/// once a second.
const DEADLINE: Duration = Duration::from_millis(500);

/// What is asked for.
const TARGET: &str = "/stats;csv;no-maint";

/// A client for one HAProxy.
#[derive(Debug)]
pub(super) struct Scraper {
    by_socket: Client,
    socket: PathBuf,
    by_address: Client,
    url: String,
    subnet: Subnet,
}

impl Scraper {
    pub(super) fn new(settings: &HaproxySettings) -> Result<Self, HaproxyError> {
        let socket = settings.scrape_socket.as_path().to_owned();
        Ok(Self {
            by_socket: built(client().unix_socket(socket.clone()))?,
            socket,
            by_address: built(client())?,
            url: format!("http://{}{TARGET}", settings.statistics),
            subnet: settings.subnet,
        })
    }

    pub(super) async fn scrape(&self) -> Result<Stats, StatsError> {
        let asked_at = Instant::now();
        let (entrance, text) = self.fetch().await?;
        Stats::parse(&text, entrance, asked_at, self.subnet)
    }

    async fn fetch(&self) -> Result<(Entrance, String), StatsError> {
        match fetch(&self.by_socket, &format!("http://localhost{TARGET}")).await {
            Ok(text) => Ok((Entrance::Socket, text)),
            // A HAProxy that an earlier release configured has no such socket, until the first change.
            Err(error) if error.is_connect() => {
                let text = fetch(&self.by_address, &self.url).await;
                let text = text.map_err(|error| failed(self.url.clone(), error))?;
                Ok((Entrance::Address, text))
            }
            Err(error) => Err(failed(self.socket.display().to_string(), error)),
        }
    }
}

fn client() -> ClientBuilder {
    // A connection that is kept would go on reading the worker of before a reload.
    let close = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
    Client::builder().default_headers(close).pool_max_idle_per_host(0).no_proxy().timeout(DEADLINE)
}

fn built(client: ClientBuilder) -> Result<Client, HaproxyError> {
    client.build().map_err(HaproxyError::Client)
}

async fn fetch(client: &Client, url: &str) -> reqwest::Result<String> {
    client.get(url).send().await?.error_for_status()?.text().await
}

fn failed(place: String, error: reqwest::Error) -> StatsError {
    StatsError::Fetch { place, source: error.without_url().into() }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::{TcpListener, UnixListener};

    use super::super::settings::tests::settings;
    use super::*;

    /// Answers one request with `head` and the captured statistics, then goes silent.
    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str) {
        let mut request = vec![0; 1024];
        let read = stream.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
        assert!(request.starts_with("get /stats;csv;no-maint http/1.1\r\n"), "{request}");
        assert!(request.contains("connection: close"), "{request}");
        if !head.is_empty() {
            let answer = format!("{head}\r\n\r\n{}", include_str!("fixtures/stats.csv"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        std::future::pending().await
    }

    /// Scrapes a HAProxy that answers so on its socket.
    async fn scrape_of(head: &'static str) -> Result<Stats, StatsError> {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let listener = UnixListener::bind(settings.scrape_socket.as_path()).unwrap();
        tokio::spawn(async move { answer(listener.accept().await.unwrap().0, head).await });
        Scraper::new(&settings).unwrap().scrape().await
    }

    const WELL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3881";

    #[tokio::test]
    async fn statistics_come_over_a_connection_of_their_own() {
        assert_eq!(scrape_of(WELL).await.unwrap().worker.generation, 17);
    }

    #[tokio::test]
    async fn silence_a_wrong_status_and_a_body_without_end_are_errors_within_the_deadline() {
        let start = Instant::now();
        let wrong = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3881";
        let endless = "HTTP/1.1 200 OK\r\ncontent-length: 9999";
        let (a, b, c) = tokio::join!(scrape_of(""), scrape_of(wrong), scrape_of(endless));
        for outcome in [a, b, c] {
            assert!(matches!(outcome, Err(StatsError::Fetch { .. })), "{outcome:?}");
        }
        assert!(start.elapsed() < 2 * DEADLINE);
    }

    #[tokio::test]
    async fn a_load_balancer_of_an_earlier_release_is_asked_where_all_may() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let earlier =
            HaproxySettings { statistics: address.parse().unwrap(), ..settings(folder.path()) };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, WELL));
            }
        });
        let scraper = Scraper::new(&earlier).unwrap();
        assert_eq!(scraper.scrape().await.unwrap().worker.generation, 17);
        // One that has ended leaves a socket on which nobody listens.
        drop(UnixListener::bind(earlier.scrape_socket.as_path()).unwrap());
        assert_eq!(scraper.scrape().await.unwrap().worker.generation, 17);
    }
}
