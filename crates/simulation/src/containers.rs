//! The containers of one service: what is there, and the actions under way, which take their time
//! and may fail.

use std::collections::BTreeMap;
use std::time::Duration;

use model::action::{Action, ActionKind};
use model::names::{InstanceName, Slot};
use model::version::Version;
use model::watch::Answers;
use policy::fleet::{ContainerPresence, InstanceObservation, RotationState, SilentCheck};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::Exp1;

use crate::host_model::{HostModel, goes_wrong};
use crate::moment::Moment;
use crate::plant::{Log, Plant};

/// Every container of a service, and what is being done with it.
#[derive(Debug)]
pub(crate) struct Containers {
    host: HostModel,
    rng: Xoshiro256PlusPlus,
    all: Vec<Entry>,
    /// Actions under way, by the moment of their end and the order in which they were started.
    ends: BTreeMap<(Moment, u64), UnderWay>,
    started: u64,
    /// Versions that are not sound.
    unsound: BTreeMap<Version, Behaviour>,
}

#[derive(Debug)]
struct Entry {
    name: InstanceName,
    version: Option<Version>,
    container: ContainerPresence,
    rotation: RotationState,
    under_way: Option<ActionKind>,
    crashes_at: Option<Moment>,
    /// When it gives no sign of life any more. It does not until somebody ends it.
    stuck_at: Option<Moment>,
    is_stuck: bool,
}

/// How the instances of a version behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// They get healthy and answer.
    Sound,
    /// None of them gets healthy.
    NeverHealthy,
    /// They get healthy, and answer every second request with 500.
    FailsEverySecond,
}

/// An action that has been started and has not ended.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    pub(crate) action: Action,
    pub(crate) planned: Moment,
    course: Course,
}

/// How an action comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Succeeds,
    LaunchFails,
    NeverHealthy,
}

/// An action at its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) action: Action,
    pub(crate) planned: Moment,
    pub(crate) error: Option<&'static str>,
}

const HEALTHY: RotationState = RotationState::In { healthy: true };
const DOWN: RotationState = RotationState::In { healthy: false };

/// What is known of one that gives no sign of life.
const SILENT: SilentCheck = SilentCheck { is_down: true, answered: 0, cpu_time: Duration::ZERO };

