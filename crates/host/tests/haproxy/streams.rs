//! What instances send to services that take connections and not requests: by port, as far as each may.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::time::{Duration, Instant};

use host::haproxy::{Backend, Backends, LoadBalancer, Server, ServerState, ServerStatus, Way};
use host::settings::Membership;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::reach::{FRONT, STRANGER, address, get, reach};
use super::rig::{Rig, slot};

/// The port by which the database is reached, and its instances' own.
const PORT: u16 = 5432;
const OWN_PORT: u16 = 5431;

/// A rig with a database, which the instance in the slot [`FRONT`] may reach, and the firewall's rule that
/// leads its port to HAProxy.
struct Database {
    rig: Rig,
    table: String,
}

impl Database {
    async fn start(membership: Membership) -> Self {
        let mut rig = Rig::new(membership, 2);
        for server in &mut rig.servers {
            server.address.set_port(OWN_PORT);
            server.health_path = None;
        }
        rig.reaches = vec![reach(&rig, FRONT, &["db"])];
        let (ip, streams) = (*rig.settings.streams.ip(), rig.settings.streams.port());
        let [_, second, third, _] = ip.octets();
        let table = format!("bellows_test_streams_{second}_{third}");
        // Here instances are programs of this host, so that their packets come out where those of real ones
        // come in.
        nft(&format!(
            "table ip {table} {{ chain output {{ type nat hook output priority -100; \
             ip daddr {ip} tcp dport {PORT} dnat to {ip}:{streams}; }}; }}"
        ));
        let database = Self { rig, table };
        database.rig.haproxy.prepare(&database.backends()).await.unwrap();
        let mut database = database;
        database.rig.start_haproxy().await;
        database
    }

    fn backends(&self) -> Backends {
        let db = Backend {
            service: "db".parse().unwrap(),
            route: None,
            tcp_port: Some(PORT),
            ..self.rig.backend()
        };
        Backends::new(vec![db]).unwrap().with_reaches(self.rig.reaches.clone())
    }

    async fn apply(&self) -> Way {
        self.rig.haproxy.apply(&self.backends()).await.unwrap().way
    }

    /// Starts an instance, which says its number to who comes, and puts it in rotation.
    async fn scale_out(&mut self, number: u32) -> Instance {
        let instance = Instance::start(self.rig.set(number, ServerState::Ready), number).await;
        self.apply().await;
        instance
    }

    async fn connect(&self, source: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        socket.connect(SocketAddrV4::new(*self.rig.settings.streams.ip(), port).into()).await
    }

    /// What an instance of the database says first to who connects to the port; empty where that was closed.
    async fn first_word(&self, source: Ipv4Addr, port: u16) -> (String, Option<TcpStream>) {
        let Ok(mut stream) = self.connect(source, port).await else { return Default::default() };
        let mut word = [0; 2];
        match stream.read_exact(&mut word).await {
            Ok(_) => (String::from_utf8(word.into()).unwrap(), Some(stream)),
            Err(_) => Default::default(),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        nft(&format!("delete table ip {}", self.table));
    }
}

fn nft(text: &str) {
    let status = Command::new("nft").arg(text).status().unwrap();
    assert!(status.success(), "{text}");
}

/// A server that says `iN` to who comes, and then everything that it is told.
struct Instance(JoinHandle<()>);

impl Instance {
    async fn start(address: SocketAddrV4, number: u32) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        Self(tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.write_all(format!("i{number}").as_bytes()).await;
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        }))
    }
}

