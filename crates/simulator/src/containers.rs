//! The containers of one service: what is there, and the actions under way, which take their time
//! and may fail.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::{Action, ActionKind};
use model::names::{InstanceName, Slot};
use policy::fleet::{ContainerPresence, InstanceObservation, RotationState};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::Exp1;

use crate::host_model::{HostModel, goes_wrong};
use crate::moment::Moment;
use crate::plant::Plant;
use crate::spread::Spread;

/// Every container of a service, and what is being done with it.
#[derive(Debug)]
pub(crate) struct Containers {
    host: HostModel,
    rng: Xoshiro256PlusPlus,
    all: Vec<Entry>,
    /// Actions under way, by the moment of their end and the order in which they were started.
    ends: BTreeMap<(Moment, u64), UnderWay>,
    started: u64,
}

#[derive(Debug)]
struct Entry {
    name: InstanceName,
    container: ContainerPresence,
    rotation: RotationState,
    under_way: Option<ActionKind>,
    crashes_at: Option<Moment>,
}

/// An action that has been started and has not ended.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    pub(crate) action: Action,
    pub(crate) planned: Moment,
    fails: bool,
}

/// An action at its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) action: Action,
    pub(crate) planned: Moment,
    pub(crate) error: Option<&'static str>,
}

const HEALTHY: RotationState = RotationState::In { healthy: true };

