//! The accept loop: HTTP/1 with bounds on connections, header size and header time, and a drain
//! of bounded length. `axum::serve` sets no timer and has no such bounds.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::Service;

use crate::linger::discard_unread;
use crate::places::{Place, Places};
use crate::socket::Socket;
use crate::wellformed;

/// What a server allows its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait in the kernel, not yet accepted.
    pub connections: usize,
    /// Whether one that comes when all places are taken gets that of the connection which has waited longest for
    /// its client. So no client keeps others out by connections on which it does nothing.
    pub idle_make_way: bool,
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
            idle_make_way: false,
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

/// Serves at `listener` until `stop` completes, each client by the routes that `routes_for` gives for where
/// it comes from or who it is. Then it accepts no more, closes idle connections, answers the requests in flight with `connection: close`, and returns
/// when that is done or [`Limits::drain_timeout`] is over.
pub async fn serve<L: Listener>(
    mut listener: L,
    routes_for: impl Fn(&L::Addr) -> Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> Drained {
    let places = Places::new(limits.connections);
    let (draining, _) = watch::channel(());
    tokio::pin!(stop);
    loop {
        let (stream, client, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&mut listener, &places, limits.idle_make_way) => accepted,
        };
        let place = Arc::new(place);
        let connection = serve_one(
            stream,
            limits,
            routes_for(&client),
            Arc::clone(&place),
            draining.subscribe(),
        );
        tokio::spawn(async move {
            tokio::select! {
                () = connection => {}
                () = place.made_way() => {}
            }
        });
    }
    drop(listener);
    drain(draining, &places, limits).await
}

/// Refuses a request that must not reach the routes. Not a layer of theirs, which axum would box and clone
/// for each request.
async fn answer(mut routes: Router, request: Request) -> Result<Response, Infallible> {
    let request = discard_unread(request);
    match wellformed::check(&request) {
        Ok(()) => routes.call(request).await,
        Err(problem) => Ok(problem.into_response()),
    }
}

