//! What the load balancer answers of its own accord, by the sections of RFC 9110 and RFC 9112, and
//! what it passes on.

use std::time::Duration;

use host::settings::Membership;

use super::rig::{Rig, raw};

/// The status of an answer, and the code of its error: "page" where it is no JSON of ours.
fn read(answer: &str) -> (&str, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    let json = head.to_lowercase().contains("\r\ncontent-type: application/json");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let code = problem["error"]["code"].as_str().filter(|_| json);
    (status, code.unwrap_or("page").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_no_service_should_see_is_refused_in_json() {
    let mut rig = Rig::start(Membership::Runtime, 1).await;
    let _instance = rig.scale_out(1).await;
    let long = |bytes| "x".repeat(bytes);
    let fields = |count| (0..count).map(|n| format!("a{n}: 1\r\n")).collect::<String>();
    let get = |path: &str, rest: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n{rest}\r\n");
    let mut cases = vec![
        // RFC 9112, 3.2.
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "no_host"),
        ("GET / HTTP/1.2\r\n\r\n".to_owned(), 400, "no_host"),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), 200, "page"),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n".to_owned(), 200, "page"),
        // RFC 9110, 2.5 and 15.6.6.
        ("GET / HTTP/1.2\r\nhost: a\r\n\r\n".to_owned(), 200, "page"),
        ("GET / HTTP/2.0\r\nhost: a\r\n\r\n".to_owned(), 505, "version_not_supported"),
        // RFC 9110, 9.3.6.
        ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n".to_owned(), 501, "not_implemented"),
        // RFC 9110, 4.1: at least 8,000 bytes.
        (get(&format!("/{}", long(7999)), ""), 200, "page"),
        (get(&format!("/{}", long(8000)), ""), 414, "target_too_long"),
        // RFC 9110, 5.4. What is let through is also read by a service of ours.
        (get("/", &format!("a: {}\r\n", long(15_000))), 200, "page"),
        (get("/", &format!("a: {}\r\n", long(20_000))), 431, "headers_too_large"),
        (
            get(&format!("/{}", long(7999)), &format!("a: {}\r\n", long(9_000))),
            431,
            "headers_too_large",
        ),
        (get("/", &fields(93)), 200, "page"),
        (get("/", &fields(94)), 431, "headers_too_large"),
        (get("/", &fields(2000)), 431, "headers_too_large"),
        // RFC 9110, 5.5.
        (get("/", "a: b\0c\r\n"), 400, "bad_header"),
        // RFC 9112, 3.2.
        (get("a", ""), 400, "bad_target"),
        (get("*", ""), 400, "bad_target"),
        ("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 200, "page"),
        (get("http://a/b", ""), 200, "page"),
        (get("http://a", ""), 200, "page"),
        // RFC 3986, 3.3 and 3.4, and what browsers send as it is in a query.
        (get("/-._~!$&'()*+,;=:@%20/%E2%82%AC?q=a/b?c", ""), 200, "page"),
        (get("/?a[b]=c|d^e`f{g}\\", ""), 200, "page"),
        (get("/?a=<", ""), 400, "bad_target"),
        (get("/?a=>", ""), 400, "bad_target"),
    ];
    cases.extend("<>\\\"|^{}[]`".chars().map(|c| (get(&format!("/a{c}b"), ""), 400, "bad_target")));
    for (request, status, code) in cases {
        let answer = rig.raw(request.as_bytes(), true).await;
        let shown: String = request.chars().take(60).collect();
        assert_eq!(read(&answer), (status.to_string().as_str(), code.to_owned()), "{shown:?}");
    }
}

/// HAProxy 2.6 answers these with a page built in, before any rule applies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_refused_before_a_service_sees_it() {
    let mut rig = Rig::start(Membership::Runtime, 1).await;
    let _instance = rig.scale_out(1).await;
    let put = |fields: &str| format!("PUT / HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    for request in [
        // RFC 9112, 3 and 3.2.
        "hello\r\n\r\n".to_owned(),
        "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        "GET /\x01 HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        "GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
        "GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        // RFC 9112, 5.1.
        put("a : b\r\n"),
        // RFC 9112, 6.1 and 6.3.
        put("transfer-encoding: gzip\r\n"),
        put("content-length: 3\r\ncontent-length: 4\r\n"),
        put("content-length: -1\r\n"),
        // RFC 9112, 7.1.
        put("transfer-encoding: chunked\r\n\r\nzz\r\n"),
        // More than the buffer.
        put(&format!("a: {}\r\n", "x".repeat(70_000))),
    ] {
        let answer = rig.raw(request.as_bytes(), false).await;
        let shown: String = request.chars().take(60).collect();
        assert_eq!(read(&answer), ("400", "page".to_owned()), "{shown:?}");
    }
}

/// RFC 9112, 6.1: both lengths are an attempt to smuggle a request, and the connection is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_lengths_the_chunks_count_and_the_connection_ends() {
    let mut rig = Rig::start(Membership::Runtime, 1).await;
    let _instance = rig.scale_out(1).await;
    let request =
        b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 44\r\ntransfer-encoding: chunked\r\n\r\n\
        2\r\nab\r\n0\r\n\r\nGET /leave HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = rig.raw(request, false).await;
    assert!(answer.contains("\r\n\r\n2 "), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

/// RFC 9112, 9.6 lets a client close its sending side first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_closes_its_sending_side_is_answered() {
    let mut rig = Rig::start(Membership::Runtime, 1).await;
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".as_slice();
    let post = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc".as_slice();
    let listen = rig.settings.listen;
    let send = |request: &[u8]| tokio::spawn(raw(listen, request.to_owned(), true));
    let held = [get, post].map(send);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let _instance = rig.scale_out(1).await;
    for answer in held {
        assert_eq!(read(&answer.await.unwrap()).0, "200");
    }
    for _ in 0..20 {
        for request in [get, post] {
            assert_eq!(read(&rig.raw(request, true).await).0, "200");
        }
    }
}
