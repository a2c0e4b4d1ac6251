//! Three network namespaces: `instances` and `host` with a cable between them, and `world` behind the host.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use model::egress::{Egress, Sources};
use nix::sched::{CloneFlags, setns};

/// What the world has: two hosts, one of a private network, one that only a provider's customers see, and the
/// metadata service of a cloud.
pub(crate) const PUBLIC: &str = "203.0.113.5";
pub(crate) const OTHER: &str = "203.0.113.6";
pub(crate) const PRIVATE: &str = "10.9.9.9";
const SHARED: &str = "100.64.0.9";
const METADATA: &str = "169.254.169.254";
const PUBLIC_V6: &str = "2001:db8::5";
const UNIQUE_LOCAL: &str = "fd00::9";
const WORLD: [&str; 7] = [PUBLIC, OTHER, PRIVATE, SHARED, METADATA, PUBLIC_V6, UNIQUE_LOCAL];

/// The host's own, towards the world and on its bridge.
const HOST: &str = "198.51.100.1";
/// A second one of the same network: the kernel leaves for it from the first.
const HOST_TOO: &str = "198.51.100.3";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 117, 0, 1);

/// Instances: of the service `web` two, of `other` one, of nobody one.
pub(crate) const WEB: Ipv4Addr = Ipv4Addr::new(10, 117, 0, 2);
pub(crate) const WEB_TOO: Ipv4Addr = Ipv4Addr::new(10, 117, 0, 3);
pub(crate) const OTHER_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 117, 0, 4);
pub(crate) const NOBODYS: Ipv4Addr = Ipv4Addr::new(10, 117, 0, 5);

/// Where names lead on this host.
const HOSTS: &str = "127.0.0.1 localhost
203.0.113.5 public.example
203.0.113.6 www.public.example
2001:db8::5 six.example
10.9.9.9 private.example
203.0.113.5 split.example
10.9.9.9 split.example
10.9.9.9 other.split.example
203.0.113.5 other.split.example
100.64.0.9 shared.example
169.254.169.254 metadata.example
fd00::9 local.example
127.0.0.1 loop.example
0.0.0.0 zero.example
::1 loop6.example
::ffff:169.254.169.254 mapped.example
198.51.100.1 own.example
198.51.100.3 second.own.example
2001:db8:1::1 own6.example
10.117.0.1 gateway.example
10.117.0.3 instance.example
";

/// The ports on which everything in the world and on the host listens.
const PORTS: [u16; 3] = [80, 443, 5432];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

static WORLDS: AtomicU32 = AtomicU32::new(0);

type Reached = Arc<Mutex<Vec<(SocketAddr, SocketAddr)>>>;

pub(crate) struct World {
    namespaces: Namespaces,
    folder: tempfile::TempDir,
    /// The proxy of the instances.
    pub(crate) child: Child,
    /// Where something listens, and in which namespace.
    places: Vec<(String, SocketAddr)>,
    /// What was connected to of these, and from where.
    reached: Reached,
}

