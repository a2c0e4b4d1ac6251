//! What instances send to other services: by name, as far as each may, and with all that is done for
//! requests from outside. Sources here are the addresses of slots, on loopback.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use host::haproxy::{Backend, Backends, LoadBalancer, Reach, ServerState, Way};
use host::settings::Membership;
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::rig::{Instance, Rig, Unanswered, exchange, kill, slot, store};

/// The slot of an instance that may reach the store, and of one that may reach nothing.
pub(crate) const FRONT: u32 = 9;
pub(crate) const STRANGER: u32 = 8;

pub(crate) fn address(rig: &Rig, number: u32) -> Ipv4Addr {
    rig.settings.subnet.address(slot(number)).unwrap()
}

pub(crate) fn reach(rig: &Rig, number: u32, reached: &[&str]) -> Reach {
    Reach {
        address: address(rig, number),
        service: "front".parse().unwrap(),
        reached: reached.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

/// A rig with the store below `/` and another service without a route, of which the instance in the slot
/// [`FRONT`] may reach the first.
async fn start(membership: Membership) -> Rig {
    let mut rig = Rig::new(membership, 4);
    rig.others = rig.servers.split_off(2);
    rig.reaches = vec![reach(&rig, FRONT, &["store"])];
    rig.haproxy.prepare(&backends(&rig)).await.unwrap();
    rig.start_haproxy().await;
    rig
}

fn backends(rig: &Rig) -> Backends {
    let private = Backend { route: None, ..rig.other() };
    Backends::new(vec![rig.backend(), private]).unwrap().with_reaches(rig.reaches.clone())
}

async fn apply(rig: &Rig) -> Way {
    rig.haproxy.apply(&backends(rig)).await.unwrap().way
}

async fn connect(rig: &Rig, source: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(rig.settings.reach.into()).await
}

/// The answer to a GET with this line for `Host`, from an address.
async fn get_from(rig: &Rig, source: Ipv4Addr, target: &str, host: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\n{host}connection: close\r\n\r\n");
    exchange(&mut connect(rig, source).await.unwrap(), request.as_bytes(), false).await
}

pub(crate) async fn get(rig: &Rig, number: u32, host: &str) -> String {
    get_from(rig, address(rig, number), "/", &format!("host: {host}\r\n")).await
}

pub(crate) fn is_from(answer: &str, server: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ")
        && answer.contains(&format!("x-bellows-server: {server}\r\n"))
}

fn is_refused(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 403 ") && answer.contains("instance.reaches")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_reaches_what_it_may_by_name_and_nobody_reaches_anything_else() {
    let mut rig = start(Membership::Runtime).await;
    let _store = Instance::start(rig.set(1, ServerState::Ready));
    rig.others[0].state = ServerState::Ready;
    let _other = Instance::start(rig.others[0].address);
    apply(&rig).await;
    for host in ["store", "STORE", "store:80", "store:8070"] {
        let answer = get(&rig, FRONT, host).await;
        assert!(is_from(&answer, "s1"), "{host}: {answer}");
    }
    // The path is the service's own, also where another service has it as its route.
    for target in ["/other", "/other/a", "http://store/other"] {
        let answer = get_from(&rig, address(&rig, FRONT), target, "host: store\r\n").await;
        assert!(is_from(&answer, "s1"), "{target}: {answer}");
    }
    for host in ["other", "other:80", "", "none", "-", "store.", "front", "storex"] {
        let answer = get(&rig, FRONT, host).await;
        assert!(is_refused(&answer), "{host}: {answer}");
    }
    for host in ["store/", "a store"] {
        let answer = get(&rig, FRONT, host).await;
        assert!(answer.contains("bad_host"), "{host}: {answer}");
    }
    let gateway = *rig.settings.reach.ip();
    for source in [address(&rig, STRANGER), gateway, Ipv4Addr::LOCALHOST] {
        let answer = get_from(&rig, source, "/", "host: store\r\n").await;
        assert!(is_refused(&answer), "{source}: {answer}");
    }
    let mut stream = connect(&rig, address(&rig, FRONT)).await.unwrap();
    let nameless = exchange(&mut stream, b"GET / HTTP/1.0\r\n\r\n", false).await;
    assert!(is_refused(&nameless), "{nameless}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_outside_reaches_a_service_without_a_route_whatever_he_says() {
    let mut rig = start(Membership::Runtime).await;
    let _store = Instance::start(rig.set(1, ServerState::Ready));
    rig.others[0].state = ServerState::Ready;
    let _other = Instance::start(rig.others[0].address);
    apply(&rig).await;
    for lines in
        ["host: other", "host: a\r\nx-bellows-reach: other", "host: a\r\nX-Bellows-Reach:other"]
    {
        let request = format!("GET /other HTTP/1.1\r\n{lines}\r\nconnection: close\r\n\r\n");
        let answer = rig.raw(request.as_bytes(), false).await;
        assert!(is_from(&answer, "s1"), "{lines}: {answer}");
    }
    // Nor does an instance say more than its right.
    let lines = "host: store\r\nx-bellows-reach: other\r\nx-forwarded-for: 192.0.2.9\r\n";
    let answer = get_from(&rig, address(&rig, FRONT), "/", lines).await;
    assert!(is_from(&answer, "s1"), "{answer}");
    let source = address(&rig, FRONT).to_string();
    assert!(answer.contains(&source) && !answer.contains("192.0.2.9"), "{answer}");
    // The rules on the form of requests are the same.
    let answer = get_from(&rig, address(&rig, FRONT), "/a|b", "host: store\r\n").await;
    assert!(answer.contains("bad_target"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_may_reach_comes_and_goes_by_command_and_outlives_reloads_and_restarts() {
    for membership in [Membership::Runtime, Membership::Reload] {
        let mut rig = start(membership).await;
        let _store = Instance::start(rig.set(1, ServerState::Ready));
        apply(&rig).await;
        rig.reaches.push(reach(&rig, STRANGER, &["store", "other", "absent"]));
        assert_eq!(apply(&rig).await, Way::Commands(3), "{membership:?}");
        assert_eq!(apply(&rig).await, Way::Unchanged);
        assert!(is_from(&get(&rig, STRANGER, "store").await, "s1"));
        assert!(is_refused(&get(&rig, STRANGER, "absent").await));
        // By a reload, which a drain timeout of another length is.
        rig.drain_timeout *= 3;
        assert!(matches!(apply(&rig).await, Way::Reload { .. }));
        assert!(is_from(&get(&rig, STRANGER, "store").await, "s1"));
        // An address that is another's.
        rig.reaches.remove(0);
        rig.reaches[0] = reach(&rig, STRANGER, &["other"]);
        assert_eq!(apply(&rig).await, Way::Commands(3), "{membership:?}");
        for number in [FRONT, STRANGER] {
            assert!(is_refused(&get(&rig, number, "store").await), "{number}");
        }
        rig.reaches[0] = reach(&rig, STRANGER, &["store"]);
        assert_eq!(apply(&rig).await, Way::Commands(2), "{membership:?}");
        rig.haproxy.flush().await;
        kill(rig.master(), Signal::SIGKILL);
        rig.reap();
        rig.start_haproxy().await;
        assert_eq!(apply(&rig).await, Way::Unchanged);
        assert!(is_from(&get(&rig, STRANGER, "store").await, "s1"));
        assert!(is_refused(&get(&rig, FRONT, "store").await));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_to_a_service_without_an_instance_waits_for_the_first_and_counts() {
    let mut rig = start(Membership::Runtime).await;
    let source = address(&rig, FRONT);
    let mut stream = connect(&rig, source).await.unwrap();
    let waiting = tokio::spawn(async move {
        let request = b"GET / HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\r\n";
        exchange(&mut stream, request, false).await
    });
    let figures = async || {
        let stats = rig.stats().await;
        let store = &stats.services[&store()];
        (store.queued.unwrap(), store.counters.sessions.unwrap())
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while figures().await != (1, 1) {
        assert!(Instant::now() < deadline, "{:?} is held", figures().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _store = Instance::start(rig.set(2, ServerState::Ready));
    apply(&rig).await;
    let answer = waiting.await.unwrap();
    assert!(is_from(&answer, "s2"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_had_is_sent_to_the_service_again_once() {
    let mut rig = start(Membership::Runtime).await;
    let unanswered = Unanswered::default();
    let _one = Instance::counting(rig.set(1, ServerState::Ready), &unanswered);
    let _two = Instance::counting(rig.set(2, ServerState::Ready), &unanswered);
    apply(&rig).await;
    for (method, tries) in [("GET", 2), ("POST", 1)] {
        let before = unanswered.load(Ordering::Relaxed);
        let request = format!(
            "{method} /leave HTTP/1.1\r\nhost: store\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let mut stream = connect(&rig, address(&rig, FRONT)).await.unwrap();
        let answer = exchange(&mut stream, request.as_bytes(), false).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        assert_eq!(unanswered.load(Ordering::Relaxed) - before, tries, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_let_through_to_a_service_that_is_gone_is_answered_by_no_other() {
    let mut rig = start(Membership::Runtime).await;
    let _store = Instance::start(rig.set(1, ServerState::Ready));
    apply(&rig).await;
    let entry = format!("{}/gone", address(&rig, FRONT));
    let map = rig.settings.config_file.as_path().with_file_name("haproxy-1.map");
    rig.tamper(&format!("add map {} {entry} gone", map.display())).await;
    let answer = get(&rig, FRONT, "gone").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("no_such_route"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_takes_all_connections_leaves_some_to_others() {
    let mut rig = start(Membership::Runtime).await;
    let _store = Instance::start(rig.set(1, ServerState::Ready));
    rig.reaches
        .push(Reach { service: "api".parse().unwrap(), ..reach(&rig, STRANGER, &["store"]) });
    rig.reaches.push(reach(&rig, FRONT + 1, &["store"]));
    apply(&rig).await;
    // From two instances of one service, half a head each.
    let half_a_head = async |number: u32| {
        let mut stream = connect(&rig, address(&rig, FRONT + number % 2)).await.ok()?;
        // One that was closed already is found below.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: st").await;
        Some(stream)
    };
    let mut open = Vec::new();
    for number in 0..500 {
        open.extend(half_a_head(number).await);
    }
    assert!(is_from(&get(&rig, STRANGER, "store").await, "s1"));
    let mut kept = 0;
    for stream in &mut open {
        kept += u32::from(!is_closed_within(stream, Duration::from_millis(2)).await);
    }
    // HAProxy counts what waits for one of its threads, also what it will refuse: a burst may have a few fewer. One
    // after the other, as many are taken as there may be, and no more.
    while kept < 400 {
        let mut stream = half_a_head(kept).await.expect("it listens");
        let is_closed = is_closed_within(&mut stream, Duration::from_millis(100)).await;
        assert!(!is_closed, "{kept} are kept, and one more is refused");
        open.push(stream);
        kept += 1;
    }
    assert_eq!(kept, 400);
    if let Some(mut stream) = half_a_head(kept).await {
        assert!(is_closed_within(&mut stream, Duration::from_secs(1)).await, "401 are kept");
    }
}

/// Whether HAProxy closes a connection in this time.
async fn is_closed_within(stream: &mut TcpStream, within: Duration) -> bool {
    tokio::time::timeout(within, stream.read(&mut [0])).await.is_ok()
}
