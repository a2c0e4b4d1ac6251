//! A real HAProxy on loopback, instances behind it, and clients before it.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode, Uri};
use host::haproxy::{
    Applied, Backend, Backends, Haproxy, HaproxySettings, LoadBalancer, Reach, Server, ServerState,
    Stats,
};
use host::settings::Membership;
use host::slots::Subnet;
use model::names::{ServiceName, Slot};
use model::service::{HealthCheck, HealthStatus, Route};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

pub(crate) fn store() -> ServiceName {
    "store".parse().unwrap()
}

pub(crate) fn slot(number: u32) -> Slot {
    Slot::try_from(number).unwrap()
}

/// A network on loopback that no other test uses. Its ports are free, and no client takes them for its
/// own end, because clients come from 127.0.0.1.
fn own_subnet() -> Subnet {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    // Tests of one process have networks side by side, and so do processes side by side.
    let (second, third) =
        ((high ^ low) % 127 + 128, low.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)));
    Subnet::on_loopback(second, third.wrapping_mul(4))
}

/// A server on an address of its own, with a runtime of its own: dropping that ends it in the
/// middle of whatever it does, as `kill -9` does.
pub(crate) struct Instance(Arc<Mutex<Option<Runtime>>>);

/// Requests that an instance got and, by what their path asks for, did not answer.
pub(crate) type Unanswered = Arc<AtomicU64>;

impl Instance {
    pub(crate) fn start(address: SocketAddrV4) -> Self {
        Self::counting(address, &Unanswered::default())
    }

    /// The same, which counts in `unanswered`. `/die` ends the instance, and `/leave` the connection.
    pub(crate) fn counting(address: SocketAddrV4, unanswered: &Unanswered) -> Self {
        let instance = Self(Arc::default());
        let (dying, unanswered) = (Arc::clone(&instance.0), Arc::clone(unanswered));
        let answer = async move |uri: Uri, headers: HeaderMap, body: axum::body::Bytes| {
            if ["/die", "/leave"].contains(&uri.path()) {
                unanswered.fetch_add(1, Ordering::Relaxed);
                if uri.path() == "/die" {
                    end(&dying);
                }
                std::panic::resume_unwind(Box::new("ends the connection"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            format!("{} {:?}", body.len(), headers.get_all("x-forwarded-for"))
        };
        let app = axum::Router::new()
            .route("/healthz", axum::routing::get(|| async { "well" }))
            .route("/bytes/{count}", axum::routing::get(bytes))
            .route("/absent", axum::routing::get(|| async { StatusCode::NOT_FOUND }))
            .route("/fails", axum::routing::get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
            .fallback(answer);
        instance.serve(address, app)
    }

    /// One that answers every second request with 500, the first one among them.
    pub(crate) fn wrong(address: SocketAddrV4) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let answer = async move || {
            let is_wrong = answered.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            if is_wrong { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
        };
        let app = axum::Router::new()
            .route("/healthz", axum::routing::get(|| async { "well" }))
            .fallback(answer);
        Self(Arc::default()).serve(address, app)
    }

    fn serve(self, address: SocketAddrV4, app: axum::Router) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (bound, ready) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            bound.send(()).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
        ready.recv().unwrap();
        *self.0.lock().unwrap() = Some(runtime);
        self
    }
}

async fn bytes(axum::extract::Path(count): axum::extract::Path<usize>) -> Vec<u8> {
    vec![b'x'; count]
}

fn end(runtime: &Mutex<Option<Runtime>>) {
    let runtime = runtime.lock().unwrap().take();
    if let Some(runtime) = runtime {
        runtime.shutdown_background();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        end(&self.0);
    }
}

/// HAProxy, its owner, and the servers that it should hold.
pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) settings: HaproxySettings,
    pub(crate) haproxy: Arc<Haproxy>,
    pub(crate) servers: Vec<Server>,
    /// Servers of a second service, which is there once it has some.
    pub(crate) others: Vec<Server>,
    /// What instances may reach.
    pub(crate) reaches: Vec<Reach>,
    /// How long either may drain.
    pub(crate) drain_timeout: Duration,
    /// How the health of either's instances is checked.
    pub(crate) health_check: HealthCheck,
    pub(crate) health_statuses: BTreeSet<HealthStatus>,
    pub(crate) some_by_connection: bool,
    process: Option<Child>,
}

impl Rig {
    /// HaproxySettings in a folder of their own, with room for `slots` servers. Nothing runs yet.
    pub(crate) fn new(membership: Membership, slots: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut of_host = host::settings::Settings::default();
        of_host.paths.run = folder.path().to_owned();
        let subnet = own_subnet();
        let ip = subnet.gateway();
        of_host.network.subnet = subnet;
        of_host.listen.services = SocketAddrV4::new(ip, 7080);
        of_host.listen.statistics = SocketAddrV4::new(ip, 7404);
        of_host.scaler.membership = membership;
        let settings = HaproxySettings::of_host(&of_host).unwrap();
        let server = |number| {
            let slot = slot(number);
            Server {
                slot,
                address: SocketAddrV4::new(subnet.address(slot).unwrap(), 8000),
                health_path: Some("/healthz".parse().unwrap()),
                concurrency: 8.try_into().unwrap(),
                state: ServerState::Maint,
            }
        };
        Self {
            folder,
            haproxy: Arc::new(Haproxy::new(settings.clone()).unwrap()),
            settings,
            servers: (1..=slots).map(server).collect(),
            others: vec![],
            reaches: vec![],
            drain_timeout: Duration::from_secs(30),
            health_check: HealthCheck::default(),
            health_statuses: [HealthStatus::default()].into(),
            some_by_connection: false,
            process: None,
        }
    }

