//! Experiments that a host carries out at somebody's request: what is asked for, and what is kept of it.

use serde::{Deserialize, Serialize};

use crate::job::{JobId, Outcome};
use crate::names::{ScenarioName, ServiceName};
use crate::time::Timestamp;
use crate::value::{self, Checked, Invalid};

/// Longest word that names a policy in bytes.
const POLICY_MAX_BYTES: usize = 64;

/// An experiment that is asked for: the load of a scenario for the service that the scenario names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The scenario, which is one of the release in force.
    pub scenario: ScenarioName,
    /// What decides meanwhile: `default` (the service's own policy), a kind of policy, or one of those that the release
    /// has by a name; `None` for the policy in force.
    #[serde(default)]
    pub policy: Option<String>,
    /// How many runs, 1 to 10, each with a seed one higher.
    #[serde(default = "one")]
    pub runs: u32,
    /// What the durations of the load are multiplied by, 0.01 to 1.
    #[serde(default = "whole")]
    pub time_factor: f64,
    /// The seed of the first run; `None` for the scenario's.
    #[serde(default)]
    pub seed: Option<u64>,
}

impl Experiment {
    /// Runs of one experiment at most: ten of a `ramp` take an hour.
    pub const RUNS_MAX: u32 = 10;

    /// The shortest that a load is made, as a share of its length.
    pub const TIME_FACTOR_MIN: f64 = 0.01;
}

const fn one() -> u32 {
    1
}

const fn whole() -> f64 {
    1.0
}

impl Checked for Experiment {
    type Raw = Self;

    fn from_raw(raw: Self) -> Result<Self, Invalid> {
        let allowed = "default, the name of a kind of policy, or that of a policy of the release";
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let is_word =
            |word: &str| (1..=POLICY_MAX_BYTES).contains(&word.len()) && word.bytes().all(is_plain);
        let word = raw.policy.as_deref();
        value::check(word.is_none_or(is_word), "policy", word.unwrap_or_default(), allowed)?;
        value::within("runs", raw.runs, 1..=Self::RUNS_MAX, "1 to 10 (runs)")?;
        let factors = Self::TIME_FACTOR_MIN..=1.0;
        value::within("time_factor", raw.time_factor, factors, "0.01 to 1 (of the length)")?;
        Ok(raw)
    }
}

/// What is kept of an experiment beside its results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExperimentRecord {
    /// The job that carried it out.
    pub id: JobId,
    /// The service that got the load.
    pub service: ServiceName,
    /// What was asked for.
    #[serde(flatten)]
    pub experiment: Experiment,
    /// When it began.
    #[serde(rename = "begun_at_ms")]
    pub begun_at: Timestamp,
    /// When it ended; `None` while it has not, and of one that was cut off.
    #[serde(rename = "ended_at_ms")]
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` while it has not, and of one that was cut off.
    pub outcome: Option<Outcome>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Result<Experiment, String> {
        let raw = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Experiment::from_raw(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn an_experiment_is_one_run_of_a_whole_scenario_unless_it_says_more() {
        let plain = asked(r#"{"scenario":"ramp"}"#).unwrap();
        assert_eq!((plain.runs, plain.time_factor, plain.seed, plain.policy), (1, 1.0, None, None));
        let all = r#"{"scenario":"ramp","policy":"hpa-cpu","runs":10,"time_factor":0.01,"seed":7}"#;
        let record = ExperimentRecord {
            id: JobId::new(1),
            service: "shop".parse().unwrap(),
            experiment: asked(all).unwrap(),
            begun_at: Timestamp::from_millis(1),
            ended_at: None,
            outcome: None,
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<ExperimentRecord>(&text).unwrap(), record);
    }

    #[test]
    fn what_is_out_of_bounds_is_named_by_its_key() {
        for (json, told) in [
            ("{}", "missing field `scenario`"),
            (r#"{"scenario":"../ramp"}"#, "`../ramp` is not a name"),
            (r#"{"scenario":"ramp","runs":0}"#, "runs is 0: use 1 to 10 (runs)"),
            (r#"{"scenario":"ramp","runs":11}"#, "runs is 11: use"),
            (r#"{"scenario":"ramp","time_factor":0}"#, "time_factor is 0: use 0.01 to 1"),
            (r#"{"scenario":"ramp","time_factor":1.5}"#, "time_factor is 1.5: use"),
            (r#"{"scenario":"ramp","policy":"/etc/passwd"}"#, "policy is /etc/passwd: use default"),
            (r#"{"scenario":"ramp","policy":""}"#, "policy is : use default"),
            (r#"{"scenario":"ramp","policy":"a.toml"}"#, "policy is a.toml: use default"),
            (r#"{"scenario":"ramp","target":"http://x"}"#, "unknown field `target`"),
        ] {
            let error = asked(json).unwrap_err();
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
