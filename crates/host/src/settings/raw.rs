//! `bellows.toml` as it is written, and its way to checked [`Settings`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use config_file::{Checked, Invalid};
use model::size::{Size, Sizes};
use serde::Deserialize;

use super::builds::RawBuilds;
use super::notify::RawNotify;
use super::sources::RawSources;
use super::tls::{RawTls, TlsSettings};
use super::{
    BuildSettings, IdRange, ListenSettings, Membership, NetworkSettings, NotifySettings,
    PathSettings, ScalerSettings, Settings, SourceSettings,
};
use crate::slots::SubnetError;

/// The longest path of LXC's folder. LXC names a container's socket `FOLDER/NAME/command`, of which the
/// kernel takes 107 bytes, a NUL before it and one after it among them. A longer name it hashes, and then
/// nobody finds the container of it. An instance's name has 48 bytes at most, and it may be in the
/// folder of a layer, `bwl-01234567`.
const LXC_PATH_MAX_BYTES: usize = 36;

/// The file as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawSettings {
    network: RawNetwork,
    listen: RawListen,
    tls: RawTls,
    sources: RawSources,
    scaler: RawScaler,
    versions: RawVersions,
    builds: RawBuilds,
    notify: RawNotify,
    memory: RawMemory,
    sizes: BTreeMap<String, Size>,
    paths: RawPaths,
    id_map: RawIdMap,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawNetwork {
    bridge: Option<String>,
    subnet: Option<String>,
    reach_port: Option<u16>,
    egress_port: Option<u16>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawListen {
    services: Option<String>,
    statistics: Option<String>,
    api: Option<String>,
    api_hosts: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawScaler {
    tick_ms: Option<u64>,
    membership: Option<Membership>,
    parallel_launches: Option<usize>,
    launch_timeout_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawVersions {
    kept: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawMemory {
    reserved_mib: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawPaths {
    state: Option<PathBuf>,
    run: Option<PathBuf>,
    lxc: Option<PathBuf>,
    bin: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawIdMap {
    first: Option<u64>,
    count: Option<u64>,
}

impl Checked for Settings {
    type Raw = RawSettings;

    fn from_raw(raw: RawSettings) -> Result<Self, Invalid> {
        let default = Self::default();
        let network = NetworkSettings {
            bridge: text(
                "network.bridge",
                raw.network.bridge,
                default.network.bridge,
                "1 to 15 of a-z, 0-9 and `-`, starting with a letter and not `bw` with a number",
            )?,
            subnet: text(
                "network.subnet",
                raw.network.subnet,
                default.network.subnet,
                SubnetError.to_string(),
            )?,
            reach_port: raw.network.reach_port.unwrap_or(default.network.reach_port),
            egress_port: number("network.egress_port", raw.network.egress_port, 1024..=65_535)?
                .unwrap_or(default.network.egress_port),
        };
        let listen = raw.listen.check(default.listen)?;
        let tls = raw.tls.check()?;
        no_port_twice(&listen, tls.as_ref(), &network)?;
        Ok(Self {
            network,
            listen,
            tls,
            sources: SourceSettings::from_raw(raw.sources)?,
            scaler: raw.scaler.check(default.scaler)?,
            versions_kept: number("versions.kept", raw.versions.kept, 1..=100)?
                .unwrap_or(default.versions_kept),
            builds: BuildSettings::from_raw(raw.builds)?,
            notify: NotifySettings::from_raw(raw.notify)?,
            memory_reserved_mib: number(
                "memory.reserved_mib",
                raw.memory.reserved_mib,
                0..=1_048_576,
            )?
            .unwrap_or(default.memory_reserved_mib),
            sizes: Sizes::with(raw.sizes)?,
            paths: raw.paths.check(default.paths)?,
            id_map: raw.id_map.check(default.id_map)?,
        })
    }
}

impl RawListen {
    fn check(self, default: ListenSettings) -> Result<ListenSettings, Invalid> {
        let allowed = "an IPv4 address and a port, such as 127.0.0.1:8080";
        let listen = ListenSettings {
            services: text("listen.services", self.services, default.services, allowed)?,
            statistics: text("listen.statistics", self.statistics, default.statistics, allowed)?,
            api: text("listen.api", self.api, default.api, allowed)?,
            api_hosts: self.api_hosts,
        };
        for (index, name) in listen.api_hosts.iter().enumerate() {
            let allowed = "a host's name without a port, such as bellows.example.org";
            let key = format!("listen.api_hosts[{index}]");
            config_file::check(is_host_name(name), key, format!("{name:?}"), allowed)?;
        }
        Ok(listen)
    }
}

/// Whatever the address: who listens on all of them has the port of each.
fn no_port_twice(
    listen: &ListenSettings,
    tls: Option<&TlsSettings>,
    network: &NetworkSettings,
) -> Result<(), Invalid> {
    let places = [
        ("listen.services", Some(listen.services)),
        ("listen.statistics", Some(listen.statistics)),
        ("listen.api", Some(listen.api)),
        ("tls.listen", tls.map(|tls| tls.listen)),
        ("network.egress_port", Some(network.egress())),
    ];
    let allowed = "a port from 1 to 65535 that no other listener has";
    let mut ports = BTreeSet::from([0]);
    for (key, place) in places {
        let Some(place) = place else { continue };
        config_file::check(ports.insert(place.port()), key, format!("\"{place}\""), allowed)?;
    }
    let reach_port = network.reach_port;
    let is_free =
        reach_port != u16::MAX && ports.insert(reach_port) && ports.insert(reach_port + 1);
    let allowed = "a port from 1 to 65534 that, as the one after it, no listener has";
    config_file::check(is_free, "network.reach_port", reach_port, allowed)
}

/// RFC 1123, 2.1: letters, digits, `-` and dots, 253 bytes at most.
fn is_host_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(allowed)
}

impl RawScaler {
    fn check(self, default: ScalerSettings) -> Result<ScalerSettings, Invalid> {
        let tick_ms = number("scaler.tick_ms", self.tick_ms, 20..=10_000)?;
        let launches = number("scaler.parallel_launches", self.parallel_launches, 1..=64)?;
        let timeout_ms =
            number("scaler.launch_timeout_ms", self.launch_timeout_ms, 1_000..=600_000)?;
        Ok(ScalerSettings {
            tick: tick_ms.map_or(default.tick, Duration::from_millis),
            membership: self.membership.unwrap_or(default.membership),
            parallel_launches: launches.unwrap_or(default.parallel_launches),
            launch_timeout: timeout_ms.map_or(default.launch_timeout, Duration::from_millis),
        })
    }
}

impl RawPaths {
    /// `down` removes all of one folder and keeps what is in another, so none may lie in another.
    fn check(self, default: PathSettings) -> Result<PathSettings, Invalid> {
        let paths = PathSettings {
            state: path("paths.state", self.state, default.state)?,
            run: path("paths.run", self.run, default.run)?,
            lxc: path("paths.lxc", self.lxc, default.lxc)?,
            bin: path("paths.bin", self.bin, default.bin)?,
        };
        let PathSettings { state, run, lxc, bin: _ } = &paths;
        config_file::check(
            lxc.as_os_str().len() <= LXC_PATH_MAX_BYTES,
            "paths.lxc",
            format!("{:?}", lxc.display().to_string()),
            format!(
                "at most {LXC_PATH_MAX_BYTES} bytes: LXC names a socket after the folder and an instance"
            ),
        )?;
        let pairs =
            [("paths.run", run, state), ("paths.run", run, lxc), ("paths.state", state, lxc)];
        for (key, one, other) in pairs {
            if one.starts_with(other) || other.starts_with(one) {
                let value = format!("{:?}", one.display().to_string());
                let allowed = "a folder that holds none of the other [paths], nor lies in one";
                return Err(Invalid::new(key, value, allowed));
            }
        }
        Ok(paths)
    }
}

impl RawIdMap {
    /// Ids below 100,000 belong to the host's own users, and the last id is not usable.
    fn check(self, default: IdRange) -> Result<IdRange, Invalid> {
        let first = number("id_map.first", self.first, 100_000..=4_000_000_000)?;
        let count = number("id_map.count", self.count, 65_536..=100_000_000)?;
        // Both ranges end far below 2^32.
        let narrow = |n: Option<u64>| n.and_then(|n| u32::try_from(n).ok());
        Ok(IdRange {
            first: narrow(first).unwrap_or(default.first),
            count: narrow(count).unwrap_or(default.count),
        })
    }
}

fn text<T: FromStr>(
    key: &'static str,
    value: Option<String>,
    default: T,
    allowed: impl Into<Cow<'static, str>>,
) -> Result<T, Invalid> {
    let Some(value) = value else { return Ok(default) };
    value.parse().map_err(|_| Invalid::new(key, format!("{value:?}"), allowed))
}

fn number<N: PartialOrd + Display>(
    key: &'static str,
    value: Option<N>,
    allowed: RangeInclusive<N>,
) -> Result<Option<N>, Invalid> {
    value.map(|value| config_file::in_range(key, value, allowed)).transpose()
}

/// Paths are written into the configuration of LXC and HAProxy, where a blank or a line break would
/// end the value.
fn path(key: &'static str, value: Option<PathBuf>, default: PathBuf) -> Result<PathBuf, Invalid> {
    let Some(value) = value else { return Ok(default) };
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.".contains(&b);
    let good = value.to_str().is_some_and(|text| {
        // `down` removes paths.run: a folder at the top, such as /run, is not Bellows' own.
        let parts = text.split('/').filter(|part| !part.is_empty()).count();
        let absolute = text.starts_with('/') && parts >= 2;
        absolute && text.bytes().all(is_plain) && !text.contains("/..")
    });
    let allowed = "an absolute path below a folder such as /run, of letters, digits, `-`, `_`, `.` and \
                   `/`, without `..`";
    let shown = format!("{:?}", value.display().to_string());
    config_file::check(good, key, shown, allowed)?;
    Ok(value)
}
