//! Where the applications are, as a browser reaches them: by the name by which it reaches the console, on another port.

use std::str::FromStr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};

/// Where the load balancer takes requests, beside the name of this host, which each browser knows by its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entrance {
    /// Whether it speaks HTTPS there.
    pub is_https: bool,
    /// The port.
    pub port: u16,
}

/// An entrance that is no word of a scheme, a colon and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("say http:PORT or https:PORT")]
pub struct EntranceError;

impl FromStr for Entrance {
    type Err = EntranceError;

    fn from_str(text: &str) -> Result<Self, EntranceError> {
        let (scheme, port) = text.split_once(':').ok_or(EntranceError)?;
        let is_https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(EntranceError),
        };
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(EntranceError)?;
        Ok(Self { is_https, port })
    }
}

/// The entrance as one browser reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applications {
    entrance: Entrance,
    /// The name or the address by which it asked the console.
    host: String,
}

impl Applications {
    /// For whoever sent these header fields; `None` where they do not say how this host was reached.
    pub(super) fn of(entrance: Option<Entrance>, headers: &HeaderMap) -> Option<Self> {
        let host: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
        Some(Self { entrance: entrance?, host: host.host().to_owned() })
    }

    /// Where a service of this route is. A route that names a host is for that alone.
    pub(super) fn address(&self, route: &str) -> String {
        let path_at = route.find('/').unwrap_or(route.len());
        let (own, path) = route.split_at(path_at);
        let host = if own.is_empty() { &self.host } else { own };
        let Entrance { is_https, port } = self.entrance;
        let (scheme, usual) = if is_https { ("https", 443) } else { ("http", 80) };
        let port = if port == usual { String::new() } else { format!(":{port}") };
        let path = if path.is_empty() { "/" } else { path };
        format!("{scheme}://{host}{port}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(entrance: &str, host: &str, route: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
        let applications = Applications::of(Some(entrance.parse().unwrap()), &headers);
        applications.map(|it| it.address(route))
    }

    #[test]
    fn an_application_is_on_the_host_that_the_browser_knows_unless_its_route_names_one() {
        let is = |entrance, host, route, expected: &str| {
            assert_eq!(address(entrance, host, route).as_deref(), Some(expected));
        };
        is("http:8080", "127.0.0.1:8090", "/shop/", "http://127.0.0.1:8080/shop/");
        is("https:443", "box.example:8090", "/", "https://box.example/");
        is("http:80", "[::1]:8090", "/", "http://[::1]/");
        is("https:8443", "10.0.0.5:8090", "shop.example/a", "https://shop.example:8443/a");
        assert_eq!(address("http:80", "not a host", "/"), None);
        assert_eq!(Applications::of(None, &HeaderMap::new()), None);
    }

    #[test]
    fn an_entrance_is_a_scheme_and_a_port() {
        assert_eq!("https:8443".parse(), Ok(Entrance { is_https: true, port: 8443 }));
        for bad in ["", "8080", "http:", "http:0", "http:65536", "ftp:21", "http://a:80"] {
            assert_eq!(bad.parse::<Entrance>(), Err(EntranceError), "{bad}");
        }
    }
}
