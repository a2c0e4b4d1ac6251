//! What one source of connections may take, so that others are answered: connections, places at
//! instances, their turn in the queue. Sources here are other addresses of loopback.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::haproxy::{Backend, Backends, ServerState};
use host::settings::{Membership, SourceSettings};
use model::service::Route;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::rig::{Instance, Rig, store};

/// Somebody who takes what there is.
pub(super) const GREEDY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Somebody else.
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// How long others may wait: far less than the 10 s for which half a head is waited for.
const SOON: Duration = Duration::from_secs(1);

pub(super) fn bounds() -> SourceSettings {
    SourceSettings::default()
}

/// A rig with these bounds and one instance.
pub(super) async fn start(
    sources: SourceSettings,
    replacements: &[(&str, &str)],
) -> (Rig, Instance) {
    let mut rig = Rig::new(Membership::Runtime, 1);
    rig.customise(sources, replacements);
    rig.prepare_and_start().await;
    let (instance, _) = rig.scale_out(1).await;
    (rig, instance)
}

/// Connects to the services from an address.
async fn connect(rig: &Rig, source: Ipv4Addr) -> std::io::Result<TcpStream> {
    connect_to(rig.settings.listen, source).await
}

/// Connects from an address, with the smallest buffer for what is not read.
pub(super) async fn connect_to(
    place: SocketAddrV4,
    source: Ipv4Addr,
) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(place.into()).await
}

/// Connects, and sends something; `None` where that was refused.
async fn open(rig: &Rig, source: Ipv4Addr, text: &str) -> Option<TcpStream> {
    let mut stream = connect(rig, source).await.ok()?;
    stream.write_all(text.as_bytes()).await.ok()?;
    Some(stream)
}

async fn open_many(
    rig: &Rig,
    source: Ipv4Addr,
    count: usize,
    text: &str,
) -> Vec<Option<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(open(rig, source, text).await);
    }
    streams
}

/// What those got that were answered or refused, nothing where they were refused, once they are so many.
async fn ended(streams: &mut [Option<TcpStream>], count: usize) -> Vec<String> {
    let mut ended = vec![None; streams.len()];
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        for (stream, ended) in
            streams.iter_mut().zip(&mut ended).filter(|(_, ended)| ended.is_none())
        {
            let Some(stream) = stream else {
                *ended = Some(String::new());
                continue;
            };
            let mut answer = [0; 1024];
            let read = stream.read(&mut answer);
            if let Ok(read) = tokio::time::timeout(Duration::from_millis(5), read).await {
                *ended = Some(String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned());
            }
        }
        if ended.iter().flatten().count() >= count || Instant::now() > deadline {
            return ended.into_iter().flatten().collect();
        }
    }
}

/// The status that a source gets for a request, and after how long.
async fn ask(rig: &Rig, source: Ipv4Addr, path: &str) -> (u16, Duration) {
    ask_at(rig.settings.listen, source, path).await
}

pub(super) async fn ask_at(place: SocketAddrV4, source: Ipv4Addr, path: &str) -> (u16, Duration) {
    let start = Instant::now();
    let mut stream = connect_to(place, source).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), start.elapsed())
}

pub(super) async fn is_answered_soon(rig: &Rig, source: Ipv4Addr) {
    let (status, took) = ask(rig, source, "/").await;
    assert!(status == 200 && took < SOON, "{status} after {took:?}");
}

fn few(number: u32) -> std::num::NonZeroU32 {
    number.try_into().unwrap()
}