impl World {
    /// A world in which `web` may reach these.
    pub(crate) fn new(entries: &[&str]) -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let namespaces = Namespaces(format!("bwe{}-{number}", std::process::id()));
        let folder = tempfile::tempdir().unwrap();
        passable(folder.path(), 0o711);
        namespaces.make();
        let reached = Reached::default();
        let places = serve(&namespaces, &reached);
        let child = start(&namespaces, folder.path());
        let world = Self { namespaces, folder, child, places, reached };
        world.allow(entries);
        world.wait_until_listening();
        world
    }

    /// What `web` may reach from now on.
    pub(crate) fn allow(&self, entries: &[&str]) {
        let mut sources = Sources::default();
        let web = egress(entries);
        sources.admit(WEB, &"bw-web-1-a".parse().unwrap(), &web);
        sources.admit(WEB_TOO, &"bw-web-2-b".parse().unwrap(), &web);
        let other = egress(&["www.public.example:80"]);
        sources.admit(OTHER_SERVICE, &"bw-other-3-c".parse().unwrap(), &other);
        self.write_sources(&serde_json::to_string(&sources).unwrap());
    }

    /// The scaler's file, as it is replaced.
    pub(crate) fn write_sources(&self, text: &str) {
        let (file, beside) = (self.sources(), self.folder.path().join("beside"));
        fs::write(&beside, text).unwrap();
        passable(&beside, 0o644);
        fs::rename(beside, file).unwrap();
    }

    pub(crate) fn sources(&self) -> PathBuf {
        self.folder.path().join("egress.json")
    }

    /// A connection of an instance to the proxy.
    pub(crate) fn connect(&self, from: Ipv4Addr) -> TcpStream {
        let stream =
            within(&self.namespaces.part("instances"), move || connect_from(from)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What an instance is answered to these bytes, to the end of the connection.
    pub(crate) fn ask(&self, from: Ipv4Addr, request: &str) -> String {
        let mut stream = self.connect(from);
        stream.write_all(request.as_bytes()).unwrap();
        read_to_end(stream)
    }

    /// The status line to a CONNECT, whose tunnel is then left.
    pub(crate) fn tunnel(&self, from: Ipv4Addr, target: &str) -> String {
        let mut stream = self.connect(from);
        write!(stream, "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n").unwrap();
        status_line(&mut stream)
    }

    /// A proxy of the build of `web`, which may reach these, and the socket that it is asked by.
    pub(crate) fn build(&self, entries: &[&str]) -> (Child, PathBuf) {
        let folder = self.folder.path().join("build");
        fs::create_dir(&folder).unwrap();
        passable(&folder, 0o777);
        let socket = folder.join("socket");
        let allow = entries.iter().map(|entry| format!("--allow={entry}"));
        let child = as_nobody(&self.namespaces, &program(&folder))
            .args(["build", "--service=web", "--subnet=10.117.0.0/22", "--socket"])
            .arg(&socket)
            .args(allow)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the proxy does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        (child, socket)
    }

    /// What the proxy has connected to, sorted. Each place is asked once more and waited for, so that whoever
    /// came before has been counted.
    pub(crate) fn reached(&self) -> Vec<String> {
        let mut own = Vec::new();
        for (namespace, place) in &self.places {
            let place = *place;
            let stream = within(namespace, move || TcpStream::connect(place)).unwrap();
            let last = (place, stream.local_addr().unwrap());
            let begun = Instant::now();
            while !self.reached.lock().unwrap().contains(&last) {
                assert!(begun.elapsed() < PATIENCE, "{place} does not accept");
                thread::sleep(Duration::from_millis(1));
            }
            own.push(last);
        }
        let reached = self.reached.lock().unwrap();
        let by_proxy = reached.iter().filter(|reached| !own.contains(reached));
        let mut places: Vec<String> = by_proxy.map(|(place, _)| place.to_string()).collect();
        places.sort();
        places
    }

    /// A field of the proxy's `/proc/PID/status`.
    pub(crate) fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
        line.unwrap().to_owned()
    }

    /// What the proxy wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn wait_until_listening(&self) {
        let begun = Instant::now();
        let namespace = self.namespaces.part("instances");
        while within(&namespace, || connect_from(WEB)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line of an answer.
pub(crate) fn status_line(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    head.lines().next().unwrap().to_owned()
}

/// What comes to the end of a connection, be that a reset.
pub(crate) fn read_to_end(mut stream: TcpStream) -> String {
    let (mut answer, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&answer)),
        }
    }
    String::from_utf8(answer).unwrap()
}

/// The proxy as it was built, where everybody can run it.
pub(crate) fn program(folder: &Path) -> PathBuf {
    let program = folder.join("egress");
    // By another process: a program that this one has open to write could not be run while a child of
    // another test has not begun yet.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_egress")).arg(&program).status();
    assert!(copied.unwrap().success());
    passable(&program, 0o755);
    program
}

fn egress(entries: &[&str]) -> Egress {
    Egress::new(entries.iter().map(|entry| entry.parse().unwrap()).collect())
}