    /// The same with HAProxy running.
    pub(crate) async fn start(membership: Membership, slots: u32) -> Self {
        let mut rig = Self::new(membership, slots);
        rig.prepare_and_start().await;
        rig
    }

    /// Has HAProxy take other settings, and other texts for those of the template.
    pub(crate) fn customise(
        &mut self,
        sources: host::settings::SourceSettings,
        replacements: &[(&str, &str)],
    ) {
        let mut text = include_str!("../../../../haproxy/haproxy.cfg.tera").to_owned();
        for (from, to) in replacements {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
        }
        let template = self.folder.path().join("customised.tera");
        std::fs::write(&template, text).unwrap();
        self.settings.template = Some(template);
        self.settings.sources = sources;
        self.haproxy = Haproxy::new(self.settings.clone()).unwrap().into();
    }

    /// Puts the file in place and starts HAProxy.
    pub(crate) async fn prepare_and_start(&mut self) {
        self.haproxy.prepare(&self.backends()).await.unwrap();
        self.start_haproxy().await;
    }

    /// Starts HAProxy from the file in place, as a supervisor would.
    pub(crate) async fn start_haproxy(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new("haproxy")
            .args(self.settings.arguments())
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .expect("haproxy must be installed");
        self.process = Some(child);
        self.stats().await;
    }

    pub(crate) fn master(&self) -> i32 {
        self.process.as_ref().unwrap().id().try_into().unwrap()
    }

    /// Waits for the end of a HAProxy that was killed.
    pub(crate) fn reap(&mut self) {
        self.process.take().unwrap().wait().unwrap();
    }

    pub(crate) fn backend(&self) -> Backend {
        Backend {
            service: store(),
            route: Some(Route::below("/".parse().unwrap())),
            health_check: self.health_check,
            health_statuses: self.health_statuses.clone(),
            some_by_connection: self.some_by_connection,
            tcp_port: None,
            max_servers: self.servers.len().try_into().unwrap(),
            drain_timeout: self.drain_timeout,
            servers: self.servers.clone(),
        }
    }

    /// The backend of a second service, below `/other`.
    pub(crate) fn other(&self) -> Backend {
        Backend {
            service: "other".parse().unwrap(),
            route: Some(Route::below("/other".parse().unwrap())),
            servers: self.others.clone(),
            ..self.backend()
        }
    }

    pub(crate) fn backends(&self) -> Backends {
        let other = (!self.others.is_empty()).then(|| self.other());
        let backends = Backends::new([self.backend()].into_iter().chain(other).collect()).unwrap();
        backends.with_reaches(self.reaches.clone())
    }

    pub(crate) async fn apply(&self) -> Applied {
        self.haproxy.apply(&self.backends()).await.unwrap()
    }

    pub(crate) fn set(&mut self, number: u32, state: ServerState) -> SocketAddrV4 {
        let server = &mut self.servers[number as usize - 1];
        server.state = state;
        server.address
    }

    /// Starts an instance and puts it in rotation.
    pub(crate) async fn scale_out(&mut self, number: u32) -> (Instance, Applied) {
        self.scale_out_counting(number, &Unanswered::default()).await
    }

    /// The same with an instance that counts the requests it does not answer.
    pub(crate) async fn scale_out_counting(
        &mut self,
        number: u32,
        unanswered: &Unanswered,
    ) -> (Instance, Applied) {
        let instance = Instance::counting(self.set(number, ServerState::Ready), unanswered);
        (instance, self.apply().await)
    }

