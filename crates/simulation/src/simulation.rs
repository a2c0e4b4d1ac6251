//! One service in virtual time: the scaler's turns, and what the plant and the host do in between.

mod check;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use model::action::ActionKind;
use model::action::{Done, ReleaseEnd};
use model::bounds::Bounds;
use model::names::{InstanceName, Slot};
use model::policies::PolicySpec;
use model::service::{Replacement, ServiceSpec};
use model::tick::{HostCpu, Tick};
use model::time::Timestamp;
use model::version::{Version, Wanted};
use model::watch::Answers;
use policy::controller::{Controller, ServiceObservation, TurnContext};
use policy::load::LoadObservation;
use policy::memory::Memory;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use workload::{DueTimes, OfferedLoad};

pub use self::error::SimulationError;

use crate::containers::{Behaviour, Containers, Ended};
use crate::host_model::{Faults, HostModel, goes_wrong};
use crate::load::Load;
use crate::moment::Moment;
use crate::outcomes::Outcomes;
use crate::plant::{Clients, FluidPlant, Log, Plant, RequestPlant, Rules, Statistics};
use crate::tape::Tape;

/// Silence before the load, in which a policy gets to know its service as the scaler's did that ran
/// before an experiment.
pub const LEAD_IN: Duration = Duration::from_secs(60);

/// The longest step in which amounts are looked at, unless it is said.
const STEP: Duration = Duration::from_millis(100);

/// Longest pause between two looks at a host that cannot be seen; as in the scaler.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How far a clock is set forth or back at a fault, in milliseconds.
const CLOCK_JUMP_MS: i64 = 5_000;

/// The version of the instances that are there at the start.
const FIRST_VERSION: Version = Version::new(1);

/// How closely the plant looks at requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One by one: some hundred thousand a second.
    Requests,
    /// As amounts: the cost is one of time, not of requests.
    Fluid,
}

/// How a simulation begins, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// Instances that are ready.
    pub ready: u32,
    /// The time without load before the load starts.
    pub silence: Duration,
    /// The longest step in which amounts are looked at.
    pub step: Duration,
}

/// One service, its load and its host.
#[derive(Debug)]
pub struct Simulation {
    spec: ServiceSpec,
    tick: Duration,
    host: HostModel,
    controller: Controller,
    /// Where the turns are recorded.
    tape: Option<Tape>,
    plant: Box<dyn Plant>,
    containers: Containers,
    rng: Xoshiro256PlusPlus,
    load_start: Moment,
    /// How long the load lasts, where that does not depend on the answers.
    duration: Option<Duration>,
    /// The time of day at the start of the load, and how far the clock has been set since.
    began: Timestamp,
    clock_set_ms: i64,
    now: Moment,
    next_turn: Moment,
    last_look: Option<(Moment, Statistics)>,
    /// What each instance had answered by the last look.
    last_answers: BTreeMap<InstanceName, Answers>,
    /// Looks in a row that failed.
    missed: u32,
    /// How many ready instances were decided on last; not known before, and after a restart.
    decided: Option<u32>,
    wanted: Wanted,
    /// When each clone that has not served yet was planned.
    not_served: BTreeMap<InstanceName, Moment>,
    plan_to_serving: Vec<Duration>,
    never_served: u64,
    /// When the load and what it takes cannot be seen, from the start of the load on, in the order of time.
    hidden: Vec<Range<Duration>>,
}

impl Simulation {
    /// A service with its lower bound of instances ready, [`LEAD_IN`] before its load starts. The
    /// loop takes a turn each `tick`, and one whenever an action ends.
    ///
    /// # Errors
    /// The service gets no requests, or the load is closed and `detail` has no requests.
    pub fn new(
        spec: ServiceSpec,
        load: &Load,
        host: HostModel,
        detail: Detail,
        tick: Duration,
    ) -> Result<Self, SimulationError> {
        let beginning = Beginning { ready: spec.bounds.min(), silence: LEAD_IN, step: STEP };
        Self::beginning(beginning, spec, load, host, detail, tick)
    }

