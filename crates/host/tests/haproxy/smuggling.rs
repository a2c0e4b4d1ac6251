//! Requests whose length can be read in two ways, after the public collections of request smuggling: none
//! brings a second request past HAProxy or our own server, which is asked directly as well.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, Uri};
use host::haproxy::ServerState;
use host::settings::Membership;
use service::listener::Tcp;
use service::server::{self, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rig::Rig;

/// What the server was asked, by path: the method and the bytes of each body.
type Seen = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

async fn note(State(seen): State<Seen>, method: Method, uri: Uri, body: Bytes) -> &'static str {
    let asked = format!("{method} {}", body.len());
    seen.lock().unwrap().entry(uri.path().to_owned()).or_default().push(asked);
    "seen"
}

/// Serves as every server of ours does.
async fn serve(address: SocketAddrV4) -> Seen {
    let seen = Seen::default();
    let routes = Router::new().fallback(note).with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let _ = server::serve(
            Tcp(listener),
            |_| routes.clone(),
            Limits::default(),
            std::future::pending(),
        )
        .await;
    });
    seen
}

/// Sends it as it stands, and gives the statuses of what comes within a while.
async fn statuses(address: SocketAddrV4, request: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    // One that is refused early may be closed already.
    let _ = stream.write_all(request).await;
    let mut answers = Vec::new();
    let read = stream.read_to_end(&mut answers);
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
    let answers = String::from_utf8_lossy(&answers);
    let starts = answers.match_indices("HTTP/1.1 ");
    let statuses: Vec<_> = starts.map(|(at, _)| &answers[at + 9..at + 12]).collect();
    statuses.join(" ")
}

/// What must never be taken for a request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

/// A PUT with these fields, whose body is another request.
fn hidden(fields: &str) -> String {
    format!("PUT /PATH HTTP/1.1\r\nhost: a\r\n{fields}\r\n{SMUGGLED}")
}

/// The same with a last chunk before it: one reads the chunk and the other the length, which is of all.
fn after_last_chunk(fields: &str) -> String {
    let fields = fields.replace("LENGTH", &(SMUGGLED.len() + 5).to_string());
    format!("PUT /PATH HTTP/1.1\r\nhost: a\r\n{fields}\r\n0\r\n\r\n{SMUGGLED}")
}

/// A PUT in chunks.
fn chunks(body: &str) -> String {
    format!("PUT /PATH HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}")
}

