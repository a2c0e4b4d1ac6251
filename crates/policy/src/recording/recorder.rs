//! Turns of inputs.

use std::time::Duration;

use model::action::Done;
use model::decision::Decision;
use model::names::Slot;
use model::tick::Tick;
use model::time::Timestamp;
use model::version::{Rollout, Wanted};

use super::instances::{Differences, differences};
use super::turn::Turn;
use crate::controller::{ServiceObservation, TurnContext};
use crate::fleet::InstanceObservation;
use crate::terms::Terms;

/// Makes turns of the inputs of a service's loop, and of what came of them. It knows what the turns up to now tell; a
/// new one knows nothing, and its first turn tells everything.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    terms: Option<Terms>,
    wanted: Option<Wanted>,
    release: Option<bool>,
    free_slots: Option<Vec<Slot>>,
    launches_left: Option<u32>,
    fits: Option<u32>,
    launch_timeout: Option<Duration>,
    /// The instances that were seen last, in the order of their names.
    instances: Vec<InstanceObservation>,
    decision: Option<Decision>,
    rollout: Option<Rollout>,
}

impl Recorder {
    /// The turn that is about to be taken with these inputs. [`Self::outcome`] completes it.
    pub fn inputs(
        &mut self,
        context: &TurnContext,
        observed: &ServiceObservation,
        now: Timestamp,
    ) -> Turn {
        // Every field is named: an input that is added is an error here until it is recorded.
        let TurnContext {
            spec,
            wanted,
            release,
            free_slots,
            launches_left,
            fits,
            launch_timeout,
            hold,
            removals,
        } = context;
        let ServiceObservation { load, cpu_cores, host_cpu, instances, answers, done } = observed;
        let terms = changed(&mut self.terms, Terms::of(spec));
        let differences = instances.as_deref().map(|seen| self.see(seen));
        let unseen = differences.is_none();
        let Differences { gone, seen, in_flight } = differences.unwrap_or_default();
        Turn {
            at: now,
            service: terms.map(|terms| terms.to_file()),
            wanted: changed(&mut self.wanted, *wanted),
            release: changed(&mut self.release, *release),
            free_slots: changed(&mut self.free_slots, free_slots.to_vec()),
            launches_left: changed(&mut self.launches_left, *launches_left),
            fits: changed(&mut self.fits, *fits),
            launch_timeout: changed(&mut self.launch_timeout, *launch_timeout),
            hold: *hold,
            removals: removals.to_vec(),
            load: load.map(Into::into),
            cpu_cores: *cpu_cores,
            host_cpu: host_cpu.map(Into::into),
            unseen,
            gone,
            seen,
            in_flight,
            answers: answers.clone(),
            done: done.iter().map(without_output).collect(),
            ..Turn::default()
        }
    }

    /// The same turn with what came of it.
    #[must_use]
    pub fn outcome(&mut self, turn: Turn, tick: &Tick) -> Turn {
        let rollout = tick.rollout.clone();
        Turn {
            decision: changed(&mut self.decision, tick.decision.clone()),
            rollout: rollout.and_then(|rollout| changed(&mut self.rollout, rollout)),
            plan: tick.plan.clone(),
            blocked: tick.blocked.clone(),
            ..turn
        }
    }

    fn see(&mut self, seen: &[InstanceObservation]) -> Differences {
        let is_sorted = seen.is_sorted_by(|a, b| a.name < b.name);
        let sorted = (!is_sorted).then(|| {
            let mut seen = seen.to_vec();
            seen.sort_by(|a, b| a.name.cmp(&b.name));
            seen
        });
        let seen = sorted.as_deref().unwrap_or(seen);
        let differences = differences(&self.instances, seen);
        if differences != Differences::default() {
            self.instances.clear();
            self.instances.extend_from_slice(seen);
        }
        differences
    }
}

/// What is now, where it is not what is known; it is known from then on.
fn changed<T: Clone + PartialEq>(known: &mut Option<T>, now: T) -> Option<T> {
    (known.as_ref() != Some(&now)).then(|| known.insert(now).clone())
}

/// An action's end without what its instance wrote, which no decision reads.
fn without_output(done: &Done) -> Done {
    Done { last_lines: Vec::new(), ..done.clone() }
}
