//! Rights that are taken away, and a file that cannot be read.

use std::io::{Read, Write};

use crate::world::{NOBODYS, WEB, World, read_to_end, status_line};

#[test]
fn an_open_tunnel_ends_with_its_right_and_bytes_go_both_ways_until_then() {
    let world = World::new(&["public.example:443"]);
    let mut stream = world.connect(WEB);
    // What is sent before the answer goes through the tunnel too.
    stream.write_all(b"CONNECT public.example:443 HTTP/1.1\r\nhost: x\r\n\r\nfirst").unwrap();
    assert_eq!(status_line(&mut stream), "HTTP/1.1 200 OK");
    let mut told =
        vec![0; b"HTTP/1.1 200 OK\r\nx-hop: 1\r\nconnection: close, x-hop\r\n\r\nfirst".len()];
    stream.read_exact(&mut told).unwrap();
    assert!(told.ends_with(b"first"), "{}", String::from_utf8_lossy(&told));
    stream.write_all(b"second").unwrap();
    let mut told = [0; 6];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"second");
    // Another list that names the same leaves it as it is.
    world.allow(&["public.example:443", "public.example:80"]);
    assert_eq!(world.tunnel(WEB, "public.example:80"), "HTTP/1.1 200 OK");
    stream.write_all(b"third!").unwrap();
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"third!");
    world.allow(&["public.example:80"]);
    assert_eq!(read_to_end(stream), "");
    let refused = world.tunnel(WEB, "public.example:443");
    assert!(refused.starts_with("HTTP/1.1 403 web may not reach"), "{refused}");
}

#[test]
fn a_file_that_is_gone_or_broken_lets_nobody_out() {
    let world = World::new(&["any"]);
    let refused = |from| {
        let told = world.tunnel(from, "public.example:443");
        assert!(told.starts_with("HTTP/1.1 403 this instance may reach nothing"), "{told}");
    };
    refused(NOBODYS);
    for broken in ["", "{", "{\"services\":{},\"instances\":{\"10.117.0.2\":1}}"] {
        world.write_sources(broken);
        refused(WEB);
    }
    assert!(world.log().contains("nobody may reach anything"), "{}", world.log());
    std::fs::remove_file(world.sources()).unwrap();
    refused(WEB);
    world.allow(&["any"]);
    assert_eq!(world.tunnel(WEB, "public.example:443"), "HTTP/1.1 200 OK");
}
