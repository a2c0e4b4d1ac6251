//! Which service a request goes to, by its host and its path, and what the service is told of both.

use std::net::SocketAddrV4;

use axum::http::{HeaderMap, Uri};
use host::haproxy::{Backend, Backends, LoadBalancer as _, Server, ServerState};
use host::settings::Membership;
use model::service::Route;

use super::reach::{FRONT, get, reach};
use super::rig::Rig;

/// Answers with what it was asked for: the target, and each header field of `x-forwarded-`.
async fn echo(address: SocketAddrV4) {
    let answer = async |uri: Uri, headers: HeaderMap| {
        let told = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-forwarded-"));
        let mut told: Vec<_> = told.map(|(name, value)| format!(" {name}={value:?}")).collect();
        told.sort();
        format!("{uri}{}\n", told.concat())
    };
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
}

fn route(host: Option<&str>, prefix: &str, strips_prefix: bool) -> Route {
    let host = host.map(|host| host.parse().unwrap());
    Route { host, path_prefix: prefix.parse().unwrap(), strips_prefix }
}

/// Services of one instance each, with these routes, of which the one in the slot [`FRONT`] may reach `cart`.
async fn start(routes: &[(&str, Option<Route>)]) -> Rig {
    let mut rig = Rig::new(Membership::Runtime, u32::try_from(routes.len()).unwrap());
    let backend = |((name, route), server): (&(&str, Option<Route>), &Server)| Backend {
        service: name.parse().unwrap(),
        route: route.clone(),
        servers: vec![Server { state: ServerState::Ready, ..server.clone() }],
        ..rig.backend()
    };
    let backends = routes.iter().zip(&rig.servers).map(backend).collect();
    let backends = Backends::new(backends).unwrap();
    let backends = backends.with_reaches(vec![reach(&rig, FRONT, &["cart"])]);
    for server in &rig.servers {
        echo(server.address).await;
    }
    rig.haproxy.prepare(&backends).await.unwrap();
    rig.start_haproxy().await;
    rig.haproxy.apply(&backends).await.unwrap();
    rig
}

async fn shop() -> Rig {
    let shop = Some("shop.example");
    start(&[
        ("site", Some(route(None, "/", false))),
        ("docs", Some(route(None, "/docs/v1", false))),
        ("shop", Some(route(shop, "/", false))),
        ("cart", Some(route(shop, "/cart", true))),
        ("admin", None),
    ])
    .await
}

/// What a request for this target with these lines comes to: the server, and what the service saw.
async fn asked(rig: &Rig, target: &str, lines: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\n{lines}\r\nconnection: close\r\n\r\n");
    read(&rig.raw(request.as_bytes(), false).await)
}

