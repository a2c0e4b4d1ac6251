//! An entry of a service's `egress`, and what an instance asks for.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AddressKind, HostName, HostNameError, WEB_PORTS};

use crate::output::harmless;

/// The entry that stands for every public address.
const ANY: &str = "any";

/// A text that is not an entry of `egress`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Neither a name nor an address with a port.
    #[error(
        "{0}; an entry reads \"example.org:443\", \"*.example.org:443\" for the names below it, \
         \"10.0.0.5:5432\", \"[2001:db8::5]:443\" or \"any\""
    )]
    Form(TargetError),
    /// An address that leads to this host, its link or nobody.
    #[error(
        "{0} is an address that leads to this host, to its link or to nobody: name a host that others \
         reach as well"
    )]
    Reserved(IpAddr),
}

/// A text that is not a host with a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is no port, or none from 1 to 65535.
    #[error("`{}` has no port: add one, 1 to 65535, behind a colon",
        harmless(.0))]
    Port(String),
    /// An address of IPv6 without brackets, or what is none within them.
    #[error("`{}` is no address: write one of IPv6 in brackets, such as [2001:db8::5]:443",
        harmless(.0))]
    Brackets(String),
    /// No name.
    #[error(transparent)]
    Name(#[from] HostNameError),
}

/// What a service may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Destination {
    /// Every public address, by the ports of the web.
    AnyPublic,
    /// A host.
    Host(HostName, NonZeroU16),
    /// Every host whose name is below this one.
    Below(HostName, NonZeroU16),
    /// An address, which may be of a private network.
    Address(SocketAddr),
}

/// What an instance asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: NonZeroU16,
}

/// A host, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// By its name.
    Name(HostName),
    /// By its address.
    Address(IpAddr),
}

impl Destination {
    /// Whether it is, or includes, this target.
    pub(super) fn holds(&self, target: &Target) -> bool {
        match (self, &target.host) {
            (Self::AnyPublic, _) => WEB_PORTS.contains(&target.port.get()),
            (Self::Host(name, port), Host::Name(asked)) => name == asked && *port == target.port,
            (Self::Below(name, port), Host::Name(asked)) => {
                asked.is_below(name) && *port == target.port
            }
            (Self::Address(address), Host::Address(asked)) => {
                address.ip() == *asked && address.port() == target.port.get()
            }
            (Self::Host(..) | Self::Below(..), Host::Address(_))
            | (Self::Address(_), Host::Name(_)) => false,
        }
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        if text == ANY {
            return Ok(Self::AnyPublic);
        }
        if let Some(rest) = text.strip_prefix("*.") {
            let target: Target = rest.parse().map_err(DestinationError::Form)?;
            return match target.host {
                Host::Name(name) => Ok(Self::Below(name, target.port)),
                Host::Address(address) => Err(DestinationError::Reserved(address)),
            };
        }
        let Target { host, port } = text.parse().map_err(DestinationError::Form)?;
        match host {
            Host::Name(name) => Ok(Self::Host(name, port)),
            Host::Address(address) if AddressKind::of(address) == AddressKind::Reserved => {
                Err(DestinationError::Reserved(address))
            }
            Host::Address(address) => Ok(Self::Address(SocketAddr::new(address, port.get()))),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyPublic => f.write_str(ANY),
            Self::Host(name, port) => write!(f, "{name}:{port}"),
            Self::Below(name, port) => write!(f, "*.{name}:{port}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl TryFrom<String> for Destination {
    type Error = DestinationError;

    fn try_from(text: String) -> Result<Self, DestinationError> {
        text.parse()
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.to_string()
    }
}

impl FromStr for Target {
    type Err = TargetError;

    /// `HOST:PORT`, an address of IPv6 in brackets.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let no_port = || TargetError::Port(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        // `parse` would take a sign.
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = is_number.then(|| port.parse().ok()).flatten().ok_or_else(no_port)?;
        let brackets = || TargetError::Brackets(text.to_owned());
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => Host::Address(IpAddr::V6(inner.parse().map_err(|_| brackets())?)),
            None if host.contains([':', '[', ']']) => return Err(brackets()),
            None => match host.parse() {
                Ok(address) => Host::Address(IpAddr::V4(address)),
                Err(_) => Host::Name(host.parse()?),
            },
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(address) => SocketAddr::new(*address, self.port.get()).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_shown_as_it_is_read() {
        for text in [
            "any",
            "example.org:443",
            "*.example.org:443",
            "10.0.0.5:5432",
            "203.0.113.5:443",
            "[2001:db8::5]:443",
            "[fd00::5]:65535",
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
        assert_eq!(
            "EXAMPLE.org.:443".parse::<Destination>().unwrap().to_string(),
            "example.org:443"
        );
    }

    #[test]
    fn what_is_no_entry_is_refused_with_what_one_is() {
        for (text, told) in [
            ("", "has no port"),
            ("example.org", "has no port"),
            ("example.org:", "has no port"),
            ("example.org:0", "has no port"),
            ("example.org:65536", "has no port"),
            ("example.org:+443", "has no port"),
            ("example.org:https", "has no port"),
            ("https://example.org:443", "write one of IPv6 in brackets"),
            ("2001:db8::5:443", "write one of IPv6 in brackets"),
            ("[2001:db8::5:443", "write one of IPv6 in brackets"),
            ("[203.0.113.5]:443", "write one of IPv6 in brackets"),
            ("[fe80::1%eth0]:443", "write one of IPv6 in brackets"),
            ("org:443", "is not the name of a host"),
            ("*.org:443", "is not the name of a host"),
            ("*:443", "is not the name of a host"),
            ("a.*.example.org:443", "is not the name of a host"),
            ("127.1:443", "is not the name of a host"),
            ("Any", "has no port"),
        ] {
            let error = text.parse::<Destination>().unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("an entry reads"), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_that_leads_to_this_host_or_its_link_is_no_entry() {
        for text in [
            "127.0.0.1:80",
            "169.254.169.254:80",
            "0.0.0.0:80",
            "224.0.0.1:80",
            "[::1]:80",
            "[::ffff:203.0.113.5]:443",
            "[fe80::1]:443",
            "[64:ff9b::cb00:7105]:443",
        ] {
            let error = text.parse::<Destination>().unwrap_err();
            assert!(matches!(error, DestinationError::Reserved(_)), "{text}: {error}");
        }
    }
}
