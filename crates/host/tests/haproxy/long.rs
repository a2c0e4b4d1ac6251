//! Requests that take long: WebSockets, slow uploads and slow downloads live through drains and reloads
//! for as long as their service's drains may take.
//!
//! A second of the template's limits is 30 ms here: a minute is 1.8 s, and an old worker of a service
//! whose drains may take up to a minute is ended after 2.7 s.

use std::time::{Duration, Instant};

use host::haproxy::{Haproxy, LoadBalancer, ServerState, ServerStatus, Way};
use host::settings::Membership;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::rig::{Rig, slot, store};

/// How long the requests take: as if it were 2 minutes and a half.
const LASTS: Duration = Duration::from_millis(4_500);
/// From one byte of an upload or a download to the next.
const BYTE_EVERY: Duration = Duration::from_millis(100);
/// From one message on the WebSocket to the next: longer than a request may be silent.
const MESSAGE_EVERY: Duration = Duration::from_millis(2_250);
/// Bytes of an upload or a download.
const BYTES: usize = (LASTS.as_millis() / BYTE_EVERY.as_millis()) as usize;

/// What comes before those bytes of an upload: more than HAProxy's buffer holds. Without it an upload waits in
/// HAProxy until it is whole.
const LARGE: usize = 100_000;

/// A template whose limits have 30 ms for a second.
fn shortened(template: &str) -> String {
    let shorten = |line: &str| {
        let (key, value) = line.rsplit_once(' ').unwrap_or_default();
        let is_limit = key.contains("timeout ") || key.contains("hard-stop-after");
        match value {
            "60s" | "90s" if is_limit => {
                format!("{key} {}ms", value[..2].parse::<u32>().unwrap() * 30)
            }
            "}}s" if is_limit => format!("{key} * 30 }}}}ms"),
            _ => line.to_owned(),
        }
    };
    template.lines().map(|line| shorten(line) + "\n").collect()
}

/// A rig with such a template, whose instances may take so many of its seconds to drain.
async fn start(membership: Membership, drain_timeout_s: u64) -> Rig {
    let mut rig = Rig::new(membership, 3);
    rig.drain_timeout = Duration::from_secs(drain_timeout_s);
    let template = rig.folder.path().join("shortened.tera");
    std::fs::write(&template, shortened(include_str!("../../../../haproxy/haproxy.cfg.tera")))
        .unwrap();
    rig.settings.template = Some(template);
    rig.haproxy = Haproxy::new(rig.settings.clone()).unwrap().into();
    rig.prepare_and_start().await;
    rig
}

/// A server that takes its time.
struct Instance(JoinHandle<()>);

impl Instance {
    /// Puts one in rotation.
    async fn scale_out(rig: &mut Rig, number: u32) -> Self {
        let listener = TcpListener::bind(rig.set(number, ServerState::Ready)).await.unwrap();
        let instance = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(BufReader::new(stream)));
            }
        });
        rig.apply().await;
        Self(instance)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answers one request. HAProxy checks the key of a WebSocket and what it is answered with, which are
/// those of RFC 6455, 1.3; what follows on it is nobody's business but that of its ends.
async fn serve(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    let head = head(&mut stream).await?;
    if head.starts_with("GET /echo") && head.contains("\r\nupgrade: ") {
        let switched = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
            connection: upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        stream.write_all(switched).await?;
        return echo(stream).await;
    }
    if head.starts_with("PUT") {
        let mut body = vec![0; upload_bytes(&head) + BYTES];
        stream.read_exact(&mut body).await?;
    } else if head.starts_with("GET /silent") {
        tokio::time::sleep(LASTS).await;
    }
    let start = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {BYTES}\r\n\r\n");
    stream.write_all(start.as_bytes()).await?;
    let pause = if head.starts_with("GET /slow") { BYTE_EVERY } else { Duration::ZERO };
    send_slowly(&mut stream, pause).await
}

/// The bytes of an upload that come at once.
fn upload_bytes(request: &str) -> usize {
    if request.starts_with("PUT /large") { LARGE } else { 0 }
}

/// Sends back each message of four bytes, and resets the connection at `die!`.
async fn echo(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    let mut message = [0; 4];
    loop {
        stream.read_exact(&mut message).await?;
        if message == *b"die!" {
            return stream.get_ref().set_zero_linger();
        }
        stream.write_all(&message).await?;
    }
}