impl Containers {
    /// A host without containers.
    pub(crate) fn new(host: HostModel, seed: u64) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self {
            host,
            rng,
            all: Vec::new(),
            ends: BTreeMap::new(),
            started: 0,
            unsound: BTreeMap::new(),
        }
    }

    /// Instances of this version behave so from now on.
    pub(crate) fn behave(&mut self, version: Version, behaviour: Behaviour) {
        match behaviour {
            Behaviour::Sound => self.unsound.remove(&version),
            unsound => self.unsound.insert(version, unsound),
        };
    }

    /// The scaler is killed: what it had begun is left as it is then.
    pub(crate) fn forget_actions(&mut self, now: Moment, plant: &mut dyn Plant) {
        self.ends.clear();
        for entry in &mut self.all {
            match entry.under_way.take() {
                Some(ActionKind::Clone) if self.rng.random_bool(0.5) => {
                    entry.container = ContainerPresence::Stopped;
                }
                Some(ActionKind::Clone) => entry.container = ContainerPresence::Running,
                // It was asked to end, does not, and nobody is left to kill it.
                Some(ActionKind::Stop) if self.rng.random_bool(0.5) => {}
                Some(ActionKind::Stop | ActionKind::Kill) => {
                    entry.container = ContainerPresence::Absent;
                    plant.remove(entry.name.slot(), now);
                }
                Some(ActionKind::Admit | ActionKind::Drain) | None => {}
            }
        }
        self.all.retain(|entry| entry.container != ContainerPresence::Absent);
    }

    /// An instance that has been in rotation since before the simulation began.
    pub(crate) fn add_ready(
        &mut self,
        name: InstanceName,
        version: Version,
        plant: &mut dyn Plant,
    ) {
        plant.open(name.slot(), Moment::default());
        let crashes_at = self.draw_crash(Moment::default());
        let stuck_at = self.draw_stuck(Moment::default());
        self.all.push(Entry {
            name,
            version: Some(version),
            container: ContainerPresence::Running,
            rotation: HEALTHY,
            under_way: None,
            crashes_at,
            stuck_at,
            is_stuck: false,
        });
    }

    /// The slots that a container or an action holds.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.all.iter().map(|entry| entry.name.slot())
    }

    /// How many instances run, or may by now: those are among them that are being cloned or stopped.
    pub(crate) fn running(&self) -> usize {
        let runs = |entry: &&Entry| {
            entry.container == ContainerPresence::Running
                || entry.under_way == Some(ActionKind::Clone)
        };
        self.all.iter().filter(runs).count()
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

    /// The next moment at which an instance crashes or gets stuck.
    pub(crate) fn next_fault(&self) -> Option<Moment> {
        // Without faults there is nothing to look for at every turn.
        self.host.faults.crash_mean_s.or(self.host.faults.stuck_mean_s)?;
        self.all.iter().flat_map(|entry| [entry.crashes_at, entry.stuck_at]).flatten().min()
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
                version: entry.version,
                under_way: entry.under_way,
                silent: entry.is_stuck.then_some(SILENT),
                released: false,
            }
        };
        self.all.iter().map(observation).collect()
    }

    /// What each instance in rotation has answered, as far as the plant tells them apart.
    pub(crate) fn answers(&self, plant: &dyn Plant) -> Vec<(InstanceName, Version, Answers)> {
        let takes_part = |entry: &&Entry| entry.rotation != RotationState::Out;
        let answers = |entry: &Entry| {
            let answers = plant.answers_of(entry.name.slot())?;
            Some((entry.name.clone(), entry.version?, answers))
        };
        self.all.iter().filter(takes_part).filter_map(answers).collect()
    }

    /// Starts an action of a plan.
    pub(crate) fn start(
        &mut self,
        action: Action,
        now: Moment,
        plant: &mut dyn Plant,
        log: &mut Log,
    ) {
        match action.kind {
            ActionKind::Clone => self.all.push(Entry {
                name: action.instance.clone(),
                version: action.version,
                container: ContainerPresence::Absent,
                rotation: RotationState::Out,
                under_way: Some(ActionKind::Clone),
                crashes_at: None,
                stuck_at: None,
                is_stuck: false,
            }),
            ActionKind::Admit | ActionKind::Drain => {}
            ActionKind::Stop | ActionKind::Kill => plant.stop(action.slot, now, log),
        }
        if let Some(entry) = self.all.iter_mut().find(|entry| entry.name == action.instance) {
            entry.under_way = Some(action.kind);
            if matches!(action.kind, ActionKind::Stop | ActionKind::Kill) {
                entry.rotation = RotationState::Out;
            }
        }
        let (takes, course) = self.course(&action);
        self.started += 1;
        let under_way = UnderWay { action, planned: now, course };
        self.ends.insert((now.after(takes), self.started), under_way);
    }

    /// Ends the actions whose time has come.
    pub(crate) fn end(&mut self, now: Moment, plant: &mut dyn Plant) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(first) = self.ends.first_entry().filter(|first| first.key().0 <= now) {
            let UnderWay { action, planned, course } = first.remove();
            let error = self.carry_out(&action, course, now, plant);
            ended.push(Ended { action, planned, error });
        }
        ended
    }

    /// Crashes the instances whose time has come, and has others get stuck. The load balancer has the
    /// requests of these as well: whoever ends the instance has them sent to others.
    pub(crate) fn fail_due(&mut self, now: Moment, plant: &mut dyn Plant) {
        let is_due = |entry: &Entry| entry.stuck_at.is_some_and(|at| at <= now);
        for entry in self.all.iter_mut().filter(|entry| is_due(entry)) {
            entry.stuck_at = None;
            entry.is_stuck = true;
            if entry.rotation == HEALTHY {
                entry.rotation = DOWN;
            }
            plant.remove(entry.name.slot(), now);
        }
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

    /// How long an action takes, and how it comes out.
    fn course(&mut self, action: &Action) -> (Duration, Course) {
        let is_broken = self
            .all
            .iter()
            .find(|entry| entry.name == action.instance)
            .and_then(|entry| entry.version)
            .is_some_and(|version| self.behaves(version, Behaviour::NeverHealthy));
        let failing = self.host.faults.failed_launches_percent;
        let (spread, course) = match action.kind {
            ActionKind::Clone if goes_wrong(failing, &mut self.rng) => {
                (&self.host.clone, Course::LaunchFails)
            }
            ActionKind::Clone | ActionKind::Admit if is_broken => {
                return (self.host.launch_timeout, Course::NeverHealthy);
            }
            ActionKind::Clone => (&self.host.clone, Course::Succeeds),
            ActionKind::Admit => (&self.host.admit, Course::Succeeds),
            ActionKind::Drain => (&self.host.drain, Course::Succeeds),
            ActionKind::Stop | ActionKind::Kill => (&self.host.stop, Course::Succeeds),
        };
        (spread.sample(&mut self.rng), course)
    }

    /// Lets an action take effect; the error is what the host would say.
    fn carry_out(
        &mut self,
        action: &Action,
        course: Course,
        now: Moment,
        plant: &mut dyn Plant,
    ) -> Option<&'static str> {
        let index = self.all.iter().position(|entry| entry.name == action.instance)?;
        let (crashes_at, stuck_at) = (self.draw_crash(now), self.draw_stuck(now));
        let version = self.all[index].version;
        let is_wrong = version.is_some_and(|it| self.behaves(it, Behaviour::FailsEverySecond));
        self.all[index].under_way = None;
        let failed = self.fail(index, action.kind, course);
        if failed.is_some() {
            return failed;
        }
        let entry = &mut self.all[index];
        match action.kind {
            ActionKind::Stop | ActionKind::Kill => {
                self.all.swap_remove(index);
            }
            ActionKind::Clone => {
                entry.container = ContainerPresence::Running;
                entry.rotation = HEALTHY;
                (entry.crashes_at, entry.stuck_at) = (crashes_at, stuck_at);
                open(plant, action.slot, is_wrong, now);
            }
            ActionKind::Admit if entry.is_stuck => entry.rotation = DOWN,
            ActionKind::Admit if entry.rotation == RotationState::Out => {
                entry.rotation = HEALTHY;
                open(plant, action.slot, is_wrong, now);
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

    fn behaves(&self, version: Version, behaviour: Behaviour) -> bool {
        self.unsound.get(&version) == Some(&behaviour)
    }

    /// Lets an action on a container end in vain, where it does.
    fn fail(&mut self, index: usize, kind: ActionKind, course: Course) -> Option<&'static str> {
        let leaves_something = course == Course::LaunchFails && self.rng.random_bool(0.5);
        let entry = &mut self.all[index];
        let gone = entry.container != ContainerPresence::Running;
        match (kind, course) {
            (ActionKind::Clone, Course::LaunchFails) => {
                // A launch that fails late leaves a stopped container behind.
                entry.container = ContainerPresence::Stopped;
                if !leaves_something {
                    self.all.swap_remove(index);
                }
                Some("the launch failed")
            }
            (ActionKind::Admit | ActionKind::Drain, _) if gone => {
                self.all.swap_remove(index);
                Some("the instance is gone")
            }
            (ActionKind::Clone | ActionKind::Admit, Course::NeverHealthy) => {
                entry.container = ContainerPresence::Running;
                Some("the instance does not answer")
            }
            _ => None,
        }
    }

    fn draw_crash(&mut self, now: Moment) -> Option<Moment> {
        self.draw(self.host.faults.crash_mean_s?, now)
    }

    fn draw_stuck(&mut self, now: Moment) -> Option<Moment> {
        self.draw(self.host.faults.stuck_mean_s?, now)
    }

    fn draw(&mut self, mean_s: f64, now: Moment) -> Option<Moment> {
        let mean = Duration::from_secs_f64(mean_s);
        Some(now.after(mean.mul_f64(self.rng.sample::<f64, _>(Exp1))))
    }
}

/// Puts a new instance in rotation.
fn open(plant: &mut dyn Plant, slot: Slot, is_wrong: bool, now: Moment) {
    plant.open(slot, now);
    if is_wrong {
        plant.fail_every_second(slot);
    }
}
