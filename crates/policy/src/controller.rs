//! One turn of the loop for one service: observations in, a tick out. The daemon and the
//! simulator both call it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::{ActionKind, Done, ReleaseEnd};
use model::decision::Decision;
use model::instance::{Ended, Phase};
use model::names::{InstanceName, Slot};
use model::service::{Requests, ServiceSpec};
use model::tick::{HostCpu, Observation, Room, Tick};
use model::time::Timestamp;
use model::version::{Rollout, Version, Wanted};
use model::watch::{Answers, Watched};
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::decide::{Decided, DecisionState, decide};
use crate::fleet::{Fleet, Instance, InstanceObservation};
use crate::hold::decide_held;
use crate::input::{Demand, PolicyInput};
use crate::load::{LoadHistory, LoadObservation};
use crate::memory::{Memory, kept};
use crate::plan::{Plan, PlanContext, plan};
use crate::rollout::{RolloutContext, advance};
use crate::watch::Look;

/// What holds for a service at this turn, whatever is observed.
#[derive(Debug, Clone)]
pub struct TurnContext<'a> {
    /// The service's description with the bounds and the policy in force: its file's, or those that
    /// an operator set. Another policy takes over at once, without a memory; what was decided last
    /// stays until it decides.
    pub spec: &'a ServiceSpec,
    /// The version that the service was last deployed as.
    pub wanted: Wanted,
    /// Whether its release command is to be run before it serves. It is not where somebody went back to it.
    pub release: bool,
    /// Slots that no instance of any service holds, in the order of use.
    pub free_slots: &'a [Slot],
    /// How many more launches the host takes now.
    pub launches_left: u32,
    /// For how many more instances the host has memory.
    pub fits: u32,
    /// How long an instance may take from its clone to its first good health check.
    pub launch_timeout: Duration,
    /// How many ready instances an operator holds the service at; `None` where its policies decide.
    pub hold: Option<u32>,
    /// Instances that an operator wants gone: each leaves as soon as another has taken its place, or none has to.
    pub removals: &'a [InstanceName],
}

/// What is observed of a service at one turn.
#[derive(Debug, Clone, Default)]
pub struct ServiceObservation {
    /// What the load balancer counted since the turn before; `None` when it could not be asked.
    pub load: Option<LoadObservation>,
    /// CPU time that the instances in rotation and those that drain use together, in cores; `None` when it is not
    /// known.
    pub cpu_cores: Option<f64>,
    /// The host's processors, and how much all that runs there uses of them; `None` when it is not known.
    pub host_cpu: Option<HostCpu>,
    /// Every instance that exists or is being made; `None` when the host or the load balancer
    /// could not be asked. Then the fleet stays as it was observed last, and nothing is done to it.
    pub instances: Option<Vec<InstanceObservation>>,
    /// Answers of instances since the turn before, by their version, as far as they are counted.
    pub answers: BTreeMap<Version, Answers>,
    /// Actions that came to their end since the turn before.
    pub done: Vec<Done>,
}

/// What one service's loop remembers from turn to turn. It may be lost at any moment: a new one
/// keeps what runs until it knows better, and one with its [`Memory`] keeps what it promised.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Controller {
    load: LoadHistory,
    state: DecisionState,
    fleet: Fleet,
    rollout: Option<Rollout>,
    watched: Option<Watched>,
    decided: Option<u32>,
    start_up: Option<Duration>,
    launches: Backoff,
    trials: Backoff,
    /// The last deploy whose release command ended well.
    released: Option<Wanted>,
    #[serde(with = "failures")]
    failures: BTreeMap<(InstanceName, ActionKind), Backoff>,
}

impl Controller {
    /// The loop of a service that goes on where another ended.
    pub fn restored(memory: Memory) -> Self {
        Self {
            state: DecisionState::after(memory.changes),
            rollout: memory.rollout.map(kept),
            decided: memory.decided,
            launches: memory.launches,
            trials: memory.trials,
            released: memory.released,
            ..Self::default()
        }
    }

