//! The heads of requests that RFC 9112 requires every server to refuse, and that hyper accepts.

use std::net::Ipv6Addr;

use axum::extract::Request;
use axum::http::header::{HOST, TRANSFER_ENCODING};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, StatusCode, Version};

use crate::problem::Problem;

/// Refuses a request that must not reach the routes.
pub(crate) fn check(request: &Request) -> Result<(), Problem> {
    if !has_valid_host(request.version(), request.headers()) {
        let message = "The request needs one header Host, as in \"Host: example.org:8080\".";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_host", message));
    }
    // RFC 9110, 9.3.6: CONNECT is for proxies. Its target has a form of its own.
    if request.method() == Method::CONNECT {
        return Err(Problem::unknown_method(request.method()));
    }
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    if !is_target(request.method(), target) {
        return Err(Problem::malformed());
    }
    if !has_known_coding(request.headers()) {
        let message = "The only transfer coding that is understood is \"chunked\".";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "unknown_transfer_coding", message));
    }
    Ok(())
}

/// RFC 9112, 3.2: 400 to a request of HTTP/1.1 without Host, and to any with two or an invalid one.
fn has_valid_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => host.to_str().is_ok_and(is_host),
        (Some(_), Some(_)) => false,
    }
}

/// RFC 3986, 3.2.2 and 3.2.3: a name, which may be empty, or an address; then perhaps a port.
fn is_host(host: &str) -> bool {
    let (valid, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
            (name.bytes().all(is_name_byte), port)
        }
    };
    let digits = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit());
    valid && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
}

/// RFC 9112, 3.2: a target in origin form has the characters of RFC 3986, 3.3 and 3.4, and others
/// are to be refused, not corrected. Hyper refuses some of the others, and accepts the rest. A
/// fragment is not seen here: the `http` crate cuts it off; HAProxy refuses it with 400.
fn is_target(method: &Method, target: &str) -> bool {
    let origin_form = target.starts_with('/')
        && target
            .bytes()
            .all(|byte| is_name_byte(byte) || matches!(byte, b':' | b'@' | b'/' | b'?'));
    // RFC 9112, 3.2.4.
    origin_form || (target == "*" && method == Method::OPTIONS)
}

/// RFC 3986, 2: the unreserved characters, the sub-delimiters, and `%` of an escape.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

/// RFC 9112, 6.1: 501 to a transfer coding that is not understood. Hyper takes `gzip, chunked` for
/// `chunked`, and the packed bytes for the content.
fn has_known_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let known = codings
        .next()
        .is_none_or(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    known && codings.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in
            ["", "a", "a.example:8080", "127.0.0.1", "[::1]", "[::1]:80", "a_b", "a:", "%41"]
        {
            assert!(is_host(host), "{host}");
        }
        for host in ["a b", "a:x", "a:1:2", "u@a", "a/b", "[::1", "::1", "[a]", "[::1]80"] {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn a_target_has_the_characters_of_a_uri_and_no_others() {
        let unescaped = |character: char| is_target(&Method::GET, &format!("/objs/a{character}b"));
        let allowed: String = (' '..='\u{A0}').filter(|character| unescaped(*character)).collect();
        insta::assert_snapshot!(allowed, @"!$%&'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
        assert!(is_target(&Method::OPTIONS, "*"));
        for target in ["", "*", "a", "?a"] {
            assert!(!is_target(&Method::GET, target), "{target}");
        }
    }
}
