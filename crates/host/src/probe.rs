//! Asks an instance whether it can serve: the health check before it gets requests.

use std::future::Future;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::paths::HealthPath;
use model::service::{HealthStatus, Protocol};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// First pause between two questions. A static server answers some 3 ms after its start, so a
/// longer one would show in every launch.
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// Longest pause, for instances that take seconds to boot.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long one question may take. An instance that accepts and does not answer is asked again.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(1);

/// An instance that did not become healthy in time.
#[derive(Debug, thiserror::Error)]
#[error("{url} did not {wanted} within {waited_ms} ms ({last}); {cure}")]
pub struct ProbeError {
    url: String,
    wanted: String,
    waited_ms: u128,
    last: String,
    cure: String,
}

/// What helps where nothing else is known.
const CURE: &str =
    "check instance.port, health_path, health_status and [application] of its service's file";

impl ProbeError {
    /// The same, of which it is known what it comes from: a part of a sentence, which ends with the cure.
    #[must_use]
    pub fn because(self, cure: Option<String>) -> Self {
        Self { cure: cure.unwrap_or(self.cure), ..self }
    }

    fn new(address: SocketAddrV4, protocol: &Protocol, waited: Duration, last: String) -> Self {
        let wanted = match protocol.health_status() {
            Some(status) => format!("answer {status}"),
            None => "take a connection".to_owned(),
        };
        Self {
            url: url(address, protocol),
            wanted,
            waited_ms: waited.as_millis(),
            last,
            cure: CURE.to_owned(),
        }
    }
}

/// Finds out whether an instance can serve.
pub trait Probe: Send + Sync {
    /// Returns as soon as the instance at `address` answers its health path with such a status, or where it
    /// has none as soon as a connection is taken there.
    ///
    /// # Errors
    /// It did not within `patience`; the error says what it answered last.
    fn until_healthy(
        &self,
        address: SocketAddrV4,
        protocol: &Protocol,
        patience: Duration,
    ) -> impl Future<Output = Result<(), ProbeError>> + Send;
}

/// Asks over HTTP.
#[derive(Debug)]
pub struct HttpProbe {
    client: reqwest::Client,
}

impl HttpProbe {
    /// A probe that opens a connection for each question.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            // An instance is not trusted: followed, it could have this process ask anyone anything.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(QUESTION_TIMEOUT)
            .build()?;
        Ok(Self { client })
    }

    async fn try_once(&self, address: SocketAddrV4, protocol: &Protocol) -> Result<(), String> {
        match protocol.health_status() {
            Some(status) => self.ask(&url(address, protocol), status).await,
            None => connect(address).await,
        }
    }

    async fn ask(&self, url: &str, wanted: HealthStatus) -> Result<(), String> {
        let answer = self.client.get(url).send().await;
        match answer {
            Ok(answer) if wanted.holds(answer.status().as_u16()) => Ok(()),
            Ok(answer) => Err(format!("the last answer was {}", answer.status())),
            Err(error) if error.is_timeout() => Err("the last question timed out".to_owned()),
            Err(_) => Err("it refused the connection or broke it off".to_owned()),
        }
    }
}

/// What is asked, for messages and for HTTP.
fn url(address: SocketAddrV4, protocol: &Protocol) -> String {
    match protocol.health_path() {
        Some(path) => format!("http://{address}{path}"),
        None => format!("tcp://{address}"),
    }
}

/// Whether a connection is taken. It is closed at once.
async fn connect(address: SocketAddrV4) -> Result<(), String> {
    match timeout(QUESTION_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err("it refused the connection".to_owned()),
        Err(_) => Err("the last connection timed out".to_owned()),
    }
}

impl Probe for HttpProbe {
    async fn until_healthy(
        &self,
        address: SocketAddrV4,
        protocol: &Protocol,
        patience: Duration,
    ) -> Result<(), ProbeError> {
        let begin = Instant::now();
        let deadline = begin + patience;
        let (mut pause, mut last) = (FIRST_PAUSE, "it was not reached once".to_owned());
        while Instant::now() < deadline {
            match timeout_at(deadline, self.try_once(address, protocol)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(answer)) => last = answer,
                Err(_) => break,
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
        Err(ProbeError::new(address, protocol, begin.elapsed(), last))
    }
}

/// A probe for tests: instances are healthy at once, or never.
#[derive(Debug, Default)]
pub struct FakeProbe {
    sick: AtomicBool,
    sick_at: Mutex<Option<String>>,
}

impl FakeProbe {
    /// Whether instances that are asked from now on never become healthy.
    pub fn set_sick(&self, sick: bool) {
        self.sick.store(sick, Ordering::Relaxed);
    }