    /// What is to be kept for whoever goes on after this one.
    pub fn memory(&self) -> Memory {
        Memory {
            rollout: self.rollout.clone().map(kept),
            decided: self.decided,
            changes: self.state.changes(),
            launches: self.launches,
            trials: self.trials,
            released: self.released,
        }
    }

    /// Whether the wanted version's release command is to be run, and has not ended well yet.
    pub fn owes_release(&self, context: &TurnContext) -> bool {
        context.release && self.released != Some(context.wanted)
    }

    /// Takes one turn: observes, decides and plans.
    ///
    /// The tick's `sequence` is 0 until it is kept.
    pub fn turn(
        &mut self,
        context: &TurnContext,
        observed: ServiceObservation,
        now: Timestamp,
    ) -> Tick {
        // Counts without a fleet lead to no decision that could be planned for.
        let is_asked = context.spec.requests().is_some();
        let load = observed.load.filter(|_| is_asked && observed.instances.is_some());
        self.take_note(load, &observed.done, context.wanted, now);
        self.find_released(observed.instances.as_deref().unwrap_or_default(), context.wanted, now);
        let is_seen = observed.instances.is_some();
        let ended = observed.instances.map(|it| self.see(it, &observed.done, context, now));
        let watched = self.rollout.as_ref().and_then(Rollout::watched);
        self.watch(&observed.answers, ended.as_deref());
        if is_seen || self.rollout.is_some() {
            self.roll_out(context, &observed.done, is_seen, now);
        }
        let mut observation = self.observation(load, observed.cpu_cores, observed.host_cpu);
        observation.watched = self.watched.filter(|_| watched.is_some());
        let Decided { decision, trail } = self.decide(context, &observation, is_seen, now);
        let plan = self.plan(context, &decision, now);
        Tick {
            sequence: 0,
            at: now,
            service: context.spec.name.clone(),
            observation,
            rollout: self.rollout.clone(),
            decision,
            trail,
            room: Some(self.room(context, now)),
            plan: plan.actions,
            blocked: plan.blocked,
            done: observed.done,
            ended: ended.unwrap_or_default(),
            given_up: watched.map_or_else(Vec::new, |version| self.given_up(version)),
        }
    }

    /// Takes the fleet as it is now. Returns what ended by itself, without what that wrote.
    fn see(
        &mut self,
        instances: Vec<InstanceObservation>,
        done: &[Done],
        context: &TurnContext,
        now: Timestamp,
    ) -> Vec<Ended> {
        let fleet = Fleet::observed(&self.fleet, instances, context.launch_timeout, now)
            .marked(context.removals);
        let ended = fleet.ended_since(&self.fleet, done).map(|instance| Ended {
            instance: instance.name.clone(),
            version: instance.version,
            last_lines: Vec::new(),
        });
        let ended = ended.collect();
        self.fleet = fleet;
        ended
    }

    /// The fleet as of the last turn.
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Which version serves, and which one is on trial; `None` before the host was seen.
    pub const fn rollout(&self) -> Option<&Rollout> {
        self.rollout.as_ref()
    }

    /// Learns from the counts and from how actions ended.
    fn take_note(
        &mut self,
        load: Option<LoadObservation>,
        done: &[Done],
        wanted: Wanted,
        now: Timestamp,
    ) {
        match load {
            Some(load) => self.load.push(now, load),
            // What was observed before a gap says nothing of the load after it.
            None => self.load = LoadHistory::default(),
        }
        let rollout = self.rollout.clone();
        let on_trial = rollout.as_ref().and_then(Rollout::proving);
        let is_wanted = |version: Option<Version>| {
            rollout.as_ref().zip(version).is_none_or(|(rollout, version)| rollout.wants(version))
        };
        for done in done {
            let failed = done.error.is_some();
            let backoff = match done.kind {
                ActionKind::Clone if on_trial.is_some() && done.version == on_trial => {
                    Some(&mut self.trials)
                }
                // How a version fared that nobody wants any more says nothing of the one that serves.
                ActionKind::Clone => is_wanted(done.version).then_some(&mut self.launches),
                kind => Some(self.failures.entry((done.instance.clone(), kind)).or_default()),
            };
            if let Some(backoff) = backoff {
                backoff.record(failed, done.finished_at);
            }
            if done.release == Some(ReleaseEnd::Well) && done.version == Some(wanted.version) {
                self.note_released(wanted, now);
            }
            // A release command is no part of what an instance takes to start.
            if done.kind == ActionKind::Clone && !failed && done.release.is_none() {
                self.learn_start_up(done.finished_at.since(done.planned_at));
            }
        }
        self.failures.retain(|(name, _), backoff| {
            *backoff != Backoff::default() && self.fleet.get(name).is_some()
        });
    }

