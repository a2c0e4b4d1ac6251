//! What a server allows its clients, asked over a socket.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::header::CONTENT_LENGTH;
use axum::routing::{get, post};
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
        .route("/parts", get(parts))
        .route("/body", post(|body: String| async { body }));
    start_with(routes, limits).await
}

async fn start_with(routes: Router, limits: Limits) -> Running {
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
async fn an_answer_makes_no_way_until_its_client_has_it() {
    let limits = Limits { connections: 1, idle_make_way: true, ..Limits::default() };
    let running = start(limits).await;
    let mut first = send(running.address, "GET /parts HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut begun = vec![0; 1];
    first.read_exact(&mut begun).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let second = tokio::spawn(read(send(running.address, request).await));
    let answer = read(first).await;
    assert!(answer.ends_with(&PARTS.concat()), "{answer}");
    assert!(second.await.unwrap().ends_with("hello"));
}

/// Requests come at every moment before and after their connection is chosen to make way.
#[tokio::test]
async fn no_handler_that_began_is_cut_whatever_makes_way() {
    let (begun, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let count = (Arc::clone(&begun), Arc::clone(&ended));
    let counted = move || {
        let (begun, ended) = count.clone();
        async move {
            begun.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            ended.fetch_add(1, Ordering::Relaxed);
            "hello"
        }
    };
    let limits = Limits { connections: 1, idle_make_way: true, ..Limits::default() };
    let running = start_with(Router::new().route("/", get(counted)), limits).await;
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..2_000_u32 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        clients.spawn(async move {
            for _ in 0..number % 40 {
                tokio::task::yield_now().await;
            }
            // Whether it made way before is not known here.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let _ = stream.read(&mut [0; 512]).await;
        });
        if clients.len() > 20 {
            clients.join_next().await;
        }
    }
    clients.join_all().await;
    running.stop.send(()).unwrap();
    assert_eq!(running.server.await.unwrap(), Drained::Whole);
    let (begun, ended) = (begun.load(Ordering::Relaxed), ended.load(Ordering::Relaxed));
    assert!(begun > 0);
    assert_eq!(begun, ended);
}

/// Its handler has done nothing yet.
#[tokio::test]
async fn a_body_that_never_comes_keeps_nobody_out() {
    let limits = Limits { connections: 1, idle_make_way: true, ..Limits::default() };
    let running = start(limits).await;
    let head = "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n";
    let _slow = send(running.address, &format!("{head}\r\nab")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let whole = send(running.address, &format!("{head}connection: close\r\n\r\nabcd")).await;
    let answer = read(whole).await;
    assert!(answer.ends_with("abcd"), "{answer}");
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
            let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
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
        let request = format!("OPTIONS {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
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
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
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

/// An answer that does not end, and when it was dropped.
fn endless() -> (Router, tokio::sync::mpsc::Receiver<()>) {
    let (held, dropped) = tokio::sync::mpsc::channel::<()>(1);
    let body = move || {
        let held = held.clone();
        let parts = stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, std::io::Error>("x".repeat(10_000))
        });
        async { Body::from_stream(parts) }
    };
    (Router::new().route("/", get(body)), dropped)
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off_and_one_that_takes_a_little_is_not() {
    let take_timeout = Some(Duration::from_millis(300));
    let (routes, mut dropped) = endless();
    let running = start_with(routes, Limits { take_timeout, ..Limits::default() }).await;
    let mut slow = send(running.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let stuck = send(running.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // A buffer of the kernel's has up to 4 MB, which this takes at 20 MB/s.
    let mut part = vec![0; 1_000_000];
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        slow.read_exact(&mut part).await.unwrap();
    }
    let mut stuck_end = stuck;
    let rest = async {
        let mut read = 0;
        // It ends, by a reset or without.
        while let Ok(more @ 1..) = stuck_end.read(&mut part).await {
            read += more;
        }
        read
    };
    let read = tokio::time::timeout(Duration::from_secs(10), rest).await.unwrap();
    assert!(read > 0);
    assert!(dropped.try_recv().is_err(), "the other one goes on");
    drop(slow);
}