    /// The same, of a service that begins otherwise.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn beginning(
        beginning: Beginning,
        spec: ServiceSpec,
        load: &Load,
        host: HostModel,
        detail: Detail,
        tick: Duration,
    ) -> Result<Self, SimulationError> {
        let load_start = Moment::at(beginning.silence);
        let launch_timeout = spec.launch_timeout(host.launch_timeout);
        let host = HostModel { launch_timeout, ..host };
        // Each source of chance has its own stream, so that a fault leaves the arrivals as they are.
        let [service_seed, host_seed, fault_seed] =
            [b"service_", b"host____", b"faults__"].map(|tag| load.seed ^ u64::from_le_bytes(*tag));
        let rules = Rules {
            capacity: host.instance.capacity(spec.requests_required()?.capacity),
            max_wait: Duration::from_secs_f64(host.instance.max_wait_ms / 1e3),
            service: host.service,
            cpu: host.cpu_per_request,
            cores: host.cores,
            cpus: host.instance.cpus(spec.instance.cpus),
            queue_timeout: host.queue_timeout,
            client_timeout: load.timeout,
            in_flight: load.in_flight,
            step: beginning.step,
        };
        let mut simulation = Self {
            spec,
            tick,
            controller: Controller::default(),
            tape: None,
            plant: plant(load, detail, rules, load_start, service_seed)?,
            containers: Containers::new(host.clone(), host_seed),
            host,
            rng: Xoshiro256PlusPlus::seed_from_u64(fault_seed),
            load_start,
            duration: load.offered.duration(),
            began: load.began,
            clock_set_ms: 0,
            now: Moment::default(),
            next_turn: Moment::default(),
            last_look: None,
            last_answers: BTreeMap::new(),
            missed: 0,
            decided: None,
            wanted: Wanted { version: FIRST_VERSION, deployed_at: load.began.before(LEAD_IN) },
            not_served: BTreeMap::new(),
            plan_to_serving: Vec::new(),
            never_served: 0,
            hidden: Vec::new(),
        };
        let birth = simulation.clock();
        for slot in simulation.free_slots(beginning.ready) {
            let name = InstanceName::new(&simulation.spec.name, slot, birth);
            simulation.containers.add_ready(name, FIRST_VERSION, simulation.plant.as_mut());
        }
        Ok(simulation)
    }

    /// Goes on to the next turn and takes it.
    ///
    /// # Errors
    /// The turn broke a rule that holds for every turn.
    pub fn turn(&mut self, outcomes: &mut dyn Outcomes) -> Result<Tick, SimulationError> {
        let ended = self.advance(outcomes);
        self.set_clock();
        let at = self.clock();
        let done: Vec<_> = ended.into_iter().map(|ended| self.done(ended)).collect();
        let seen = self.observe(done);
        let launching = self.containers.launching();
        let launches_left = self.host.parallel_launches.saturating_sub(launching);
        let free = self.free_slots(launches_left);
        let around = TurnContext {
            spec: &self.spec,
            wanted: self.wanted,
            release: self.spec.instance.start.release.is_some(),
            free_slots: &free,
            launches_left,
            fits: self.fits(),
            launch_timeout: self.host.launch_timeout,
            hold: None,
            removals: &[],
        };
        let tick = match &mut self.tape {
            None => self.controller.turn(&around, seen, at),
            Some(tape) => tape.turn(&mut self.controller, &around, seen, at),
        };
        self.check(&around, &tick, at)?;
        self.decided = tick.target().or(self.decided);
        for action in &tick.plan {
            self.note_plan(action.kind, &action.instance);
            let mut log = Log { outcomes, load_start: self.load_start };
            let plant = self.plant.as_mut();
            self.containers.start(action.clone(), self.now, plant, &mut log);
        }
        if self.spec.replacement == Replacement::Recreate && self.containers.running() > 1 {
            return Err(SimulationError::TwoRun { seconds: self.elapsed().as_secs_f64() });
        }
        Ok(tick)
    }

    /// Time since the start of the load; zero before it.
    pub fn elapsed(&self) -> Duration {
        self.now.since(self.load_start)
    }

    /// How long the load lasted, or will last; unknown of a closed one that is not over.
    pub fn load_end(&self) -> Option<Duration> {
        let closed = || Some(self.plant.over_at()?.since(self.load_start));
        self.duration.or_else(closed)
    }

    /// Whether the load has started.
    pub fn has_started(&self) -> bool {
        self.now >= self.load_start
    }

    /// The time of day at the start of the load.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// The bounds in force.
    pub fn bounds(&self) -> Bounds {
        self.spec.bounds
    }

    /// Sets other bounds, as an operator does.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.spec.bounds = bounds;
    }

    /// Deploys another version, whose instances behave so.
    pub fn deploy(&mut self, version: Version, behaviour: Behaviour) {
        self.wanted = Wanted { version, deployed_at: self.clock() };
        self.containers.behave(version, behaviour);
    }

    /// Kills the scaler and starts it again, with or without what it kept.
    pub fn restart_scaler(&mut self, keeps_memory: bool) {
        self.containers.forget_actions(self.now, self.plant.as_mut());
        let memory = if keeps_memory { self.controller.memory() } else { Memory::default() };
        self.decided = memory.decided;
        self.controller = Controller::restored(memory);
        self.tape.iter_mut().for_each(Tape::start_anew);
    }

    /// Begins to record the turns, as `bellows record` does.
    pub fn record(&mut self) {
        self.tape = Some(Tape::new(&self.spec.name));
    }

    /// What was recorded; nothing where nobody asked for it.
    pub fn recorded(&mut self) -> Vec<u8> {
        self.tape.take().map_or_else(Vec::new, Tape::text)
    }

    /// Within these spans the load and what it takes cannot be seen, though the instances can. They are counted from the
    /// start of the load, and do not overlap.
    pub fn hide_load(&mut self, mut spans: Vec<Range<Duration>>) {
        spans.sort_by_key(|span| span.start);
        self.hidden = spans;
    }

    /// Sets another policy, as an operator does.
    pub fn set_policy(&mut self, policy: PolicySpec) {
        self.spec.policy = policy;
    }

    /// The versions of the instances that there are.
    pub fn versions(&self) -> BTreeSet<Version> {
        self.controller.fleet().instances().iter().filter_map(|i| i.version).collect()
    }

    /// From each plan of a clone to the end of its first response, and how many clones never
    /// answered any.
    pub fn serving(&mut self) -> (&[Duration], u64) {
        self.note_served();
        let waiting = self.not_served.len() as u64;
        (&self.plan_to_serving, self.never_served + waiting)
    }

    /// Requests that wait or are worked on.
    pub fn under_way(&self) -> u64 {
        let Statistics { queued, in_flight, .. } = self.plant.statistics();
        u64::from(queued) + u64::from(in_flight)
    }

    /// Lets everything happen until the next turn, which comes with the tick, or with the end of an
    /// action.
    fn advance(&mut self, outcomes: &mut dyn Outcomes) -> Vec<Ended> {
        let mut log = Log { outcomes, load_start: self.load_start };
        let turn = self.containers.next_end().map_or(self.next_turn, |end| end.min(self.next_turn));
        while let Some(fault) = self.containers.next_fault().filter(|at| *at <= turn) {
            self.plant.advance(fault, &mut log);
            self.containers.fail_due(fault, self.plant.as_mut());
        }
        self.plant.advance(turn, &mut log);
        self.now = turn;
        if turn == self.next_turn {
            self.next_turn = turn.after(self.tick);
        }
        self.containers.end(turn, self.plant.as_mut())
    }

    /// For how many more instances the host has memory.
    fn fits(&self) -> u32 {
        let there = u32::try_from(self.containers.slots().count()).unwrap_or(u32::MAX);
        self.host.most_instances.map_or(u32::MAX, |most| most.saturating_sub(there))
    }

    /// Up to `count` slots for new instances, the lowest first. No load balancer is reloaded here, so
    /// that none is withheld.
    fn free_slots(&self, count: u32) -> Vec<Slot> {
        let is_free = |slot: &Slot| self.containers.slots().all(|held| held != *slot);
        let all = (1..=u32::from(Slot::MAX)).map_while(|number| Slot::try_from(number).ok());
        all.filter(is_free).take(count as usize).collect()
    }

    /// What the scaler would observe now.
    fn observe(&mut self, done: Vec<Done>) -> ServiceObservation {
        let Faults { missing_looks_percent, stale_looks_percent, .. } = self.host.faults;
        if goes_wrong(missing_looks_percent, &mut self.rng) {
            // The scaler waits for the next look ever longer, up to a second.
            let pause = self.tick * 2_u32.pow(self.missed.min(10));
            self.missed += 1;
            self.next_turn = self.now.after(pause.min(LONGEST_PAUSE.max(self.tick)));
            return ServiceObservation { done, ..ServiceObservation::default() };
        }
        self.missed = 0;
        let fresh = self.plant.statistics();
        let stale = goes_wrong(stale_looks_percent, &mut self.rng);
        let statistics = match self.last_look {
            Some((_, last)) if stale => last,
            _ => fresh,
        };
        let last_look = self.last_look.replace((self.now, statistics));
        let load = last_look.and_then(|(at, last)| load(&last, &statistics, self.now.since(at)));
        let load = load.filter(|_| !self.is_load_hidden());
        let used = last_look.map(|(_, last)| statistics.cpu.saturating_sub(last.cpu));
        let cpu_cores = used.zip(load).map(|(used, load)| used.div_duration_f64(load.elapsed));
        let host_cpu = cpu_cores
            .zip(self.host.cores)
            .map(|(used, cores)| HostCpu { cores, busy: (used / f64::from(cores)).min(1.0) });
        let instances = Some(self.containers.observations(self.plant.as_ref()));
        let answers = if stale { BTreeMap::new() } else { self.answers() };
        ServiceObservation { load, cpu_cores, host_cpu, instances, answers, done }
    }

    /// What is looked at lies before this moment: the end of a span is hidden, and its start is not.
    fn is_load_hidden(&self) -> bool {
        let now = self.elapsed();
        let begun = self.hidden.partition_point(|span| span.start < now);
        begun.checked_sub(1).is_some_and(|last| now <= self.hidden[last].end)
    }

    /// What instances answered since this was asked for last, by their version.
    fn answers(&mut self) -> BTreeMap<Version, Answers> {
        let counted = self.containers.answers(self.plant.as_ref());
        let mut answers: BTreeMap<Version, Answers> = BTreeMap::new();
        for (name, version, now) in &counted {
            let before = self.last_answers.get(name).copied().unwrap_or_default();
            let new = Answers {
                all: now.all.saturating_sub(before.all),
                failed: now.failed.saturating_sub(before.failed),
            };
            *answers.entry(*version).or_default() += new;
        }
        self.last_answers = counted.into_iter().map(|(name, _, now)| (name, now)).collect();
        answers
    }

    fn done(&self, ended: Ended) -> Done {
        let Ended { action, planned, error } = ended;
        // It takes no time here, and ends well where its instance is launched.
        let release = (action.releases && error.is_none()).then_some(ReleaseEnd::Well);
        let finished_at = self.clock();
        Done {
            kind: action.kind,
            instance: action.instance,
            slot: action.slot,
            version: action.version,
            planned_at: finished_at.before(self.now.since(planned)),
            finished_at,
            error: error.map(str::to_owned),
            last_lines: Vec::new(),
            release,
            steps: Vec::new(),
        }
    }

    fn note_plan(&mut self, kind: ActionKind, instance: &InstanceName) {
        if !self.has_started() {
            return;
        }
        match kind {
            ActionKind::Clone => {
                self.not_served.insert(instance.clone(), self.now);
            }
            ActionKind::Stop | ActionKind::Kill => {
                self.note_served();
                self.never_served += u64::from(self.not_served.remove(instance).is_some());
            }
            ActionKind::Admit | ActionKind::Drain => {}
        }
    }

    /// Takes note of the clones that have served by now.
    fn note_served(&mut self) {
        let Self { plant, not_served, plan_to_serving, .. } = self;
        not_served.retain(|instance, planned| {
            let first = plant.first_served(instance.slot()).filter(|at| *at > *planned);
            plan_to_serving.extend(first.map(|at| at.since(*planned)));
            first.is_none()
        });
    }

    fn set_clock(&mut self) {
        if goes_wrong(self.host.faults.clock_jumps_percent, &mut self.rng) {
            self.clock_set_ms += self.rng.random_range(-CLOCK_JUMP_MS..=CLOCK_JUMP_MS);
        }
    }

    /// The time of day, as the scaler reads it.
    fn clock(&self) -> Timestamp {
        let lead = self.load_start.since(self.now);
        let at = self.began.before(lead).after(self.now.since(self.load_start));
        Timestamp::from_millis(at.as_millis().saturating_add_signed(self.clock_set_ms))
    }
}