    /// Finds that the release command of this deploy has ended well, where who waited for it is gone. An instance of an
    /// earlier deploy of the same version says nothing of this one.
    fn find_released(&mut self, instances: &[InstanceObservation], wanted: Wanted, now: Timestamp) {
        let is_of_deploy = |it: &&InstanceObservation| {
            it.version == Some(wanted.version) && it.name.birth() >= wanted.deployed_at
        };
        if instances.iter().filter(is_of_deploy).any(|it| it.released) {
            self.note_released(wanted, now);
        }
    }

    /// Takes note that the release command of this deploy has ended well. The time in which its version has to get
    /// healthy begins then.
    fn note_released(&mut self, wanted: Wanted, now: Timestamp) {
        if self.released == Some(wanted) {
            return;
        }
        self.released = Some(wanted);
        if let Some(Rollout::Proving { since, .. }) = &mut self.rollout {
            *since = now;
        }
    }

    /// Adds what is seen now to what is known of a version on trial and of the one that serves. Up to its first
    /// ready instance that is what this turn shows, so that the watch misses nothing of it.
    fn watch(&mut self, answers: &BTreeMap<Version, Answers>, ended: Option<&[Ended]>) {
        let (before, version, next) = match &self.rollout {
            Some(Rollout::Watching { version, next, .. }) => (self.watched, *version, *next),
            Some(Rollout::Proving { version, next, .. }) => (None, *version, *next),
            Some(Rollout::Serving { .. } | Rollout::GivenUp { .. }) | None => {
                self.watched = None;
                return;
            }
        };
        let Some(ended) = ended else { return };
        let look = Look { answers, fleet: &self.fleet, ended };
        self.watched = Some(look.after(before.unwrap_or_default(), version, next.version));
    }

    /// The instances of a version that was watched up to now and is given up, without what they wrote.
    fn given_up(&self, watched: Version) -> Vec<Ended> {
        let is_given_up = matches!(
            &self.rollout,
            Some(Rollout::GivenUp { next, .. }) if next.version == watched
        );
        let own = |it: &&Instance| is_given_up && it.version == Some(watched);
        let last_words = |it: &Instance| Ended {
            instance: it.name.clone(),
            version: it.version,
            last_lines: Vec::new(),
        };
        self.fleet.in_phase(Phase::Ready).filter(own).map(last_words).collect()
    }

    /// Goes on with the change from one version to the next.
    fn roll_out(&mut self, context: &TurnContext, done: &[Done], is_seen: bool, now: Timestamp) {
        let TurnContext { wanted, launch_timeout, .. } = *context;
        let on_trial = self.rollout.as_ref().and_then(Rollout::proving);
        let owes_release = self.owes_release(context);
        let context = RolloutContext {
            wanted,
            fleet: &self.fleet,
            done,
            launch_timeout,
            watch: context.spec.watch,
            owes_release,
            watched: self.watched.filter(|_| is_seen),
        };
        let rollout = advance(self.rollout.take(), &context, now);
        if rollout.proving() != on_trial {
            self.trials = Backoff::default();
        }
        self.rollout = Some(rollout);
    }

    /// Follows the start-up times, each new one counting for an eighth.
    fn learn_start_up(&mut self, took: Duration) {
        self.start_up = Some(self.start_up.map_or(took, |known| known * 7 / 8 + took / 8));
    }

