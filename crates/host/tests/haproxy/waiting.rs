//! Requests that wait for an instance: for the first one of a service, or for the next where the only
//! one died.

use std::time::{Duration, Instant};

use host::haproxy::{LoadBalancer, ServerState, Way};
use host::settings::Membership;
use tokio::task::JoinHandle;

use super::rig::{Instance, Load, Rig, ask, raw, store};

/// 20 requests that wait for an instance.
struct WaitingRequests(Vec<JoinHandle<String>>);

impl WaitingRequests {
    /// Sends them, and returns when all of them wait.
    async fn start(rig: &Rig) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let send = |number| {
            // More than HAProxy's buffer: a request is not sent before it has an instance.
            let post = client.post(rig.url("/")).body(vec![b'x'; 200_000]);
            let get = client.get(rig.url("/"));
            let request = if number % 2 == 0 { get } else { post };
            tokio::spawn(async { request.send().await.unwrap().text().await.unwrap() })
        };
        let requests = Self((0..20).map(send).collect());
        let figures = async || {
            let stats = rig.stats().await;
            let store = &stats.services[&store()];
            (store.queued.unwrap(), store.in_flight.unwrap(), store.counters.sessions.unwrap())
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while figures().await != (20, 20, 20) {
            assert!(Instant::now() < deadline, "{:?} of 20 are held", figures().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        requests
    }

    /// Has each of them answered by an instance. Gives the time until the last was.
    async fn are_answered(self) -> Duration {
        let start = Instant::now();
        for (number, answer) in (0..).zip(self.0) {
            let size = if number % 2 == 0 { "0 " } else { "200000 " };
            let answer = answer.await.unwrap();
            assert!(answer.starts_with(size), "{answer}");
        }
        start.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_an_instance_wait_for_the_first_one_in_either_way_of_membership() {
    for membership in [Membership::Runtime, Membership::Reload] {
        let mut rig = Rig::start(membership, 3).await;
        let waiting = WaitingRequests::start(&rig).await;
        let (_instance, applied) = rig.scale_out(2).await;
        assert_eq!(applied.way, Way::Commands(4), "a worker that is replaced would keep them");
        let last = waiting.are_answered().await;
        println!("{membership:?}: the last of 20 that waited was answered after {last:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_also_reloads_tells_the_worker_that_holds_requests_first() {
    let mut rig = Rig::new(Membership::Reload, 4);
    rig.others = rig.servers.split_off(2);
    rig.others[0].state = ServerState::Ready;
    rig.prepare_and_start().await;
    let _others = [0, 1].map(|index| Instance::start(rig.others[index].address));
    assert_eq!(reqwest::get(rig.url("/other")).await.unwrap().status(), 200);
    let waiting = WaitingRequests::start(&rig).await;
    rig.others[1].state = ServerState::Ready;
    let (_instance, applied) = rig.scale_out(1).await;
    assert_eq!(applied.way, Way::Reload { asks: 1 });
    waiting.are_answered().await;
    assert_eq!(reqwest::get(rig.url("/")).await.unwrap().status(), 200);
    assert_eq!(rig.haproxy.apply(&rig.backends()).await.unwrap().way, Way::Unchanged);
}

/// With a hundredth of the connections that the template allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_an_instance_leaves_half_of_the_connections_to_the_others() {
    let mut rig = Rig::new(Membership::Runtime, 4);
    rig.others = rig.servers.split_off(2);
    rig.others[0].state = ServerState::Ready;
    rig.customise(
        rig.settings.sources.clone(),
        &[("maxconn 4000", "maxconn 40"), ("add(txn.all) gt 4000", "add(txn.all) gt 40")],
    );
    rig.prepare_and_start().await;
    let _other = Instance::start(rig.others[0].address);

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let request = client.get(rig.url("/")).send();
        asked.spawn(async { request.await.unwrap().status().as_u16() });
    }
    for _ in 0..80 {
        let refused = tokio::time::timeout(Duration::from_secs(5), asked.join_next()).await;
        assert_eq!(refused.expect("too many are held").unwrap().unwrap(), 503);
    }
    let start = Instant::now();
    assert_eq!(reqwest::get(rig.url("/other")).await.unwrap().status(), 200);
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    let _instance = rig.scale_out(1).await;
    // Those that are being refused count for a moment, so a few more may be.
    let answers = asked.join_all().await;
    let held = answers.iter().filter(|status| **status == 200).count();
    assert!(held >= 16 && answers.len() == 20, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_crash_of_the_only_instance_costs_no_request_that_may_be_repeated() {
    for membership in [Membership::Runtime, Membership::Reload] {
        let mut rig = Rig::start(membership, 3).await;
        let (mut instance, _) = rig.scale_out(1).await;
        let load = Load::repeatable(rig.url("/"));
        for number in [2, 3, 1, 2] {
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(instance);
            tokio::time::sleep(Duration::from_millis(300)).await;
            let before = (number + 1) % 3 + 1;
            rig.set(before, ServerState::Maint);
            rig.apply().await;
            instance = rig.scale_out(number).await.0;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        println!("{membership:?}: {} requests over 4 crashes, none failed", load.stop().await);
    }
}

/// User and system time of a process.
fn cpu_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // A tick of the kernel's is a hundredth of a second.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// Prints what waiting costs, which the documentation states: run with `--nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_wait_at_less_than_a_core() {
    let rig = Rig::start(Membership::Runtime, 1).await;
    let info = ask(rig.settings.admin_socket.as_path(), "show info").await;
    let worker = info.lines().find_map(|line| line.strip_prefix("Pid: ")?.parse().ok()).unwrap();
    let get = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let waiting: Vec<_> =
        (0..1000).map(|_| tokio::spawn(raw(rig.settings.listen, get.to_vec(), false))).collect();
    let deadline = Instant::now() + Duration::from_secs(5);
    while rig.stats().await.services[&store()].queued != Some(1000) {
        assert!(Instant::now() < deadline, "1,000 requests do not wait");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (before, start) = (cpu_seconds(worker), Instant::now());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let cores = (cpu_seconds(worker) - before) / start.elapsed().as_secs_f64();
    let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    println!("1,000 requests that wait: {cores:.2} cores, {memory}");
    assert!(cores < 1.0);
    waiting.iter().for_each(JoinHandle::abort);
}
