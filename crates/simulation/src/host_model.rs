//! What the simulated host is like: how long things take there, and what goes wrong.

use std::time::Duration;

use model::service::Capacity;
use model::value::{Checked, Invalid, within};
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
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
    /// CPU time that a request takes.
    pub cpu_per_request: Duration,
    /// Its cores, which instances share; `None` where none ever waits for one.
    pub cores: Option<u32>,
    /// How long a request waits in the load balancer.
    pub queue_timeout: Duration,
    /// Launches at a time.
    pub parallel_launches: u32,
    /// How many instances fit in its memory; `None` for any number.
    pub most_instances: Option<u32>,
    /// How long an instance may take to become healthy.
    pub launch_timeout: Duration,
    /// How an instance holds requests up.
    pub instance: InstanceModel,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// How long an instance lives until it crashes, on average; `None` when none does.
    pub crash_mean_s: Option<f64>,
    /// How long an instance lives until it gives no sign of life any more; `None` when none does.
    pub stuck_mean_s: Option<f64>,
    /// Share of launches that fail.
    pub failed_launches_percent: f64,
    /// Share of turns at which the host cannot be seen.
    pub missing_looks_percent: f64,
    /// Share of turns at which the load balancer shows what it showed before.
    pub stale_looks_percent: f64,
    /// Share of turns before which the clock is set forth or back by up to 5 s.
    pub clock_jumps_percent: f64,
}

/// How an instance holds requests up: a token bucket, in front of which requests wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceModel {
    /// Tokens per second; `None` for what the service's file says that one instance serves, and for no such limit
    /// where it says nothing.
    pub requests_per_second: Option<f64>,
    /// Tokens in a full bucket; `None` for the burst that the service's file says.
    pub burst: Option<u32>,
    /// A request that would wait longer than this for its token is refused with 429.
    pub max_wait_ms: f64,
    /// Threads of its program that compute, each of which keeps one core busy at most; `None` for any number.
    pub threads: Option<u32>,
}

impl HostModel {
    /// The host on which the design was measured, without faults: two cores, LXC 5.0, HAProxy 2.6.
    ///
    /// # Panics
    /// Never: a test reads the same values.
    pub fn measured() -> Self {
        Self::from_raw(RawHost::default()).expect("the defaults are good values")
    }
}

impl InstanceModel {
    /// What an instance here can do of a service that can do so much; its burst is 1 at least.
    pub fn capacity(&self, of_service: Capacity) -> Capacity {
        Capacity {
            requests_per_second: self.requests_per_second.or(of_service.requests_per_second),
            // A bucket that holds no token lets no request through.
            burst: self.burst.unwrap_or(of_service.burst).max(1),
            ..of_service
        }
    }

    /// Cores that an instance here can use of those that it may.
    pub fn cpus(&self, may: f64) -> f64 {
        self.threads.map_or(may, |threads| may.min(f64::from(threads)))
    }
}

/// A host's file as it is written, before any value is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawHost {
    clone: RawSpread,
    admit: RawSpread,
    drain: RawSpread,
    stop: RawSpread,
    service: RawSpread,
    cpu_ms_per_request: f64,
    cores: Option<u32>,
    queue_timeout_ms: f64,
    parallel_launches: u32,
    most_instances: Option<u32>,
    launch_timeout_ms: f64,
    instance: InstanceModel,
    faults: Faults,
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
            cores: None,
            queue_timeout_ms: 10_000.0,
            parallel_launches: 4,
            most_instances: None,
            launch_timeout_ms: 10_000.0,
            instance: InstanceModel::default(),
            faults: Faults::default(),
        }
    }
}

impl Default for InstanceModel {
    fn default() -> Self {
        Self { requests_per_second: None, burst: None, max_wait_ms: 1_000.0, threads: None }
    }
}

impl Checked for HostModel {
    type Raw = RawHost;

    fn from_raw(raw: RawHost) -> Result<Self, Invalid> {
        let cpu_ms = raw.cpu_ms_per_request;
        within("cpu_ms_per_request", cpu_ms, 0.0..=1e6, "0 to 1000000 (milliseconds)")?;
        within("cores", raw.cores.unwrap_or(1), 1..=1024, "1 to 1024")?;
        within("parallel_launches", raw.parallel_launches, 1..=64, "1 to 64")?;
        within("most_instances", raw.most_instances.unwrap_or(1), 1..=1000, "1 to 1000")?;
        Ok(Self {
            source: MEASURED.to_owned(),
            clone: raw.clone.checked("clone")?,
            admit: raw.admit.checked("admit")?,
            drain: raw.drain.checked("drain")?,
            stop: raw.stop.checked("stop")?,
            service: raw.service.checked("service")?,
            cpu_per_request: Duration::from_secs_f64(cpu_ms / 1e3),
            cores: raw.cores,
            queue_timeout: millis("queue_timeout_ms", raw.queue_timeout_ms)?,
            parallel_launches: raw.parallel_launches,
            most_instances: raw.most_instances,
            launch_timeout: millis("launch_timeout_ms", raw.launch_timeout_ms)?,
            instance: raw.instance.checked()?,
            faults: raw.faults.checked()?,
        })
    }
}

