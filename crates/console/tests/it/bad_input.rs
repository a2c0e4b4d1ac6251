//! What is sent wrong to the console's port, byte by byte: each answer is 4xx in the common form, and reaches nobody.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::history::now;
use crate::scaler::{Console, FakeScaler, folder};

const BOUNDS: &str = "/v1/services/store/bounds";

/// The longest that an answer may take: a body has 10 s.
const LONGEST: Duration = Duration::from_secs(20);

/// Sends these bytes, and reads until the connection ends, or what is waited for has come.
async fn raw(console: &Console, request: &[u8], until: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", console.address.port())).await.unwrap();
    // It may be refused before all of it is sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = async {
        let mut part = vec![0; 65_536];
        loop {
            let bytes = stream.read(&mut part).await.unwrap_or_default();
            answer.extend_from_slice(&part[..bytes]);
            let has_come = !until.is_empty() && String::from_utf8_lossy(&answer).contains(until);
            if bytes == 0 || has_come {
                break;
            }
        }
    };
    tokio::time::timeout(LONGEST, read).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of an answer, and its code where it is a problem in the common form.
fn told(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status: u16 = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
    let is_problem = head.contains("content-type: application/problem+json");
    assert!(status < 400 || is_problem, "{answer}");
    assert!(!body.contains(|it: char| it.is_control() && !"\r\n".contains(it)), "{answer:?}");
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    (status, value["code"].as_str().unwrap_or_default().to_owned())
}

/// A request with these lines of its head, each ended.
async fn ask(console: &Console, line: &str, fields: &[u8]) -> (u16, String) {
    let head = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
    let request = [head.as_bytes(), fields, b"\r\n"].concat();
    told(&raw(console, &request, "").await)
}

async fn ready(scaler: &FakeScaler, folder: &std::path::Path) -> Console {
    scaler.knows("ci", &["all"], None);
    let console = Console::start(scaler, folder);
    scaler.is_read().await;
    scaler.service("store", now().as_millis(), &[]);
    console.until("/v1/services", |it| it["services"][0].is_object()).await;
    scaler.asked();
    console
}

/// The scaler was asked for nothing but whose a token is.
fn nothing_was_asked(scaler: &FakeScaler) {
    let asked = scaler.asked();
    assert!(asked.iter().all(|it| it.line == "GET /v1/caller"), "{asked:?}");
}

