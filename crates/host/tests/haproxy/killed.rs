//! HAProxy killed again and again, under our own supervisor: its sockets outlive it.

use std::io;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host::haproxy::ServerState;
use host::settings::Membership;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::rig::{Instance, Rig, exchange};
use crate::supervised::{Ended, kill_all, processes, unit};

/// Time from one request to the next: 200 a second.
const PACE: Duration = Duration::from_millis(5);

/// How often all of HAProxy is killed, and the time before each: it takes some 0.3 s to be back.
const KILLS: usize = 10;
const REST: Duration = Duration::from_secs(1);

/// A request that was not answered: from when to when it was under way.
#[derive(Debug)]
struct Broken {
    from: Instant,
    to: Instant,
    answer: String,
}

/// Requests that could not be made, and those that got no answer.
#[derive(Debug, Default)]
struct Outcomes {
    ended: bool,
    answered: u32,
    refused: Vec<io::Error>,
    broken: Vec<Broken>,
}

/// Sends requests until it is ended, each on a connection of its own.
async fn load(address: SocketAddrV4, outcomes: Arc<Mutex<Outcomes>>) {
    let mut requests = JoinSet::new();
    let mut ticks = tokio::time::interval(PACE);
    while !outcomes.lock().unwrap().ended {
        ticks.tick().await;
        requests.spawn(request(address, Arc::clone(&outcomes)));
    }
    requests.join_all().await;
}

async fn request(address: SocketAddrV4, outcomes: Arc<Mutex<Outcomes>>) {
    let from = Instant::now();
    let mut stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) => return outcomes.lock().unwrap().refused.push(error),
    };
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = exchange(&mut stream, request, false).await;
    let mut outcomes = outcomes.lock().unwrap();
    if answer.starts_with("HTTP/1.1 200") {
        outcomes.answered += 1;
    } else {
        outcomes.broken.push(Broken { from, to: Instant::now(), answer });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_while_haproxy_is_killed_and_reloaded_ten_times() {
    let mut rig = Rig::new(Membership::Reload, 3);
    rig.haproxy.prepare(&rig.backends()).await.unwrap();
    let (units, unit) = unit(&rig);
    let config_file = rig.settings.config_file.to_string();
    let _ended = Ended(config_file.clone());
    units.ensure_running(&unit).await.unwrap();
    rig.stats().await;
    let _instances = [rig.scale_out(1).await.0, rig.scale_out(2).await.0];
    let third = Instance::start(rig.set(3, ServerState::Maint));

    let outcomes = Arc::new(Mutex::new(Outcomes::default()));
    let load = tokio::spawn(load(rig.settings.listen, Arc::clone(&outcomes)));
    let mut kills = Vec::new();
    while kills.len() < KILLS {
        tokio::time::sleep(REST).await;
        let (haproxy, _) = processes(&config_file);
        assert!(haproxy.len() >= 2, "a master and its worker");
        let from = Instant::now();
        kill_all(&haproxy);
        kills.push((from, Instant::now()));
        rig.stats().await;
        let (state, others) = (ServerState::Ready, ServerState::Maint);
        rig.set(3, if kills.len() % 2 == 0 { state } else { others });
        rig.apply().await;
    }
    tokio::time::sleep(REST).await;
    outcomes.lock().unwrap().ended = true;
    load.await.unwrap();

    let Outcomes { answered, refused, broken, .. } = std::mem::take(&mut *outcomes.lock().unwrap());
    eprintln!("{answered} answered, {} broken", broken.len());
    assert!(refused.is_empty(), "{refused:?}");
    assert!(answered > 1_000, "only {answered} requests");
    let refusals = broken.iter().filter(|it| !it.answer.is_empty());
    assert_eq!(refusals.count(), 0, "it was answered with an error: {broken:?}");
    let was_under_way =
        |it: &Broken| kills.iter().any(|(from, to)| it.from <= *to && *from <= it.to);
    assert!(broken.iter().all(was_under_way), "{broken:?}");
    units.stop(&unit).await.unwrap();
    assert!(TcpStream::connect(rig.settings.listen).await.is_err(), "a stop is a stop");
    drop(third);
}