/// Reads up to the empty line.
async fn head(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

async fn send_slowly(stream: &mut BufReader<TcpStream>, pause: Duration) -> std::io::Result<()> {
    for _ in 0..BYTES {
        stream.write_all(b"x").await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Sends a request, and its body at the pace of a byte every 100 ms, and gives the status and what came
/// after the head.
async fn exchange(mut stream: BufReader<TcpStream>, request: &str) -> std::io::Result<String> {
    let line = format!("{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    stream.write_all(line.as_bytes()).await?;
    if request.starts_with("PUT") {
        let at_once = upload_bytes(request);
        stream.write_all(format!("content-length: {}\r\n\r\n", at_once + BYTES).as_bytes()).await?;
        stream.write_all(&vec![b'x'; at_once]).await?;
        send_slowly(&mut stream, BYTE_EVERY).await?;
    } else {
        stream.write_all(b"\r\n").await?;
    }
    let head = head(&mut stream).await?;
    let mut body = String::new();
    stream.read_to_string(&mut body).await?;
    Ok(format!("{} and {} bytes", &head[9..12], body.len()))
}

/// Opens a WebSocket, and gives the head of the answer.
async fn open(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let upgrade = b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade).await?;
    head(stream).await
}

/// Opens a WebSocket and has a message come back at once, and again until the time is over.
async fn talk(mut stream: BufReader<TcpStream>) -> std::io::Result<String> {
    let head = open(&mut stream).await?;
    let (start, mut echoes) = (Instant::now(), 0);
    loop {
        let mut echo = [0; 4];
        stream.write_all(b"ping").await?;
        stream.read_exact(&mut echo).await?;
        echoes += u32::from(echo == *b"ping");
        if start.elapsed() >= LASTS {
            return Ok(format!("{} and {echoes} echoes", &head[9..12]));
        }
        tokio::time::sleep(MESSAGE_EVERY).await;
    }
}

async fn connect(rig: &Rig) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(rig.settings.listen).await.unwrap())
}

/// Waits until so many requests are under way.
async fn are_in_flight(rig: &Rig, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(3);
    while rig.stats().await.services[&store()].in_flight != Some(count) {
        assert!(Instant::now() < deadline, "not {count} are under way");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A WebSocket, two uploads, a large one and a small one, and a download under way.
struct Clients([JoinHandle<std::io::Result<String>>; 4]);

impl Clients {
    /// Starts them, and returns once all but the small upload, which waits in HAProxy, are at an instance.
    async fn start(rig: &Rig) -> Self {
        let clients = Self([
            tokio::spawn(talk(connect(rig).await)),
            tokio::spawn(exchange(connect(rig).await, "PUT /large")),
            tokio::spawn(exchange(connect(rig).await, "PUT /small")),
            tokio::spawn(exchange(connect(rig).await, "GET /slow")),
        ]);
        are_in_flight(rig, 3).await;
        clients
    }

    /// What came of each: of one that was cut, that or too few bytes.
    async fn ended(self) -> [String; 4] {
        let [websocket, large, small, download] = self.0;
        let ended = [websocket.await, large.await, small.await, download.await];
        ended.map(|ended| ended.unwrap().unwrap_or_else(|error| error.to_string()))
    }
}

/// What comes of them when nothing is cut.
fn whole() -> [String; 4] {
    let bytes = format!("200 and {BYTES} bytes");
    ["101 and 3 echoes".to_owned(), bytes.clone(), bytes.clone(), bytes]
}

/// Waits until a server has drained.
async fn drains(rig: &Rig, number: u32) {
    let deadline = Instant::now() + Duration::from_secs(3);
    while !rig.drained().await.contains(&(store(), slot(number))) {
        assert!(Instant::now() < deadline, "s{number} does not drain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Requests that are under way while their instance begins to drain.
async fn live_through_a_drain(membership: Membership) {
    let mut rig = start(membership, 300).await;
    let _first = Instance::scale_out(&mut rig, 1).await;
    let clients = Clients::start(&rig).await;
    let _second = Instance::scale_out(&mut rig, 2).await;
    rig.set(1, ServerState::Drain);
    rig.apply().await;
    let until = Instant::now() + LASTS.mul_f64(0.8);
    while Instant::now() < until {
        assert!(rig.drained().await.is_empty(), "it waits for what is under way");
        tokio::time::sleep(BYTE_EVERY).await;
    }
    assert_eq!(clients.ended().await, whole());
    drains(&rig, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_an_upload_and_a_download_live_through_a_drain_by_command() {
    live_through_a_drain(Membership::Runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_an_upload_and_a_download_live_through_a_drain_by_reload() {
    live_through_a_drain(Membership::Reload).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_an_upload_and_a_download_live_through_another_service_that_comes() {
    let mut rig = start(Membership::Runtime, 300).await;
    let _instance = Instance::scale_out(&mut rig, 1).await;
    let clients = Clients::start(&rig).await;
    rig.others = rig.servers.split_off(2);
    rig.others[0].state = ServerState::Ready;
    assert_eq!(rig.apply().await.way, Way::Reload { asks: 1 });
    assert_eq!(clients.ended().await, whole());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_byte_is_given_up_after_a_minute_or_as_long_as_its_service_may_drain() {
    for (drain_timeout_s, expected) in [(30, "504"), (300, "200")] {
        let mut rig = start(Membership::Runtime, drain_timeout_s).await;
        let _instance = Instance::scale_out(&mut rig, 1).await;
        let answer = exchange(connect(&rig).await, "GET /silent").await.unwrap();
        assert_eq!(&answer[..3], expected, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_may_pause_for_a_minute_or_as_long_as_its_service_may_drain() {
    for (drain_timeout_s, expected) in [(30, ["408", "504"]), (300, ["200", "200"])] {
        let mut rig = start(Membership::Runtime, drain_timeout_s).await;
        let _instance = Instance::scale_out(&mut rig, 1).await;
        let answers = ["PUT /small", "PUT /large"].map(async |request| {
            let mut stream = connect(&rig).await;
            let at_once = upload_bytes(request);
            let head = format!(
                "{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                at_once + BYTES
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b'x'; at_once]).await.unwrap();
            tokio::time::sleep(LASTS).await;
            // One that was given up may be closed already.
            let _ = send_slowly(&mut stream, Duration::ZERO).await;
            let head = self::head(&mut stream).await;
            head.unwrap_or_default().get(9..12).unwrap_or("nothing").to_owned()
        });
        let [small, large] = answers;
        let answers = tokio::join!(small, large);
        assert_eq!([answers.0.as_str(), &answers.1], expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_worker_ends_though_a_websocket_outlives_every_drain() {
    let mut rig = start(Membership::Reload, 30).await;
    let _first = Instance::scale_out(&mut rig, 1).await;
    let clients = Clients::start(&rig).await;
    let _second = Instance::scale_out(&mut rig, 2).await;
    assert_eq!(rig.haproxy.old_workers().await.unwrap().len(), 1);
    let known = rig.haproxy.known_to_old_workers().await.unwrap();
    assert_eq!(known, [(store(), slot(1))].into(), "it was replaced when there was no other");
    let deadline = Instant::now() + Duration::from_secs(4);
    while !rig.haproxy.old_workers().await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "it outlives its limit");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cut = clients.ended().await;
    assert!(cut.iter().zip(whole()).all(|(cut, whole)| *cut != whole), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_either_side_of_a_websocket_is_noticed_at_once_and_no_fault_of_the_instance() {
    let mut rig = start(Membership::Runtime, 300).await;
    let _instance = Instance::scale_out(&mut rig, 1).await;
    for _ in 0..3 {
        let (mut left, mut lost) = (connect(&rig).await, connect(&rig).await);
        open(&mut left).await.unwrap();
        open(&mut lost).await.unwrap();
        are_in_flight(&rig, 2).await;
        drop(left);
        are_in_flight(&rig, 1).await;
        lost.write_all(b"die!").await.unwrap();
        are_in_flight(&rig, 0).await;
        assert_eq!(rig.stats().await.services[&store()].servers[&slot(1)].status, ServerStatus::Up);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tunnel_of_http_2_leads_past_the_rules() {
    let mut rig = start(Membership::Runtime, 30).await;
    let _instance = Instance::scale_out(&mut rig, 1).await;
    for (protocol, status) in [("h2c", 200), ("a, H2C", 200), ("mine", 101)] {
        let mut stream = connect(&rig).await;
        let lines = format!("host: a\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n");
        let request = format!("GET /echo HTTP/1.1\r\n{lines}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = head(&mut stream).await.unwrap();
        assert_eq!(head[9..12], status.to_string(), "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kernel_asks_after_a_client_that_is_quiet_for_a_minute() {
    let mut rig = start(Membership::Runtime, 30).await;
    let _instance = Instance::scale_out(&mut rig, 1).await;
    let _clients = Clients::start(&rig).await;
    let [a, b, c, d] = rig.settings.listen.ip().octets();
    let local = format!("{d:02X}{c:02X}{b:02X}{a:02X}:{:04X}", rig.settings.listen.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    // Column 3 is the state, established, and column 5 the timer that runs, that of keep-alive.
    let mut clients = rows.filter(|row| row[1] == local && row[3] == "01");
    assert!(clients.any(|row| row[5].starts_with("02:")), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_longer_drain_is_a_reload_where_it_lengthens_a_limit_and_else_costs_nothing() {
    let mut rig = Rig::start(Membership::Runtime, 2).await;
    let mut way = async |seconds| {
        rig.drain_timeout = Duration::from_secs(seconds);
        let way = rig.apply().await.way;
        let file = std::fs::read_to_string(rig.settings.config_file.as_path()).unwrap();
        let limit = file.lines().find_map(|line| line.trim().strip_prefix("hard-stop-after "));
        (way, limit.unwrap().to_owned())
    };
    assert_eq!(way(60).await, (Way::Unchanged, "90s".to_owned()));
    assert_eq!(way(600).await, (Way::Reload { asks: 1 }, "630s".to_owned()));
    assert_eq!(way(600).await, (Way::Unchanged, "630s".to_owned()));
    assert_eq!(way(86_400).await, (Way::Reload { asks: 1 }, "86430s".to_owned()));
    assert_eq!(way(0).await, (Way::Reload { asks: 1 }, "90s".to_owned()));
}
