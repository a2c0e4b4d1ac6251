//! The figures of one run. What is not known is `null`, never 0.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::numbers::{number, with_unit};

/// The objective of a run that does not say its own: those from before it was kept had this one.
pub const OBJECTIVE: Duration = Duration::from_millis(250);

/// `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The scenario's name.
    pub scenario: String,
    /// The run's name, which is that of its folder.
    pub run: String,
    /// Start of the load, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// The seed of everything random.
    pub seed: u64,
    /// What the scenario's durations were multiplied by.
    pub time_factor: f64,
    /// Seconds of load that the figures count, the warm-up left out.
    pub duration_s: f64,
    /// Seconds of load before them.
    pub warm_up_s: f64,
    /// Seconds of recording after the load.
    pub settle_s: f64,
    /// The run was stopped before its load was over.
    pub interrupted: bool,
    /// Under which conditions, for people: `service`, `policy`, `bounds` and the like. Runs from
    /// before this was kept have none.
    #[serde(default)]
    pub conditions: BTreeMap<String, String>,
    /// Requests that the figures count.
    pub requests: Requests,
    /// Requests of the warm-up, which no other figure counts.
    pub warm_up: Requests,
    /// The objective of a request: the expected answer within this time of the moment it was due.
    #[serde(default = "objective_of_old_runs_ms")]
    pub objective_ms: u64,
    /// Share of the due requests that took longer than that, failed or were dropped; unknown
    /// without a request, and in runs from before it was kept.
    #[serde(default)]
    pub outside_objective_percent: Option<f64>,
    /// Latency of the ok requests, from the moment each was due.
    pub latency_ms: Latency,
    /// How many instances there were.
    pub instances: Instances,
    /// What the scaler did.
    pub scaling: Scaling,
    /// How well the generator kept its times.
    pub generator: Generator,
    /// Failed requests by cause.
    pub failures: BTreeMap<String, u64>,
    /// The scenario's limits and whether they held.
    pub limits: Limits,
}

/// Counts of requests: `ok + failed + dropped = due`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Due by the scenario.
    pub due: u64,
    /// With the expected answer in time.
    pub ok: u64,
    /// Without it.
    pub failed: u64,
    /// Never sent, because too many were in flight.
    pub dropped: u64,
    /// The failed ones that were answered 429 or 503.
    pub rejected: u64,
}

impl Requests {
    /// The share outside the objective, in percent, when `late` of the ok ones were too late.
    pub fn outside_objective_percent(self, late: u64) -> Option<f64> {
        let outside = late + self.failed + self.dropped;
        (self.due > 0).then(|| 100.0 * outside as f64 / self.due as f64)
    }
}

impl Summary {
    /// Whether both runs were offered the very same requests. Replays of one trace differ in their
    /// number where they differ in height.
    pub fn has_the_load_of(&self, other: &Self) -> bool {
        let load = |s: &Self| {
            let Self { scenario, seed, time_factor, interrupted, requests, .. } = s;
            (scenario.clone(), *seed, time_factor.to_bits(), *interrupted, requests.due)
        };
        load(self) == load(other)
    }

    /// What happened, in a sentence.
    pub fn told(&self) -> String {
        let bad = self.requests.failed + self.requests.dropped;
        let (requests, seconds) = (number(self.requests.due as f64), number(self.duration_s));
        let mut text = format!("{requests} requests in {seconds} s");
        text += &match bad {
            0 => ", none failed".to_owned(),
            _ => format!(", {} failed or never sent", number(bad as f64)),
        };
        if let Some(p99) = self.latency_ms.p99 {
            text += &format!("; 99% within {}", with_unit(Some(p99), "ms"));
        }
        if let (Some(min), Some(max)) = (self.instances.min, self.instances.max) {
            text += &format!("; {min} to {max} instances");
        }
        text + "."
    }

    /// The share of requests outside the objective, in percent: as counted, or, in a run that did
    /// not count it, as it follows from the largest latency where that lies within the objective.
    pub fn outside_objective(&self) -> Option<f64> {
        self.outside_objective_percent.or_else(|| {
            let all_in_time = self.latency_ms.max.is_some_and(|ms| ms <= self.objective_ms as f64);
            self.requests.outside_objective_percent(0).filter(|_| all_in_time)
        })
    }
}

fn objective_of_old_runs_ms() -> u64 {
    millis(OBJECTIVE)
}

/// A span in whole milliseconds, as a run's files have it.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Percentiles of a latency, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
}

/// A median and a tail, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

/// Instances over the load and the time that the scenario allows for settling after it. A fleet that
/// came to rest early counts as it rests, so that a policy that is slow to give instances back pays
/// for them as long as any other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Instances {
    /// Fewest ready ones.
    pub min: Option<u32>,
    /// Most ready ones.
    pub max: Option<u32>,
    /// Seconds of existence of all instances, starting and draining ones included, added up.
    pub seconds: Option<f64>,
    /// The time that this is over, in seconds from the start of the load.
    #[serde(default)]
    pub over_s: Option<f64>,
}