/// With a fortieth of the connections that the template allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_source_no_more_connections_are_taken_than_are_its_own() {
    let sources = SourceSettings { connections: few(40), ..bounds() };
    let (rig, _instance) = start(sources, &[("maxconn 4000", "maxconn 100")]).await;
    let mut half = open_many(&rig, GREEDY, 300, "GET / HTTP/1.1\r\nhost:").await;
    is_answered_soon(&rig, OTHER).await;
    assert_eq!(ended(&mut half, 260).await, vec![""; 260], "closed, and not answered");
    // What one left is another's.
    half.truncate(39);
    let deadline = Instant::now() + SOON;
    while ended(&mut [open(&rig, GREEDY, "").await], 0).await != [""; 0] {
        assert!(Instant::now() < deadline, "none is taken again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_source_leaves_a_quarter_of_the_connections_to_others() {
    let sources = SourceSettings { trusted: vec!["127.0.0.2/31".parse().unwrap()], ..bounds() };
    let sources = SourceSettings { connections: few(4), per_second: few(1), ..sources };
    let fortieth =
        [("maxconn 4000", "maxconn 100"), ("src_conn_cur ge 3000", "src_conn_cur ge 75")];
    let (rig, _instance) = start(sources, &fortieth).await;
    let mut half = open_many(&rig, GREEDY, 100, "GET / HTTP/1.1\r\nhost:").await;
    is_answered_soon(&rig, Ipv4Addr::LOCALHOST).await;
    assert_eq!(ended(&mut half, 25).await, vec![""; 25]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_asks_too_often_is_told_so_and_others_are_answered() {
    let sources = SourceSettings { per_second: few(2), ..bounds() };
    let (rig, _instance) = start(sources, &[]).await;
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut stream = open(&rig, GREEDY, &(get.repeat(22) + last)).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 20, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 429 Too Many Requests").count(), 3, "{answers}");
    assert_eq!(answers.matches("retry-after: 10\r\n").count(), 3, "{answers}");
    assert_eq!(answers.matches(r#"{"error":{"code":"too_many_requests""#).count(), 3, "{answers}");
    let mut opened = open_many(&rig, GREEDY, 22, "").await;
    assert_eq!(ended(&mut opened, 3).await, [""; 3], "20 connections in 10 s, with the first");
    is_answered_soon(&rig, OTHER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_body_takes_no_place_at_an_instance() {
    let (rig, _instance) = start(bounds(), &[]).await;
    let head = "PUT / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let begun = format!("{head}content-length: 4004\r\n\r\n{}", "x".repeat(4_000));
    let chunk = format!("{head}transfer-encoding: chunked\r\n\r\nfa0\r\n{}\r\n", "x".repeat(4_000));
    let mut slow = open_many(&rig, GREEDY, 20, &begun).await;
    slow.extend(open_many(&rig, GREEDY, 20, &chunk).await);
    is_answered_soon(&rig, OTHER).await;
    assert_eq!(rig.stats().await.services[&store()].in_flight, Some(0), "8 have a place at most");
    let mut slow: Vec<_> = slow.into_iter().flatten().collect();
    for (number, stream) in slow.iter_mut().enumerate() {
        let rest: &[u8] = if number < 20 { b"last" } else { b"4\r\nlast\r\n0\r\n\r\n" };
        stream.write_all(rest).await.unwrap();
    }
    for mut stream in slow {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("4004 "), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_source_so_many_large_uploads_and_downloads_are_under_way() {
    let sources = SourceSettings { transfers: few(4), ..bounds() };
    let upload = format!(
        "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n{}",
        "x".repeat(100_000)
    );
    // More than the buffers of HAProxy and the kernel hold.
    let download = "GET /bytes/16000000 HTTP/1.1\r\nhost: a\r\n\r\n";
    for slow in [upload.as_str(), download] {
        let (rig, _instance) = start(sources.clone(), &[]).await;
        // The first four begin before the others are judged.
        let mut held = open_many(&rig, GREEDY, 4, slow).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut more = open_many(&rig, GREEDY, 16, slow).await;
        is_answered_soon(&rig, OTHER).await;
        let refused = ended(&mut more, 16).await;
        let told = |answer: &String| {
            answer.starts_with("HTTP/1.1 429 ") && answer.contains(r#""code":"too_many_transfers""#)
        };
        assert!(refused.len() == 16 && refused.iter().all(told), "{refused:?}");
        // A client has its refusal a moment before the connection to the instance is given back.
        let deadline = Instant::now() + SOON;
        while rig.stats().await.services[&store()].in_flight != Some(4) {
            assert!(Instant::now() < deadline, "the refused ones keep their places");
        }
        let stats = &rig.stats().await.services[&store()];
        let server = stats.servers.values().next().unwrap();
        assert_eq!(server.status, host::haproxy::ServerStatus::Up, "a refusal is no fault of it");
        // What was begun goes on.
        if slow == upload {
            for stream in &mut held {
                stream.as_mut().unwrap().write_all(&[b'x'; 100_000]).await.unwrap();
                let answer = ended(std::slice::from_mut(stream), 1).await;
                assert!(answer[0].contains("\r\n200000 "), "{answer:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_with_many_requests_in_the_queue_waits_behind_the_others() {
    let (rig, _instance) = start(bounds(), &[]).await;
    let rig = Arc::new(rig);
    let mut greedy = JoinSet::new();
    for _ in 0..300 {
        let rig = Arc::clone(&rig);
        greedy.spawn(async move { ask(&rig, GREEDY, "/").await.0 });
    }
    let deadline = Instant::now() + SOON;
    while rig.stats().await.services[&store()].queued < Some(150) {
        assert!(Instant::now() < deadline, "150 do not wait");
    }
    is_answered_soon(&rig, OTHER).await;
    let waiting = rig.stats().await.services[&store()].queued;
    assert!(waiting > Some(50), "{waiting:?} of those that came first wait still");
    assert_eq!(greedy.join_all().await, [200; 300]);
}

/// With a hundredth of the connections that the template allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_that_are_flooded_leave_connections_to_a_third() {
    let mut rig = Rig::new(Membership::Runtime, 4);
    let hundredth = [("maxconn 4000", "maxconn 40"), ("txn.all) gt 4000", "txn.all) gt 40")];
    rig.customise(bounds(), &hundredth);
    let servers = rig.servers.split_off(2);
    let service = |name: &str, servers| Backend {
        service: name.parse().unwrap(),
        route: Some(Route::below(format!("/{name}").parse().unwrap())),
        servers,
        ..rig.backend()
    };
    let mut well = service("well", servers);
    well.servers[0].state = ServerState::Ready;
    let _instance = Instance::start(well.servers[0].address);
    let backends = vec![service("one", vec![]), service("two", vec![]), well];
    let backends = Backends::new(backends).unwrap();
    rig.haproxy.prepare(&backends).await.unwrap();
    rig.start_haproxy().await;
    let (_one, one) = flood(&rig, "/one", 20).await;
    let (_two, two) = flood(&rig, "/two", (40 - one) / 2).await;
    assert!(one >= 18 && two >= 8, "{one} and {two}: a flood has what it may");
    let (status, took) = ask(&rig, OTHER, "/well").await;
    assert!(status == 200 && took < SOON, "{status} after {took:?}");
}

/// Asks ever more for what has no instance, until `places` of its requests are held; gives all, and how many that
/// are. Those that are being refused count for a moment, so that a burst has fewer than it may.
async fn flood(rig: &Rig, path: &str, places: usize) -> (Vec<Option<TcpStream>>, usize) {
    const BURST: usize = 20;
    let get = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    let (mut all, mut held) = (Vec::new(), 0);
    for _ in 0..10 {
        let mut asked = open_many(rig, GREEDY, BURST, &get).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let refused = ended(&mut asked, BURST.saturating_sub(places - held)).await;
        assert!(refused.iter().all(|answer| answer.starts_with("HTTP/1.1 503 ")), "{refused:?}");
        held += BURST - refused.len();
        assert!(held <= places, "{path} has {held} of {places}");
        all.extend(asked);
    }
    (all, held)
}

/// The p99 of what others wait for, each on a connection of its own, 50 a second for 14 s.
async fn p99_of_others(rig: &Arc<Rig>) -> Duration {
    let mut asked = JoinSet::new();
    for _ in 0..700 {
        let rig = Arc::clone(rig);
        asked.spawn(async move { ask(&rig, OTHER, "/").await });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answers = asked.join_all().await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let mut times: Vec<_> = answers.into_iter().map(|(_, took)| took).collect();
    times.sort();
    times[times.len() * 99 / 100]
}

/// `slowhttptest` comes from 127.0.0.1. It has the last core to itself, and all else shares the first: an attacker
/// brings his own, and the tool takes up to 40% of one.
#[test]
#[ignore = "takes three minutes, two cores and slowhttptest, which `scripts/setup benches` installs"]
fn four_thousand_slow_connections_leave_others_their_answers() {
    use nix::sched::{CpuSet, sched_setaffinity};
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(cores > 1, "the attacker has no core of its own");
    let mut first = CpuSet::new();
    first.set(0).unwrap();
    sched_setaffinity(nix::unistd::Pid::from_raw(0), &first).unwrap();
    // What is started from here on has the first core.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(slow_connections_from(cores - 1));
}

/// From a program on this core. The answers of others take less than twice as long as when all is quiet.
async fn slow_connections_from(core: usize) {
    let mut rig = Rig::new(Membership::Runtime, 10);
    rig.customise(SourceSettings { trusted: vec![], ..bounds() }, &[]);
    rig.prepare_and_start().await;
    let mut instances = Vec::new();
    for number in 1..=10 {
        instances.push(rig.scale_out(number).await.0);
    }
    let rig = Arc::new(rig);
    let mut ratios = Vec::new();
    // A second's worth of the range attack is as many quick requests, so it comes at the pace of the tool's
    // own example.
    for (mode, rate, path) in [
        ("-H", "1000", "/"),
        ("-B -t PUT -s 8192", "1000", "/"),
        ("-R", "200", "/bytes/400000"),
        ("-X", "1000", "/bytes/400000"),
    ] {
        let quiet = p99_of_others(&rig).await;
        let attack = format!("{mode} -c 4000 -i 2 -l 30 -r {rate} -u {}", rig.url(path));
        let attack = tokio::spawn(attack_for_ever(core, attack));
        let attacked = p99_of_others(&rig).await;
        assert!(!attack.is_finished(), "slowhttptest {mode} fails: run `scripts/setup benches`");
        attack.abort();
        let ratio = attacked.as_secs_f64() / quiet.as_secs_f64();
        println!(
            "slowhttptest {mode:18} p99 of others {quiet:6.1?} before, {attacked:6.1?} under it: {ratio:.2}"
        );
        ratios.push(ratio);
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert!(ratios.iter().all(|ratio| *ratio < 2.0), "{ratios:.2?}");
}

/// Runs `slowhttptest` on this core, again and again: it ends once all of its connections were closed.
async fn attack_for_ever(core: usize, arguments: String) {
    loop {
        let begun = Instant::now();
        let mut tool = tokio::process::Command::new("taskset");
        tool.args(["-c", &core.to_string(), "slowhttptest"]).args(arguments.split(' '));
        tool.stdout(std::process::Stdio::null()).kill_on_drop(true).status().await.unwrap();
        assert!(begun.elapsed() > Duration::from_secs(1), "it ends at once");
    }
}
