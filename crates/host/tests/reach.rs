//! The way from instances on real LXC to the load balancer, which a listener of the test stands in for:
//! there is no other, and nobody comes by it as somebody else.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use host::command::HostRunner;
use host::haproxy::{
    Backend, Backends, Haproxy, HaproxySettings, LoadBalancer, Reach, Server, ServerState,
};
use host::lxc::Containers;
use host::network::Network;
use model::names::InstanceName;
use model::service::{HealthCheck, HealthStatus, ServiceSpec};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::sockopt::OriginalDst;
use nix::sys::socket::{Shutdown, getsockopt};
use world::held::BEYOND;
use world::{World, run};

/// HAProxy itself, until this is dropped.
struct RealBalancer {
    process: Child,
    haproxy: Haproxy,
}

impl RealBalancer {
    async fn start(world: &World) -> Self {
        let mut settings = world.settings.clone();
        settings.listen.services = "127.99.8.1:8080".parse().unwrap();
        settings.listen.statistics = "127.99.8.1:8404".parse().unwrap();
        let settings = HaproxySettings::of_host(&settings).unwrap();
        let haproxy = Haproxy::new(settings.clone()).unwrap();
        haproxy.prepare(&Backends::default()).await.unwrap();
        let mut command = Command::new("haproxy");
        let process = command.args(settings.arguments()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while haproxy.scrape().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "HAProxy does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { process, haproxy }
    }
}

impl Drop for RealBalancer {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.process.wait().unwrap();
    }
}

/// An instance in rotation.
fn backend(world: &World, name: &str, instance: &InstanceName, tcp_port: Option<u16>) -> Backend {
    let server = Server {
        slot: instance.slot(),
        address: SocketAddrV4::new(world.address(instance), 8000),
        health_path: tcp_port.is_none().then(|| "/".parse().unwrap()),
        concurrency: 8.try_into().unwrap(),
        state: ServerState::Ready,
    };
    Backend {
        service: name.parse().unwrap(),
        route: None,
        health_check: HealthCheck::default(),
        health_statuses: [HealthStatus::default()].into(),
        some_by_connection: false,
        tcp_port,
        max_servers: 1,
        drain_timeout: Duration::from_secs(30),
        servers: vec![server],
    }
}

/// A namespace that is another machine on the network of this one.
const OUTSIDE: &str = "bellows-test-outside";
const OUTSIDE_ADDRESS: &str = "10.117.9.98";
const WAY_OUTSIDE: &str = "10.117.9.97";

/// A service that takes connections.
const DATABASE: &str = r#"
    name = "db"
    image = "db"
    [instance]
    port = 5432
    protocol = "tcp"
    memory_mib = 48
    cpus = 1.0
    processes = 24
    [capacity]
    requests_per_second = 50
    concurrency = 8
    [bounds]
    min = 1
    max = 1
"#;

