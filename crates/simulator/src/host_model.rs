//! What the simulated host is like: how long things take there, and what goes wrong.

use std::time::Duration;

use model::service::ServiceSpec;
use serde::Deserialize;

use crate::spread::{RawSpread, Spread};

/// The name of the host whose figures are built in.
pub const MEASURED: &str = "measured";

/// The host as a file describes it; each key may be left out, and has been measured then.
#[derive(Debug, Clone, PartialEq)]
pub struct HostModel {
    /// Where the figures come from: the file's name, or [`MEASURED`].
    pub source: String,
    /// From the plan of a clone until it is in rotation.
    pub clone: Spread,
    /// From the plan to admit an instance that runs until it is in rotation.
    pub admit: Spread,
    /// From the plan of a drain until no new request goes to the instance.
    pub drain: Spread,
    /// From the plan of a stop until nothing is left of the instance.
    pub stop: Spread,
    /// A request's time in an instance that nothing holds up.
    pub service: Spread,
    /// CPU time that a request takes, in seconds.
    pub cpu_s_per_request: f64,
    /// How long a request waits in the load balancer.
    pub queue_timeout: Duration,
    /// Launches at a time.
    pub parallel_launches: u32,
    /// How long an instance may take to become healthy.
    pub launch_timeout: Duration,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// How long an instance lives until it crashes, on average; `None` when none does.
    pub crash_mean: Option<Duration>,
    /// Share of launches that fail, 0 to 1.
    pub failed_launches: f64,
    /// Share of turns at which the host cannot be seen, 0 to 1.
    pub missing_looks: f64,
    /// Share of turns at which the load balancer shows what it showed before, 0 to 1.
    pub stale_looks: f64,
    /// Share of turns before which the clock is set forth or back by up to 5 s, 0 to 1.
    pub clock_jumps: f64,
}

/// What one instance takes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceLimits {
    /// Requests in flight at most; the load balancer queues the rest.
    pub concurrency: u32,
    /// Requests per second, of a token bucket.
    pub requests_per_second: f64,
    /// Requests that an idle instance takes at once.
    pub burst: u32,
    /// How long a request waits for its token before it is refused.
    pub max_wait: Duration,
}

/// Why a host's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Not TOML, or keys that it does not have.
    #[error("{file} does not describe a host")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, with line and key.
        source: Box<toml::de::Error>,
    },
    /// A value that is not allowed.
    #[error("{place}: {key} = {value}: allowed is {allowed}")]
    Value {
        /// The file, and the line where there is one.
        place: String,
        /// The key, with the table it stands in.
        key: String,
        /// What the file says.
        value: String,
        /// What it may say.
        allowed: &'static str,
    },
}

impl HostModel {
    /// Parses and checks the text of a host's file.
    ///
    /// # Errors
    /// [`ModelError`] names the `file`, the key, the value and what is allowed.
    pub fn parse(file: &str, text: &str) -> Result<Self, ModelError> {
        let raw: RawHost = toml::from_str(text)
            .map_err(|e| ModelError::Syntax { file: file.to_owned(), source: Box::new(e) })?;
        Check { file, text }.host(&raw)
    }

    /// The host on which the design was measured, without faults: two cores, LXC 5.0, HAProxy 2.6.
    ///
    /// # Panics
    /// Never: a test reads the same values.
    pub fn measured() -> Self {
        Self::parse(MEASURED, "").expect("the defaults are good values")
    }
}

