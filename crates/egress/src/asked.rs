//! What a request asks of the proxy.

use hyper::http::uri::Scheme;
use hyper::{Method, Uri};
use model::egress::Target;

use crate::refusal::Refusal;

/// The port of `http://` where the target names none.
const HTTP_PORT: u16 = 80;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A connection, through which anything may go.
    Tunnel(Target),
    /// One answer.
    Forward(Target),
}

impl Asked {
    /// What the first line of a request asks for.
    ///
    /// # Errors
    /// It is not for a proxy, or names no host as it should.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Result<Self, Refusal> {
        let host = uri.authority().map(|authority| authority.as_str()).ok_or(Refusal::NoProxy)?;
        if method == Method::CONNECT {
            return Ok(Self::Tunnel(parse(host)?));
        }
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) => return Err(Refusal::Scheme(scheme.to_string())),
            None => return Err(Refusal::NoProxy),
        }
        // `http` takes what stands behind the last colon for a port only where it is a number.
        let has_port = uri.port().is_some();
        let with_port = if has_port { host.to_owned() } else { format!("{host}:{HTTP_PORT}") };
        Ok(Self::Forward(parse(&with_port)?))
    }
}

fn parse(text: &str) -> Result<Target, Refusal> {
    text.parse().map_err(Refusal::Target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, uri: &str) -> String {
        let method = method.parse().unwrap();
        match uri.parse().map(|uri| Asked::of(&method, &uri)) {
            Ok(Ok(Asked::Tunnel(target))) => format!("tunnel {target}"),
            Ok(Ok(Asked::Forward(target))) => format!("forward {target}"),
            Ok(Err(refusal)) => refusal.status().as_str().to_owned(),
            Err(error) => format!("no target: {error}"),
        }
    }

    #[test]
    fn a_tunnel_and_an_answer_are_asked_for_with_a_host_and_its_port() {
        for (method, uri, expected) in [
            ("CONNECT", "example.org:443", "tunnel example.org:443"),
            ("CONNECT", "Example.ORG.:443", "tunnel example.org:443"),
            ("CONNECT", "203.0.113.5:443", "tunnel 203.0.113.5:443"),
            ("CONNECT", "[2001:db8::5]:443", "tunnel [2001:db8::5]:443"),
            ("GET", "http://example.org/a?b", "forward example.org:80"),
            ("GET", "http://example.org:8080/", "forward example.org:8080"),
            ("GET", "HTTP://Example.org", "forward example.org:80"),
            ("POST", "http://[2001:db8::5]/", "forward [2001:db8::5]:80"),
            ("BREW", "http://203.0.113.5/", "forward 203.0.113.5:80"),
        ] {
            assert_eq!(asked(method, uri), expected, "{method} {uri}");
        }
    }

    #[test]
    fn what_names_no_host_or_could_name_two_is_refused() {
        for (method, uri) in [
            ("CONNECT", "example.org"),
            ("CONNECT", "example.org:0"),
            ("CONNECT", "localhost:80"),
            ("CONNECT", "127.1:80"),
            ("CONNECT", "2130706433:80"),
            ("CONNECT", "user@example.org:443"),
            ("CONNECT", "example.org:443@evil.net:443"),
            ("CONNECT", "[::1%25lo]:80"),
            ("GET", "/"),
            ("GET", "http://user:secret@example.org/"),
            ("GET", "http://example.org:443:80/"),
            ("GET", "http://example.org:/"),
            ("GET", "http://localhost/"),
            ("GET", "http://0x7f.0.0.1/"),
            ("OPTIONS", "*"),
        ] {
            let told = asked(method, uri);
            assert!(told == "400" || told.starts_with("no target"), "{method} {uri}: {told}");
        }
        assert_eq!(asked("GET", "https://example.org/"), "501");
        assert_eq!(asked("GET", "ftp://example.org/"), "501");
    }
}
