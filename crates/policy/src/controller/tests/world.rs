//! A host with one service: containers that die, launches that fail, statistics that go missing and clocks that
//! jump.

use model::bounds::Bounds;
use proptest::prelude::*;

use super::super::*;
use super::replays::Tape;
use crate::fleet::{ContainerPresence, RotationState};
use crate::testing::{VERSION, seconds, slots, store, wanted};

/// An instance's container as the host and the load balancer show it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Container {
    pub(super) presence: ContainerPresence,
    pub(super) rotation: RotationState,
    pub(super) version: Version,
    /// Whether its release command has ended well, as the host shows.
    pub(super) released: bool,
}

/// Another version than the first.
pub(super) const NEXT: Version = Version::new(2);

/// A version of which no instance ever gets healthy.
pub(super) const BROKEN: Version = Version::new(0xb);

/// A version that fails every second request.
pub(super) const WRONG: Version = Version::new(4);

/// A version whose release command fails.
pub(super) const UNRELEASABLE: Version = Version::new(5);

/// A host with one service, moving in steps of 100 ms.
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) containers: BTreeMap<InstanceName, Container>,
    pub(super) started: Vec<(Timestamp, model::action::Action)>,
    pub(super) controller: Controller,
    pub(super) spec: ServiceSpec,
    pub(super) wanted: Wanted,
    /// Whether versions have a release command.
    pub(super) release: bool,
    /// The versions whose release command has ended well.
    pub(super) released: Vec<Version>,
    /// Whether requests keep draining instances from being drained.
    pub(super) busy: bool,
    pub(super) host_cpu: Option<HostCpu>,
    /// The instances that an operator wants gone.
    pub(super) removals: Vec<InstanceName>,
    /// What decides each turn again from what is recorded of it, where that is asked for.
    pub(super) tape: Option<Tape>,
}

