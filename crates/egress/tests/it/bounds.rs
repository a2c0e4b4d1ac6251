//! What one instance may take, what the proxy itself may do, and how it ends.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::{OTHER_SERVICE, WEB, WEB_TOO, World, program, read_to_end};

#[test]
fn one_instance_that_takes_all_connections_it_can_keeps_no_other_from_its_own() {
    let world = World::new(&["public.example:443"]);
    // They begin a head and never end it, or say nothing at all.
    let mut held: Vec<_> = (0..128).map(|_| world.connect(WEB)).collect();
    for stream in &mut held[..64] {
        stream.write_all(b"CONNECT public.exa").unwrap();
    }
    let full = read_to_end(world.connect(WEB));
    assert!(full.starts_with("HTTP/1.1 503 too many connections"), "{full}");
    for other in [WEB_TOO, OTHER_SERVICE] {
        let served = world.ask(other, "CONNECT none.example:1 HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(served.starts_with("HTTP/1.1 403 "), "{served}");
    }
    // What takes 10 s for its head is cut, and its place is another's.
    let begun = Instant::now();
    for stream in [held.remove(127), held.remove(0)] {
        assert_eq!(read_to_end(stream), "");
    }
    assert!(begun.elapsed() < Duration::from_secs(15));
    let served = world.tunnel(WEB, "public.example:443");
    assert_eq!(served, "HTTP/1.1 200 OK");
}

#[test]
fn a_head_that_is_too_large_or_no_http_is_refused() {
    let world = World::new(&["any"]);
    let long = format!("GET http://public.example/ HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let answer = world.ask(WEB, &long);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    for request in ["\u{16}\u{3}\u{1}\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let answer = world.ask(WEB, request);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(world.reached(), [""; 0]);
}

#[test]
fn it_has_no_rights_and_refuses_those_of_root() {
    let world = World::new(&[]);
    assert_eq!(world.status("Uid"), "65534\t65534\t65534\t65534");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(world.status(set), "0000000000000000", "{set}");
    }
    assert_eq!(world.status("NoNewPrivs"), "1");
    let folder = tempfile::tempdir().unwrap();
    let as_root = Command::new(program(folder.path()))
        .args(["--listen", "127.0.0.1:0", "--subnet", "10.117.0.0/22", "--sources", "/x"])
        .output()
        .unwrap();
    let told = String::from_utf8(as_root.stderr).unwrap();
    assert_eq!(as_root.status.code(), Some(1));
    assert!(told.contains("start it as a user without rights"), "{told}");
}

#[test]
fn asked_to_end_it_ends_what_rests_within_seconds() {
    let mut world = World::new(&["public.example:443"]);
    let mut stream = world.connect(WEB);
    stream.write_all(b"CONNECT public.example:443 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(crate::world::status_line(&mut stream), "HTTP/1.1 200 OK");
    let begun = Instant::now();
    kill(Pid::from_raw(i32::try_from(world.child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(world.child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(read_to_end(stream), "");
}