/// Actions of the scaler in that time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Instances that it started.
    pub out: Option<u64>,
    /// Instances that it drained.
    #[serde(rename = "in")]
    pub r#in: Option<u64>,
    /// Actions that it tried and that failed.
    pub failed_actions: Option<u64>,
    /// From the tick that planned an instance to the end of the first response it served.
    pub plan_to_serving_ms: Percentiles,
    /// Instances planned that never served a request: they are left out of the figure above.
    pub never_served: Option<u64>,
}

/// The generator's own doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// From the moment a request was due until the generator took it up.
    pub lateness_ms: Percentiles,
    /// CPU time of the generator in percent of one core.
    pub cpu_percent: Option<f64>,
    /// Connections opened.
    pub connections: u64,
    /// Requests sent anew because a kept-alive connection was already closed.
    pub resent: u64,
    /// The generator itself was too slow or too busy: its figures say more of it than of the
    /// service.
    pub bottleneck: bool,
}

/// The scenario's limits; `null` for one that it does not set, or that an interrupted run cannot
/// judge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Failed requests.
    pub max_failed: Option<CountLimit>,
    /// Dropped requests.
    pub max_dropped: Option<CountLimit>,
    /// The time back to the lower bound of instances.
    pub back_to_min: Option<TimeLimit>,
}

/// A limit on a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountLimit {
    /// At most so many.
    pub allowed: u64,
    /// So many there were.
    pub measured: u64,
    /// Whether that is good.
    pub held: bool,
}

/// A limit on a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimeLimit {
    /// At most so long, in seconds.
    pub allowed_s: f64,
    /// So long it took; unknown when it did not happen.
    pub measured_s: Option<f64>,
    /// Whether that is good.
    pub held: bool,
}

impl CountLimit {
    /// Judges a count.
    pub fn judge(allowed: u64, measured: u64) -> Self {
        Self { allowed, measured, held: measured <= allowed }
    }
}

impl TimeLimit {
    /// Judges a time; one that never came is not held.
    pub fn judge(allowed_s: f64, measured_s: Option<f64>) -> Self {
        Self { allowed_s, measured_s, held: measured_s.is_some_and(|s| s <= allowed_s) }
    }
}

impl Limits {
    /// A sentence for each limit that did not hold.
    pub fn broken(&self) -> Vec<String> {
        let count = |name: &str, limit: Option<CountLimit>| {
            limit
                .filter(|l| !l.held)
                .map(|l| format!("limits.{name}: {} measured, {} allowed", l.measured, l.allowed))
        };
        let time = self.back_to_min.filter(|l| !l.held).map(|l| {
            format!("limits.back_to_min: not back at the lower bound within {} s", l.allowed_s)
        });
        [count("max_failed", self.max_failed), count("max_dropped", self.max_dropped), time]
            .into_iter()
            .flatten()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_up_to_what_is_allowed() {
        assert!(CountLimit::judge(2, 2).held);
        assert!(!CountLimit::judge(2, 3).held);
        assert!(TimeLimit::judge(2.0, Some(2.0)).held);
        assert!(!TimeLimit::judge(2.0, Some(2.1)).held);
        assert!(!TimeLimit::judge(2.0, None).held);
    }

    #[test]
    fn a_broken_limit_is_named_with_what_was_measured() {
        let limits = Limits {
            max_failed: Some(CountLimit::judge(0, 3)),
            max_dropped: Some(CountLimit::judge(0, 0)),
            back_to_min: Some(TimeLimit::judge(90.0, None)),
        };
        insta::assert_snapshot!(limits.broken().join("\n"), @r"
        limits.max_failed: 3 measured, 0 allowed
        limits.back_to_min: not back at the lower bound within 90 s
        ");
        assert_eq!(Limits::default().broken(), Vec::<String>::new());
    }

    #[test]
    fn a_run_that_does_not_say_its_objective_had_250_ms() {
        let json = serde_json::to_value(crate::testing::run().summary).unwrap();
        let read = |json: serde_json::Value| serde_json::from_value::<Summary>(json).unwrap();
        let mut old = json.clone();
        assert!(old.as_object_mut().unwrap().remove("objective_ms").is_some());
        assert_eq!(read(old).objective_ms, 250);
        let mut own = json;
        own["objective_ms"] = 400.into();
        assert_eq!(read(own).objective_ms, 400);
    }

    #[test]
    fn late_failed_and_dropped_requests_are_outside_the_objective() {
        let requests = Requests { due: 200, ok: 195, failed: 3, dropped: 2, rejected: 1 };
        assert_eq!(requests.outside_objective_percent(5), Some(5.0));
        assert_eq!(Requests::default().outside_objective_percent(0), None);
    }

    #[test]
    fn unknown_figures_are_null() {
        let scaling = serde_json::to_string(&Scaling::default()).unwrap();
        insta::assert_snapshot!(scaling, @r#"{"out":null,"in":null,"failed_actions":null,"plan_to_serving_ms":{"p50":null,"p99":null},"never_served":null}"#);
    }
}
