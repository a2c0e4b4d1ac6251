//! What went wrong last with each service.

use std::collections::{BTreeMap, BTreeSet};

use model::action::ActionKind;
use model::failure::Failure;
use model::names::{InstanceName, ServiceName};
use model::tick::Tick;

/// The last failure of each service since the scaler started.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    last: BTreeMap<ServiceName, Failure>,
    /// Instances whose launch failed, up to their removal, which says no more than that.
    unlaunched: BTreeSet<InstanceName>,
}

impl Failures {
    /// Takes note of what a turn tells.
    pub(crate) fn note(&mut self, tick: &Tick) {
        let failed = tick.done.iter().filter(|done| done.error.is_some());
        let launches = failed.filter(|done| done.kind == ActionKind::Clone);
        self.unlaunched.extend(launches.map(|done| done.instance.clone()));
        if let Some(failure) = Failure::of(tick, |instance| self.unlaunched.contains(instance)) {
            self.last.insert(tick.service.clone(), failure);
        }
        for done in tick.done.iter().filter(|done| done.error.is_none()) {
            self.unlaunched.remove(&done.instance);
        }
    }

    /// That of a service, if anything went wrong.
    pub(crate) fn of(&self, service: &ServiceName) -> Option<Failure> {
        self.last.get(service).cloned()
    }

    /// Forgets services that are not deployed.
    pub(crate) fn retain(&mut self, is_deployed: impl Fn(&ServiceName) -> bool) {
        self.last.retain(|service, _| is_deployed(service));
        self.unlaunched.retain(|instance| is_deployed(instance.service()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(done: &[(&str, &str, Option<&str>)]) -> Tick {
        let done: Vec<_> = (1..)
            .zip(done)
            .map(|(at, (action, instance, error))| {
                serde_json::json!({
                    "action": action, "instance": instance, "slot": 1, "planned_at_ms": 1,
                    "finished_at_ms": at, "error": error, "last_lines": ["no DATABASE_URL"]
                })
            })
            .collect();
        let phases = serde_json::json!({"starting": 0, "ready": 0, "draining": 0, "failed": 0});
        let tick = serde_json::json!({
            "sequence": 1, "at_ms": 1, "service": "shop", "observation": {"phases": phases},
            "decision": {"kind": "hold", "reasons": []}, "plan": [], "blocked": [], "done": done
        });
        serde_json::from_value(tick).unwrap()
    }

    #[test]
    fn a_removal_does_not_take_the_place_of_what_the_launch_failed_at() {
        let mut failures = Failures::default();
        let shop = "shop".parse().unwrap();
        let mut told = |done: &[(&str, &str, Option<&str>)]| {
            failures.note(&tick(done));
            failures.of(&shop).unwrap().problem
        };
        let no_answer = "its launch failed: no answer";
        assert_eq!(told(&[("clone", "bw-shop-1-a", Some("no answer"))]), no_answer);
        assert_eq!(told(&[("clone", "bw-shop-2-b", Some("no answer"))]), no_answer);
        let removed = [("stop", "bw-shop-1-a", None), ("stop", "bw-shop-2-b", None)];
        assert_eq!(told(&removed), no_answer);
        let sick = [("stop", "bw-shop-1-c", None)];
        assert_eq!(told(&sick), "it was not well and was removed");
        // One of the same name is another one.
        assert_eq!(told(&removed), "it was not well and was removed");
        assert!(failures.unlaunched.is_empty());
        failures.retain(|_| false);
        assert_eq!(failures.of(&shop), None);
    }
}
