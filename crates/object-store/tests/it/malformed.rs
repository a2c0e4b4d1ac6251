//! What clients should not send: it is refused with a reason, and nothing is stored.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::harness::{Server, UNLIMITED, eventually, incoming, read_all};

const SMALL: &str = "rate_limit.enabled = false\nmax_object_bytes = 1000";

fn start(settings: &str) -> (tempfile::TempDir, Server) {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), settings);
    (objects, server)
}

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

/// The answer's status, and that it is JSON with this code.
fn assert_refused(answer: &str, status: &str, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains(&format!("{{\"error\":{{\"code\":\"{code}\",")), "{answer}");
}

#[tokio::test]
async fn ids_that_are_none_are_refused_by_every_method() {
    let (objects, server) = start(UNLIMITED);
    let long = format!("/objs/{}", "x".repeat(1025));
    let longest_encoded = format!("/objs/{}", "%41".repeat(1025));
    for (path, status) in [
        ("/objs/", "400"),
        ("/objs/..", "400"),
        ("/objs/../../etc/passwd", "400"),
        ("/objs/..%2f..%2fetc%2fpasswd", "400"),
        ("/objs/%2e%2e/%2e%2e/etc/passwd", "400"),
        ("/objs/a/./b", "400"),
        ("/objs/a%00b", "400"),
        ("/objs/%", "400"),
        ("/objs/%c3%28", "400"),
        (&long, "414"),
        (&longest_encoded, "414"),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer =
                server.raw(&request(&format!("{method} {path}"), "content-length: 1\r\n", "x"));
            assert_refused(&answer, status, "bad_id");
        }
    }
    assert_eq!(server.ids().await, Vec::<String>::new());
    assert_eq!(incoming(objects.path()), 0);
}

