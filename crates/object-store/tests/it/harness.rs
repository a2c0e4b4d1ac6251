//! Starts the program and speaks to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use tempfile::TempDir;

/// Nothing in these tests takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// No rate limit: most tests are not about it.
pub(crate) const UNLIMITED: &str = "rate_limit.enabled = false";

/// One process of the object store; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    client: Client,
    _config: TempDir,
}

/// Writes a configuration file into a folder of its own.
pub(crate) fn write_config(objects: &Path, settings: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("listen = '127.0.0.1:0'\nobjects_dir = '{}'\n{settings}\n", objects.display());
    std::fs::write(folder.path().join("service.toml"), text).unwrap();
    folder
}

/// The program with that configuration, not yet started.
pub(crate) fn program(config: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_object-store"));
    command.arg("--config").arg(config.path().join("service.toml"));
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Server {
    pub(crate) fn start(objects: &Path, settings: &str) -> Self {
        let config = write_config(objects, settings);
        let mut child = program(&config).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = address_in(&mut log);
        // The log is read on, or the server would stop at a full pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().unwrap();
        Self { child, address, client, _config: config }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn put(&self, path: &str, content: impl Into<reqwest::Body>) -> Response {
        self.request(Method::PUT, path).body(content).send().await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    /// All ids in one answer.
    pub(crate) async fn ids(&self) -> Vec<String> {
        self.get("/").await.json_body().await
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these bytes and returns all that comes back until the server closes.
    pub(crate) fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        read_all(stream)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// The most memory the process ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is what some tests are about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what is left, whether the server closes or resets the connection.
pub(crate) fn read_all(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        answer.extend(&buffer[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) trait JsonBody {
    async fn json_body<T: serde::de::DeserializeOwned>(self) -> T;
    /// The code of an error.
    async fn code(self) -> String;
}

impl JsonBody for Response {
    async fn json_body<T: serde::de::DeserializeOwned>(self) -> T {
        serde_json::from_slice(&self.bytes().await.unwrap()).unwrap()
    }

    async fn code(self) -> String {
        let body: serde_json::Value = self.json_body().await;
        assert!(body["error"]["message"].as_str().is_some_and(|text| text.ends_with('.')));
        body["error"]["code"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The number of unfinished uploads in the folder.
pub(crate) fn incoming(objects: &Path) -> usize {
    std::fs::read_dir(objects.join("incoming")).unwrap().count()
}

/// Waits until `done`, and fails if that takes too long.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn address_in(log: &mut impl BufRead) -> SocketAddr {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the server ended: {seen}");
        seen.push_str(&line);
        if let Ok(event) = serde_json::from_str::<serde_json::Value>(&line)
            && let Some(address) = event["address"].as_str()
        {
            return address.parse().unwrap();
        }
    }
}