impl InstanceModel {
    fn checked(self) -> Result<Self, Invalid> {
        let rate = self.requests_per_second.unwrap_or(1.0);
        within("instance.requests_per_second", rate, 0.001..=1e6, "0.001 to 1000000")?;
        within("instance.burst", self.burst.unwrap_or(1), 1..=100_000, "1 to 100000 (requests)")?;
        millis("instance.max_wait_ms", self.max_wait_ms)?;
        within("instance.threads", self.threads.unwrap_or(1), 1..=1024, "1 to 1024")?;
        Ok(self)
    }
}

impl Faults {
    fn checked(self) -> Result<Self, Invalid> {
        let means = [
            ("faults.crash_mean_s", self.crash_mean_s),
            ("faults.stuck_mean_s", self.stuck_mean_s),
        ];
        for (key, mean_s) in means {
            within(key, mean_s.unwrap_or(1.0), 1.0..=1e9, "1 to 1000000000 (seconds)")?;
        }
        let shares = [
            ("faults.failed_launches_percent", self.failed_launches_percent),
            ("faults.missing_looks_percent", self.missing_looks_percent),
            ("faults.stale_looks_percent", self.stale_looks_percent),
            ("faults.clock_jumps_percent", self.clock_jumps_percent),
        ];
        for (key, percent) in shares {
            within(key, percent, 0.0..=100.0, "0 to 100 (percent)")?;
        }
        Ok(self)
    }
}

/// Whether something goes wrong that does so in this share of cases. Where it never does, nothing
/// is drawn.
pub(crate) fn goes_wrong(percent: f64, rng: &mut Xoshiro256PlusPlus) -> bool {
    percent > 0.0 && rng.random_bool(percent / 100.0)
}

fn millis(key: &'static str, ms: f64) -> Result<Duration, Invalid> {
    within(key, ms, 1.0..=600_000.0, "1 to 600000 (milliseconds)")?;
    Ok(Duration::from_secs_f64(ms / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Result<HostModel, String> {
        config_file::from_toml("h.toml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let measured = HostModel::measured();
        let slow = host("clone = { median_ms = 300, p99_ms = 900 }").unwrap();
        assert_eq!(slow.clone, Spread::new(300.0, 900.0).unwrap());
        assert_eq!(HostModel { clone: measured.clone, ..slow }, measured);
    }

    #[test]
    fn an_instance_can_do_what_the_service_says_where_the_host_does_not() {
        let of_service = Capacity { requests_per_second: Some(50.0), concurrency: 8, burst: 10 };
        let capacity = |text: &str| host(text).unwrap().instance.capacity(of_service);
        assert_eq!(capacity(""), of_service);
        let faster = capacity("instance = { requests_per_second = 80, burst = 3 }");
        assert_eq!(faster, Capacity { requests_per_second: Some(80.0), burst: 3, ..of_service });
        let without_burst =
            HostModel::measured().instance.capacity(Capacity { burst: 0, ..of_service });
        assert_eq!(without_burst.burst, 1);
    }

    #[test]
    fn each_wrong_value_is_named_with_its_key_and_what_is_allowed() {
        let texts = [
            "clone = { median_ms = 300, p99_ms = 200 }",
            "parallel_launches = 0",
            "cores = 0",
            "cpu_ms_per_request = -1",
            "queue_timeout_ms = nan",
            "instance = { burst = 0 }",
            "instance = { threads = 0 }",
            "faults = { crash_mean_s = 0 }",
            "faults = { stuck_mean_s = 0 }",
            "parallel_launches = 4\n[faults]\nfailed_launches_percent = 101",
        ];
        insta::assert_snapshot!(texts.map(|text| host(text).unwrap_err()).join("\n"), @r"
        h.toml, line 1: clone is { median_ms = 300, p99_ms = 200 }: use 0.001 to 600000 (milliseconds) each, the median not above the 99th percentile
        h.toml, line 1: parallel_launches is 0: use 1 to 64
        h.toml, line 1: cores is 0: use 1 to 1024
        h.toml, line 1: cpu_ms_per_request is -1: use 0 to 1000000 (milliseconds)
        h.toml, line 1: queue_timeout_ms is NaN: use 1 to 600000 (milliseconds)
        h.toml, line 1: instance.burst is 0: use 1 to 100000 (requests)
        h.toml, line 1: instance.threads is 0: use 1 to 1024
        h.toml, line 1: faults.crash_mean_s is 0: use 1 to 1000000000 (seconds)
        h.toml, line 1: faults.stuck_mean_s is 0: use 1 to 1000000000 (seconds)
        h.toml, line 3: faults.failed_launches_percent is 101: use 0 to 100 (percent)
        ");
        assert!(host("cluster = 1").unwrap_err().contains("unknown field `cluster`"));
    }
}
