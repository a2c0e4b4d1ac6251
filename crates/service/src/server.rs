//! The accept loop: HTTP/1 with bounds on connections, header size and header time, and a drain
//! of bounded length. `axum::serve` sets no timer and has no such bounds.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::map_request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::linger::discard_unread;

/// How long the loop rests after an accept failed for want of descriptors or memory.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// What a server allows its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// The time for a request's head to be complete, and the time a connection may idle between
    /// two requests. Above the 5 s for which `HAProxy` keeps an idle connection, so that it is
    /// `HAProxy` that closes.
    pub head_timeout: Duration,
    /// The size of a request's head in bytes; at least 8,192. Larger ones are answered 431.
    pub head_bytes: usize,
    /// The time that requests in flight have to complete once the server was asked to end.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head_timeout: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// How a server ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request in flight was answered.
    Whole,
    /// The time was up, and this many connections were cut.
    Cut {
        /// Connections that still had a request in flight.
        connections: usize,
    },
}

/// Serves `routes` to who connects to `listener` until `stop` completes. Then it accepts no more,
/// closes idle connections, answers the requests in flight with `connection: close`, and returns
/// when that is done or [`Limits::drain_timeout`] is over.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> Drained {
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let http = http(limits);
    let routes = routes.layer(map_request(discard_unread));
    tokio::pin!(stop);
    loop {
        let (stream, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let service = TowerToHyperService::new(routes.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // A client that went away or sent nonsense: its fault, and too common to log.
                tracing::debug!(error = crate::exit::chain(&error), "a connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    drain(open, &places, limits).await
}

fn http(limits: Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes);
    http
}

/// Waits for a place, then for a client: what has no place stays in the kernel's backlog.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed; a server without places would be one without a bound.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An answer is written at once and whole: waiting to fill a packet only adds 40 ms.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a client left before it was served");
                }
                return (stream, place);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn drain(open: GracefulShutdown, places: &Semaphore, limits: Limits) -> Drained {
    let whole = tokio::time::timeout(limits.drain_timeout, open.shutdown()).await;
    let connections = limits.connections - places.available_permits();
    if whole.is_ok() || connections == 0 {
        return Drained::Whole;
    }
    tracing::warn!(connections, "the time to drain is over; connections were cut");
    Drained::Cut { connections }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;

    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        server: JoinHandle<Drained>,
    }

    async fn start(limits: Limits) -> Running {
        let routes = Router::new().route("/", get(|| async { "hello" })).route(
            "/slow",
            get(|| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                "done"
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, routes, limits, async {
            let _ = stopped.await;
        }));
        Running { address, stop, server }
    }

    async fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn read(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_during_the_drain_and_an_idle_connection_is_closed() {
        let running = start(Limits::default()).await;
        let slow = send(running.address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut idle = send(running.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut first = [0; 512];
        assert!(idle.read(&mut first).await.unwrap() > 0);
        running.stop.send(()).unwrap();
        let answer = read(slow).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with("done"), "{answer}");
        assert_eq!(read(idle).await, "");
        assert_eq!(running.server.await.unwrap(), Drained::Whole);
        assert!(TcpStream::connect(running.address).await.is_err());
    }

    #[tokio::test]
    async fn the_drain_ends_when_its_time_is_over() {
        let limits = Limits { drain_timeout: Duration::from_millis(50), ..Limits::default() };
        let running = start(limits).await;
        let _slow = send(running.address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        running.stop.send(()).unwrap();
        assert_eq!(running.server.await.unwrap(), Drained::Cut { connections: 1 });
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_cut_off() {
        let limits = Limits { head_timeout: Duration::from_millis(100), ..Limits::default() };
        let running = start(limits).await;
        let begun = Instant::now();
        assert_eq!(read(send(running.address, "GET / HTTP/1.1\r\nx: ").await).await, "");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let running = start(Limits::default()).await;
        let head = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
        let answer = read(send(running.address, &head).await).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn a_client_that_sends_a_body_nobody_reads_gets_its_answer() {
        let running = start(Limits::default()).await;
        let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n";
        let mut stream = send(running.address, head).await;
        // Slow enough for the answer to be written long before the body is.
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        }
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let answers = read(stream).await;
        assert!(answers.starts_with("HTTP/1.1 405 "), "{answers}");
        assert!(answers.ends_with("hello"), "{answers}");
    }

    #[tokio::test]
    async fn a_client_that_waits_for_100_continue_is_not_asked_for_a_body_nobody_reads() {
        let running = start(Limits::default()).await;
        let head =
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
        let begun = Instant::now();
        let answer = read(send(running.address, head).await).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_connection_beyond_the_bound_waits_for_a_place() {
        let running = start(Limits { connections: 1, ..Limits::default() }).await;
        let first = send(running.address, "").await;
        let second = send(running.address, "GET / HTTP/1.0\r\n\r\n").await;
        let mut second = tokio::spawn(read(second));
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut second).await.is_err());
        drop(first);
        assert!(second.await.unwrap().ends_with("hello"));
    }
}
