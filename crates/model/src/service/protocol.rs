//! What an instance serves: requests, or connections.

use serde::Deserialize;

use super::health::{HealthStatus, RawHealthStatus};
use crate::paths::HealthPath;
use crate::value::{Invalid, check};

/// What an instance serves on its port, and how it is known whether it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP.
    Http {
        /// What it answers when it can serve; `None` where it can as soon as it takes connections.
        health: Option<HttpHealth>,
    },
    /// Anything over TCP: it can serve when it takes connections.
    Tcp,
}

/// By what an instance says that it can serve: `GET` of this path answers with such a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpHealth {
    /// The path.
    pub path: HealthPath,
    /// The statuses.
    pub status: HealthStatus,
}

/// [`Protocol`] as it is written, beside `instance.health_path`.
#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum RawProtocol {
    #[default]
    Http,
    Tcp,
}

/// What is allowed of the statuses where no path is asked.
const NO_PATH: &str =
    "none without instance.health_path: an instance can serve when it takes connections";

/// What is allowed of a health path and its statuses where there is nothing to ask.
const CONNECTIONS: &str =
    "none with protocol = \"tcp\": an instance can serve when it takes connections";

impl Protocol {
    /// The path at which an instance says whether it can serve; `None` where to be connected to is enough.
    pub const fn health_path(&self) -> Option<&HealthPath> {
        match self {
            Self::Http { health: Some(health) } => Some(&health.path),
            Self::Http { health: None } | Self::Tcp => None,
        }
    }

    /// The statuses with which it says so there.
    pub const fn health_status(&self) -> Option<HealthStatus> {
        match self {
            Self::Http { health: Some(health) } => Some(health.status),
            Self::Http { health: None } | Self::Tcp => None,
        }
    }
}

impl RawProtocol {
    /// What an instance serves on this port, with this path and these statuses for its health.
    pub(super) fn checked(
        self,
        path: Option<&str>,
        status: Option<&RawHealthStatus>,
        port: u16,
    ) -> Result<Protocol, Invalid> {
        match (self, path) {
            (Self::Http, Some(path)) => {
                let path =
                    path.parse().map_err(|error| Invalid::form("instance.health_path", &error))?;
                let status = status.map(RawHealthStatus::checked).transpose()?.unwrap_or_default();
                Ok(Protocol::Http { health: Some(HttpHealth { path, status }) })
            }
            (Self::Http, None) => {
                let shown = status.map(ToString::to_string).unwrap_or_default();
                check(status.is_none(), "instance.health_status", shown, NO_PATH)?;
                Ok(Protocol::Http { health: None })
            }
            (Self::Tcp, None) => {
                let allowed =
                    "another port for TCP: what instances send to port 80 is taken for HTTP";
                check(port != 80, "instance.port", port, allowed)?;
                let shown = status.map(ToString::to_string).unwrap_or_default();
                check(status.is_none(), "instance.health_status", shown, CONNECTIONS)?;
                Ok(Protocol::Tcp)
            }
            (Self::Tcp, Some(path)) => Err(Invalid::new("instance.health_path", path, CONNECTIONS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    const SERVES: &str = "port = 8000\n        health_path = \"/healthz\"";

    #[test]
    fn what_serves_requests_and_names_no_health_path_can_serve_when_it_takes_connections() {
        let spec = parse(&GOOD.replacen(SERVES, "port = 8000", 1)).unwrap();
        let protocol = &spec.instance.protocol;
        assert_eq!(*protocol, Protocol::Http { health: None });
        assert_eq!((protocol.health_path(), protocol.health_status()), (None, None));
        assert!(spec.tcp_port().is_none() && spec.route().is_some());
    }

    #[test]
    fn what_takes_connections_has_neither_a_health_path_nor_a_route() {
        let private = GOOD.replacen("[route]\n        path_prefix = \"/\"", "", 1);
        let tcp = private.replacen(SERVES, "port = 5432\nprotocol = \"tcp\"", 1);
        let spec = parse(&tcp).unwrap();
        assert_eq!((spec.instance.protocol.clone(), spec.tcp_port()), (Protocol::Tcp, Some(5432)));
        assert_eq!(parse(GOOD).unwrap().tcp_port(), None);
        let cases = [
            (
                "port = 8000\nhealth_status = 204",
                "instance.health_status is 204: use none without instance.health_path",
            ),
            (
                "port = 8000\nprotocol = \"tcp\"\nhealth_path = \"/healthz\"",
                "instance.health_path is /healthz: use none with protocol = \"tcp\"",
            ),
            (
                "port = 5432\nprotocol = \"tcp\"\nhealth_status = 200",
                "instance.health_status is 200: use none with protocol = \"tcp\"",
            ),
            ("port = 80\nprotocol = \"tcp\"", "instance.port is 80: use another port for TCP"),
            (
                "port = 5432\nprotocol = \"tcp\"",
                "route is /: use no [route] with instance.protocol = \"tcp\"",
            ),
            ("port = 8000\nprotocol = \"udp\"", "unknown variant `udp`, expected `http` or `tcp`"),
        ];
        for (to, message) in cases {
            let error = parse(&GOOD.replacen(SERVES, to, 1)).unwrap_err();
            assert!(error.contains(message), "{to}: {error}");
        }
    }
}
