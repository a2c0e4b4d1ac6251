//! What an instance reaches, and what it does not.

use crate::world::{NOBODYS, OTHER_SERVICE, PRIVATE, PUBLIC, WEB, WEB_TOO, World};

const ALLOWED: &str = "HTTP/1.1 200 OK";

#[test]
fn what_is_named_is_reached_by_a_tunnel_and_by_a_request() {
    let world = World::new(&["public.example:443", "*.public.example:80", "six.example:443"]);
    for target in ["public.example:443", "PUBLIC.example.:443", "six.example:443"] {
        assert_eq!(world.tunnel(WEB, target), ALLOWED, "{target}");
    }
    let answer =
        world.ask(WEB, "GET http://www.public.example/a?b=c HTTP/1.1\r\nhost: evil.example\r\n\
            proxy-connection: keep-alive\r\nconnection: x-mine, close\r\nx-mine: 1\r\naccept: */*\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("x-hop:"), "{answer}");
    assert!(body.contains("GET /a?b=c HTTP/1.1\r\n"), "{answer}");
    assert!(body.contains("host: www.public.example\r\n") && !body.contains("evil"), "{answer}");
    assert!(!body.contains("x-mine") && !body.contains("proxy-connection"), "{answer}");
    assert!(body.contains("accept: */*\r\n"), "{answer}");
    let six = "[2001:db8::5]:443";
    let reached = ["203.0.113.5:443", "203.0.113.5:443", "203.0.113.6:80", six];
    assert_eq!(world.reached(), reached);
}

#[test]
fn what_is_not_named_is_refused_with_the_key_that_would_have_allowed_it() {
    let world = World::new(&["public.example:443"]);
    for target in ["public.example:80", "www.public.example:443", "203.0.113.5:443"] {
        let told = format!(
            "HTTP/1.1 403 web may not reach {target}: add \"{target}\" to egress in \
             services/web.toml, and run `bellows up`"
        );
        assert_eq!(world.tunnel(WEB, target), told);
    }
    let answer = world.ask(WEB, "GET http://public.example/ HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 403 web may not reach public.example:80"), "{answer}");
    assert!(answer.ends_with("and run `bellows up`\n"), "{answer}");
    assert!(world.log().contains("add \\\"public.example:80\\\" to egress"), "{}", world.log());
    assert_eq!(world.reached(), [""; 0]);
}

#[test]
fn each_service_has_a_list_of_its_own() {
    let world = World::new(&["public.example:443"]);
    assert_eq!(world.tunnel(WEB_TOO, "public.example:443"), ALLOWED);
    let refused = world.tunnel(OTHER_SERVICE, "public.example:443");
    assert!(refused.starts_with("HTTP/1.1 403 other may not reach"), "{refused}");
    assert_eq!(world.tunnel(OTHER_SERVICE, "www.public.example:80"), ALLOWED);
    let nobody = world.tunnel(NOBODYS, "public.example:443");
    assert!(nobody.starts_with("HTTP/1.1 403 this instance may reach nothing"), "{nobody}");
}

#[test]
fn whatever_a_name_says_no_address_is_reached_that_is_not_public() {
    let names = [
        ("private.example", "a private network"),
        ("split.example", "a private network"),
        ("other.split.example", "a private network"),
        ("shared.example", "a private network"),
        ("local.example", "a private network"),
        ("metadata.example", "leads to the host, to its link or to nobody"),
        ("loop.example", "leads to the host, to its link or to nobody"),
        ("loop6.example", "leads to the host, to its link or to nobody"),
        ("zero.example", "leads to the host, to its link or to nobody"),
        ("mapped.example", "leads to the host, to its link or to nobody"),
        ("own.example", "the host or an instance of it"),
        ("second.own.example", "the host or an instance of it"),
        ("own6.example", "the host or an instance of it"),
        ("gateway.example", "the host or an instance of it"),
        ("instance.example", "the host or an instance of it"),
    ];
    let entries: Vec<String> = names.iter().map(|(name, _)| format!("{name}:443")).collect();
    let mut entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    entries.push("any");
    let world = World::new(&entries);
    for (name, told) in names {
        for answer in [
            world.tunnel(WEB, &format!("{name}:443")),
            world.ask(WEB, &format!("GET http://{name}/ HTTP/1.1\r\nhost: {name}\r\n\r\n")),
        ] {
            assert!(answer.starts_with("HTTP/1.1 403 web may not reach"), "{name}: {answer}");
            assert!(answer.contains(told), "{name}: {answer}");
        }
    }
    assert_eq!(world.reached(), [""; 0]);
}

#[test]
fn whatever_spelling_an_address_has_none_is_reached_that_is_not_public() {
    let world = World::new(&["any"]);
    for (target, status) in [
        ("169.254.169.254:80", "403"),
        ("127.0.0.1:80", "403"),
        ("0.0.0.0:80", "403"),
        ("10.9.9.9:80", "403"),
        ("10.117.0.1:80", "403"),
        ("10.117.0.3:80", "403"),
        ("198.51.100.1:80", "403"),
        ("198.51.100.3:80", "403"),
        ("[::1]:80", "403"),
        ("[::]:80", "403"),
        ("[::ffff:169.254.169.254]:80", "403"),
        ("[::ffff:a9fe:a9fe]:80", "403"),
        ("[64:ff9b::a9fe:a9fe]:80", "403"),
        ("[2002:a9fe:a9fe::1]:80", "403"),
        ("[fd00::9]:80", "403"),
        ("127.1:80", "400"),
        ("0x7f000001:80", "400"),
        ("0177.0.0.1:80", "400"),
        ("2130706433:80", "400"),
        ("localhost:80", "400"),
        ("[fe80::1%25uplink]:80", "400"),
        ("public.example:443@127.0.0.1:80", "400"),
    ] {
        let answer = world.tunnel(WEB, target);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
    }
    assert_eq!(world.reached(), [""; 0]);
    assert_eq!(world.tunnel(WEB, &format!("{PUBLIC}:443")), ALLOWED);
}

#[test]
fn a_private_address_is_reached_where_it_is_named_itself() {
    let place = format!("{PRIVATE}:5432");
    let world = World::new(&[&place, "private.example:5432", "private.example:443"]);
    assert_eq!(world.tunnel(WEB, &place), ALLOWED);
    assert_eq!(world.tunnel(WEB, "private.example:5432"), ALLOWED);
    let refused = world.tunnel(WEB, "private.example:443");
    assert!(refused.contains("add \"10.9.9.9:443\" to egress as well"), "{refused}");
}

#[test]
fn any_is_the_web_and_not_the_port_of_mail() {
    let world = World::new(&["any"]);
    assert_eq!(world.tunnel(WEB, "public.example:443"), ALLOWED);
    let refused = world.tunnel(WEB, "public.example:25");
    assert!(refused.starts_with("HTTP/1.1 403 web may not reach"), "{refused}");
}

#[test]
fn who_cannot_be_found_or_does_not_answer_is_told_apart_from_who_may_not_be_asked() {
    let world = World::new(&["none.example:443", "public.example:81"]);
    let unknown = world.tunnel(WEB, "none.example:443");
    assert!(
        unknown.starts_with("HTTP/1.1 502 this host finds no address of none.example"),
        "{unknown}"
    );
    let refused = world.tunnel(WEB, "public.example:81");
    assert!(refused.starts_with("HTTP/1.1 502 public.example:81 does not answer"), "{refused}");
}
