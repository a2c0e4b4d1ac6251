//! What HAProxy tells of its answers by a pipe: each once, with the time that its client waited; and whatever becomes of
//! who reads it, no request notices.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use host::answer_pipe::{Answer, AnswerPipe, Class};
use host::haproxy::{ServerState, Way};
use host::settings::Membership;
use host::units::{Unit, Units};
use nix::libc::O_NONBLOCK;

use super::rig::{Load, Rig};
use super::supervised::{Ended, unit};

/// HAProxy of a rig, kept running by our own supervisor, which holds the pipe.
async fn start(membership: Membership, slots: u32) -> (Rig, Units, Unit, Ended) {
    let rig = Rig::new(membership, slots);
    rig.haproxy.prepare(&rig.backends()).await.unwrap();
    let (units, unit) = unit(&rig);
    let ended = Ended(rig.settings.config_file.to_string());
    units.ensure_running(&unit).await.unwrap();
    rig.stats().await;
    (rig, units, unit, ended)
}

/// What was told of answers, once so many were.
async fn told(pipe: &mut AnswerPipe, count: usize) -> Vec<Answer> {
    let (mut answers, begun) = (Vec::new(), Instant::now());
    while answers.len() < count && begun.elapsed() < Duration::from_secs(5) {
        assert!(pipe.read(|answer| answers.push(answer)).unwrap(), "it is the pipe of the unit");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // None comes more than once.
    tokio::time::sleep(Duration::from_millis(100)).await;
    pipe.read(|answer| answers.push(answer)).unwrap();
    assert_eq!(answers.len(), count, "{answers:?}");
    answers
}

async fn tell_one(pipe: &mut AnswerPipe, rig: &Rig, path: &str, status: u16) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(rig.url(path)).send().await.unwrap().status(), status, "{path}");
    told(pipe, 1).await.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_is_told_once_with_its_service_its_class_and_what_its_client_waited() {
    let (mut rig, units, unit, _ended) = start(Membership::Runtime, 3).await;
    let mut pipe = AnswerPipe::open(&rig.settings.answers_pipe).unwrap();
    let _instance = rig.scale_out(1).await;
    let answer = tell_one(&mut pipe, &rig, "/", 200).await;
    assert_eq!((answer.service.as_str(), answer.class), ("store", Class::Success));
    assert!((4..1_000).contains(&answer.time_ms), "the instance takes 5 ms: {answer:?}");
    assert_eq!(tell_one(&mut pipe, &rig, "/absent", 404).await.class, Class::ClientError);
    assert_eq!(tell_one(&mut pipe, &rig, "/fails", 500).await.class, Class::ServerError);
    // It is sent again, and has one answer.
    assert_eq!(tell_one(&mut pipe, &rig, "/leave", 502).await.class, Class::ServerError);

    // What it waits for an instance counts.
    rig.set(1, ServerState::Maint);
    rig.apply().await;
    let url = rig.url("/");
    let waits = tokio::spawn(async move { reqwest::get(url).await.unwrap().status() });
    tokio::time::sleep(Duration::from_millis(700)).await;
    rig.set(1, ServerState::Ready);
    rig.apply().await;
    assert_eq!(waits.await.unwrap(), 200);
    let answer = told(&mut pipe, 1).await.remove(0);
    assert!((700..3_000).contains(&answer.time_ms), "{answer:?}");
    units.stop(&unit).await.unwrap();
    assert!(pipe.read(|_| {}).unwrap(), "it stays where it is");
}

/// What a worker that makes way still answers is told as well: its requests are the longest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_makes_way_tells_of_its_last_answers() {
    let (mut rig, units, unit, _ended) = start(Membership::Reload, 2).await;
    let mut pipe = AnswerPipe::open(&rig.settings.answers_pipe).unwrap();
    let address = rig.set(1, ServerState::Ready);
    rig.apply().await;
    // It answers once it is told to.
    let instance = tokio::net::TcpListener::bind(address).await.unwrap();
    let url = rig.url("/");
    let asked = tokio::spawn(async move { reqwest::get(url).await.unwrap().status() });
    let mut held = loop {
        // Health checks come as well.
        let (mut stream, _) = instance.accept().await.unwrap();
        if next_head(&mut stream).await.starts_with("GET / ") {
            break stream;
        }
        reply(&mut stream).await;
    };
    rig.set(2, ServerState::Drain);
    assert!(matches!(rig.apply().await.way, Way::Reload { .. }));
    reply(&mut held).await;
    assert_eq!(asked.await.unwrap(), 200);
    let answer = told(&mut pipe, 1).await.remove(0);
    assert_eq!(answer.class, Class::Success);
    units.stop(&unit).await.unwrap();
}

async fn next_head(stream: &mut tokio::net::TcpStream) -> String {
    let mut head = vec![0; 4096];
    let count = tokio::io::AsyncReadExt::read(stream, &mut head).await.unwrap_or_default();
    String::from_utf8_lossy(&head[..count]).into_owned()
}

async fn reply(stream: &mut tokio::net::TcpStream) {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    // Whoever checked its health may have left.
    let _ = tokio::io::AsyncWriteExt::write_all(stream, answer).await;
}

/// Fills the pipe, as a console that was killed leaves it after some seconds.
fn fill(rig: &Rig) -> File {
    let mut options = fs::OpenOptions::new();
    let path = &rig.settings.answers_pipe;
    let mut pipe = options.write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    let error = loop {
        if let Err(error) = pipe.write_all(b"first store 200 +1 --\n") {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    pipe
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_pipe_that_is_full_or_read_or_has_lost_its_reader_no_request_fails_or_waits() {
    let (mut rig, units, unit, _ended) = start(Membership::Runtime, 2).await;
    let _first = rig.scale_out(1).await;
    let _second = rig.scale_out(2).await;
    drop(fill(&rig));
    let load = Load::start(rig.url("/"));
    let slowest = slowest_of_a_second(&rig).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?} with a full pipe");
    let mut pipe = AnswerPipe::open(&rig.settings.answers_pipe).unwrap();
    let slowest = slowest_of_a_second(&rig).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?} with a reader");
    let mut answers = 0;
    pipe.read(|_| answers += 1).unwrap();
    assert!(answers > 50, "only {answers} were told once there was room");
    drop(pipe);
    let slowest = slowest_of_a_second(&rig).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?} after it");
    assert!(load.stop().await > 200);
    units.stop(&unit).await.unwrap();
}

/// Where HAProxy was given no pipe, as before a first `up` or by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_pipe_no_request_fails_or_waits() {
    let mut rig = Rig::start(Membership::Runtime, 2).await;
    let _first = rig.scale_out(1).await;
    let load = Load::start(rig.url("/"));
    let slowest = slowest_of_a_second(&rig).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(load.stop().await > 50);
    assert!(!rig.settings.answers_pipe.exists());
}

/// The slowest of the requests of a second, one after the other.
async fn slowest_of_a_second(rig: &Rig) -> Duration {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(1) {
        let asked = Instant::now();
        assert_eq!(client.get(rig.url("/")).send().await.unwrap().status(), 200);
        slowest = slowest.max(asked.elapsed());
    }
    slowest
}
