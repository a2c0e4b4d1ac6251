//! What one source, an address that clients connect from, may take of the load balancer.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use config_file::{Checked, Invalid};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize, Serializer};

/// The most connections that a source may be allowed: three quarters of all, which is what a trusted one
/// may have. The template says both figures.
const CONNECTIONS_MAX: u32 = 3_000;
/// HAProxy reads each network at every connection that it takes.
const TRUSTED_MAX: usize = 64;

/// What one source may take of the load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceSettings {
    /// Connections at a time. More are closed before anything of them is read.
    pub connections: NonZeroU32,
    /// Uploads and downloads at a time that are too large for HAProxy's buffers, and so keep an instance
    /// busy for as long as the client likes. More are answered 429.
    pub transfers: NonZeroU32,
    /// New connections, and requests, in a second, as means of ten.
    pub per_second: NonZeroU32,
    /// Sources without these bounds.
    pub trusted: Vec<SourceNetwork>,
}

/// One IPv4 address, or all of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceNetwork(Ipv4Net);

impl SourceNetwork {
    /// This host's own programs, as they reach what listens on 127.0.0.1.
    pub const LOCALHOST: Self = Self(Ipv4Net::new_assert(std::net::Ipv4Addr::LOCALHOST, 32));
}

impl FromStr for SourceNetwork {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let network: Ipv4Net = match text.parse() {
            Ok(address) => Ipv4Net::new_assert(address, 32),
            Err(_) => text.parse().map_err(|_| ())?,
        };
        // HAProxy would cut host bits off, and trust more than the address that is meant.
        if network.addr() == network.network() { Ok(Self(network)) } else { Err(()) }
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for SourceNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `[sources]` as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawSources {
    connections: Option<u32>,
    transfers: Option<u32>,
    per_second: Option<u32>,
    trusted: Option<Vec<String>>,
}

impl Default for SourceSettings {
    fn default() -> Self {
        let bound = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX);
        Self {
            connections: bound(400),
            transfers: bound(64),
            per_second: bound(1_000),
            trusted: vec![SourceNetwork::LOCALHOST],
        }
    }
}

impl Checked for SourceSettings {
    type Raw = RawSources;

    fn from_raw(raw: RawSources) -> Result<Self, Invalid> {
        let default = Self::default();
        Ok(Self {
            connections: bound("sources.connections", raw.connections, CONNECTIONS_MAX)?
                .unwrap_or(default.connections),
            transfers: bound("sources.transfers", raw.transfers, CONNECTIONS_MAX)?
                .unwrap_or(default.transfers),
            per_second: bound("sources.per_second", raw.per_second, 1_000_000)?
                .unwrap_or(default.per_second),
            trusted: match raw.trusted {
                None => default.trusted,
                Some(list) => trusted(&list)?,
            },
        })
    }
}

fn bound(key: &'static str, value: Option<u32>, most: u32) -> Result<Option<NonZeroU32>, Invalid> {
    let Some(value) = value else { return Ok(None) };
    config_file::in_range(key, value, 1..=most).map(NonZeroU32::new)
}

fn trusted(list: &[String]) -> Result<Vec<SourceNetwork>, Invalid> {
    let key = "sources.trusted";
    let count = format!("a list of {}", list.len());
    let allowed = format!("at most {TRUSTED_MAX}: networks hold many addresses");
    config_file::check(list.len() <= TRUSTED_MAX, key, count, allowed)?;
    let parse = |text: &String| {
        let allowed =
            "IPv4 addresses, and networks whose host bits are 0, such as 10.1.2.3 or 10.1.0.0/16";
        text.parse().map_err(|()| Invalid::new(key, format!("{text:?}"), allowed))
    };
    list.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    fn read(text: &str) -> Result<Settings, String> {
        config_file::from_toml("b.toml", &format!("[sources]\n{text}"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_trusted_source_is_an_address_or_a_network() {
        let of = |text: &str| read(text).unwrap().sources.trusted;
        let shown = of(r#"trusted = ["10.1.2.3", "10.1.0.0/16", "0.0.0.0/0"]"#);
        let shown: Vec<_> = shown.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.1.2.3/32", "10.1.0.0/16", "0.0.0.0/0"]);
        assert!(of("trusted = []").is_empty());
        for bad in ["10.1.2.3/16", "a.example", "::1", "10.0.0.0/33", "127.0.0.1\n"] {
            assert!(read(&format!("trusted = [{bad:?}]")).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_with_the_bounds() {
        let refused = |text| read(text).unwrap_err();
        insta::assert_snapshot!(refused("connections = 0"), @"b.toml, line 2: sources.connections is 0: use 1 to 3000");
        insta::assert_snapshot!(refused("transfers = 3001"), @"b.toml, line 2: sources.transfers is 3001: use 1 to 3000");
        insta::assert_snapshot!(refused("per_second = 0"), @"b.toml, line 2: sources.per_second is 0: use 1 to 1000000");
        insta::assert_snapshot!(refused(r#"trusted = ["10.1.2.3/16"]"#), @r#"b.toml, line 2: sources.trusted is "10.1.2.3/16": use IPv4 addresses, and networks whose host bits are 0, such as 10.1.2.3 or 10.1.0.0/16"#);
        let many = format!("trusted = {:?}", vec!["10.1.2.3"; 65]);
        insta::assert_snapshot!(refused(&many), @"b.toml, line 2: sources.trusted is a list of 65: use at most 64: networks hold many addresses");
    }
}