impl Instance {
    /// Returns once nobody listens there any more.
    async fn end(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_connects_to_what_it_may_by_port_and_nobody_to_anything_else() {
    let mut database = Database::start(Membership::Runtime).await;
    let _instance = database.scale_out(1).await;
    let [front, stranger] = [FRONT, STRANGER].map(|number| address(&database.rig, number));
    let (word, stream) = database.first_word(front, PORT).await;
    assert_eq!(word, "i1");
    let mut stream = stream.unwrap();
    stream.write_all(b"and back").await.unwrap();
    let mut echo = [0; 8];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"and back");
    // Another source, and HAProxy's own port, which is nobody's.
    for (source, port) in [
        (stranger, PORT),
        (Ipv4Addr::LOCALHOST, PORT),
        (front, database.rig.settings.streams.port()),
    ] {
        assert_eq!(database.first_word(source, port).await.0, "", "{source} {port}");
    }
    // It takes no requests, by whatever name.
    let answer = get(&database.rig, FRONT, "db").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    // Not even where a worker of before, which knew it otherwise, let one through.
    let map = database.rig.settings.config_file.as_path().with_file_name("haproxy-1.map");
    database.rig.tamper(&format!("add map {} {front}/db db", map.display())).await;
    let answer = get(&database.rig, FRONT, "db").await;
    assert!(answer.starts_with("HTTP/1.1 50"), "{answer}");
    database.rig.reaches.clear();
    assert_eq!(database.apply().await, Way::Commands(3));
    assert_eq!(database.first_word(front, PORT).await.0, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_waits_for_the_first_instance_and_counts() {
    for membership in [Membership::Runtime, Membership::Reload] {
        let mut database = Database::start(membership).await;
        let front = address(&database.rig, FRONT);
        let mut stream = database.connect(front, PORT).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let stats = database.rig.stats().await;
            let db = &stats.services[&"db".parse().unwrap()];
            if (db.queued, db.in_flight, db.counters.sessions) == (Some(1), Some(1), Some(1)) {
                assert_eq!(db.counters.connection_errors, Some(0));
                break;
            }
            assert!(Instant::now() < deadline, "{db:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let _instance = database.scale_out(2).await;
        let mut word = [0; 2];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"i2");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_no_instance_takes_is_closed_after_10_s_and_was_not_served() {
    let database = Database::start(Membership::Runtime).await;
    let began = Instant::now();
    let (word, _) = database.first_word(address(&database.rig, FRONT), PORT).await;
    let waited = began.elapsed().as_secs_f64();
    assert_eq!(word, "");
    assert!((9.0..15.0).contains(&waited), "{waited} s, of about 10");
    let stats = database.rig.stats().await;
    let counters = stats.services[&"db".parse().unwrap()].counters;
    assert_eq!((counters.sessions, counters.connection_errors), (Some(1), Some(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_does_not_listen_gets_none_and_one_that_drains_keeps_its_own() {
    let mut database = Database::start(Membership::Runtime).await;
    let gone = database.scale_out(1).await;
    let _stays = database.scale_out(2).await;
    gone.end().await;
    let front = address(&database.rig, FRONT);
    let mut kept = Vec::new();
    for _ in 0..6 {
        let (word, stream) = database.first_word(front, PORT).await;
        assert_eq!(word, "i2");
        kept.extend(stream);
    }
    kept.truncate(1);
    database.rig.set(2, ServerState::Drain);
    database.apply().await;
    let drained = async |database: &Database| {
        let stats = database.rig.stats().await;
        let db = &stats.services[&"db".parse().unwrap()];
        assert_eq!(db.servers[&slot(2)].status, ServerStatus::Drain);
        database.rig.drained().await.contains(&("db".parse().unwrap(), slot(2)))
    };
    for _ in 0..5 {
        assert!(!drained(&database).await, "it has a connection");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    kept[0].write_all(b"still").await.unwrap();
    let mut echo = [0; 5];
    kept[0].read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"still");
    kept.clear();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !drained(&database).await {
        assert!(Instant::now() < deadline, "it does not drain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_connections_of_a_service_are_bounded_together() {
    let mut database = Database::start(Membership::Runtime).await;
    database.rig.servers.iter_mut().for_each(|server: &mut Server| {
        server.concurrency = 1000.try_into().unwrap();
    });
    let _instance = database.scale_out(1).await;
    let front = address(&database.rig, FRONT);
    let mut held = Vec::new();
    for _ in 0..200 {
        let (word, stream) = database.first_word(front, PORT).await;
        assert_eq!(word, "i1");
        held.extend(stream);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((front, 0).into()).unwrap();
        let mut half = socket.connect(database.rig.settings.reach.into()).await.unwrap();
        half.write_all(b"GET / HT").await.unwrap();
        held.push(half);
    }
    // The last head may not have been counted yet.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !database.first_word(front, PORT).await.0.is_empty() {
        assert!(Instant::now() < deadline, "it has 401 connections and more");
    }
}
