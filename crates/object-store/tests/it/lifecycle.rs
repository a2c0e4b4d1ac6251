//! Starting and ending.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::harness::{Server, UNLIMITED, eventually, incoming, program, read_all, write_config};

#[tokio::test]
async fn sigterm_lets_a_put_in_flight_complete() {
    let objects = tempfile::tempdir().unwrap();
    let mut server = Server::start(objects.path(), UNLIMITED);
    let mut idle = server.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
    let mut stream = server.connect();
    let head = "PUT /objs/a HTTP/1.1\r\nhost: x\r\ncontent-length: 600000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[b'x'; 300_000]).unwrap();
    eventually("the upload has begun", || incoming(objects.path()) == 1).await;
    server.signal("TERM");
    // The idle connection is closed at once, which shows that the signal has arrived.
    assert_eq!(read_all(idle), "");
    stream.write_all(&[b'x'; 300_000]).unwrap();
    let answer = read_all(stream);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
    let again = Server::start(objects.path(), UNLIMITED);
    assert_eq!(again.get("/objs/a").await.bytes().await.unwrap().len(), 600_000);
}

#[tokio::test]
async fn the_drain_is_bounded() {
    let objects = tempfile::tempdir().unwrap();
    let settings = format!("{UNLIMITED}\ndrain_timeout_ms = 200");
    let mut server = Server::start(objects.path(), &settings);
    let mut stream = server.connect();
    stream.write_all(b"PUT /objs/a HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

fn refused(objects: &str, settings: &str) -> (Option<i32>, String) {
    let config = write_config(objects.as_ref(), settings);
    let output = program(&config).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text.replace(&config.path().display().to_string(), "DIR"))
}

#[test]
fn a_bad_configuration_exits_with_two_and_names_file_key_value_and_what_is_allowed() {
    let (code, text) = refused("/tmp", "rate_limit.burst = 0");
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(text, @"object-store: DIR/service.toml, line 3: rate_limit.burst is 0: use 1 to 1000000");
    let (code, text) = refused("/tmp", "rate_limits.burst = 5");
    assert_eq!(code, Some(2));
    assert!(text.contains("unknown field `rate_limits`, expected one of `listen`"), "{text}");
}

#[test]
fn a_check_judges_the_settings_and_touches_nothing() {
    for (settings, code) in [("", 0), ("rate_limit.burst = 0", 2)] {
        let config = write_config("/nowhere/at/all".as_ref(), settings);
        let output = program(&config).arg("--check").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{settings}");
    }
}

#[test]
fn a_missing_folder_exits_with_one_and_says_what_is_needed() {
    let (code, text) = refused("/nowhere/at/all", "");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @"object-store: cannot use /nowhere/at/all for objects: it must be a folder that this process may write: No such file or directory (os error 2)");
}