fn read(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let server = head.lines().find_map(|line| line.strip_prefix("x-bellows-server: "));
    let body = body.lines().last().unwrap_or_default();
    format!("{}: {}", server.unwrap_or("none"), body.trim())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_matching_host_comes_before_none_and_the_longest_prefix_wins_within_each() {
    let rig = shop().await;
    let (shop, other) = ("host: shop.example", "host: other.example");
    for (target, host, server) in [
        ("/", shop, "s3"),
        ("/cart", shop, "s4"),
        ("/cart/a", shop, "s4"),
        ("/carts", shop, "s3"),
        // A host's own route comes first, also where another has a longer prefix.
        ("/docs/v1", shop, "s3"),
        ("/docs/v1", other, "s2"),
        ("/docs/v1/a", other, "s2"),
        ("/docs/v10", other, "s1"),
        ("/cart", other, "s1"),
        // A host has no case, and its port and the dot at its end are no part of it.
        ("/", "host: SHOP.example", "s3"),
        ("/", "host: shop.example:8443", "s3"),
        ("/", "host: shop.example.", "s3"),
        ("/", "host: shop.example.:80", "s3"),
        ("http://shop.example/cart", shop, "s4"),
        ("http://shop.example", shop, "s3"),
        // Each of these is another host.
        ("/", "host: evil.example,shop.example", "s1"),
        ("/", "host: shop.example,evil.example", "s1"),
        ("/", "host: shop.example.evil.example", "s1"),
        ("/", "host: a.shop.example", "s1"),
        ("/", "host: shop-example", "s1"),
        ("/", "host:", "s1"),
        ("/", "host: a\r\nx-forwarded-host: shop.example", "s1"),
        ("/", "host: a\r\nforwarded: host=shop.example", "s1"),
        // Names of services, as instances use them, are nothing from outside.
        ("/", "host: admin", "s1"),
        ("/", "host: cart", "s1"),
    ] {
        let answer = asked(&rig, target, host).await;
        assert!(answer.starts_with(&format!("{server}: ")), "{target} {host:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_sees_its_path_and_is_told_the_rest_by_nobody_but_the_load_balancer() {
    let rig = shop().await;
    let shop = "host: Shop.example:8080";
    let forged = format!(
        "{shop}\r\nx-forwarded-host: evil\r\nX-Forwarded-Prefix: /evil\r\nx-forwarded-proto: https\r\n\
         x-forwarded-for: 192.0.2.9"
    );
    let told = "x-forwarded-for=\"127.0.0.1\" x-forwarded-host=\"Shop.example:8080\"";
    for lines in [shop, &forged] {
        assert_eq!(
            asked(&rig, "/a?b", lines).await,
            format!("s3: /a?b {told} x-forwarded-proto=\"http\"")
        );
        for (target, seen) in [
            ("/cart", "/"),
            ("/cart?q=/cart", "/?q=/cart"),
            ("/cart/", "/"),
            ("/cart/cart/a%2Fb", "/cart/a%2Fb"),
            ("/cart//evil.example/a//b", "/evil.example/a//b"),
            ("/cart/%2f/a", "/%2f/a"),
            ("/cart/../a", "/../a"),
            ("http://Shop.example:8080/cart/a?b", "http://Shop.example:8080/a?b"),
        ] {
            let rest = format!("{told} x-forwarded-prefix=\"/cart\" x-forwarded-proto=\"http\"");
            assert_eq!(asked(&rig, target, lines).await, format!("s4: {seen} {rest}"), "{target}");
        }
    }
    // What is compared is what came: no path is another one's spelling.
    for target in ["//cart/a", "/./cart", "/%63art", "/cart%2Fa", "/CART"] {
        let seen = format!("s3: {target} ");
        let answer = asked(&rig, target, shop).await;
        assert!(answer.starts_with(&seen), "{target}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_instances_send_to_a_service_by_name_keeps_its_path() {
    let rig = shop().await;
    let seen = read(&get(&rig, FRONT, "cart").await);
    assert!(seen.starts_with("s4: / ") && !seen.contains("prefix"), "{seen}");
    assert!(seen.contains("x-forwarded-host=\"cart\""), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_that_is_added_to_it_the_largest_head_still_fits_what_a_service_reads() {
    let rig = shop().await;
    let fields = |count| (0..count).map(|n| format!("a{n}: 1\r\n")).collect::<String>();
    let largest = |method: &str| {
        format!("{method} /cart HTTP/1.1\r\nhost: shop.example\r\n{}\r\n", fields(93))
    };
    // To a POST that says no length, HAProxy adds one.
    for method in ["GET", "POST"] {
        let answer = rig.raw(largest(method).as_bytes(), true).await;
        assert!(read(&answer).starts_with("s4: / "), "{answer}");
    }
}

/// RFC 9112, 3.2: a Host that is none is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_none_is_refused_before_it_is_passed_on() {
    let rig = shop().await;
    let longest = format!("{}example", "a.".repeat(123));
    let ok = ["[::1]:80", "192.0.2.1", "_a.example", "b%c3.example", "a.example:", &longest];
    for host in ok {
        let answer = asked(&rig, "/", &format!("host: {host}")).await;
        assert!(answer.starts_with("s1: / "), "{host}: {answer}");
    }
    let long = format!("{longest}.a.a");
    let bad = [
        "a b",
        "a/b",
        "a@shop.example",
        "shop.example:80@a",
        "shop.example:80a",
        "\"",
        "<a>",
        "[a",
        &long,
    ];
    for host in bad {
        let answer = asked(&rig, "/", &format!("host: {host}")).await;
        assert!(answer.contains("bad_host"), "{host}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_without_a_service_is_not_found_where_every_route_has_one() {
    let rig = start(&[("shop", Some(route(Some("shop.example"), "/", false)))]).await;
    assert!(asked(&rig, "/", "host: a.example").await.contains("no_such_route"));
    assert!(rig.raw(b"GET / HTTP/1.0\r\n\r\n", true).await.contains("no_such_route"));
    assert!(asked(&rig, "/", "host: shop.example").await.starts_with("s1: / "));
}