/// What happens in the world during one step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) arrivals: Option<u64>,
    pub(super) dies: Option<usize>,
    pub(super) launches_fail: bool,
    pub(super) clock_jump_ms: i64,
    pub(super) deploys: Option<Version>,
    pub(super) restarts: bool,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) hold: Option<u32>,
    /// The index of an instance that an operator wants gone from now on.
    pub(super) removes: Option<usize>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            now: seconds(0),
            containers: BTreeMap::new(),
            started: Vec::new(),
            controller: Controller::default(),
            spec: store(),
            wanted: wanted(VERSION),
            release: false,
            released: Vec::new(),
            busy: false,
            host_cpu: None,
            removals: Vec::new(),
            tape: None,
        }
    }

    pub(super) fn step(&mut self, step: &Step) -> Tick {
        let now = self.now.as_millis().saturating_add_signed(100 + step.clock_jump_ms);
        self.now = Timestamp::from_millis(now);
        if let Some(index) = step.dies {
            let name = self.containers.keys().nth(index).cloned();
            name.and_then(|name| self.containers.remove(&name));
        }
        if let Some(version) = step.deploys {
            self.wanted = Wanted { version, deployed_at: self.now };
        }
        if step.restarts {
            self.restart();
        }
        let removed = step.removes.and_then(|index| self.containers.keys().nth(index));
        self.removals.extend(removed.cloned());
        self.removals.retain(|name| self.containers.contains_key(name));
        self.spec.bounds = Bounds::new(step.min, step.max).unwrap();
        let done = self.finish(step.launches_fail);
        let observed = self.look(step.arrivals, done);
        let free: Vec<_> = slots(1..=13).filter(|slot| !self.holds(*slot)).collect();
        let context = TurnContext {
            spec: &self.spec,
            wanted: self.wanted,
            release: self.release,
            free_slots: &free,
            launches_left: 4,
            fits: 100,
            launch_timeout: Duration::from_secs(10),
            hold: step.hold,
            removals: &self.removals,
        };
        let taped =
            self.tape.as_mut().map(|it| it.begin(&self.controller, &context, &observed, self.now));
        let tick = self.controller.turn(&context, observed, self.now);
        if let Some((tape, taped)) = self.tape.as_mut().zip(taped) {
            tape.hold_against(taped, &tick);
        }
        self.started = tick.plan.iter().map(|action| (self.now, action.clone())).collect();
        tick
    }

    pub(super) fn holds(&self, slot: Slot) -> bool {
        self.containers.keys().any(|name| name.slot() == slot)
    }

    /// The loop's process ends and another one takes its place. Actions under way come to their
    /// end, and nobody is told.
    pub(super) fn restart(&mut self) {
        self.finish(false);
        let text = serde_json::to_string(&self.controller.memory()).unwrap();
        self.controller = Controller::restored(serde_json::from_str(&text).unwrap());
        self.tape.as_mut().into_iter().for_each(Tape::start_anew);
    }

    /// Every action ends one step after it was planned.
    pub(super) fn finish(&mut self, launches_fail: bool) -> Vec<Done> {
        let started = std::mem::take(&mut self.started);
        started.into_iter().map(|(at, action)| self.carry_out(at, action, launches_fail)).collect()
    }

    pub(super) fn carry_out(
        &mut self,
        planned_at: Timestamp,
        action: model::action::Action,
        launches_fail: bool,
    ) -> Done {
        let (mut error, mut release) = (None, None);
        match action.kind {
            ActionKind::Clone if action.releases && action.version == Some(UNRELEASABLE) => {
                (error, release) = (Some("status 3"), Some(ReleaseEnd::Failed));
            }
            ActionKind::Clone => {
                let version = action.version.unwrap();
                if action.releases && !launches_fail {
                    release = Some(ReleaseEnd::Well);
                    self.released.push(version);
                }
                let is_due = self.release && !launches_fail;
                assert!(!is_due || self.released.contains(&version), "{version} is not released");
                let (presence, rotation);
                (presence, rotation, error) = if launches_fail {
                    let error = "no space left on device";
                    (ContainerPresence::Stopped, RotationState::Out, Some(error))
                } else if version == BROKEN {
                    (ContainerPresence::Running, RotationState::Out, Some("no answer"))
                } else {
                    (ContainerPresence::Running, RotationState::In { healthy: true }, None)
                };
                let container =
                    Container { presence, rotation, version, released: release.is_some() };
                self.containers.insert(action.instance.clone(), container);
            }
            ActionKind::Stop | ActionKind::Kill => {
                self.containers.remove(&action.instance);
            }
            ActionKind::Admit | ActionKind::Drain => {
                if let Some(container) = self.containers.get_mut(&action.instance) {
                    if action.kind == ActionKind::Drain {
                        container.rotation = RotationState::Drain;
                    } else if container.version == BROKEN {
                        error = Some("no answer");
                    } else {
                        container.rotation = RotationState::In { healthy: true };
                    }
                }
            }
        }
        Done {
            kind: action.kind,
            instance: action.instance,
            slot: action.slot,
            version: action.version,
            planned_at,
            finished_at: self.now,
            error: error.map(str::to_owned),
            last_lines: Vec::new(),
            release,
            steps: Vec::new(),
        }
    }

    pub(super) fn look(&self, arrivals: Option<u64>, done: Vec<Done>) -> ServiceObservation {
        let load = arrivals.map(|arrivals| LoadObservation {
            elapsed: Duration::from_millis(100),
            arrivals,
            served: arrivals,
            rejected: 0,
            queued: 0,
            in_flight: 0,
        });
        let observation = |(name, container): (&InstanceName, &Container)| InstanceObservation {
            name: name.clone(),
            container: container.presence,
            rotation: container.rotation,
            in_flight: Some(0),
            drained: container.rotation == RotationState::Drain && !self.busy,
            version: Some(container.version),
            under_way: None,
            silent: None,
            released: container.released,
        };
        let instances = self.containers.iter().map(observation).collect();
        // Each request takes a fiftieth of a second of CPU time.
        let cpu_cores = arrivals.map(|arrivals| arrivals as f64 / 5.0);
        let answers = self.answers(arrivals.unwrap_or(0));
        let (host_cpu, instances) = (self.host_cpu, Some(instances));
        ServiceObservation { load, cpu_cores, host_cpu, instances, answers, done }
    }

    /// What came of so many requests, which those in rotation share alike.
    pub(super) fn answers(&self, arrivals: u64) -> BTreeMap<Version, Answers> {
        let in_rotation =
            |container: &&Container| container.rotation == RotationState::In { healthy: true };
        let serving: Vec<_> = self.containers.values().filter(in_rotation).collect();
        let each = arrivals / serving.len().max(1) as u64;
        // Of a single one, that of every second step.
        let odd_step = self.now.as_millis() / 100 % 2;
        let mut answers: BTreeMap<Version, Answers> = BTreeMap::new();
        for container in serving {
            let failed = if container.version == WRONG { (each + odd_step) / 2 } else { 0 };
            *answers.entry(container.version).or_default() += Answers { all: each, failed };
        }
        answers
    }

    pub(super) fn ready_of(&self, version: Version) -> usize {
        let ready = self.controller.fleet().in_phase(Phase::Ready);
        ready.filter(|instance| instance.version == Some(version)).count()
    }

    pub(super) fn ready(&self) -> usize {
        self.controller.fleet().in_phase(Phase::Ready).count()
    }
}

pub(super) fn calm(arrivals: u64) -> Step {
    Step {
        arrivals: Some(arrivals),
        dies: None,
        launches_fail: false,
        clock_jump_ms: 0,
        deploys: None,
        restarts: false,
        min: 1,
        max: 10,
        hold: None,
        removes: None,
    }
}

pub(super) fn any_step() -> impl Strategy<Value = Step> {
    let arrivals =
        prop_oneof![8 => (0_u64..60).prop_map(Some), 1 => Just(None), 1 => Just(Some(900))];
    let dies = prop::option::weighted(0.05, 0_usize..10);
    let jump = prop_oneof![30 => Just(0_i64), 1 => -5000..5000_i64];
    let versions =
        prop::sample::select(vec![VERSION, NEXT, Version::new(3), WRONG, BROKEN, UNRELEASABLE]);
    let deploys = prop::option::weighted(0.05, versions);
    let by_hand =
        (prop::option::weighted(0.2, 0_u32..12), prop::option::weighted(0.1, 0_usize..10));
    let often = (arrivals, dies, prop::bool::weighted(0.1), 0_u32..=1, 1_u32..=10);
    (often, by_hand, jump, deploys, prop::bool::weighted(0.03)).prop_map(
        |(
            (arrivals, dies, launches_fail, min, max),
            (hold, removes),
            clock_jump_ms,
            deploys,
            restarts,
        )| Step {
            arrivals,
            dies,
            launches_fail,
            clock_jump_ms,
            deploys,
            restarts,
            min,
            max,
            hold,
            removes,
        },
    )
}
