//! One question to an application, from within its network namespace: a request's head, and the status of the answer.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use model::paths::HealthPath;

use super::verdict::Answer;

/// How long a connection and an answer may take together, as HAProxy's checks give them.
const TIMEOUT: Duration = Duration::from_millis(500);

/// As much as the first line of an answer may have.
const LINE_BYTES: usize = 1024;

/// Whether anybody takes a connection on this port.
pub(super) fn is_taken(port: u16) -> bool {
    connect(port).is_some()
}

/// What an application answers to those who will ask it: an instance's launch, by its address, and HAProxy, which names
/// no host. Some answer by the host that is named.
pub(super) fn ask(port: u16, path: &HealthPath) -> Answer {
    let launch = format!("GET {path} HTTP/1.1\r\nhost: 10.0.0.1:{port}\r\naccept: */*\r\n\r\n");
    let check = format!("GET {path} HTTP/1.0\r\nconnection: close\r\n\r\n");
    match (status(port, &launch), status(port, &check)) {
        (Some(one), Some(other)) => Answer::Status(one.max(other)),
        _ => Answer::None,
    }
}

fn connect(port: u16) -> Option<TcpStream> {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    TcpStream::connect_timeout(&address.into(), TIMEOUT).ok()
}

fn status(port: u16, head: &str) -> Option<u16> {
    let deadline = Instant::now() + TIMEOUT;
    let mut stream = connect(port)?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    let (mut line, mut bytes) = (Vec::new(), [0; LINE_BYTES]);
    loop {
        // A time of 0 would be none.
        let left = deadline.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())?;
        stream.set_read_timeout(Some(left)).ok()?;
        let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
        line.extend_from_slice(&bytes[..count]);
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            return parse(&line[..end]);
        }
        if line.len() > LINE_BYTES {
            return None;
        }
    }
}

/// Reads `HTTP/1.1 200 OK`.
fn parse(line: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(line).ok()?.trim_end();
    let (version, rest) = text.split_once(' ')?;
    let status = rest.split(' ').next()?;
    let is_http = version.starts_with("HTTP/1.") && status.len() == 3;
    status.parse().ok().filter(|status| is_http && (200..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_valid_first_line_is_read_and_of_no_other() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r"), Some(200));
        assert_eq!(parse(b"HTTP/1.0 404"), Some(404));
        for line in [
            &b"SSH-2.0-OpenSSH"[..],
            b"HTTP/2 200",
            b"HTTP/1.1 2000 x",
            b"HTTP/1.1 099",
            b"HTTP/1.1",
            b"\xff\xff 200 OK",
        ] {
            assert_eq!(parse(line), None);
        }
    }
}