impl InstanceLimits {
    /// Those of an instance of `spec`: its `application.rate_limit`, and where it has none, its
    /// capacity with the object store's burst and wait.
    pub fn of(spec: &ServiceSpec) -> Self {
        let limit = spec.application.get("rate_limit").and_then(toml::Value::as_table);
        let figure = |key: &str| {
            let value = limit?.get(key)?;
            value.as_float().or_else(|| value.as_integer().map(as_f64)).filter(|v| *v > 0.0)
        };
        Self {
            concurrency: spec.capacity.concurrency,
            requests_per_second: figure("requests_per_second")
                .unwrap_or(spec.capacity.requests_per_second),
            burst: figure("burst").map_or(10, whole).max(1),
            max_wait: Duration::from_secs_f64(figure("max_wait_ms").unwrap_or(1e3).min(6e4) / 1e3),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a file's figures are far below 2^53")]
const fn as_f64(value: i64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-integer cast saturates, which is what is wanted"
)]
const fn whole(value: f64) -> u32 {
    value as u32
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawHost {
    clone: RawSpread,
    admit: RawSpread,
    drain: RawSpread,
    stop: RawSpread,
    service: RawSpread,
    cpu_ms_per_request: f64,
    queue_timeout_ms: f64,
    parallel_launches: u32,
    launch_timeout_ms: f64,
    faults: RawFaults,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawFaults {
    crash_mean_s: Option<f64>,
    failed_launches_percent: f64,
    missing_looks_percent: f64,
    stale_looks_percent: f64,
    clock_jumps_percent: f64,
}

impl Default for RawHost {
    fn default() -> Self {
        let spread = |median_ms, p99_ms| RawSpread { median_ms, p99_ms };
        Self {
            clone: spread(40.0, 110.0),
            admit: spread(3.0, 6.0),
            drain: spread(3.0, 6.0),
            stop: spread(45.0, 65.0),
            service: spread(0.5, 3.0),
            cpu_ms_per_request: 0.1,
            queue_timeout_ms: 10_000.0,
            parallel_launches: 4,
            launch_timeout_ms: 10_000.0,
            faults: RawFaults::default(),
        }
    }
}

/// Turns raw values into checked ones; it knows the file and its text for its errors.
struct Check<'a> {
    file: &'a str,
    text: &'a str,
}

impl Check<'_> {
    fn host(&self, raw: &RawHost) -> Result<HostModel, ModelError> {
        let cpu_ms = raw.cpu_ms_per_request;
        let cpu =
            self.hold((0.0..=1e6).contains(&cpu_ms), "cpu_ms_per_request", cpu_ms, "0 to 1000000");
        let launches = raw.parallel_launches;
        let parallel =
            self.hold((1..=64).contains(&launches), "parallel_launches", launches, "1 to 64");
        cpu.and(parallel)?;
        Ok(HostModel {
            source: self.file.to_owned(),
            clone: self.spread("clone", raw.clone)?,
            admit: self.spread("admit", raw.admit)?,
            drain: self.spread("drain", raw.drain)?,
            stop: self.spread("stop", raw.stop)?,
            service: self.spread("service", raw.service)?,
            cpu_s_per_request: cpu_ms / 1e3,
            queue_timeout: self.millis("queue_timeout_ms", raw.queue_timeout_ms)?,
            parallel_launches: launches,
            launch_timeout: self.millis("launch_timeout_ms", raw.launch_timeout_ms)?,
            faults: self.faults(&raw.faults)?,
        })
    }

    fn faults(&self, raw: &RawFaults) -> Result<Faults, ModelError> {
        let crash = |s: f64| {
            self.hold((1.0..=1e9).contains(&s), "faults.crash_mean_s", s, "1 to 1000000000")?;
            Ok(Duration::from_secs_f64(s))
        };
        Ok(Faults {
            crash_mean: raw.crash_mean_s.map(crash).transpose()?,
            failed_launches: self.share("failed_launches_percent", raw.failed_launches_percent)?,
            missing_looks: self.share("missing_looks_percent", raw.missing_looks_percent)?,
            stale_looks: self.share("stale_looks_percent", raw.stale_looks_percent)?,
            clock_jumps: self.share("clock_jumps_percent", raw.clock_jumps_percent)?,
        })
    }

    fn spread(&self, key: &str, raw: RawSpread) -> Result<Spread, ModelError> {
        let RawSpread { median_ms, p99_ms } = raw;
        let value = || format!("{{ median_ms = {median_ms}, p99_ms = {p99_ms} }}");
        let allowed = "0.001 to 600000 each, the median not above the 99th percentile";
        Spread::new(median_ms, p99_ms).ok_or_else(|| self.refuse(key, value(), allowed))
    }

    fn millis(&self, key: &str, ms: f64) -> Result<Duration, ModelError> {
        self.hold((1.0..=600_000.0).contains(&ms), key, ms, "1 to 600000")?;
        Ok(Duration::from_secs_f64(ms / 1e3))
    }

    fn share(&self, key: &str, percent: f64) -> Result<f64, ModelError> {
        let key = format!("faults.{key}");
        self.hold((0.0..=100.0).contains(&percent), &key, percent, "0 to 100")?;
        Ok(percent / 100.0)
    }

    fn hold(
        &self,
        holds: bool,
        key: &str,
        value: impl ToString,
        allowed: &'static str,
    ) -> Result<(), ModelError> {
        if holds { Ok(()) } else { Err(self.refuse(key, value.to_string(), allowed)) }
    }

    fn refuse(&self, key: &str, value: String, allowed: &'static str) -> ModelError {
        let place = config_file::place_of(self.file, self.text, key);
        ModelError::Value { place, key: key.to_owned(), value, allowed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let host = HostModel::parse("h.toml", "clone = { median_ms = 300, p99_ms = 900 }").unwrap();
        let measured = HostModel::measured();
        assert_eq!(host.clone, Spread::new(300.0, 900.0).unwrap());
        assert_eq!(host.source, "h.toml");
        let (clone, source) = (measured.clone, measured.source.clone());
        assert_eq!(HostModel { clone, source, ..host }, measured);
    }

    #[test]
    fn each_wrong_value_is_named_with_its_key_and_what_is_allowed() {
        let texts = [
            "clone = { median_ms = 300, p99_ms = 200 }",
            "parallel_launches = 0",
            "cpu_ms_per_request = -1",
            "queue_timeout_ms = nan",
            "faults = { crash_mean_s = 0 }",
            "parallel_launches = 4\n[faults]\nfailed_launches_percent = 101",
        ];
        let refusals = texts.map(|text| HostModel::parse("h.toml", text).unwrap_err().to_string());
        insta::assert_snapshot!(refusals.join("\n"), @r"
        h.toml, line 1: clone = { median_ms = 300, p99_ms = 200 }: allowed is 0.001 to 600000 each, the median not above the 99th percentile
        h.toml, line 1: parallel_launches = 0: allowed is 1 to 64
        h.toml, line 1: cpu_ms_per_request = -1: allowed is 0 to 1000000
        h.toml, line 1: queue_timeout_ms = NaN: allowed is 1 to 600000
        h.toml, line 1: faults.crash_mean_s = 0: allowed is 1 to 1000000000
        h.toml, line 3: faults.failed_launches_percent = 101: allowed is 0 to 100
        ");
        let unknown = HostModel::parse("h.toml", "cluster = 1").unwrap_err();
        assert!(matches!(unknown, ModelError::Syntax { .. }), "{unknown:?}");
    }
}
