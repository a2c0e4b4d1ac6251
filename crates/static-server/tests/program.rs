//! The service as an instance starts it: the real program, on loopback.

#![allow(clippy::unwrap_used, reason = "in a test, to panic is to fail")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One process of the service; killed when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is answered at a port of loopback, once somebody listens there.
fn get(port: u16, path: &str) -> String {
    let begun = Instant::now();
    let mut stream = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(begun.elapsed().as_secs() < 20, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_listens_at_the_port_in_port_where_its_file_names_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), "<p>home").unwrap();
    let config = folder.path().join("service.toml");
    fs::write(&config, format!("folder = '{}'\n", folder.path().display())).unwrap();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_static-server"));
    command.arg("--config").arg(&config).env("PORT", free.to_string());
    let quiet = command.stdin(Stdio::null()).stderr(Stdio::null());
    let _server = Server(quiet.spawn().unwrap());
    assert!(get(free, "/").ends_with("<p>home"));
}