/// Serves one connection to its end; from `draining` on, to the end of the request in flight.
async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    limits: Limits,
    routes: Router,
    place: Arc<Place>,
    mut draining: watch::Receiver<()>,
) {
    let mut socket = Socket::new(stream);
    let place = place.as_ref();
    let service = service_fn(|request: Request<Incoming>| {
        place.work();
        let answered = answer(routes.clone(), request.map(Body::new));
        async move {
            let response = answered.await;
            place.rest();
            response
        }
    });
    let outcome = {
        let mut connection =
            pin!(http(limits).serve_connection(TokioIo::new(&mut socket), service));
        tokio::select! {
            outcome = connection.as_mut() => outcome,
            _ = draining.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = &outcome {
        // A client that went away or sent no HTTP: its fault, and too common for more than a debug log.
        tracing::debug!(error = crate::exit::chain(error), "a connection broke off");
    }
    if let Err(error) = socket.end(&outcome, limits.head_bytes).await {
        tracing::debug!(%error, "a client left before it was told what was wrong");
    }
}

fn http(limits: Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        // A client may end its side of the connection after the request and still wait for the answer.
        // So a client that has left altogether is noticed only when the answer is written.
        .half_close(true)
        .max_buf_size(limits.head_bytes);
    http
}

/// Waits for a place, then for a client: without a place, connections stay in the kernel. Where one makes way for
/// the next, the next must have come.
async fn accept<L: Listener>(
    listener: &mut L,
    places: &Places,
    idle_make_way: bool,
) -> (L::Io, L::Addr, Place) {
    if idle_make_way {
        let (stream, client) = listener.accept().await;
        return (stream, client, places.take().await);
    }
    let place = places.wait().await;
    let (stream, client) = listener.accept().await;
    (stream, client, place)
}

async fn drain(draining: watch::Sender<()>, places: &Places, limits: Limits) -> Drained {
    // It fails when no connection is open, and then there is nothing to wait for.
    let _ = draining.send(());
    let whole = tokio::time::timeout(limits.drain_timeout, draining.closed()).await;
    let connections = places.taken();
    if whole.is_ok() || connections == 0 {
        return Drained::Whole;
    }
    tracing::warn!(connections, "the time to drain is over; connections were cut");
    Drained::Cut { connections }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::header::CONTENT_LENGTH;
    use axum::routing::get;
    use futures_util::{StreamExt, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;
    use crate::listener::Tcp;
    use crate::problem::guard;

    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        server: JoinHandle<Drained>,
    }

    /// The second is word for word what hyper answers to a malformed request.
    const PARTS: [&str; 2] = ["first", "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"];

    /// Each part is a write of its own.
    async fn parts() -> impl IntoResponse {
        let parts = stream::iter(PARTS).then(|part| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, std::io::Error>(part)
        });
        ([(CONTENT_LENGTH, PARTS.concat().len())], Body::from_stream(parts))
    }

    async fn start(limits: Limits) -> Running {
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        };
        let routes = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/slow", get(slow))
            .route("/parts", get(parts));
        let routes = guard(routes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(Tcp(listener), move |_| routes.clone(), limits, async {
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

    /// On loopback all clients are one source, so no share of the places could tell one from the other.
    #[tokio::test]
    async fn connections_that_do_nothing_keep_nobody_out() {
        let limits = Limits { connections: 4, idle_make_way: true, ..Limits::default() };
        let running = start(limits).await;
        let request = "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let slow = send(running.address, request).await;
        let begun = Instant::now();
        // Nothing, half a head, and a request whose next one never comes.
        let mut idle = Vec::new();
        for text in ["", "GET / HTTP/1.1\r\nx: ", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"].repeat(4) {
            idle.push(send(running.address, text).await);
        }
        for _ in 0..8 {
            let answer = read(send(running.address, &request.replace("/slow", "/")).await).await;
            assert!(answer.ends_with("hello"), "{answer}");
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let answer = read(slow).await;
        assert!(answer.ends_with("done"), "what is answered makes no way: {answer}");
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_cut_off() {
        let limits = Limits { head_timeout: Duration::from_millis(100), ..Limits::default() };
        let running = start(limits).await;
        let begun = Instant::now();
        assert_eq!(read(send(running.address, "GET / HTTP/1.1\r\nx: ").await).await, "");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    /// The status and the code of the one answer to `request`.
    async fn refusal(request: &str) -> String {
        let running = start(Limits::default()).await;
        let answer = read(send(running.address, request).await).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{answer}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{answer}");
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        format!("{} {}", &head["HTTP/1.1 ".len()..][..3], json["error"]["code"].as_str().unwrap())
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_or_has_too_many_fields_is_refused_in_the_common_form() {
        let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(20_000));
        assert_eq!(refusal(&long).await, "431 head_too_large");
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(100));
        assert_eq!(refusal(&many).await, "431 head_too_large");
        // Far more than the socket's buffers hold: if the rest were not read, the answer would be lost.
        let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(8_000_000));
        assert_eq!(refusal(&huge).await, "431 head_too_large");
    }

    #[tokio::test]
    async fn what_is_no_http_is_refused_in_the_common_form() {
        for head in [
            "GET /",
            "GET / HTTP/3.0\r\n",
            "G ET / HTTP/1.1\r\nhost: x\r\n",
            "GET / HTTP/1.1\r\nhost: x\r\na b: c\r\n",
            "PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 1, 2\r\n",
            "PUT / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n",
        ] {
            assert_eq!(refusal(&format!("{head}\r\n")).await, "400 bad_request", "{head}");
        }
    }

    #[tokio::test]
    async fn characters_that_no_target_has_are_refused_alike_whoever_notices_them() {
        for character in "\"<>[\\]^`{|}\u{E9}".chars() {
            for target in [format!("/{character}"), format!("/?{character}")] {
                let request =
                    format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
                assert_eq!(refusal(&request).await, "400 bad_request", "{target}");
            }
        }
    }

    /// RFC 9112, 3.2.
    #[tokio::test]
    async fn a_request_needs_exactly_one_valid_host_which_http_1_0_may_leave_out() {
        for hosts in ["", "host: a\r\nhost: a\r\n", "host: a b\r\n", "host: a/b\r\n"] {
            let request = format!("GET / HTTP/1.1\r\nconnection: close\r\n{hosts}\r\n");
            assert_eq!(refusal(&request).await, "400 bad_host", "{hosts}");
        }
        let running = start(Limits::default()).await;
        for request in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n",
            // RFC 9112, 3.2.2: a target in absolute form.
            "GET http://a/ HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n",
        ] {
            let answer = read(send(running.address, request).await).await;
            assert!(answer.ends_with("hello"), "{request}: {answer}");
        }
    }

    /// RFC 9110, 9.1, and RFC 9112, 6.1.
    #[tokio::test]
    async fn what_is_not_implemented_is_answered_501() {
        for head in ["CONNECT a:80 HTTP/1.1", "BREW / HTTP/1.1"] {
            let request = format!("{head}\r\nhost: a:80\r\nconnection: close\r\n\r\n");
            assert_eq!(refusal(&request).await, "501 unknown_method", "{head}");
        }
        for coding in ["gzip, chunked", "chunked, chunked", "gzip\r\ntransfer-encoding: chunked"] {
            let request = format!(
                "PUT / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n"
            );
            assert_eq!(refusal(&request).await, "501 unknown_transfer_coding", "{coding}");
        }
    }

    /// RFC 9110, 9.3.7.
    #[tokio::test]
    async fn options_says_what_is_allowed() {
        let running = start(Limits::default()).await;
        for (target, allowed) in [("/", "allow: GET,HEAD\r\n"), ("*", "")] {
            let request =
                format!("OPTIONS {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let answer = read(send(running.address, &request).await).await;
            assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
            assert!(answer.contains(allowed), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_client_that_has_ended_its_side_after_the_request_gets_its_answer() {
        let running = start(Limits::default()).await;
        let mut stream = send(running.address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        stream.shutdown().await.unwrap();
        let answer = read(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("done"), "{answer}");
    }

    #[tokio::test]
    async fn a_body_that_looks_like_an_answer_of_hypers_is_sent_as_it_is() {
        let running = start(Limits::default()).await;
        for close in ["", "connection: close\r\n"] {
            let request = format!("GET /parts HTTP/1.1\r\nhost: x\r\n{close}\r\n");
            let mut stream = send(running.address, &request).await;
            let mut answer = String::new();
            while !answer.ends_with(&PARTS.concat()) {
                let mut part = [0; 512];
                let count = stream.read(&mut part).await.unwrap();
                assert!(count > 0, "{answer}");
                answer.push_str(std::str::from_utf8(&part[..count]).unwrap());
            }
        }
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
