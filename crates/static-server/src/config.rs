//! The settings of the service, as its file gives them and as they are checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config_file::{Checked, Invalid, in_range};
use serde::Deserialize;

/// The file as it is written. Every key has a default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawConfig {
    listen: String,
    folder: PathBuf,
    single_page: bool,
    max_connections: usize,
    drain_timeout_ms: u64,
}

/// The checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// The address to listen at.
    pub(crate) listen: SocketAddr,
    /// What is served.
    pub(crate) folder: PathBuf,
    /// Whether a path without a file is answered with `index.html`, whose script knows it.
    pub(crate) single_page: bool,
    /// Connections at a time.
    pub(crate) max_connections: usize,
    /// How long requests in flight may take once the process was asked to end.
    pub(crate) drain_timeout: Duration,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8000".to_owned(),
            folder: "/srv/files".into(),
            single_page: false,
            max_connections: 512,
            drain_timeout_ms: 30_000,
        }
    }
}

impl Checked for Config {
    type Raw = RawConfig;

    fn from_raw(raw: RawConfig) -> Result<Self, Invalid> {
        let listen = raw.listen.parse().map_err(|_| {
            Invalid::new("listen", &raw.listen, "an address and a port as in \"0.0.0.0:8000\"")
        })?;
        let shown = raw.folder.display();
        config_file::check(raw.folder.is_absolute(), "folder", shown, "an absolute path")?;
        let drain_timeout_ms = in_range("drain_timeout_ms", raw.drain_timeout_ms, 0..=3_600_000)?;
        Ok(Self {
            listen,
            folder: raw.folder,
            single_page: raw.single_page,
            max_connections: in_range("max_connections", raw.max_connections, 1..=10_000)?,
            drain_timeout: Duration::from_millis(drain_timeout_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        config_file::from_toml("f", text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        insta::assert_debug_snapshot!(parse("").unwrap(), @r#"
        Config {
            listen: 0.0.0.0:8000,
            folder: "/srv/files",
            single_page: false,
            max_connections: 512,
            drain_timeout: 30s,
        }
        "#);
    }

    #[test]
    fn bad_values_are_named_with_what_is_allowed() {
        let texts = [
            "listen = 'here'",
            "folder = 'site'",
            "max_connections = 0",
            "drain_timeout_ms = 3600001",
        ];
        let refusals = texts.map(|text| parse(text).unwrap_err()).join("\n");
        insta::assert_snapshot!(refusals, @r#"
        f, line 1: listen is here: use an address and a port as in "0.0.0.0:8000"
        f, line 1: folder is site: use an absolute path
        f, line 1: max_connections is 0: use 1 to 10000
        f, line 1: drain_timeout_ms is 3600001: use 0 to 3600000
        "#);
    }
}