impl Containers {
    /// A host without containers.
    pub(crate) fn new(host: HostModel, seed: u64) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { host, rng, all: Vec::new(), ends: BTreeMap::new(), started: 0 }
    }

    /// An instance that has been in rotation since before the simulation began.
    pub(crate) fn add_ready(&mut self, name: InstanceName, plant: &mut dyn Plant) {
        plant.open(name.slot(), Moment::default());
        let crashes_at = self.draw_crash(Moment::default());
        self.all.push(Entry {
            name,
            container: ContainerPresence::Running,
            rotation: HEALTHY,
            under_way: None,
            crashes_at,
        });
    }

    /// The slots that a container or an action holds.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.all.iter().map(|entry| entry.name.slot())
    }

    /// How many launches are under way.
    pub(crate) fn launching(&self) -> u32 {
        let launching = self.ends.values().filter(|u| u.action.kind == ActionKind::Clone).count();
        u32::try_from(launching).unwrap_or(u32::MAX)
    }

    /// The next moment at which an action ends.
    pub(crate) fn next_end(&self) -> Option<Moment> {
        self.ends.keys().next().map(|(at, _)| *at)
    }

    /// The next moment at which an instance crashes.
    pub(crate) fn next_crash(&self) -> Option<Moment> {
        // Without crashes there is nothing to look for at every turn.
        self.host.faults.crash_mean_s?;
        self.all.iter().filter_map(|entry| entry.crashes_at).min()
    }

    /// What the host and the load balancer show of every instance.
    pub(crate) fn observations(&self, plant: &dyn Plant) -> Vec<InstanceObservation> {
        let observation = |entry: &Entry| {
            let in_flight = plant.in_flight_of(entry.name.slot());
            InstanceObservation {
                name: entry.name.clone(),
                container: entry.container,
                rotation: entry.rotation,
                in_flight: Some(in_flight),
                drained: entry.rotation == RotationState::Drain && in_flight == 0,
                outdated: false,
                under_way: entry.under_way,
            }
        };
        self.all.iter().map(observation).collect()
    }

    /// Starts an action of a plan.
    pub(crate) fn start(&mut self, action: Action, now: Moment, plant: &mut dyn Plant) {
        match action.kind {
            ActionKind::Clone => self.all.push(Entry {
                name: action.instance.clone(),
                container: ContainerPresence::Absent,
                rotation: RotationState::Out,
                under_way: Some(ActionKind::Clone),
                crashes_at: None,
            }),
            ActionKind::Admit | ActionKind::Drain => {}
            ActionKind::Stop => plant.drain(action.slot),
        }
        if let Some(entry) = self.all.iter_mut().find(|entry| entry.name == action.instance) {
            entry.under_way = Some(action.kind);
            if action.kind == ActionKind::Stop {
                entry.rotation = RotationState::Out;
            }
        }
        let (spread, fails) = self.course(action.kind);
        let end = now.after(spread.sample(&mut self.rng));
        self.started += 1;
        self.ends.insert((end, self.started), UnderWay { action, planned: now, fails });
    }

    /// Ends the actions whose time has come.
    pub(crate) fn end(&mut self, now: Moment, plant: &mut dyn Plant) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(first) = self.ends.first_entry().filter(|first| first.key().0 <= now) {
            let UnderWay { action, planned, fails } = first.remove();
            let error = self.carry_out(&action, fails, now, plant);
            ended.push(Ended { action, planned, error });
        }
        ended
    }

    /// Crashes the instances whose time has come.
    pub(crate) fn crash(&mut self, now: Moment, plant: &mut dyn Plant) {
        let due = |entry: &Entry| entry.crashes_at.is_some_and(|at| at <= now);
        for entry in self.all.iter_mut().filter(|entry| due(entry)) {
            entry.crashes_at = None;
            entry.container = ContainerPresence::Absent;
            entry.rotation = RotationState::Out;
            plant.remove(entry.name.slot(), now);
        }
        // LXC removes what is left of an instance whose init died; an action on it is still to end.
        self.all.retain(|entry| {
            entry.container != ContainerPresence::Absent || entry.under_way.is_some()
        });
    }

    /// How long an action takes, and whether it fails.
    fn course(&mut self, kind: ActionKind) -> (Spread, bool) {
        match kind {
            ActionKind::Clone => {
                let percent = self.host.faults.failed_launches_percent;
                (self.host.clone, goes_wrong(percent, &mut self.rng))
            }
            ActionKind::Admit => (self.host.admit, false),
            ActionKind::Drain => (self.host.drain, false),
            ActionKind::Stop => (self.host.stop, false),
        }
    }

    /// Lets an action take effect; the error is what the host would say.
    fn carry_out(
        &mut self,
        action: &Action,
        fails: bool,
        now: Moment,
        plant: &mut dyn Plant,
    ) -> Option<&'static str> {
        let index = self.all.iter().position(|entry| entry.name == action.instance)?;
        let crashes_at = self.draw_crash(now);
        let leaves_something = fails && self.rng.random_bool(0.5);
        let entry = &mut self.all[index];
        entry.under_way = None;
        let gone = entry.container != ContainerPresence::Running;
        match action.kind {
            ActionKind::Clone if fails => {
                // A launch that fails late leaves a stopped container behind.
                entry.container = ContainerPresence::Stopped;
                if !leaves_something {
                    self.all.swap_remove(index);
                }
                return Some("the launch failed");
            }
            ActionKind::Clone => {
                entry.container = ContainerPresence::Running;
                entry.rotation = HEALTHY;
                entry.crashes_at = crashes_at;
                plant.open(action.slot, now);
            }
            ActionKind::Stop => {
                self.all.swap_remove(index);
                plant.remove(action.slot, now);
            }
            ActionKind::Admit | ActionKind::Drain if gone => {
                self.all.swap_remove(index);
                return Some("the instance is gone");
            }
            ActionKind::Admit => {
                entry.rotation = HEALTHY;
                plant.reopen(action.slot, now);
            }
            ActionKind::Drain => {
                entry.rotation = RotationState::Drain;
                plant.drain(action.slot);
            }
        }
        None
    }

    fn draw_crash(&mut self, now: Moment) -> Option<Moment> {
        let mean = Duration::from_secs_f64(self.host.faults.crash_mean_s?);
        Some(now.after(mean.mul_f64(self.rng.sample::<f64, _>(Exp1))))
    }
}