    fn decide(
        &mut self,
        context: &TurnContext,
        observation: &Observation,
        is_seen: bool,
        now: Timestamp,
    ) -> Decided {
        let ready = observation.phases.ready;
        let serving = self.rollout.as_ref().map_or(context.wanted.version, Rollout::serving);
        let capacity = self.fleet.capacity(serving);
        let input = PolicyInput {
            now,
            demand: self.demand(context.spec, is_seen),
            served_rps: observation.served_rps,
            in_flight: observation.in_flight,
            queued: observation.queued,
            cpu_cores: observation.cpu_cores,
            host_cpu: observation.host_cpu,
            ready,
            starting: capacity - ready,
            current: self.decided.unwrap_or(capacity),
            changed_at: self.state.changes().any,
            cpus: context.spec.instance.cpus,
            start_up: self.start_up,
            bounds: context.spec.bounds,
        };
        // Of a host that could not be looked at nothing is decided, held or not.
        let decided = match context.hold.filter(|_| is_seen) {
            Some(held) => decide_held(context.spec, &mut self.state, &input, held),
            None => decide(context.spec, &mut self.state, &input),
        };
        if let Decision::Target { ready, .. } = decided.decision {
            self.decided = Some(ready);
        }
        decided
    }

    /// What the service is asked for, as far as it is known.
    fn demand(&self, spec: &ServiceSpec, is_seen: bool) -> Option<Demand> {
        match spec.requests() {
            Some(Requests { capacity, .. }) => {
                let offered = self.load.offered()?;
                Some(Demand::Requests { offered, capacity: *capacity })
            }
            None => is_seen.then_some(Demand::Uncounted),
        }
    }

    fn plan(&self, context: &TurnContext, decision: &Decision, now: Timestamp) -> Plan {
        let waits = |(_, backoff): &(_, &Backoff)| backoff.is_waiting(now);
        let backing_off: Vec<_> =
            self.failures.iter().filter(waits).map(|(failed, _)| failed.clone()).collect();
        let unseen = Rollout::Serving { version: context.wanted.version };
        let situation = PlanContext {
            service: &context.spec.name,
            rollout: self.rollout.as_ref().unwrap_or(&unseen),
            free_slots: context.free_slots,
            launches_left: context.launches_left,
            fits: context.fits,
            launches_back_off: self.launches.is_waiting(now),
            trial_backs_off: self.trials.is_waiting(now),
            owes_release: self.owes_release(context),
            backing_off: &backing_off,
            drain_timeout: context.spec.scale_in.drain_timeout,
            replacement: context.spec.replacement,
        };
        let plan = plan(&self.fleet, decision, &situation, now);
        debug_assert_eq!(
            crate::check::violations(&self.fleet, decision, &plan, &situation, now),
            [],
            "{plan:?} for {decision:?} and {:?}",
            self.fleet
        );
        plan
    }

    /// What a plan can count on at this turn.
    fn room(&self, context: &TurnContext, now: Timestamp) -> Room {
        Room {
            launches: context.launches_left,
            slots: u32::try_from(context.free_slots.len()).unwrap_or(u32::MAX),
            memory: context.fits,
            launches_wait_until: self.launches.waits_until(now),
        }
    }

    fn observation(
        &self,
        load: Option<LoadObservation>,
        cpu_cores: Option<f64>,
        host_cpu: Option<HostCpu>,
    ) -> Observation {
        let answered = self.load.answered();
        Observation {
            offered_rps: self.load.offered().map(|load| load.total_rps()),
            served_rps: answered.map(|(served, _)| served),
            rejected_rps: answered.map(|(_, rejected)| rejected),
            queued: load.map(|load| load.queued),
            in_flight: load.map(|load| load.in_flight),
            cpu_cores,
            host_cpu,
            phases: self.fleet.counts(),
            watched: None,
        }
    }
}

/// Failures as a list of their keys and values: JSON has texts alone for the keys of a map.
mod failures {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{ActionKind, Backoff, InstanceName};

    type Failures = BTreeMap<(InstanceName, ActionKind), Backoff>;

    pub(super) fn serialize<S: Serializer>(
        failures: &Failures,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        failures.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Failures, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