/// The plant that takes a load, without instances.
fn plant(
    load: &Load,
    detail: Detail,
    rules: Rules,
    load_start: Moment,
    seed: u64,
) -> Result<Box<dyn Plant>, SimulationError> {
    let clients = match (load.offered.clone(), detail) {
        (OfferedLoad::Open(open), Detail::Fluid) => {
            return Ok(Box::new(FluidPlant::new(rules, open, load_start, seed)));
        }
        (OfferedLoad::Closed(_), Detail::Fluid) => return Err(SimulationError::ClosedInAmounts),
        (OfferedLoad::Open(open), Detail::Requests) => {
            Clients::open(DueTimes::new(load.seed, open), load_start)
        }
        (OfferedLoad::Closed(stages), Detail::Requests) => {
            Clients::closed(stages, load.seed, load_start)
        }
    };
    Ok(Box::new(RequestPlant::new(rules, clients, seed)))
}

/// What was counted between two looks.
fn load(last: &Statistics, now: &Statistics, elapsed: Duration) -> Option<LoadObservation> {
    if elapsed == Duration::ZERO {
        return None;
    }
    let (new, old) = (now.counters, last.counters);
    Some(LoadObservation {
        elapsed,
        arrivals: new.arrivals - old.arrivals,
        served: new.served - old.served,
        rejected: new.rejected - old.rejected,
        queued: now.queued,
        in_flight: now.in_flight,
    })
}