fn passable(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The namespaces of one world, which are taken away again also after a failed test.
struct Namespaces(String);

impl Drop for Namespaces {
    fn drop(&mut self) {
        for part in ["instances", "host", "world"] {
            let _ = Command::new("ip").args(["netns", "delete", &self.part(part)]).status();
        }
        let _ = fs::remove_dir_all(self.names());
    }
}

impl Namespaces {
    fn make(&self) {
        let [instances, host, world] = ["instances", "host", "world"].map(|part| self.part(part));
        let ip = |line: &str| {
            let line =
                line.replace("INST", &instances).replace("HOST", &host).replace("WRLD", &world);
            let status = Command::new("ip").args(line.split(' ')).status().unwrap();
            assert!(status.success(), "ip {line}");
        };
        for part in ["INST", "HOST", "WRLD"] {
            ip(&format!("netns add {part}"));
            ip(&format!("-n {part} link set lo up"));
        }
        ip("-n HOST link add bridge type veth peer name eth0 netns INST");
        ip("-n HOST link add uplink type veth peer name outside netns WRLD");
        ip(&format!("-n HOST address add {GATEWAY}/22 dev bridge"));
        for address in [WEB, WEB_TOO, OTHER_SERVICE, NOBODYS] {
            ip(&format!("-n INST address add {address}/22 dev eth0"));
        }
        for address in [HOST, HOST_TOO] {
            ip(&format!("-n HOST address add {address}/29 dev uplink"));
        }
        ip("-n WRLD address add 198.51.100.2/29 dev outside");
        ip("-n HOST address add 2001:db8:1::1/64 dev uplink nodad");
        ip("-n WRLD address add 2001:db8:1::2/64 dev outside nodad");
        for (part, device) in
            [("HOST", "bridge"), ("HOST", "uplink"), ("INST", "eth0"), ("WRLD", "outside")]
        {
            ip(&format!("-n {part} link set {device} up"));
        }
        ip("-n HOST route add default via 198.51.100.2");
        ip("-n HOST -6 route add default via 2001:db8:1::2");
        for address in WORLD.map(|address| address.parse::<IpAddr>().unwrap()) {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            ip(&format!("-n WRLD address add {address}/{bits} dev lo"));
        }
        fs::create_dir_all(self.names()).unwrap();
        fs::write(self.names().join("hosts"), HOSTS).unwrap();
        // Nobody listens there, so that no name is looked for anywhere else.
        fs::write(self.names().join("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
    }

    fn part(&self, part: &str) -> String {
        format!("{}-{part}", self.0)
    }

    /// Where `ip netns exec` finds the files that it puts over those of `/etc`.
    fn names(&self) -> PathBuf {
        Path::new("/etc/netns").join(self.part("host"))
    }
}

/// Has every address beyond the instances answer, the host's own among them: what is not reached is barred by
/// the proxy, and not for want of somebody there.
fn serve(namespaces: &Namespaces, reached: &Reached) -> Vec<(String, SocketAddr)> {
    let world = WORLD.map(|address| ("world", address));
    let host = [HOST, HOST_TOO, "10.117.0.1", "127.0.0.1", "::1"].map(|address| ("host", address));
    let instances = ["10.117.0.3"].map(|address| ("instances", address));
    let mut places = Vec::new();
    for (part, address) in world.into_iter().chain(host).chain(instances) {
        for port in PORTS {
            let place = SocketAddr::new(address.parse().unwrap(), port);
            let namespace = namespaces.part(part);
            let listener = within(&namespace, move || TcpListener::bind(place)).unwrap();
            let reached = Arc::clone(reached);
            thread::spawn(move || accept(&listener, place, &reached));
            places.push((namespace, place));
        }
    }
    places
}

fn accept(listener: &TcpListener, place: SocketAddr, reached: &Reached) {
    while let Ok((stream, client)) = listener.accept() {
        reached.lock().unwrap().push((place, client));
        thread::spawn(move || answer(&stream));
    }
}

/// Tells back the head of a request, and what comes after it, as it comes.
fn answer(mut stream: &TcpStream) {
    let mut bytes = [0; 4096];
    let Ok(count) = stream.read(&mut bytes) else { return };
    let head = b"HTTP/1.1 200 OK\r\nx-hop: 1\r\nconnection: close, x-hop\r\n\r\n";
    let told = stream.write_all(head).and_then(|()| stream.write_all(&bytes[..count]));
    if told.is_err() || bytes.starts_with(b"GET") {
        return;
    }
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

fn start(namespaces: &Namespaces, folder: &Path) -> Child {
    let program = program(folder);
    let log = fs::File::create(folder.join("log")).unwrap();
    let listen = format!("{GATEWAY}:3128");
    as_nobody(namespaces, &program)
        .args(["--listen", &listen, "--subnet", "10.117.0.0/22", "--sources"])
        .arg(folder.join("egress.json"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A program on the host, as a user without rights. `exec` all along, so that the child is the program.
fn as_nobody(namespaces: &Namespaces, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &namespaces.part("host")])
        .args(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(program);
    command
}

/// Does something in a network namespace, by a thread that is in it. A socket stays in the one that it was
/// made in.
fn within<T: Send + 'static>(namespace: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = fs::File::open(Path::new("/run/netns").join(namespace)).unwrap();
    let thread = thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    thread.join().unwrap()
}

/// A connection to the proxy from an address of this namespace.
fn connect_from(from: Ipv4Addr) -> std::io::Result<TcpStream> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
    use std::net::SocketAddrV4;
    use std::os::fd::AsRawFd;
    let flags = SockFlag::SOCK_CLOEXEC;
    let open = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    let place = |address, port| SockaddrIn::from(SocketAddrV4::new(address, port));
    bind(open.as_raw_fd(), &place(from, 0))?;
    connect(open.as_raw_fd(), &place(GATEWAY, 3128))?;
    Ok(TcpStream::from(open))
}