    /// Drains a server, waits until it has nothing left to do, and takes it out of rotation.
    pub(crate) async fn scale_in(&mut self, number: u32) {
        self.set(number, ServerState::Drain);
        self.apply().await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.drained().await.contains(&(store(), slot(number))) {
            assert!(Instant::now() < deadline, "s{number} does not drain");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.set(number, ServerState::Maint);
        self.apply().await;
    }

    pub(crate) async fn drained(&self) -> BTreeSet<(ServiceName, Slot)> {
        let stats = self.stats().await;
        self.haproxy.drained(&stats).await.unwrap()
    }

    /// The statistics, as soon as HAProxy answers.
    pub(crate) async fn stats(&self) -> Stats {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match self.haproxy.scrape().await {
                Ok(stats) => return stats,
                Err(error) if Instant::now() > deadline => {
                    let log = std::fs::read_to_string(self.folder.path().join("log"));
                    panic!("{error:?}, and HAProxy logged {log:?}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// See [`raw`].
    pub(crate) async fn raw(&self, request: &[u8], half_close: bool) -> String {
        raw(self.settings.listen, request.to_owned(), half_close).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.settings.listen)
    }

    /// Has the admin socket do something behind the owner's back, and gives its reply.
    pub(crate) async fn tamper(&self, command: &str) -> String {
        ask(self.settings.admin_socket.as_path(), command).await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill(process.id().try_into().unwrap(), nix::sys::signal::Signal::SIGTERM);
            process.wait().unwrap();
        }
    }
}

pub(crate) fn kill(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

/// Sends one command to a socket of HAProxy.
pub(crate) async fn ask(socket: &Path, command: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    stream.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

/// Sends `request` as it stands, closes the sending side then or never, and gives the answer.
pub(crate) async fn raw(address: SocketAddrV4, request: Vec<u8>, half_close: bool) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    exchange(&mut stream, &request, half_close).await
}

/// The same on a connection that is there; empty where it breaks.
pub(crate) async fn exchange(
    stream: &mut tokio::net::TcpStream,
    request: &[u8],
    half_close: bool,
) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut answer = Vec::new();
    if stream.write_all(request).await.is_err() {
        return String::new();
    }
    if half_close {
        stream.shutdown().await.unwrap();
    }
    // A refusal that meets what the client still sends ends with a reset.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// Clients that go on until they are told to stop.
pub(crate) struct Load {
    clients: JoinSet<()>,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Load {
    /// 16 clients with connections that are kept, each of about 25 requests a second: mostly small,
    /// some with 40 KB to send, and some on a connection that they close.
    pub(crate) fn start(url: String) -> Self {
        Self::of(url, |number| number)
    }

    /// The same without POST, the one method of it that is not sent again when a server dies.
    pub(crate) fn repeatable(url: String) -> Self {
        Self::of(url, |number| if number % 10 == 2 { 3 } else { number })
    }

    fn of(url: String, kind: fn(u64) -> u64) -> Self {
        let mut load = Self {
            clients: JoinSet::new(),
            stop: Arc::default(),
            sent: Arc::default(),
            failures: Arc::default(),
        };
        for first in 0..16 {
            let (url, stop) = (url.clone(), Arc::clone(&load.stop));
            let (sent, failures) = (Arc::clone(&load.sent), Arc::clone(&load.failures));
            load.clients.spawn(async move {
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                for number in first.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = request(&client, &url, kind(number)).await;
                    sent.fetch_add(1, Ordering::Relaxed);
                    if let Err(failure) = outcome {
                        failures.lock().unwrap().push(failure);
                    }
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
            });
        }
        load
    }

    /// Stops all clients and gives the number of requests.
    ///
    /// # Panics
    /// One failed.
    pub(crate) async fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        let failures = self.failures.lock().unwrap();
        let sent = self.sent.load(Ordering::Relaxed);
        assert!(failures.is_empty(), "{} of {sent} failed: {:?}", failures.len(), failures);
        sent
    }
}

async fn request(client: &reqwest::Client, url: &str, kind: u64) -> Result<(), String> {
    let request = match kind % 10 {
        0 => client.get(url).header("connection", "close"),
        1 => client.put(url).body(vec![b'x'; 40_000]),
        2 => client.post(url).body("x"),
        _ => client.get(url),
    };
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let text = response.text().await.map_err(|error| format!("{error:?}"))?;
    if status == 200 { Ok(()) } else { Err(format!("{status} {text}")) }
}
