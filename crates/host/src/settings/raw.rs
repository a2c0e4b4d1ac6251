//! `bellows.toml` as it is written, and its way to validated [`Settings`].

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::{
    IdRange, ListenSettings, Membership, NetworkSettings, PathSettings, ScalerSettings, Settings,
};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSettings {
    network: RawNetwork,
    listen: RawListen,
    scaler: RawScaler,
    paths: RawPaths,
    id_map: RawIdMap,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawNetwork {
    bridge: Option<String>,
    subnet: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawListen {
    services: Option<String>,
    statistics: Option<String>,
    api: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawScaler {
    tick_ms: Option<u64>,
    membership: Option<Membership>,
    parallel_launches: Option<u64>,
    launch_timeout_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawPaths {
    state: Option<PathBuf>,
    run: Option<PathBuf>,
    lxc: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawIdMap {
    first: Option<u64>,
    count: Option<u64>,
}

/// A value out of its bounds, before the file's name is known.
pub(super) struct Refused {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) allowed: String,
}

impl RawSettings {
    pub(super) fn validate(self) -> Result<Settings, Refused> {
        let default = Settings::default();
        let network = NetworkSettings {
            bridge: text(
                "network.bridge",
                self.network.bridge,
                default.network.bridge,
                "1 to 15 of a-z, 0-9 and `-`, starting with a letter and not `bw` with a number",
            )?,
            subnet: text(
                "network.subnet",
                self.network.subnet,
                default.network.subnet,
                &crate::slots::SubnetError.to_string(),
            )?,
        };
        Ok(Settings {
            network,
            listen: self.listen.validate(default.listen)?,
            scaler: self.scaler.validate(default.scaler)?,
            paths: self.paths.validate(default.paths)?,
            id_map: self.id_map.validate(default.id_map)?,
        })
    }
}

impl RawListen {
    fn validate(self, default: ListenSettings) -> Result<ListenSettings, Refused> {
        let allowed = "an IPv4 address and a port, such as 127.0.0.1:8080";
        let listen = ListenSettings {
            services: text("listen.services", self.services, default.services, allowed)?,
            statistics: text("listen.statistics", self.statistics, default.statistics, allowed)?,
            api: text("listen.api", self.api, default.api, allowed)?,
        };
        let places = [
            ("listen.services", listen.services),
            ("listen.statistics", listen.statistics),
            ("listen.api", listen.api),
        ];
        for (n, (key, place)) in places.iter().enumerate() {
            let taken = places[..n].iter().any(|(_, other)| other.port() == place.port());
            if taken || place.port() == 0 {
                let allowed = "a port from 1 to 65535 that no other key of [listen] has";
                return Err(refused(key, format!("{:?}", place.to_string()), allowed));
            }
        }
        Ok(listen)
    }
}

impl RawScaler {
    fn validate(self, default: ScalerSettings) -> Result<ScalerSettings, Refused> {
        let tick_ms = number("scaler.tick_ms", self.tick_ms, 20..=10_000)?;
        let launches = number("scaler.parallel_launches", self.parallel_launches, 1..=64)?;
        let timeout_ms =
            number("scaler.launch_timeout_ms", self.launch_timeout_ms, 1_000..=600_000)?;
        Ok(ScalerSettings {
            tick: tick_ms.map_or(default.tick, Duration::from_millis),
            membership: self.membership.unwrap_or(default.membership),
            parallel_launches: launches
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(default.parallel_launches),
            launch_timeout: timeout_ms.map_or(default.launch_timeout, Duration::from_millis),
        })
    }
}

impl RawPaths {
    /// `down` removes all of one folder and keeps what is in another: none may hold another.
    fn validate(self, default: PathSettings) -> Result<PathSettings, Refused> {
        let paths = PathSettings {
            state: path("paths.state", self.state, default.state)?,
            run: path("paths.run", self.run, default.run)?,
            lxc: path("paths.lxc", self.lxc, default.lxc)?,
        };
        let PathSettings { state, run, lxc } = &paths;
        let pairs =
            [("paths.run", run, state), ("paths.run", run, lxc), ("paths.state", state, lxc)];
        for (key, one, other) in pairs {
            if one.starts_with(other) || other.starts_with(one) {
                let value = format!("{:?}", one.display().to_string());
                let allowed = "a folder that holds none of the other [paths], nor lies in one";
                return Err(refused(key, value, allowed));
            }
        }
        Ok(paths)
    }
}

impl RawIdMap {
    /// Ids below 100,000 belong to the host's own users, and the last id is not usable.
    fn validate(self, default: IdRange) -> Result<IdRange, Refused> {
        let first = number("id_map.first", self.first, 100_000..=4_000_000_000)?;
        let count = number("id_map.count", self.count, 65_536..=100_000_000)?;
        let narrow = |n: Option<u64>| n.and_then(|n| u32::try_from(n).ok());
        Ok(IdRange {
            first: narrow(first).unwrap_or(default.first),
            count: narrow(count).unwrap_or(default.count),
        })
    }
}

fn refused(key: &'static str, value: String, allowed: &str) -> Refused {
    Refused { key, value, allowed: allowed.to_owned() }
}

fn text<T: FromStr>(
    key: &'static str,
    value: Option<String>,
    default: T,
    allowed: &str,
) -> Result<T, Refused> {
    match value {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| refused(key, format!("{value:?}"), allowed)),
    }
}

fn number(
    key: &'static str,
    value: Option<u64>,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, Refused> {
    match value {
        Some(n) if !allowed.contains(&n) => {
            let allowed = format!("{} to {}", allowed.start(), allowed.end());
            Err(refused(key, n.to_string(), &allowed))
        }
        value => Ok(value),
    }
}

/// Paths are written into the configuration of LXC and HAProxy, where a blank or a line break
/// would be a word of its own.
fn path(key: &'static str, value: Option<PathBuf>, default: PathBuf) -> Result<PathBuf, Refused> {
    let Some(value) = value else { return Ok(default) };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-_.".contains(&b);
    let good = value.to_str().is_some_and(|text| {
        // `down` removes paths.run: a folder at the top, such as /run, is not Bellows' own.
        let parts = text.split('/').filter(|part| !part.is_empty()).count();
        let absolute = text.starts_with('/') && parts >= 2;
        absolute && text.bytes().all(allowed) && !text.contains("/..")
    });
    if good {
        Ok(value)
    } else {
        let allowed = "an absolute path below a folder such as /run, of letters, digits, `-`, `_`, `.` and \
                       `/`, without `..`";
        Err(refused(key, format!("{:?}", value.display().to_string()), allowed))
    }
}
