//! The proxy of one build, which is asked by a Unix socket, and the way there from a loopback address.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::World;

/// The first line that is answered to a CONNECT by this socket.
fn tunnel(socket: &Path, target: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n").unwrap();
    let (mut answer, mut bytes) = (Vec::new(), [0; 4096]);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..count]);
    }
    String::from_utf8(answer).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn a_build_reaches_what_its_arguments_name_and_nothing_that_is_not_public() {
    let world = World::new(&["any"]);
    let list = ["public.example:443", "private.example:443", "metadata.example:443"];
    let (mut proxy, socket) = world.build(&[&list[..], &["own.example:443"]].concat());
    assert_eq!(tunnel(&socket, "public.example:443"), "HTTP/1.1 200 OK");
    for (target, told) in [
        (
            "www.public.example:443",
            "add \"www.public.example:443\" to builds.egress in bellows.toml",
        ),
        ("public.example:80", "add \"public.example:80\" to builds.egress in bellows.toml"),
        ("private.example:443", "add \"10.9.9.9:443\" to builds.egress as well"),
        ("metadata.example:443", "that leads to the host, to its link or to nobody"),
        ("own.example:443", "that is the host or an instance of it, which no build reaches"),
    ] {
        let answer = tunnel(&socket, target);
        assert!(answer.starts_with("HTTP/1.1 403 the build of web may not reach"), "{answer}");
        assert!(answer.ends_with(told), "{answer}");
    }
    assert_eq!(world.reached(), ["203.0.113.5:443"]);
    proxy.kill().unwrap();
    proxy.wait().unwrap();
}

#[test]
fn the_proxy_of_a_build_ends_with_who_started_it() {
    let world = World::new(&["any"]);
    let (mut proxy, socket) = world.build(&["public.example:443"]);
    let open = UnixStream::connect(&socket).unwrap();
    drop(proxy.stdin.take());
    let begun = Instant::now();
    while proxy.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it goes on");
        thread::sleep(Duration::from_millis(5));
    }
    drop(open);
    assert!(UnixStream::connect(&socket).is_err());
}

#[test]
fn a_program_finds_the_socket_at_an_address_and_its_end_is_told_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut line = [0; 5];
            stream.read_exact(&mut line).unwrap();
            stream.write_all(b"told ").unwrap();
            stream.write_all(&line).unwrap();
        }
    });
    // A port of this process's own.
    let address = format!("127.{}.7.7:3128", std::process::id() % 200 + 20);
    let script = format!(
        "exec 3<>/dev/tcp/{}; printf hello >&3; cat <&3; exit 7",
        address.replace(':', "/")
    );
    let output = Command::new(env!("CARGO_BIN_EXE_egress"))
        .args(["relay", &address])
        .arg(&socket)
        .args(["--", "bash", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "told hello", "{output:?}");
    assert_eq!(output.status.code(), Some(7));
    let output = Command::new(env!("CARGO_BIN_EXE_egress"))
        .args(["relay", &address])
        .arg(&socket)
        .args(["--", "bash", "-c", "kill -9 $$"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(137));
}
