//! The settings of the object store, as its file gives them and as they are checked.

use std::path::PathBuf;
use std::time::Duration;

use config_file::{Checked, Invalid, in_range};
use serde::Deserialize;
use service::program::Serving;

/// The file as it is written. Every key has a default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    listen: String,
    objects_dir: PathBuf,
    max_object_bytes: u64,
    max_connections: usize,
    body_timeout_ms: u64,
    drain_timeout_ms: u64,
    rate_limit: RateLimit,
}

/// The checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen, and for whom.
    pub serving: Serving,
    /// The folder of objects.
    pub objects_dir: PathBuf,
    /// The largest content of an object.
    pub max_object_bytes: u64,
    /// How long a client may send nothing in the middle of a body.
    pub body_timeout: Duration,
    /// How many requests are served.
    pub rate_limit: RateLimit,
}

/// How many requests are served, and which wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table such as { enabled = false }")]
pub struct RateLimit {
    /// Whether there is a limit at all.
    pub enabled: bool,
    /// Requests a second in the long run.
    pub requests_per_second: u32,
    /// Requests that may come at once after a pause.
    pub burst: u32,
    /// The longest time for which a request waits its turn.
    pub max_wait_ms: u64,
    /// How many requests may wait at a time.
    pub max_queue: usize,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8000".to_owned(),
            objects_dir: "/objects".into(),
            max_object_bytes: 1 << 30,
            max_connections: 256,
            body_timeout_ms: 30_000,
            drain_timeout_ms: 30_000,
            rate_limit: RateLimit::default(),
        }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            enabled: true,
            requests_per_second: 50,
            burst: 10,
            max_wait_ms: 1000,
            max_queue: 100,
        }
    }
}

impl Checked for Config {
    type Raw = RawConfig;

    fn from_raw(raw: RawConfig) -> Result<Self, Invalid> {
        let serving = Serving::checked(&raw.listen, raw.max_connections, raw.drain_timeout_ms)?;
        if !raw.objects_dir.is_absolute() {
            let value = raw.objects_dir.display();
            return Err(Invalid::new("objects_dir", value, "an absolute path"));
        }
        let body_timeout_ms = in_range("body_timeout_ms", raw.body_timeout_ms, 1..=3_600_000)?;
        raw.rate_limit.check()?;
        Ok(Self {
            serving,
            objects_dir: raw.objects_dir,
            max_object_bytes: in_range("max_object_bytes", raw.max_object_bytes, 1..=1 << 40)?,
            body_timeout: Duration::from_millis(body_timeout_ms),
            rate_limit: raw.rate_limit,
        })
    }
}

impl RateLimit {
    /// The values are checked even where the limit is off: a typing error should not wait for the
    /// day on which somebody turns it on.
    fn check(&self) -> Result<(), Invalid> {
        let key = "rate_limit.requests_per_second";
        in_range(key, self.requests_per_second, 1..=1_000_000)?;
        in_range("rate_limit.burst", self.burst, 1..=1_000_000)?;
        in_range("rate_limit.max_wait_ms", self.max_wait_ms, 0..=60_000)?;
        in_range("rate_limit.max_queue", self.max_queue, 0..=10_000)?;
        Ok(())
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
            objects_dir: "/objects",
            max_object_bytes: 1073741824,
            body_timeout: 30s,
            rate_limit: RateLimit {
                enabled: true,
                requests_per_second: 50,
                burst: 10,
                max_wait_ms: 1000,
                max_queue: 100,
            },
        }
        "#);
    }

    #[test]
    fn the_rate_limit_can_be_switched_off() {
        assert!(!parse("rate_limit.enabled = false").unwrap().rate_limit.enabled);
    }

    #[test]
    fn bad_values_are_named_with_what_is_allowed() {
        let refusals = [
            "listen = 'here'",
            "objects_dir = 'objects'",
            "max_object_bytes = 0",
            "body_timeout_ms = 0",
            "drain_timeout_ms = 3600001",
            "rate_limit = { burst = 0 }",
            "rate_limit = { enabled = false, requests_per_second = 0 }",
        ]
        .map(|text| parse(text).unwrap_err())
        .join("\n");
        insta::assert_snapshot!(refusals, @r#"
        f, line 1: listen is here: use an address and a port as in "0.0.0.0:8000"
        f, line 1: objects_dir is objects: use an absolute path
        f, line 1: max_object_bytes is 0: use 1 to 1099511627776
        f, line 1: body_timeout_ms is 0: use 1 to 3600000
        f, line 1: drain_timeout_ms is 3600001: use 0 to 3600000
        f, line 1: rate_limit.burst is 0: use 1 to 1000000
        f, line 1: rate_limit.requests_per_second is 0: use 1 to 1000000
        "#);
        for (text, told) in [
            (
                "rate_limit = { max_wait = 5 }",
                "unknown field `max_wait`, expected one of `enabled`",
            ),
            ("rate_limit = 'off'", "expected a table such as { enabled = false }"),
            ("colour = 1", "unknown field `colour`, expected one of `listen`, `objects_dir`"),
        ] {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.contains(told), "{refusal}");
        }
    }
}