#[tokio::test]
async fn bodies_with_lying_missing_or_excessive_lengths_store_nothing() {
    let (objects, server) = start(SMALL);
    let large = "x".repeat(1001);
    let large_chunk = format!("3e9\r\n{large}\r\n0\r\n\r\n");
    let chunked = "transfer-encoding: chunked\r\n";
    for (headers, body, status, code) in [
        ("", "", "411", "length_required"),
        ("content-length: 1001\r\n", &large, "413", "too_large"),
        ("content-length: 99999999999\r\n", "x", "413", "too_large"),
        (chunked, &large_chunk, "413", "too_large"),
        (chunked, "zz\r\nx\r\n0\r\n\r\n", "400", "bad_body"),
    ] {
        let answer = server.raw(&request("PUT /objs/a", headers, body));
        assert_refused(&answer, status, code);
    }
    for headers in [
        "content-length: -1\r\n",
        "content-length: x\r\n",
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: 99999999999999999999999999\r\n",
        "transfer-encoding: gzip\r\n",
    ] {
        let answer = server.raw(&request("PUT /objs/a", headers, "x"));
        assert_refused(&answer, "400", "bad_request");
    }
    // RFC 9112, 6.1: the content would be what only the last of the codings leaves.
    let packed = "transfer-encoding: gzip, chunked\r\n";
    let answer = server.raw(&request("PUT /objs/a", packed, "1\r\nx\r\n0\r\n\r\n"));
    assert_refused(&answer, "501", "unknown_transfer_coding");
    assert_eq!(server.ids().await, Vec::<String>::new());
    assert_eq!(incoming(objects.path()), 0);
    let answer = server.raw(&request("PUT /objs/a", chunked, "3\r\nabc\r\n0\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

/// RFC 9112, 6.1 and 6.3: the chunks count, and the connection is closed, for a proxy before may have
/// counted otherwise.
#[tokio::test]
async fn of_a_length_and_chunks_the_chunks_count_and_the_connection_is_closed() {
    let (_objects, server) = start(UNLIMITED);
    for lines in [
        "content-length: 99\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 99\r\n",
    ] {
        let chunks = "3\r\nabc\r\n0\r\n\r\n";
        let put = format!("PUT /objs/a HTTP/1.1\r\nhost: x\r\n{lines}\r\n{chunks}");
        let answer = server.raw(put.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert_eq!(server.get("/objs/a").await.text().await.unwrap(), "abc");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_stores_nothing() {
    let (objects, server) = start(UNLIMITED);
    for (announced, sent) in [(10, 5), (1_000_000, 500_000)] {
        let mut stream = server.connect();
        let headers = format!("content-length: {announced}\r\n");
        stream.write_all(&request("PUT /objs/a", &headers, &"x".repeat(sent))).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_refused(&read_all(stream), "400", "bad_body");
    }
    eventually("the uploads are removed", || incoming(objects.path()) == 0).await;
    assert_eq!(server.ids().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up() {
    let (objects, server) = start("rate_limit.enabled = false\nbody_timeout_ms = 200");
    let answer = server.raw(&request("PUT /objs/a", "content-length: 10\r\n", "abc"));
    assert_refused(&answer, "408", "body_timeout");
    assert_eq!(incoming(objects.path()), 0);
    assert_eq!(server.ids().await, Vec::<String>::new());
}

#[tokio::test]
async fn heads_that_are_too_large_or_never_end_are_given_up() {
    let (_objects, server) = start(UNLIMITED);
    let large = format!("x: {}\r\n", "y".repeat(20_000));
    let answer = server.raw(&request("GET /", &large, ""));
    assert_refused(&answer, "431", "head_too_large");
    let answer = server.raw(&request("GET /", &"x: y\r\n".repeat(99), ""));
    assert_refused(&answer, "431", "head_too_large");

    let begun = Instant::now();
    let mut slow = server.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").unwrap();
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(100));
        slow.write_all(b"a: b\r\n").unwrap();
    }
    read_all(slow);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_id_with_characters_that_no_target_has_is_refused_until_they_are_escaped() {
    let (_objects, server) = start(UNLIMITED);
    for character in "\"<>[\\]^`{|}".chars() {
        for method in ["GET", "PUT", "DELETE"] {
            let line = format!("{method} /objs/a{character}b");
            let answer = server.raw(&request(&line, "content-length: 1\r\n", "x"));
            assert_refused(&answer, "400", "bad_request");
        }
        let line = format!("PUT /objs/a%{:02X}b", u32::from(character));
        let answer = server.raw(&request(&line, "content-length: 1\r\n", "x"));
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    assert_eq!(server.ids().await.len(), 11);
}

/// RFC 9112, 3.2.
#[tokio::test]
async fn a_request_without_one_valid_host_is_refused() {
    let (_objects, server) = start(UNLIMITED);
    for hosts in ["", "host: a\r\nhost: b\r\n", "host: a b\r\n"] {
        let head = format!("GET / HTTP/1.1\r\nconnection: close\r\n{hosts}\r\n");
        assert_refused(&server.raw(head.as_bytes()), "400", "bad_host");
    }
}

#[tokio::test]
async fn a_client_that_has_ended_its_side_is_still_answered() {
    let (_objects, server) = start(UNLIMITED);
    let requests = [
        ("PUT /objs/a", "content-length: 3\r\n", "abc", "201"),
        ("GET /objs/a", "", "", "200"),
        ("GET /", "", "", "200"),
    ];
    for (line, headers, body, status) in requests {
        let mut stream = server.connect();
        stream.write_all(&request(line, headers, body)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = read_all(stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn unknown_paths_methods_and_queries_are_refused() {
    let (_objects, server) = start(UNLIMITED);
    for (line, status, code) in [
        ("GET /objs", "404", "no_such_path"),
        ("GET /x", "404", "no_such_path"),
        ("POST /objs/a", "405", "method_not_allowed"),
        ("PATCH /", "405", "method_not_allowed"),
        ("TRACE /objs/a", "405", "method_not_allowed"),
        ("BREW /objs/a", "501", "unknown_method"),
        ("CONNECT x:80", "501", "unknown_method"),
        ("GET /?limit=0", "400", "bad_query"),
        ("GET /?limit=1001", "400", "bad_query"),
        ("GET /?limit=abc", "400", "bad_query"),
        ("GET /?prefix=%zz", "400", "bad_query"),
        ("GET /?prefix=%", "400", "bad_query"),
        ("GET /?after=%ff", "400", "bad_query"),
        ("GET /?sort=up", "400", "bad_query"),
        ("DELETE /?prefix=a", "400", "bad_query"),
    ] {
        assert_refused(&server.raw(&request(line, "", "")), status, code);
    }
}
