//! A run whose load is over: from what was measured to its summary and its series.

use std::collections::BTreeMap;
use std::time::Duration;

use model::policies::Policy;
use model::policies::PolicySpec;
use model::time::Timestamp;
use run::summary::{
    CountLimit, Generator, Instances, Limits, OBJECTIVE, Requests, Scaling, Summary, TimeLimit,
    millis,
};
use run::{Recorder, RunSeries, SecondRow};
use serde_json::json;
use workload::Load;

use crate::client::Client;
use crate::follow::{Before, Follower};
use crate::load::LoadEnd;
use crate::machine;
use crate::scenario_file::LoadedScenario;

/// Later than this, at the 99th percentile, and the load was not the one that the scenario says.
const BOTTLENECK_LATENESS_MS: f64 = 5.0;
/// The requests share one thread: close to a whole core, it is what limits them.
const BOTTLENECK_CPU_PERCENT: f64 = 90.0;

/// All that is known when a run is over.
pub(crate) struct Finished<'a> {
    pub(crate) name: &'a str,
    pub(crate) loaded: &'a LoadedScenario,
    pub(crate) start: Timestamp,
    /// How long load was offered, the warm-up included.
    pub(crate) offered: Duration,
    /// How long the recording went on after that.
    pub(crate) settled: Duration,
    /// Seconds from the end of the load until the service was back at its lower bound.
    pub(crate) back_to_min_s: Option<f64>,
    pub(crate) interrupted: bool,
    pub(crate) load_end: LoadEnd,
    pub(crate) client: &'a Client,
    /// What the scaler did; unknown without one.
    pub(crate) follower: Option<&'a Follower>,
}

impl Finished<'_> {
    /// The run's figures.
    pub(crate) fn summary(&self, recorder: &Recorder) -> Summary {
        let warm_up = self.loaded.scenario.warm_up.min(self.offered);
        let is_at_rest = self.back_to_min_s.is_some();
        let settled = if is_at_rest { self.loaded.scenario.settle } else { self.settled };
        let counted_s = (self.offered + settled).as_secs_f64();
        let requests = recorder.requests();
        // Only the scaler says what the service's own objective is.
        let objective = self.follower.map_or(OBJECTIVE, |follower| {
            Duration::from_millis(follower.before.status.objective_ms)
        });
        Summary {
            scenario: self.loaded.scenario.name.clone(),
            run: self.name.to_owned(),
            started_at_ms: self.start.as_millis(),
            seed: self.loaded.scenario.seed,
            time_factor: self.loaded.time_factor,
            duration_s: (self.offered - warm_up).as_secs_f64(),
            warm_up_s: warm_up.as_secs_f64(),
            settle_s: self.settled.as_secs_f64(),
            interrupted: self.interrupted,
            conditions: self.conditions(),
            requests,
            objective_ms: millis(objective),
            outside_objective_percent: requests.outside_objective_percent(recorder.late(objective)),
            warm_up: recorder.warm_up_requests(),
            latency_ms: recorder.latency(),
            instances: self
                .follower
                .map_or_else(Instances::default, |follower| follower.history.instances(counted_s)),
            scaling: self.follower.map_or_else(Scaling::default, Follower::scaling),
            generator: generator(recorder, self.load_end, self.client),
            failures: recorder.failures().clone(),
            limits: self.limits(requests),
        }
    }

    /// What was offered to whom, and what the scaler said of the service when that began.
    fn conditions(&self) -> BTreeMap<String, String> {
        let mut conditions = BTreeMap::new();
        let mut add = |name: &str, value: String| conditions.insert(name.to_owned(), value);
        add("service", self.loaded.scenario.service.clone());
        add("load", self.loaded.offered.to_string());
        if let Load::Trace(replay) = &self.loaded.scenario.load {
            add("trace", replay.to_string());
        }
        // Of another machine than the generator's nothing is known.
        if self.client.pool().target().is_here() {
            add("machine", machine::describe());
        }
        if let Some(Before { status, membership, .. }) = self.follower.map(|f| &f.before) {
            let (min, max) = (status.bounds.min(), status.bounds.max());
            add("policy", with_figures(&status.policy_spec));
            add("bounds", format!("{min} to {max} instances"));
            add("membership", membership.to_string());
        }
        conditions
    }

    /// How long the recording is, in seconds.
    pub(crate) fn end_s(&self) -> f64 {
        (self.offered + self.settled).as_secs_f64()
    }

    /// The run over time; `rows` are those of the recorder.
    pub(crate) fn series(&self, mut rows: Vec<SecondRow>, summary: &Summary) -> RunSeries {
        if let Some(follower) = self.follower {
            follower.history.fill(&mut rows);
        }
        let Requests { due, ok, failed, dropped, .. } = summary.requests;
        RunSeries {
            title: self.loaded.scenario.name.clone(),
            subtitle: format!(
                "{} · seed {} · {due} due, {ok} ok, {failed} failed, {dropped} dropped",
                self.loaded.scenario.service, self.loaded.scenario.seed
            ),
            warm_up_s: summary.warm_up_s,
            load_end_s: self.offered.as_secs_f64(),
            rows,
            fleet: self.follower.map(|f| f.history.steps().to_vec()).unwrap_or_default(),
        }
    }

    fn limits(&self, requests: Requests) -> Limits {
        let limits = self.loaded.scenario.limits;
        Limits {
            max_failed: limits.max_failed.map(|max| CountLimit::judge(max, requests.failed)),
            max_dropped: limits.max_dropped.map(|max| CountLimit::judge(max, requests.dropped)),
            // The settling of an interrupted run is cut short: how long it would take is not known.
            back_to_min: (limits.back_to_min && !self.interrupted).then(|| {
                TimeLimit::judge(self.loaded.scenario.settle.as_secs_f64(), self.back_to_min_s)
            }),
        }
    }
}

/// How well the generator kept its times, and whether it was what limited the load.
pub(crate) fn generator(recorder: &Recorder, end: LoadEnd, client: &Client) -> Generator {
    let lateness_ms = recorder.lateness();
    let late = lateness_ms.p99.is_some_and(|ms| ms > BOTTLENECK_LATENESS_MS);
    let busy = end.cpu_percent.is_some_and(|p| p > BOTTLENECK_CPU_PERCENT);
    Generator {
        lateness_ms,
        cpu_percent: end.cpu_percent,
        connections: client.pool().opened(),
        resent: client.pool().resent(),
        bottleneck: late || busy,
    }
}

/// A policy for people: its kind, and those of its figures that are not the kind's default.
fn with_figures(spec: &PolicySpec) -> String {
    spec.policies().iter().map(one_with_figures).collect::<Vec<_>>().join(" + ")
}

fn one_with_figures(policy: &Policy) -> String {
    let kind = policy.kind();
    let (own, default) = (json!(policy), json!(kind.defaults()));
    let of_default = |key: &str| default.get(key);
    let figures = own.as_object().into_iter().flatten();
    let others: Vec<String> = figures
        .filter(|(key, value)| of_default(key) != Some(value))
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    if others.is_empty() { kind.to_string() } else { format!("{kind} ({})", others.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_told_with_the_figures_that_are_its_own() {
        let spec = |json| with_figures(&serde_json::from_str::<PolicySpec>(json).unwrap());
        assert_eq!(spec(r#"{"kind": "hpa"}"#), "hpa");
        let two = r#"[{"kind": "hpa", "sync_ms": 5000}, {"kind": "predictive"}]"#;
        assert_eq!(spec(two), "hpa (sync_ms 5000) + predictive");
    }
}