/// A case: its name, what is sent, and what comes of it by way of HAProxy and directly: the statuses, none
/// where the rest is waited for, and what the server was asked.
type Case = (&'static str, String, &'static str, &'static str);

fn chunked_bodies() -> Vec<Case> {
    let before = |body: &str| chunks(&format!("{body}{SMUGGLED}"));
    vec![
        ("extension", chunks("5;a=b\r\nhello\r\n0\r\n\r\n"), "200: PUT 5", "200: PUT 5"),
        ("extension with a bare LF", before("2;\nxx\r\n0\r\n\r\n"), "200: PUT 2", "400"),
        ("extension with a bare CR", before("2;\rxx\r\n0\r\n\r\n"), "400", "400"),
        ("bare LF after the size", before("5\nhello\r\n0\r\n\r\n"), "200: PUT 5", "400"),
        ("bare LF after the data", before("5\r\nhello\n0\r\n\r\n"), "200: PUT 5", "400"),
        ("bare LF at the end", before("5\r\nhello\r\n0\n\n"), "200: PUT 5", "400"),
        ("nothing after the data", before("5\r\nhello0\r\n\r\n"), "400", "400"),
        ("two bytes after the data", before("5\r\nhelloXX0\r\n\r\n"), "400", "400"),
        ("more data than the size", before("3\r\nhello\r\n0\r\n\r\n"), "400", "400"),
        ("blank after the size", chunks("5 \r\nhello\r\n0\r\n\r\n"), "200: PUT 5", "200: PUT 5"),
        (
            "size with zeros before",
            chunks("005\r\nhello\r\n000\r\n\r\n"),
            "200: PUT 5",
            "200: PUT 5",
        ),
        (
            "trailer with a length",
            chunks("5\r\nhello\r\n0\r\ncontent-length: 40\r\n\r\n"),
            "200: PUT 5",
            "200: PUT 5",
        ),
        ("trailer that is none", before("5\r\nhello\r\n0\r\n"), "400", "400"),
    ]
}

fn chunk_sizes() -> Vec<Case> {
    let of = |size: &str| chunks(&format!("{size}\r\nhello\r\n0\r\n\r\n{SMUGGLED}"));
    vec![
        ("size of 65 bits", of("10000000000000005"), "400", "400"),
        ("size of 64 ones", of("FFFFFFFFFFFFFFFF"), "400", ""),
        ("negative size", of("-5"), "400", "400"),
        ("size with a plus", of("+5"), "400", "400"),
        ("size with 0x", of("0x5"), "400", "400"),
        ("size with an underscore", of("0_5"), "400", "400"),
        ("blank before the size", of(" 5"), "400", "400"),
        ("no size", of(""), "400", "400"),
    ]
}

fn lengths() -> Vec<Case> {
    let of = |value: &str| after_last_chunk(&format!("content-length: {value}\r\n"));
    vec![
        ("length with a plus", of("+LENGTH"), "400", "400"),
        ("negative length", of("-LENGTH"), "400", "400"),
        ("length with 0x", of("0x5"), "400", "400"),
        ("length with zeros before", of("0LENGTH"), "200: PUT 40", "200: PUT 40"),
        ("length with a letter", of("5a"), "400", "400"),
        ("length with a vertical tab", of("\x0bLENGTH"), "400", "400"),
        ("length with a blank within", of("3 9"), "400", "400"),
        ("length of nothing", of(""), "400", "400"),
        ("length of 65 bits", of("18446744073709551621"), "400", "400"),
        ("one length twice", of("LENGTH\r\ncontent-length: LENGTH"), "200: PUT 40", "200: PUT 40"),
        ("two lengths", of("5\r\ncontent-length: LENGTH"), "400", "400"),
        ("two lengths the other way", of("LENGTH\r\ncontent-length: 5"), "400", "400"),
        ("one length in a list", of("LENGTH, LENGTH"), "200: PUT 40", "400"),
        ("two lengths in a list", of("5, LENGTH"), "400", "400"),
        (
            "length and chunks",
            of("LENGTH\r\ntransfer-encoding: chunked"),
            "200: PUT 0",
            "200: PUT 0",
        ),
        (
            "chunks and length",
            after_last_chunk("transfer-encoding: chunked\r\ncontent-length: LENGTH\r\n"),
            "200: PUT 0",
            "200: PUT 0",
        ),
        (
            "length named by Connection",
            of("LENGTH\r\nconnection: content-length"),
            "200: PUT 40",
            "200: PUT 40",
        ),
        ("GET with a body", of("LENGTH").replace("PUT", "GET"), "200: GET 40", "200: GET 40"),
    ]
}

fn codings() -> Vec<Case> {
    let of = |value: &str| {
        after_last_chunk(&format!("content-length: LENGTH\r\ntransfer-encoding: {value}\r\n"))
    };
    let alone = |value: &str| hidden(&format!("transfer-encoding: {value}\r\n"));
    vec![
        ("xchunked", of("xchunked"), "400", "400"),
        ("xchunked alone", alone("xchunked"), "400", "400"),
        ("chunked after a tab", of("\tchunked"), "200: PUT 0", "200: PUT 0"),
        ("chunked before a vertical tab", of("chunked\x0b"), "400", "400"),
        ("chunked after a vertical tab", of("\x0bchunked"), "400", "400"),
        ("chunked in quotes", of("\"chunked\""), "400", "400"),
        ("chunked with a parameter", of("chunked;a=b"), "400", "400"),
        ("chunked and a comma", of("chunked,"), "400", "400"),
        ("chunked twice", of("chunked, chunked"), "400", "501"),
        ("chunked, identity", of("chunked, identity"), "400", "400"),
        ("identity, chunked", of("identity, chunked"), "422", "501"),
        ("identity", of("identity"), "400", "400"),
        ("gzip, chunked", of("gzip, chunked"), "422", "501"),
        ("two lines", of("chunked\r\ntransfer-encoding: x"), "400", "400"),
        ("two lines the other way", of("x\r\ntransfer-encoding: chunked"), "422", "501"),
        ("nothing", of(""), "400", "400"),
        (
            "Chunked",
            chunks("5\r\nhello\r\n0\r\n\r\n").replace("chunked", "CHUNKED"),
            "200: PUT 5",
            "200: PUT 5",
        ),
        (
            "named by Connection",
            of("chunked\r\nconnection: transfer-encoding"),
            "200: PUT 0",
            "200: PUT 0",
        ),
        (
            "HTTP/1.0",
            chunks("5\r\nhello\r\n0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            "400",
            "400",
        ),
        ("HTTP/1.0 with a length", of("chunked").replacen("HTTP/1.1", "HTTP/1.0", 1), "400", "400"),
    ]
}

fn fields() -> Vec<Case> {
    let length = SMUGGLED.len();
    let named = |name: &str| hidden(&format!("{name}: {length}\r\n"));
    vec![
        ("blank before the colon of a length", named("content-length "), "400", "400"),
        ("tab before the colon of a length", named("content-length\t"), "400", "400"),
        (
            "blank before the colon of a coding",
            hidden("transfer-encoding : chunked\r\n"),
            "400",
            "400",
        ),
        ("vertical tab in a name", named("content-length\x0b"), "400", "400"),
        ("NUL in a name", named("content-length\0"), "400", "400"),
        ("parenthesis in a name", named("(content-length)"), "400", "400"),
        ("a byte above 127 in a name", named("content-length\u{e9}"), "400", "400"),
        ("no name", named(""), "400", "400"),
        ("no colon", hidden("content-length\r\n"), "400", "400"),
        (
            "a folded length",
            hidden(&format!("content-length:\r\n {length}\r\n")),
            "200: PUT 35",
            "400",
        ),
        ("a folded coding", hidden("transfer-encoding:\r\n chunked\r\n"), "400", "400"),
        (
            "a length folded away",
            hidden(&format!("a: b\r\n content-length: {length}\r\n")),
            "200: PUT 0",
            "400",
        ),
        (
            "a coding folded away",
            hidden("a: b\r\n\ttransfer-encoding: chunked\r\n"),
            "200: PUT 0",
            "400",
        ),
        (
            "a first line that is folded",
            hidden("x: y\r\n").replace("\r\nhost", "\r\n host"),
            "400",
            "400",
        ),
        (
            "a length after a bare LF",
            hidden(&format!("a: b\ncontent-length: {length}\r\n")),
            "200: PUT 35",
            "200: PUT 35",
        ),
        (
            "a length after a bare CR",
            hidden(&format!("a: b\rcontent-length: {length}\r\n")),
            "400",
            "400",
        ),
        (
            "a length after NUL",
            hidden(&format!("a: b\0content-length: {length}\r\n")),
            "400",
            "400",
        ),
        ("CR before the end of the head", hidden("a: b\r\n\r"), "400", "400"),
        (
            "bare LF throughout",
            "PUT /PATH HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello".to_owned(),
            "200: PUT 5",
            "200: PUT 5",
        ),
    ]
}

fn request_lines() -> Vec<Case> {
    let get = |line: &str| format!("{line}\r\nhost: a\r\n\r\n");
    vec![
        ("another host in the target", get("GET http://b/PATH HTTP/1.1"), "400", "200: GET 0"),
        (
            "the same host in the target",
            get("GET http://a/PATH HTTP/1.1"),
            "200: GET 0",
            "200: GET 0",
        ),
        ("two hosts", get("GET /PATH HTTP/1.1\r\nhost: b"), "400", "400"),
        ("HTTP/0.9", format!("GET /PATH\r\n\r\n{SMUGGLED}"), "400", "400"),
        ("HTTP/0.9 with a field", get("GET /PATH"), "400", "400"),
        ("HTTP/1.10", get("GET /PATH HTTP/1.10"), "400", "400"),
        ("HTTP/01.1", get("GET /PATH HTTP/01.1"), "400", "400"),
        ("http/1.1", get("GET /PATH http/1.1"), "400", "400"),
        ("HTTP/3.0", get("GET /PATH HTTP/3.0"), "505", "400"),
        ("two blanks", get("GET  /PATH HTTP/1.1"), "200: GET 0", "400"),
        ("a blank at the end", get("GET /PATH HTTP/1.1 "), "400", "400"),
        ("tabs", get("GET\t/PATH\tHTTP/1.1"), "200: GET 0", "400"),
        ("a vertical tab", get("GET\x0b/PATH HTTP/1.1"), "400", "400"),
        ("a bare CR", get("GET /PATH\r HTTP/1.1"), "400", "400"),
        ("an empty line before", get("\r\nGET /PATH HTTP/1.1"), "200: GET 0", "200: GET 0"),
        ("a blank before", get(" GET /PATH HTTP/1.1"), "400", "400"),
        (
            "an escaped end of line",
            get("GET /PATH%20HTTP/1.1%0d%0ahost:%20a HTTP/1.1"),
            "200",
            "200",
        ),
    ]
}

fn pipelines() -> Vec<Case> {
    let put = "PUT /PATH HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    vec![
        (
            "a second request",
            format!("{put}{put}"),
            "200 200: PUT 5, PUT 5",
            "200 200: PUT 5, PUT 5",
        ),
        (
            "a rest that is none",
            format!("{put}rest\r\n\r\n{SMUGGLED}"),
            "200 400: PUT 5",
            "200 400: PUT 5",
        ),
        ("a body that ends early", put.replace("th: 5", "th: 6"), "", ""),
    ]
}

/// Each request by way of HAProxy and directly, all at once.
async fn outcomes(cases: Vec<Case>) {
    let mut rig = Rig::start(Membership::Runtime, 1).await;
    let address = rig.set(1, ServerState::Ready);
    let seen = serve(address).await;
    rig.apply().await;
    let listen = rig.settings.listen;
    let mut sent = Vec::new();
    for (number, (name, request, by_haproxy, directly)) in cases.into_iter().enumerate() {
        for (way, place, expected) in
            [("proxied", listen, by_haproxy), ("direct", address, directly)]
        {
            let path = format!("{way}-{number}");
            // As long as what it stands for, of which the lengths are.
            let second = format!("/{}{number:07}", &way[..1]);
            let request = request.replace("PATH", &path).replace("/smuggled", &second);
            let answers = tokio::spawn(async move { statuses(place, request.as_bytes()).await });
            sent.push((name, way, path, second, expected, answers));
        }
    }
    let mut wrong = Vec::new();
    for (name, way, path, second, expected, answers) in sent {
        let answers = answers.await.unwrap();
        let seen = seen.lock().unwrap();
        let asked = seen.get(&format!("/{path}")).map(|asked| asked.join(", "));
        let outcome = match asked {
            Some(asked) => format!("{answers}: {asked}"),
            None => answers,
        };
        if outcome != expected {
            wrong.push(format!("{name}, {way}: {outcome:?}, and not {expected:?}"));
        }
        if seen.contains_key(&second) {
            wrong.push(format!("{name}, {way}: the second request is answered"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_chunks_that_can_be_read_in_two_ways_is_one_request_or_none() {
    outcomes([chunked_bodies(), chunk_sizes()].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_can_be_read_in_two_ways_is_one_request_or_none() {
    outcomes(lengths()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coding_that_can_be_read_in_two_ways_is_one_request_or_none() {
    outcomes(codings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_can_be_read_in_two_ways_is_one_request_or_none() {
    outcomes(fields()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_line_that_can_be_read_in_two_ways_is_one_request_or_none() {
    outcomes(request_lines()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_a_request_is_the_next_one_or_none() {
    outcomes(pipelines()).await;
}
