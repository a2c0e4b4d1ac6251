//! The way out as an instance on real LXC has it: the proxy as it was built, which knows who asks by the address.
//! Nothing beyond this host is asked for: what is refused is refused before a name is looked up.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use host::units::{ListenSocket, Stop, Unit, UnitStatus, Units};
use model::egress::{Egress, Sources};
use model::names::InstanceName;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use world::{World, built};

/// The proxy, as a user without rights.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Proxy {
    fn start(world: &World) -> Self {
        let (program, network) = (world.folder().join("egress"), &world.settings.network);
        install(&program);
        let child = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(program)
            .arg(format!("--listen={}", network.egress()))
            .arg(format!("--subnet={}", network.subnet))
            .arg("--sources")
            .arg(world.folder().join("sources"))
            .stderr(Stdio::null())
            .spawn();
        let proxy = Self(child.unwrap());
        let begun = Instant::now();
        while TcpStream::connect(network.egress()).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "the proxy does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        proxy
    }
}

/// Copies the proxy by another process: a program that this one has open to write could not be run while a child
/// of another test has not begun yet.
fn install(program: &Path) {
    assert!(built("egress").exists(), "run `cargo build -p egress`");
    world::run("cp", &[&built("egress").display().to_string(), &program.display().to_string()]);
    fs::set_permissions(program, Permissions::from_mode(0o755)).unwrap();
}

/// What the scaler says, in a file that the proxy's user here may read.
fn say(world: &World, instance: &InstanceName) {
    let mut sources = Sources::default();
    let egress = Egress::new(vec!["a.example:443".parse().unwrap()]);
    sources.admit(world.address(instance), instance, &egress);
    let (file, beside) = (world.folder().join("sources"), world.folder().join("beside"));
    fs::write(&beside, serde_json::to_string(&sources).unwrap()).unwrap();
    fs::set_permissions(&beside, Permissions::from_mode(0o644)).unwrap();
    fs::rename(beside, file).unwrap();
}

/// The status line that an instance is answered.
fn asked(world: &World, instance: &InstanceName, target: &str) -> String {
    let proxy = world.settings.network.egress();
    world.get(instance, &format!("/tunnel?{proxy},{target}")).unwrap()
}

#[tokio::test]
async fn an_instance_finds_the_way_out_and_is_known_there_by_its_address() {
    let world = World::reaching("a.example:443", "").await;
    let (one, other) = (world.launch(241).await, world.launch(242).await);
    let proxy = world.settings.network.egress();
    let variables = world.get(&one, "/file?/proc/self/environ").unwrap();
    let variables: Vec<&str> = variables.split('\0').collect();
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        let variable = format!("{name}=http://{proxy}");
        assert!(variables.contains(&variable.as_str()), "{name}: {variables:?}");
    }
    let _proxy = Proxy::start(&world);
    let nothing = "HTTP/1.1 403 this instance may reach nothing beyond its host";
    assert!(asked(&world, &one, "a.example:443").starts_with(nothing));
    say(&world, &one);
    let refused = asked(&world, &one, "b.example:443");
    assert!(refused.starts_with("HTTP/1.1 403 test may not reach b.example:443"), "{refused}");
    assert!(asked(&world, &other, "a.example:443").starts_with(nothing));
    // The host itself is nobody's instance.
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.write_all(b"CONNECT a.example:443 HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with(nothing), "{answer}");
}

/// Ends what a failed test left.
struct Pids(Vec<i32>);

impl Drop for Pids {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }
}

#[tokio::test]
async fn the_proxy_takes_over_the_socket_that_is_held_for_it_and_keeps_it_from_its_children() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
    let (program, run) = (folder.path().join("egress"), folder.path().display().to_string());
    install(&program);
    let supervisor = built("examples/supervisor").display().to_string();
    let units = Units::with_own_supervisor(folder.path(), vec![supervisor, run.clone()]);
    let [_, _, second, third] = std::process::id().to_be_bytes();
    let address = SocketAddrV4::new([127, second % 100 + 100, third, 23].into(), 3128);
    let unit = Unit {
        name: "egress",
        command: [
            program.display().to_string(),
            format!("--listen={address}"),
            format!("--sources={run}/none"),
            "--subnet=10.117.8.0/24".to_owned(),
        ]
        .into(),
        user: Some("daemon"),
        sockets: vec![ListenSocket {
            variable: host::egress::SOCKET.to_owned(),
            address: address.into(),
        }],
        limits: None,
        folder: None,
        stop: Stop::default(),
    };
    let mut pids = Pids(Vec::new());
    for _ in 0..2 {
        units.ensure_running(&unit).await.unwrap();
        let begun = Instant::now();
        let pid = loop {
            match units.status(&unit).await.unwrap() {
                UnitStatus::Running { pid } => break pid,
                status => assert!(begun.elapsed() < Duration::from_secs(5), "{status:?}"),
            }
        };
        pids.0 = units.keepers(&unit).await;
        pids.0.push(pid);
        // Who comes while it starts waits.
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"CONNECT a.example:443 HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 this instance may reach nothing"), "{answer}");
        // One that listens, and it is closed for what this starts; the number it came by is closed.
        let listening = listening(pid, address);
        assert_eq!(listening, [true], "{listening:?}");
        // It is killed, and the next one has the same socket.
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        while units.status(&unit).await.unwrap() == (UnitStatus::Running { pid }) {}
    }
    units.stop(&unit).await.unwrap();
    assert!(TcpStream::connect(address).is_err());
}

/// For each of a process's sockets that listens there, whether its children do not inherit it.
fn listening(pid: i32, address: SocketAddrV4) -> Vec<bool> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let ip = u32::from_ne_bytes(address.ip().octets());
    let place = format!("{ip:08X}:{:04X} 00000000:0000 0A", address.port());
    let line = table.lines().find(|line| line.contains(&place)).unwrap();
    let socket = format!("socket:[{}]", line.split_whitespace().nth(9).unwrap());
    let folder = format!("/proc/{pid}/fd");
    let open = fs::read_dir(folder).unwrap().flatten().filter(|entry| {
        fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == socket.as_str())
    });
    let is_closed = |entry: fs::DirEntry| {
        let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().display());
        let info = fs::read_to_string(info).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:\t")).unwrap();
        i32::from_str_radix(flags, 8).unwrap() & OFlag::O_CLOEXEC.bits() != 0
    };
    open.map(is_closed).collect()
}

#[tokio::test]
async fn without_a_way_out_nothing_points_to_one() {
    let world = World::new().await;
    let instance = world.launch(241).await;
    let variables = world.get(&instance, "/file?/proc/self/environ").unwrap();
    assert!(!variables.to_lowercase().contains("proxy"), "{variables}");
}
