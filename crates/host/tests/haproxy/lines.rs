//! The lines of a backend: what belongs to an instance goes with it, and lines are added when there
//! are too few.

use std::time::Duration;

use host::haproxy::{Backend, Backends, LoadBalancer, Server, ServerState, ServerStatus, Way};
use host::settings::Membership;
use model::service::Route;
use nix::sys::signal::Signal;

use super::rig::{Instance, Load, Rig, kill, store};

/// The instances that serve so many requests, by their names for clients.
async fn served(rig: &Rig, requests: usize) -> Vec<String> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut names = Vec::new();
    for _ in 0..requests {
        let response = client.get(rig.url("/")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        names.push(response.headers()["x-bellows-server"].to_str().unwrap().to_owned());
    }
    names.sort();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_two_versions_each_keep_their_own_port_path_and_limit_also_after_a_restart() {
    let mut rig = Rig::start(Membership::Runtime, 3).await;
    rig.servers[1].address.set_port(8001);
    rig.servers[1].health_path = Some("/other?a=b".parse().unwrap());
    rig.servers[1].concurrency = 3.try_into().unwrap();
    rig.servers[2].health_path = Some("/absent".parse().unwrap());
    let mut instances = Vec::new();
    for number in 1..=3 {
        let (instance, applied) = rig.scale_out(number).await;
        instances.push(instance);
        assert_eq!(applied.way, Way::Commands(4));
    }
    rig.haproxy.flush().await;
    for restart in [false, true] {
        if restart {
            kill(rig.master(), Signal::SIGKILL);
            rig.reap();
            rig.start_haproxy().await;
        }
        // Two checks that fail, a second from one to the next.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let stats = rig.stats().await;
        let servers = stats.services[&store()].servers.values();
        let statuses: Vec<_> = servers.map(|server| server.status).collect();
        assert_eq!(statuses, [ServerStatus::Up, ServerStatus::Up, ServerStatus::Down]);
        assert_eq!(served(&rig, 8).await, ["s1", "s2"]);
        let shown = rig.tamper("show stat store 4 -1").await;
        let limit_of = |name: &str| {
            let row = shown.lines().find(|row| row.starts_with(&format!("store,{name},"))).unwrap();
            row.split(',').nth(6).unwrap().to_owned()
        };
        assert_eq!(["store.1", "store.2", "store.3"].map(limit_of), ["8", "3", "8"]);
        assert_eq!(rig.apply().await.way, Way::Unchanged);
    }
}

/// Clients keep their connections, and so does HAProxy those to instances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_on_a_line_used_before_gets_all_requests_and_the_one_before_it_none() {
    let mut rig = Rig::start(Membership::Runtime, 4).await;
    let mut instances = Vec::new();
    for number in 1..=4 {
        let (instance, _) = rig.scale_out(number).await;
        // The one before stays, so that it could answer.
        instances.push(instance);
        if number > 1 {
            rig.scale_in(number - 1).await;
        }
        assert_eq!(served(&rig, 20).await, [format!("s{number}")]);
    }
    let records = rig.settings.config_file.as_path().with_file_name("haproxy-1.map");
    let used = rig.tamper(&format!("show map {}", records.display())).await;
    assert_eq!(used.matches(" store.").count(), 2, "{used}");
    assert_eq!(rig.stats().await.worker.generation, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_used_up_cost_one_reload_and_no_request() {
    let mut rig = Rig::start(Membership::Runtime, 12).await;
    let max_servers = |rig: &Rig, max_servers| {
        let backend = Backend { max_servers, ..rig.backend() };
        Backends::new(vec![backend]).unwrap()
    };
    // Room for 1 and 3 spare ones.
    kill(rig.master(), Signal::SIGTERM);
    rig.reap();
    rig.haproxy.prepare(&max_servers(&rig, 1)).await.unwrap();
    rig.start_haproxy().await;
    let mut instances = vec![Instance::start(rig.set(1, ServerState::Ready))];
    rig.haproxy.apply(&max_servers(&rig, 1)).await.unwrap();
    let load = Load::start(rig.url("/"));
    let mut ways = Vec::new();
    for number in 2..=12 {
        instances.push(Instance::start(rig.set(number, ServerState::Ready)));
        ways.push(rig.haproxy.apply(&max_servers(&rig, 12)).await.unwrap().way);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let reloads: Vec<_> =
        (2..).zip(&ways).filter(|(_, way)| matches!(way, Way::Reload { .. })).collect();
    assert!(matches!(reloads[..], [(5, _)]), "{ways:?}");
    // Before the next question, so that no other request has a turn that it would count.
    assert!(load.stop().await > 200);
    assert_eq!(served(&rig, 24).await.len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_comes_moves_or_goes_is_one_reload_and_costs_the_others_no_request() {
    let mut rig = Rig::start(Membership::Runtime, 4).await;
    let _one = rig.scale_out(1).await;
    let _two = rig.scale_out(2).await;
    let _other = Instance::start(rig.servers[2].address);
    let load = Load::start(rig.url("/"));
    let reload = |way| assert_eq!(way, Way::Reload { asks: 1 });
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.others = rig.servers.split_off(2);
    reload(rig.apply().await.way);
    rig.others[0].state = ServerState::Ready;
    assert_eq!(rig.apply().await.way, Way::Commands(4));
    assert_eq!(reqwest::get(rig.url("/other")).await.unwrap().status(), 200);
    let moved = Backend { route: Some(Route::below("/elsewhere".parse().unwrap())), ..rig.other() };
    let moved = Backends::new(vec![rig.backend(), moved]).unwrap();
    reload(rig.haproxy.apply(&moved).await.unwrap().way);
    assert_eq!(reqwest::get(rig.url("/elsewhere")).await.unwrap().status(), 200);
    rig.others.clear();
    reload(rig.apply().await.way);
    assert_eq!(rig.apply().await.way, Way::Unchanged);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(load.stop().await > 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_a_route_gets_no_request_and_its_instances_are_ready_by_their_own_check()
{
    let mut rig = Rig::start(Membership::Runtime, 3).await;
    rig.servers[1].health_path = Some("/absent".parse().unwrap());
    let _instances = [1, 2].map(|number| Instance::start(rig.set(number, ServerState::Ready)));
    let routeless = Backend { route: None, ..rig.backend() };
    rig.haproxy.apply(&Backends::new(vec![routeless]).unwrap()).await.unwrap();
    // Two checks that fail, a second from one to the next.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let stats = rig.stats().await;
    let statuses = stats.services[&store()].servers.values().map(|server| server.status);
    assert_eq!(statuses.collect::<Vec<_>>(), [ServerStatus::Up, ServerStatus::Down]);
    let answer = reqwest::get(rig.url("/")).await.unwrap();
    assert_eq!(answer.status(), 404);
    assert!(answer.text().await.unwrap().contains("no_such_route"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_replaced_is_an_old_one_until_its_last_request_ends() {
    use tokio::io::AsyncWriteExt as _;
    let mut rig = Rig::start(Membership::Reload, 2).await;
    let _instance = rig.scale_out(1).await;
    assert!(rig.haproxy.old_workers().await.unwrap().is_empty());
    let mut stream = tokio::net::TcpStream::connect(rig.settings.listen).await.unwrap();
    let half = b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf";
    stream.write_all(half).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.set(2, ServerState::Ready);
    rig.apply().await;
    assert_eq!(rig.haproxy.old_workers().await.unwrap().len(), 1);
    stream.write_all(b"half").await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while !rig.haproxy.old_workers().await.unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the old worker does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first figure after `name` in what a process says of itself.
fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
}

/// The median time of 15 calls, and the size of the answer.
async fn median(mut call: impl AsyncFnMut() -> usize) -> (Duration, usize) {
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..15 {
        let start = std::time::Instant::now();
        bytes = call().await;
        times.push(start.elapsed());
    }
    times.sort();
    (times[7], bytes)
}

/// Prints what lines cost, which the documentation states: run with `--nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_services_of_two_instances_cost_little_and_fit_the_file_descriptors() {
    let mut rig = Rig::new(Membership::Runtime, 200);
    let backends = |rig: &Rig| {
        let backend = |(index, servers): (usize, &[Server])| Backend {
            service: format!("service-{index}").parse().unwrap(),
            route: Some(Route::below(format!("/{index}").parse().unwrap())),
            max_servers: 10,
            servers: servers.to_vec(),
            ..rig.backend()
        };
        Backends::new(rig.servers.chunks(2).enumerate().map(backend).collect()).unwrap()
    };
    rig.haproxy.prepare(&backends(&rig)).await.unwrap();
    rig.start_haproxy().await;
    for server in &mut rig.servers {
        server.state = ServerState::Ready;
    }
    let started = std::time::Instant::now();
    let applied = rig.haproxy.apply(&backends(&rig)).await.unwrap();
    assert_eq!(applied.way, Way::Commands(800));
    println!("200 instances by 800 commands: {:?}", started.elapsed());

    let socket = rig.settings.scrape_socket.as_path().to_owned();
    let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
    let read = async |ending| {
        let answer =
            client.get(format!("http://localhost/stats;csv{ending}")).send().await.unwrap();
        answer.text().await.unwrap().len()
    };
    let map = format!("show map {}/haproxy-1.map", rig.folder.path().display());
    println!("statistics of all lines {:?}", median(async || read("").await).await);
    println!("statistics, no-maint {:?}", median(async || read(";no-maint").await).await);
    for command in ["show servers state", &map] {
        let cost = median(async || rig.tamper(command).await.len()).await;
        println!("{command} {cost:?}");
    }
    let mut states = [ServerState::Ready, ServerState::Maint].into_iter().cycle();
    let one = median(async || {
        rig.servers[199].state = states.next().unwrap();
        rig.haproxy.apply(&backends(&rig)).await.unwrap();
        0
    });
    println!("one change {:?}", one.await.0);

    let info = rig.tamper("show info").await;
    let descriptors = figure(&info, "Maxsock: ");
    let status = std::fs::read_to_string(format!("/proc/{}/status", figure(&info, "Pid: ")));
    let memory_kb = figure(&status.unwrap(), "VmRSS:");
    println!("{descriptors} file descriptors, {memory_kb} kB");
    assert!(descriptors < 20_000 && memory_kb < 100_000, "{descriptors}, {memory_kb} kB");
    let stats = rig.stats().await;
    assert_eq!(stats.services.values().map(|s| s.servers.len()).sum::<usize>(), 200);
}
