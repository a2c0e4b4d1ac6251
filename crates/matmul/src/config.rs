//! The settings of the service, as its file gives them and as they are checked.

use config_file::{Checked, Invalid, in_range};
use serde::Deserialize;
use service::program::Serving;

use crate::product::N_MAX;

/// The file as it is written. Every key has a default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    listen: String,
    max_n: usize,
    concurrency: usize,
    max_connections: usize,
    drain_timeout_ms: u64,
}

/// The checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen, and for whom.
    pub serving: Serving,
    /// The largest `n` that may be asked for.
    pub max_n: usize,
    /// Products under way at a time; further ones wait.
    pub concurrency: usize,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8000".to_owned(),
            max_n: 1000,
            concurrency: 2,
            max_connections: 256,
            drain_timeout_ms: 30_000,
        }
    }
}

impl Checked for Config {
    type Raw = RawConfig;

    fn from_raw(raw: RawConfig) -> Result<Self, Invalid> {
        let RawConfig { listen, max_n, concurrency, max_connections, drain_timeout_ms } = raw;
        Ok(Self {
            serving: Serving::checked(&listen, max_connections, drain_timeout_ms)?,
            max_n: in_range("max_n", max_n, 1..=N_MAX)?,
            concurrency: in_range("concurrency", concurrency, 1..=64)?,
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
            serving: Serving {
                listen: 0.0.0.0:8000,
                limits: Limits {
                    connections: 256,
                    idle_make_way: false,
                    head_timeout: 10s,
                    head_bytes: 16384,
                    take_timeout: None,
                    drain_timeout: 30s,
                    form: Own,
                },
            },
            max_n: 1000,
            concurrency: 2,
        }
        "#);
    }

    #[test]
    fn bad_values_are_named_with_what_is_allowed() {
        let texts = [
            "listen = 'here'",
            "max_n = 0",
            "max_n = 5001",
            "concurrency = 0",
            "drain_timeout_ms = 3600001",
        ];
        let refusals = texts.map(|text| parse(text).unwrap_err()).join("\n");
        insta::assert_snapshot!(refusals, @r#"
        f, line 1: listen is here: use an address and a port as in "0.0.0.0:8000"
        f, line 1: max_n is 0: use 1 to 5000
        f, line 1: max_n is 5001: use 1 to 5000
        f, line 1: concurrency is 0: use 1 to 64
        f, line 1: drain_timeout_ms is 3600001: use 0 to 3600000
        "#);
    }
}