    /// Instances that are asked for this path never become healthy.
    pub fn set_sick_at(&self, path: &str) {
        *self.sick_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.to_owned());
    }

    fn is_sick(&self, path: &str) -> bool {
        let sick_at = self.sick_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.sick.load(Ordering::Relaxed) || sick_at.as_deref() == Some(path)
    }
}

impl Probe for FakeProbe {
    async fn until_healthy(
        &self,
        address: SocketAddrV4,
        protocol: &Protocol,
        patience: Duration,
    ) -> Result<(), ProbeError> {
        if !self.is_sick(protocol.health_path().map_or("", HealthPath::as_str)) {
            return Ok(());
        }
        sleep(patience).await;
        Err(ProbeError::new(address, protocol, patience, "it is sick".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use model::service::HttpHealth;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers these statuses, one a connection.
    async fn server(statuses: &'static [&'static str]) -> SocketAddrV4 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            unreachable!("bound to IPv4")
        };
        tokio::spawn(async move {
            for status in statuses {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await.unwrap();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    /// HTTP with these statuses for an instance that can serve.
    fn http(statuses: &str) -> Protocol {
        let status = statuses.parse().unwrap();
        Protocol::Http { health: Some(HttpHealth { path: "/healthz".parse().unwrap(), status }) }
    }

    #[tokio::test]
    async fn it_goes_by_the_statuses_of_the_service_and_follows_none_of_them_elsewhere() {
        let probe = HttpProbe::new().unwrap();
        let address = server(&["200 OK", "500 No", "302 Found\r\nlocation: /elsewhere"]).await;
        let wanted = http("300-399");
        probe.until_healthy(address, &wanted, Duration::from_secs(5)).await.unwrap();
        let address = server(&["204 No Content"]).await;
        let wait = Duration::from_millis(60);
        let error = probe.until_healthy(address, &wanted, wait).await.unwrap_err().to_string();
        assert!(error.contains("did not answer 300-399 within"), "{error}");
    }

    #[tokio::test]
    async fn it_asks_again_until_the_answer_is_200() {
        let address = server(&["503 No", "404 No", "200 OK"]).await;
        let probe = HttpProbe::new().unwrap();
        probe.until_healthy(address, &http("200"), Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn without_a_path_a_connection_is_enough_and_a_refusal_is_asked_again() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let std::net::SocketAddr::V4(address) = free.local_addr().unwrap() else {
            unreachable!("bound to IPv4")
        };
        drop(free);
        let probe = HttpProbe::new().unwrap();
        let without_path = [Protocol::Tcp, Protocol::Http { health: None }];
        for protocol in &without_path {
            let asking = probe.until_healthy(address, protocol, Duration::from_millis(60));
            let error = asking.await.unwrap_err().to_string();
            assert!(error.starts_with("tcp://") && error.contains("take a connection"), "{error}");
        }
        let waiting = probe.until_healthy(address, &without_path[1], Duration::from_secs(5));
        let (healthy, _listener) = tokio::join!(waiting, TcpListener::bind(address));
        healthy.unwrap();
    }

    #[tokio::test]
    async fn an_instance_cannot_send_it_elsewhere() {
        let address = server(&["302 Found\r\nlocation: /elsewhere", "200 OK", "404 No"]).await;
        let probe = HttpProbe::new().unwrap();
        assert_eq!(
            probe.ask(&format!("http://{address}/healthz"), HealthStatus::default()).await,
            Err("the last answer was 302 Found".to_owned())
        );
    }

    #[tokio::test]
    async fn it_gives_up_at_the_deadline_and_says_what_came_last() {
        let address = server(&["503 Service Unavailable"]).await;
        let probe = HttpProbe::new().unwrap();
        let error = probe
            .until_healthy(address, &http("200"), Duration::from_millis(60))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("refused the connection"), "{error}");
    }
}
