//! Where the load goes.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use config_file::Invalid;
use http::{HeaderValue, Uri};

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is no target.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Its host has no address.
    #[error("target `{target}`: the host has no address")]
    NoAddress {
        /// What was given.
        target: String,
        /// What the resolver said.
        source: std::io::Error,
    },
}

/// A server that is addressed by plain HTTP.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) host: HeaderValue,
}

impl Target {
    /// Whether it is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let form = || Invalid::new("target", text, "http://HOST:PORT, without a path");
        let uri: Uri = text.parse().map_err(|_| form())?;
        let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(form().into());
        };
        if uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(form().into());
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| form())?;
        let name = authority.host().trim_matches(['[', ']']);
        let unresolved = |source| TargetError::NoAddress { target: text.to_owned(), source };
        let mut addresses =
            (name, authority.port_u16().unwrap_or(80)).to_socket_addrs().map_err(unresolved)?;
        let address = addresses.next().ok_or_else(form)?;
        Ok(Self { address, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_plain_http_server() {
        let target: Target = "http://127.0.0.1:8080".parse().unwrap();
        assert_eq!(target.address, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(target.host, "127.0.0.1:8080");
        assert!(target.is_here());
        let target: Target = "http://[::1]/".parse().unwrap();
        assert_eq!(target.address, "[::1]:80".parse().unwrap());
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        for text in ["127.0.0.1:80", "https://127.0.0.1", "http://127.0.0.1/x", "http://a@b", ""] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.to_string().contains("http://HOST:PORT"), "{text}: {error}");
        }
    }
}
