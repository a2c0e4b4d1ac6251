//! One turn of the loop for one service: sightings and counts in, a tick out. The daemon and the
//! simulator both call it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::decision::{self, Decision, decide};
use crate::fleet::{Fleet, Sighting};
use crate::load::{LoadHistory, Sample};
use crate::names::{InstanceName, Slot};
use crate::plan::{ActionKind, Plan, Situation, plan};
use crate::reading::Reading;
use crate::spec::ServiceSpec;
use crate::tick::{Done, Observation, Tick};
use crate::time::Timestamp;

/// What holds for a service at this turn, whatever is seen of it.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// The service's description with the bounds and the policy in force: its file's, or those that
    /// an operator set. Another policy takes over at once, without a memory; what was decided last
    /// stays until it decides.
    pub spec: &'a ServiceSpec,
    /// Slots that no instance of any service holds, in the order of use.
    pub free_slots: &'a [Slot],
    /// How many more launches the host takes now.
    pub launches_left: u32,
    /// How long an instance may take from its clone to its first good health check.
    pub launch_timeout: Duration,
}

/// What was seen of a service at this turn.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What the load balancer counted since the turn before; nothing when it could not be asked.
    pub sample: Option<Sample>,
    /// CPU time that the instances use together, in cores; nothing when it is not known.
    pub cpu_cores: Option<f64>,
    /// Every instance that exists or is being made; nothing when the host or the load balancer
    /// could not be asked. Then the fleet stays as it was seen last, and nothing is done to it.
    pub sightings: Option<Vec<Sighting>>,
    /// Actions that came to their end since the turn before.
    pub done: Vec<Done>,
}

/// What one service's loop remembers from turn to turn. It may be lost at any moment: a new one
/// keeps what runs until it knows better.
#[derive(Debug, Clone, Default)]
pub struct Controller {
    load: LoadHistory,
    memory: decision::Memory,
    fleet: Fleet,
    decided: Option<u32>,
    start_up: Option<Duration>,
    launches: Backoff,
    failures: BTreeMap<InstanceName, Backoff>,
}

impl Controller {
    /// Takes one turn: observes, decides and plans.
    ///
    /// The tick's `sequence` is 0 until it is kept.
    pub fn turn(&mut self, around: &Surroundings, seen: Seen, now: Timestamp) -> Tick {
        // Counts without a fleet lead to no decision that could be planned for.
        let sample = seen.sample.filter(|_| seen.sightings.is_some());
        self.take_note(sample, &seen.done, now);
        if let Some(sightings) = seen.sightings {
            self.fleet = Fleet::seen(&self.fleet, sightings, around.launch_timeout, now);
        }
        let decision = self.decide(around, sample, seen.cpu_cores, now);
        let plan = self.plan(around, &decision, now);
        Tick {
            sequence: 0,
            at: now,
            service: around.spec.name.clone(),
            observation: self.observation(sample, seen.cpu_cores),
            decision,
            plan: plan.actions,
            blocked: plan.blocked,
            done: seen.done,
        }
    }

    /// The fleet as of the last turn.
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Learns from the counts and from how actions ended.
    fn take_note(&mut self, sample: Option<Sample>, done: &[Done], now: Timestamp) {
        match sample {
            Some(sample) => self.load.push(now, sample),
            None => self.load.clear(),
        }
        for done in done {
            let failed = done.error.is_some();
            if done.kind == ActionKind::Clone {
                self.launches.record(failed, done.finished_at);
                if !failed {
                    self.learn_start_up(done.finished_at.since(done.planned_at));
                }
            } else {
                let backoff = self.failures.entry(done.instance.clone()).or_default();
                backoff.record(failed, done.finished_at);
            }
        }
        let exists = |name: &InstanceName| self.fleet.instances().iter().any(|i| i.name == *name);
        self.failures.retain(|name, backoff| *backoff != Backoff::default() && exists(name));
    }

    /// Follows the start-up times, each new one counting for an eighth.
    fn learn_start_up(&mut self, took: Duration) {
        self.start_up = Some(self.start_up.map_or(took, |known| known * 7 / 8 + took / 8));
    }

    fn decide(
        &mut self,
        around: &Surroundings,
        sample: Option<Sample>,
        cpu_cores: Option<f64>,
        now: Timestamp,
    ) -> Decision {
        let counts = self.fleet.counts();
        let reading = Reading {
            now,
            offered: self.load.offered(),
            served_rps: self.load.answered().map(|(served, _)| served),
            in_flight: sample.map(|sample| sample.in_flight),
            queued: sample.map(|sample| sample.queued),
            cpu_cores,
            ready: counts.ready,
            starting: counts.starting,
            current: self.decided.unwrap_or_else(|| self.fleet.capacity()),
            capacity: around.spec.capacity,
            cpus: around.spec.instance.cpus,
            start_up: self.start_up,
            bounds: around.spec.bounds,
        };
        let decision = decide(around.spec, &mut self.memory, &reading);
        if let Decision::Target { ready, .. } = decision {
            self.decided = Some(ready);
        }
        decision
    }

    fn plan(&self, around: &Surroundings, decision: &Decision, now: Timestamp) -> Plan {
        let waits = |(_, backoff): &(_, &Backoff)| backoff.is_waiting(now);
        let resting: Vec<_> =
            self.failures.iter().filter(waits).map(|(name, _)| name.clone()).collect();
        let situation = Situation {
            service: &around.spec.name,
            free_slots: around.free_slots,
            launches_left: around.launches_left,
            launches_back_off: self.launches.is_waiting(now),
            resting: &resting,
            drain_timeout: around.spec.scale_in.drain_timeout,
        };
        let plan = plan(&self.fleet, decision, &situation, now);
        debug_assert_eq!(
            crate::check::violations(&self.fleet, decision, &plan, &situation),
            [],
            "{plan:?} for {decision:?} and {:?}",
            self.fleet
        );
        plan
    }

    fn observation(&self, sample: Option<Sample>, cpu_cores: Option<f64>) -> Observation {
        let answered = self.load.answered();
        Observation {
            offered_rps: self.load.offered().map(|load| load.total_rps()),
            served_rps: answered.map(|(served, _)| served),
            rejected_rps: answered.map(|(_, rejected)| rejected),
            queued: sample.map(|sample| sample.queued),
            in_flight: sample.map(|sample| sample.in_flight),
            cpu_cores,
            phases: self.fleet.counts(),
        }
    }
}

#[cfg(test)]
mod tests;