/// Tells each client its address, and the port that it asked for before the firewall led it here, until this is dropped.
struct Listener {
    socket: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn at(place: SocketAddrV4) -> Self {
        let socket = TcpListener::bind(place).unwrap();
        let own = socket.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = own.accept() {
                // A client that leaves early is no reason to end.
                let _ = tell(stream);
            }
        });
        Self { socket, thread: Some(thread) }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        nix::sys::socket::shutdown(self.socket.as_raw_fd(), Shutdown::Both).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn tell(mut stream: TcpStream) -> std::io::Result<()> {
    let asked = u16::from_be(getsockopt(&stream, OriginalDst)?.sin_port);
    let body = format!("{} at {asked}", stream.peer_addr()?.ip());
    let _ = stream.read(&mut [0; 1024])?;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// What a program says that was started in the network of an instance, with all rights over that.
fn as_its_root(instance: &InstanceName, words: &[&str]) -> String {
    let home = world::homes().into_iter().find(|home| home.join(instance.as_str()).exists());
    let home = home.unwrap().display().to_string();
    let pid = run("lxc-info", &["-P", &home, "-n", instance.as_str(), "-p", "-H"]);
    run("nsenter", &[&["--target", pid.trim(), "--net"], words].concat())
}

#[tokio::test]
async fn an_instance_finds_the_load_balancer_by_name_and_nothing_else_of_the_host() {
    let world = World::given("reaches = [\"store\", \"queue\"]").await;
    let _balancer = Listener::at(world.settings.network.reach());
    let (one, other) = (world.launch(241).await, world.launch(242).await);
    let gateway = world.settings.network.subnet.gateway();
    let get = |target: &str| world.get(&one, target).unwrap();
    assert_eq!(get("/file?/etc/hosts"), format!("127.0.0.1\tlocalhost\n{gateway}\tqueue store\n"));
    for port in [80, world.settings.network.reach_port] {
        assert_eq!(get(&format!("/connect?{gateway}:{port}")), "connected", "{port}");
    }
    let elsewhere = TcpListener::bind((gateway, 0)).unwrap();
    let everywhere = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let ports = [&elsewhere, &everywhere].map(|it| it.local_addr().unwrap().port());
    for target in [
        format!("{gateway}:{}", ports[0]),
        format!("{gateway}:{}", ports[1]),
        format!("{gateway}:22"),
        format!("{}:8000", world.address(&other)),
        format!("{}:80", world.address(&other)),
        "192.0.2.9:80".to_owned(),
        "169.254.169.254:80".to_owned(),
    ] {
        let answer = get(&format!("/connect?{target}"));
        assert!(answer.starts_with("failed: "), "{target}: {answer}");
    }
}

#[tokio::test]
async fn the_ports_of_services_that_take_connections_lead_to_the_load_balancer_and_no_others() {
    let world = World::new().await;
    let one = world.launch(241).await;
    let _balancer = Listener::at(world.settings.network.streams());
    let gateway = world.settings.network.subnet.gateway();
    let source = world.address(&one).to_string();
    let ask = |port: u16| {
        as_its_root(&one, &["curl", "-s", "-m", "1", &format!("http://{gateway}:{port}/")])
    };
    assert_eq!(ask(5432), "", "before there is such a service");
    let network = Network::new(&world.settings, HostRunner).with_table(world::TABLE);
    let db: ServiceSpec = config_file::from_toml("db.toml", DATABASE).unwrap();
    network.serving([&db].into_iter()).ensure().await.unwrap();
    assert_eq!(ask(5432), format!("{source} at 5432"));
    assert_eq!(ask(5433), "");
}

#[tokio::test]
async fn from_one_real_instance_to_another_there_is_the_way_of_what_it_may_reach_and_no_other() {
    let world = World::new().await;
    let db: ServiceSpec = config_file::from_toml("db.toml", DATABASE).unwrap();
    let network = Network::new(&world.settings, HostRunner).with_table(world::TABLE);
    network.serving([&db].into_iter()).ensure().await.unwrap();
    let [front, store, base] =
        [world.launch(241).await, world.launch(242).await, world.launch(243).await];
    let balancer = RealBalancer::start(&world).await;
    let reach = Reach {
        address: world.address(&front),
        service: "front".parse().unwrap(),
        reached: ["store", "db"].map(|name| name.parse().unwrap()).into(),
    };
    let backends =
        vec![backend(&world, "store", &store, None), backend(&world, "db", &base, Some(5432))];
    let backends = Backends::new(backends).unwrap().with_reaches(vec![reach]);
    balancer.haproxy.apply(&backends).await.unwrap();
    let gateway = world.settings.network.subnet.gateway();
    let ask = |instance: &InstanceName, host: &str, port: u16| {
        let (host, url) = (format!("host: {host}"), format!("http://{gateway}:{port}/"));
        let words = ["curl", "-s", "-m", "3", "-w", " %{http_code}", "-H", &host, &url];
        as_its_root(instance, &words)
    };
    assert_eq!(ask(&front, "store", 80), "ok 200");
    assert_eq!(ask(&front, "db", 5432), "ok 200");
    for (instance, host, port) in [(&front, "db", 80), (&store, "store", 80), (&base, "store", 80)]
    {
        let answer = ask(instance, host, port);
        assert!(answer.ends_with(" 403"), "{instance} {host}: {answer}");
    }
    for (instance, port) in [(&store, 5432), (&base, 5432), (&front, 8071), (&front, 5433)] {
        assert_eq!(ask(instance, "db", port), " 000", "{instance} {port}");
    }
}

#[tokio::test]
async fn an_instance_that_says_it_is_another_is_not_heard_even_if_it_had_all_rights_over_its_network()
 {
    let world = World::new().await;
    let _balancer = Listener::at(world.settings.network.reach());
    let (one, other) = (world.launch(241).await, world.launch(242).await);
    let url = format!("http://{}/", world.settings.network.subnet.gateway());
    let [own, forged] = [&one, &other].map(|instance| world.address(instance).to_string());
    let ask = |source: &str| {
        as_its_root(&one, &["curl", "-s", "-m", "1", "--interface", source, url.as_str()])
    };
    let heard = format!("{own} at 80");
    assert_eq!(ask(&own), heard);
    // Its sibling has left, so that nobody else answers to its address.
    world.containers.stop(&other, Duration::ZERO).await.unwrap();
    as_its_root(&one, &["ip", "address", "add", &format!("{forged}/24"), "dev", "eth0"]);
    assert_eq!(ask(&forged), "");
    assert_eq!(ask(&own), heard);
    let set_mac = |mac: &str| as_its_root(&one, &["ip", "link", "set", "eth0", "address", mac]);
    set_mac("02:62:77:00:00:f2");
    assert_eq!(ask(&own), "");
    assert_eq!(ask(&forged), "");
    set_mac("02:62:77:00:00:f1");
    assert_eq!(ask(&own), heard);
    // Had it rights of its own, its file would have named them, and there is none for networks.
    let status = world.get(&one, "/file?/proc/self/status").unwrap();
    assert!(status.contains("CapBnd:\t0000000000000000\n"), "{status}");
}

/// Another machine, which sends to the bridge's address by way of this one. Gone when this is dropped.
struct Outside;

impl Outside {
    fn new(gateway: &str) -> Self {
        let outside = Self;
        outside.remove();
        run("ip", &["netns", "add", OUTSIDE]);
        let veth = ["link", "add", "bellowst9", "type", "veth", "peer", "eth0", "netns", OUTSIDE];
        run("ip", &veth);
        run("ip", &["address", "add", &format!("{WAY_OUTSIDE}/30"), "dev", "bellowst9"]);
        run("ip", &["link", "set", "bellowst9", "up"]);
        outside.run(&["ip", "address", "add", &format!("{OUTSIDE_ADDRESS}/30"), "dev", "eth0"]);
        outside.run(&["ip", "link", "set", "eth0", "up"]);
        outside.run(&["ip", "route", "add", gateway, "via", WAY_OUTSIDE]);
        outside
    }

    fn run(&self, words: &[&str]) -> String {
        run("ip", &[&["netns", "exec", OUTSIDE], words].concat())
    }

    /// Listens there, on all addresses.
    fn listen(port: u16) -> TcpListener {
        let there = move || {
            let namespace = File::open(Path::new("/run/netns").join(OUTSIDE)).unwrap();
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            TcpListener::bind(("0.0.0.0", port)).unwrap()
        };
        std::thread::spawn(there).join().unwrap()
    }

    fn remove(&self) {
        run("ip", &["link", "delete", "bellowst9"]);
        run("ip", &["netns", "delete", OUTSIDE]);
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.remove();
    }
}

#[tokio::test]
async fn nobody_outside_of_the_host_comes_by_the_way_of_instances() {
    let world = World::new().await;
    let _balancer = Listener::at(world.settings.network.reach());
    let _streams = Listener::at(world.settings.network.streams());
    let gateway = world.settings.network.subnet.gateway().to_string();
    let outside = Outside::new(&gateway);
    let ask = |port: u16| {
        let url = format!("http://{gateway}:{port}/");
        let words = ["curl", "-s", "-m", "1", url.as_str()];
        (outside.run(&words), run(words[0], &words[1..]))
    };
    // What else listens at the bridge's address is there for all, as ever.
    let other = Listener::at(SocketAddrV4::new(gateway.parse().unwrap(), 0));
    let heard = |address: &str, port: u16| format!("{address} at {port}");
    let port = other.port();
    assert_eq!(ask(port), (heard(OUTSIDE_ADDRESS, port), heard(&gateway, port)));
    for place in [world.settings.network.reach(), world.settings.network.streams()] {
        assert_eq!(ask(place.port()), (String::new(), heard(&gateway, place.port())));
    }
}

/// Has packets that come in by these interfaces passed on. They go with the world and with what is outside.
fn forward_from(interfaces: [&str; 2]) {
    for interface in interfaces {
        std::fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/forwarding"), "1").unwrap();
    }
}

#[tokio::test]
async fn nothing_goes_through_the_host_to_or_from_an_instance_that_has_given_itself_a_route() {
    let world = World::new().await;
    let outside = Outside::new(&world.settings.network.subnet.to_string());
    for address in BEYOND {
        outside.run(&["ip", "address", "add", &format!("{address}/32"), "dev", "lo"]);
        run("ip", &["route", "add", address, "via", OUTSIDE_ADDRESS, "dev", "bellowst9"]);
    }
    outside.run(&["ip", "link", "set", "lo", "up"]);
    let _listener = Outside::listen(80);
    forward_from(["bellowst0", "bellowst9"]);
    let instance = world.launch(241).await;
    let gateway = world.settings.network.subnet.gateway().to_string();
    as_its_root(&instance, &["ip", "route", "add", "default", "via", &gateway]);
    let into = format!("http://{}:8000/", world.address(&instance));
    let come_in = || outside.run(&["curl", "-s", "-m", "1", &into]);
    let go_out = |address: &str| world.get(&instance, &format!("/connect?{address}:80")).unwrap();
    for address in BEYOND {
        assert!(go_out(address).starts_with("failed: "), "{address}: {}", go_out(address));
    }
    assert_eq!(come_in(), "");
    // It is the firewall that holds them: without it there is a way.
    run("nft", &["delete", "table", "inet", world::TABLE]);
    assert_eq!(BEYOND.map(go_out), ["connected"; 2]);
    assert_eq!(come_in(), "ok");
}