#[tokio::test]
async fn whatever_name_leads_here_only_an_address_or_a_name_of_its_own_is_answered() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = ready(&scaler, folder.path()).await;
    let (unknown, bad) = ((403, "unknown_host".to_owned()), (400, "bad_host".to_owned()));
    for (hosts, expected) in [
        ("host: evil.example\r\n", &unknown),
        ("host: evil.example:8090\r\n", &unknown),
        ("host: 127.0.0.1.evil.example\r\n", &unknown),
        ("host: localhost.evil.example\r\n", &unknown),
        ("host: evil.example.\r\n", &unknown),
        ("host: localhost.\r\n", &unknown),
        ("host: 127.0.0.1.\r\n", &unknown),
        ("host: 2130706433\r\n", &unknown),
        ("host: 0x7f.1\r\n", &unknown),
        ("host: 127.1\r\n", &unknown),
        ("host: %31%32%37.0.0.1\r\n", &unknown),
        ("host:\r\n", &unknown),
        ("", &bad),
        ("host: 127.0.0.1\r\nhost: evil.example\r\n", &bad),
        ("host: 127.0.0.1:8090:1\r\n", &bad),
        ("host: 127.0.0.1:x\r\n", &bad),
        ("host: user@127.0.0.1\r\n", &bad),
        ("host: [::1]evil.example\r\n", &bad),
        ("host: [::1\r\n", &bad),
        ("host: ::1\r\n", &bad),
        ("host: [127.0.0.1]\r\n", &bad),
        ("host: [fe80::1%25eth0]\r\n", &bad),
    ] {
        for line in
            ["GET /v1/services".to_owned(), "GET /v1/live".to_owned(), format!("PUT {BOUNDS}")]
        {
            let fields = format!("{hosts}authorization: Bearer ci\r\ncontent-length: 0\r\n");
            assert_eq!(ask(&console, &line, fields.as_bytes()).await, *expected, "{line} {hosts}");
        }
        nothing_was_asked(&scaler);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for host in [
        "127.0.0.1",
        "127.0.0.1:8090",
        "127.0.0.1:",
        "[::1]:1",
        "[::ffff:127.0.0.1]",
        "LocalHost:80",
    ] {
        let fields = format!("host: {host}\r\n");
        assert_eq!(ask(&console, "GET /v1/ticks", fields.as_bytes()).await.0, 200, "{host}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_whatever_it_asks_and_whatever_token_it_has() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = ready(&scaler, folder.path()).await;
    for from in [
        "origin: http://evil.example\r\n",
        "origin: null\r\n",
        "origin: http://127.0.0.1:1\r\n",
        "origin: http://127.0.0.1:8090\r\norigin: http://evil.example\r\n",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
        "sec-fetch-site: none\r\nsec-fetch-site: cross-site\r\n",
        "origin: \u{fc}\r\n",
    ] {
        for line in [
            "GET /v1/services".to_owned(),
            "GET /v1/live".to_owned(),
            "OPTIONS /v1/services".to_owned(),
            format!("PUT {BOUNDS}"),
            format!("DELETE {BOUNDS}"),
            "POST /v1/stop".to_owned(),
        ] {
            let fields = format!(
                "host: 127.0.0.1:8090\r\n{from}authorization: Bearer ci\r\ncontent-length: 0\r\n"
            );
            let expected = (403, "foreign_origin".to_owned());
            assert_eq!(ask(&console, &line, fields.as_bytes()).await, expected, "{line} {from}");
        }
        nothing_was_asked(&scaler);
        // A change counts as 10 of the 200 that a token may ask for in a second.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let own =
        b"host: 127.0.0.1:8090\r\norigin: http://127.0.0.1:8090\r\nsec-fetch-site: same-origin\r\n";
    assert_eq!(ask(&console, "GET /v1/ticks", own).await.0, 200);
}

#[tokio::test]
async fn methods_that_a_path_does_not_have_are_refused_and_head_has_no_body() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = ready(&scaler, folder.path()).await;
    let host = b"host: 127.0.0.1\r\n";
    for (line, status, code) in [
        ("TRACE /v1/services", 405, "method_not_allowed"),
        ("POST /v1/services", 405, "method_not_allowed"),
        ("PATCH /v1/services/store/bounds", 405, "method_not_allowed"),
        ("HEAD /v1/stop", 405, ""),
        ("CONNECT 127.0.0.1:80", 501, "unknown_method"),
        ("BREW /v1/services", 501, "unknown_method"),
        ("get /v1/services", 501, "unknown_method"),
    ] {
        assert_eq!(ask(&console, line, host).await, (status, code.to_owned()), "{line}");
    }
    nothing_was_asked(&scaler);
    let request =
        |line: &str| format!("{line} HTTP/1.1\r\nconnection: close\r\nhost: 127.0.0.1\r\n\r\n");
    for path in ["/v1/services", "/v1/services/store", "/v1/ticks", "/v1/membership", "/metrics"] {
        let answer = raw(&console, request(&format!("HEAD {path}")).as_bytes(), "").await;
        assert!(
            answer.starts_with("HTTP/1.1 20") && answer.ends_with("\r\n\r\n"),
            "{path}: {answer}"
        );
        let answer = raw(&console, request(&format!("OPTIONS {path}")).as_bytes(), "").await;
        assert!(answer.starts_with("HTTP/1.1 204 ") && answer.contains("\r\nallow: "), "{answer}");
        assert!(!answer.contains("access-control-"), "no other page may ask: {answer}");
    }
}

#[tokio::test]
async fn paths_that_a_url_reads_otherwise_lead_nowhere() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = ready(&scaler, folder.path()).await;
    let fields = b"host: 127.0.0.1\r\nauthorization: Bearer ci\r\n";
    for path in [
        "//v1/services",
        "/v1//services",
        "/v1/services/",
        "/v1/./services",
        "/v1/services/../ticks",
        "/v1/services/store/../../feed",
        "/v1/services/%2e%2e/bounds",
        "/v1/services/..%2f..%2ffeed/series",
        "/v1/services/store%2fbounds/series",
        "/v1/services/store%00/series",
        "/v1/services/%0d%0aset-cookie:%20a=b/series",
        "/v1/services/%1b%5b2J/turns",
        "/v1/services/%c2%9b2J/turns",
        "/v1/services/%ff/turns",
        "/v1/services/store/instances/%ff/series",
        "/v1/services/store/instances/%00/series",
        "/v1/docs/../openapi.json",
        "/v1/docs/%2e%2e%2fopenapi.json",
        "/v1/docs/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/docs/%ff",
        "/V1/services",
        "/v1/services;a=b",
        "/v1/ticks?since=%ff",
        "/v1/ticks?service=%0a",
        "/v1/events?kind=%1b",
    ] {
        let (status, code) = ask(&console, &format!("GET {path}"), fields).await;
        assert!([400, 404].contains(&status) && !code.is_empty(), "{path}: {status} {code}");
        nothing_was_asked(&scaler);
    }
    for path in [
        "/v1/services/%ff/bounds",
        "/v1/services/%00/bounds",
        "/v1/services//bounds",
        "/v1/jobs/%ff",
    ] {
        // The scaler judges these, and gets them as they were sent.
        ask(&console, &format!("GET {path}"), fields).await;
        let asked = scaler.asked().into_iter().map(|it| it.line);
        assert_eq!(asked.filter(|line| line.ends_with(path)).count(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_token_is_said_once_behind_its_scheme_and_in_no_other_way() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = ready(&scaler, folder.path()).await;
    let with = async |fields: &[u8]| {
        let host: &[u8] = b"host: 127.0.0.1\r\n";
        ask(&console, "GET /v1/ticks", &[host, fields].concat()).await
    };
    for good in ["Bearer ci", "bearer ci", "BEARER ci", "Bearer   ci", "Bearer ci\t", " Bearer ci "]
    {
        let fields = format!("authorization:{good}\r\n");
        assert_eq!(with(fields.as_bytes()).await.0, 200, "{good:?}");
    }
    let refused = (401, "unauthorized".to_owned());
    for bad in [
        &b"authorization: Bearer ci\r\nauthorization: Bearer ci\r\n"[..],
        b"authorization: Bearer ci\r\nauthorization: Basic x\r\n",
        b"authorization: Bearer ci, Bearer ci\r\n",
        b"authorization: Bearer\tci\r\n",
        b"authorization: Bearer\r\n",
        b"authorization: Bearer \r\n",
        b"authorization:\r\n",
        b"authorization: ci\r\n",
        b"authorization: Basic Y2k6\r\n",
        b"authorization: Bearer c\xffi\r\n",
        b"authorization: Bearer ci x\r\n",
    ] {
        assert_eq!(with(bad).await, refused, "{}", String::from_utf8_lossy(bad));
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_never_end_or_are_cut_are_refused_and_passed_on_to_nobody() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = ready(&scaler, folder.path()).await;
    let head = format!("PUT {BOUNDS} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ci\r\n");
    let put = async |more: String| {
        let begun = Instant::now();
        let answer = raw(&console, format!("{head}{more}").as_bytes(), "\"code\"").await;
        (told(&answer), begun.elapsed())
    };
    let part = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    let (endless, never_comes, trickles, no_chunk) = tokio::join!(
        put(format!("{chunked}{}", part.repeat(12))),
        put("content-length: 999999999999\r\n\r\n".to_owned()),
        put(format!("{chunked}1\r\nx\r\n")),
        put(format!("{chunked}zz\r\nx\r\n")),
    );
    assert_eq!(endless.0, (413, "body_too_large".to_owned()));
    assert!(endless.1 < Duration::from_secs(5), "{:?}", endless.1);
    for slow in [never_comes, trickles] {
        assert_eq!(slow.0, (408, "body_too_slow".to_owned()));
    }
    assert_eq!(no_chunk.0, (400, "bad_request".to_owned()));
    nothing_was_asked(&scaler);
}

#[tokio::test]
async fn who_says_that_he_had_what_never_was_is_told_that_he_missed_something() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = ready(&scaler, folder.path()).await;
    for id in [
        &b""[..],
        b"x",
        b"0",
        b"-1",
        b"1-1",
        b"99999999999999-1",
        b"1-18446744073709551616",
        b"18446744073709551615-18446744073709551615",
        b"\xff\xfe",
        b"1-1\r\nlast-event-id: 2-2",
    ] {
        let head = b"GET /v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\nlast-event-id: ";
        let answer = raw(&console, &[head, id, b"\r\n\r\n"].concat(), "event: missed\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    for path in ["/v1/ticks", "/v1/events"] {
        let (status, page) = console.get(&format!("{path}?since=18446744073709551615")).await;
        assert_eq!((status, &page["next"]), (200, &u64::MAX.into()), "{path}");
        for since in
            ["", "x", "-1", "1.5", "1e3", "+", "0x10", "18446744073709551616", "%00", "%ff"]
        {
            let (status, problem) = console.get(&format!("{path}?since={since}")).await;
            assert_eq!((status, problem["code"].as_str()), (400, Some("bad_query")), "{since}");
        }
    }
}
