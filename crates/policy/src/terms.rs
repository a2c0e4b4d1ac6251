//! What decisions read of a service's description.
//!
//! It is written as a service's file has it, in JSON, and read and checked as such a file is. Nothing else of the
//! description is in a recording, or told to the console: what its program is, which variables and secrets it is given, and what it reaches is
//! for others to see than those who may see decisions.

use std::time::Duration;

use model::bounds::Bounds;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::service::{Capacity, RawService, Replacement, Requests, Rules, ServiceSpec};
use model::size::Sizes;
use model::value::Invalid;
use serde_json::{Map, Value, json};

/// What decisions read of a service's description, as it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    name: ServiceName,
    /// `None` where it is asked for nothing that is counted.
    capacity: Option<Capacity>,
    cpus: f64,
    bounds: Bounds,
    policy: PolicySpec,
    scale_out: Rules,
    scale_in: Rules,
    drain_timeout: Duration,
    replacement: Replacement,
    watch: Duration,
}

impl Terms {
    /// Those of a service.
    pub fn of(spec: &ServiceSpec) -> Self {
        Self {
            name: spec.name.clone(),
            capacity: spec.requests().map(|Requests { capacity, .. }| *capacity),
            cpus: spec.instance.cpus,
            bounds: spec.bounds,
            policy: spec.policy.clone(),
            scale_out: spec.scale_out,
            scale_in: spec.scale_in.rules,
            drain_timeout: spec.scale_in.drain_timeout,
            replacement: spec.replacement,
            watch: spec.watch,
        }
    }

    /// The keys of a service's file, with what the file has to have beside them.
    pub fn to_file(&self) -> Value {
        let mut scale_in = rules(self.scale_in);
        scale_in.insert("drain_timeout_ms".to_owned(), millis(self.drain_timeout));
        let mut file = json!({
            "name": self.name,
            "image": self.name,
            "instance": { "port": 1, "cpus": self.cpus },
            "bounds": self.bounds,
            "policy": self.policy,
            "scale_out": rules(self.scale_out),
            "scale_in": scale_in,
            "rollout": {
                "replacement": match self.replacement {
                    Replacement::Surge => "surge",
                    Replacement::Recreate => "recreate",
                },
                "watch_ms": millis(self.watch),
            },
        });
        if let Some(Capacity { requests_per_second, concurrency, burst }) = self.capacity {
            let mut capacity = json!({ "concurrency": concurrency, "burst": burst });
            if let Some(rate) = requests_per_second {
                capacity["requests_per_second"] = rate.into();
            }
            file["capacity"] = capacity;
        }
        file
    }
}

/// The service that a file describes, as far as decisions read it.
///
/// # Errors
/// It is no service's file, or a value of it is not allowed.
pub fn spec(file: &Value) -> Result<ServiceSpec, Invalid> {
    use serde::Deserialize as _;
    let raw = RawService::deserialize(file).map_err(|error| Invalid::form("service", &error))?;
    raw.checked(&Sizes::default())
}

fn rules(rules: Rules) -> Map<String, Value> {
    let Rules { patience, cooldown, largest_step } = rules;
    let mut written = Map::new();
    written.insert("patience_ms".to_owned(), millis(patience));
    written.insert("cooldown_ms".to_owned(), millis(cooldown));
    if let Some(step) = largest_step {
        let steps = [("max_step", step.count), ("max_step_percent", step.percent)];
        let steps =
            steps.into_iter().filter_map(|(key, most)| Some((key.to_owned(), most?.into())));
        written.extend(steps);
    }
    written
}

/// Spans of a service's file are whole milliseconds, a day at most.
fn millis(span: Duration) -> Value {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).into()
}
