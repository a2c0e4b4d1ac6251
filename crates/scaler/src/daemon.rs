//! The control loop: looks at the host, lets the policy decide and plan, starts what is planned,
//! and shows it all.

use std::collections::BTreeMap;
use std::sync::Arc;

use host::deployments::DeployedService;
use host::haproxy::{AnswerCounts, AnswersBySlot, LoadBalancer, Stats, increase};
use host::lxc::{ContainerState, Containers};
use host::probe::Probe;
use host::settings::ScalerSettings;
use model::action::{Action, ActionKind, Done};
use model::instance::{InstanceStatus, Phase};
use model::names::{InstanceName, ServiceName, Slot};
use model::tick::Tick;
use model::time::Timestamp;
use model::version::Rollout;
use policy::controller::{Controller, ServiceObservation, TurnContext};
use policy::fleet::Fleet;
use policy::slots::SlotPool;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::act::{Actor, CarriedOut, Course};
use crate::clock::{Clock, now};
use crate::deployment_watch::DeploymentWatch;
use crate::forgetting::Forgetting;
use crate::memory_file::MemoryFile;
use crate::observe::{HostObservation, HostObserver, unknown};
use crate::outage::Outage;
use crate::room::{Room, instance_mib};
use crate::services::Deployed;
use crate::shared_state::SharedState;
use crate::under_way::UnderWay;
use crate::withdrawn::{self, Withdrawn, WithdrawnInstance};

/// The control loop of all services.
#[derive(Debug)]
pub(crate) struct Daemon<C, L, P> {
    actor: Arc<Actor<C, L, P>>,
    shared: Arc<SharedState>,
    settings: ScalerSettings,
    observer: HostObserver,
    slots: SlotPool,
    controllers: BTreeMap<ServiceName, Controller>,
    deployment: DeploymentWatch,
    memory: MemoryFile,
    under_way: UnderWay,
    finished: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    withdrawn: Withdrawn,
    last_stats: Option<Stats>,
    answer_counts: AnswerCounts,
    outage: Outage,
    clock: Clock,
    forgetting: Forgetting,
}

impl<C, L, P> Daemon<C, L, P>
where
    C: Containers + 'static,
    L: LoadBalancer + 'static,
    P: Probe + 'static,
{
    /// A loop that has seen nothing yet, and goes on where the one ended that left `memory`.
    pub(crate) fn new(
        actor: Arc<Actor<C, L, P>>,
        shared: Arc<SharedState>,
        deployment: DeploymentWatch,
        memory: MemoryFile,
        settings: ScalerSettings,
    ) -> Self {
        Self {
            actor,
            slots: SlotPool::new(shared.services().subnet().last_slot()),
            shared,
            settings,
            observer: HostObserver::default(),
            controllers: BTreeMap::new(),
            deployment,
            memory,
            under_way: UnderWay::default(),
            finished: mpsc::unbounded_channel(),
            withdrawn: Withdrawn::default(),
            last_stats: None,
            answer_counts: AnswerCounts::default(),
            outage: Outage::default(),
            clock: Clock::default(),
            forgetting: Forgetting::default(),
        }
    }

    /// Takes turns until `stop` completes: one a tick, and one at once whenever an action ends, so
    /// that what waited for it does not wait for the tick as well. Actions under way are left to
    /// themselves; whoever comes next finds what they leave.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut timer = tokio::time::interval(self.settings.tick);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            let mut done = Vec::new();
            tokio::select! {
                () = &mut stop => break,
                _ = timer.tick() => {}
                Some(first) = self.finished.1.recv() => done.push(first),
            }
            while let Ok(more) = self.finished.1.try_recv() {
                done.push(more);
            }
            self.turn(done, now()).await;
            if let Some(pause) = self.outage.pause(self.settings.tick) {
                timer.reset_after(pause);
            }
        }
        self.shared.recordings().end();
        self.shared.end_ledger();
        self.memory.flush().await;
        self.forgetting.end().await;
    }

    /// Waits until every action under way has ended or waits for time to pass, and gives those
    /// that have ended.
    #[cfg(test)]
    pub(crate) async fn settled(&mut self) -> Vec<Done> {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        std::iter::from_fn(|| self.finished.1.try_recv().ok()).collect()
    }

    /// Waits until what is to outlive this process is on the disk.
    #[cfg(test)]
    pub(crate) async fn flush_memory(&mut self) {
        self.shared.end_ledger();
        self.memory.flush().await;
        self.forgetting.end().await;
    }

    /// One turn for every service.
    pub(crate) async fn turn(&mut self, done: Vec<Done>, now: Timestamp) {
        for ended in &done {
            self.under_way.end(&ended.instance);
            report(ended);
        }
        if self.clock.jumped(now) {
            tracing::warn!("the clock was set");
            for controller in self.controllers.values_mut() {
                *controller = Controller::restored(controller.memory().dated_anew(now));
            }
            self.shared.recordings().start_anew();
        }
        self.follow_deployment();
        let observed = self.observe().await;
        self.outage.note(observed.as_ref().err());
        let observed = observed.ok();
        match &observed {
            Some(observed) => {
                let instances = observed.containers.keys().chain(self.under_way.instances());
                self.actor.egress().follow(instances);
            }
            None => self.actor.egress().judge_again(),
        }
        let services = self.shared.services().all();
        let parallel = self.settings.parallel_launches;
        let mut room =
            Room::new(&self.shared, &services, observed.as_ref(), &self.under_way, parallel);
        let answers = observed
            .as_ref()
            .map(|observed| self.answer_counts.increase(self.last_stats.as_ref(), &observed.stats));
        let answers = answers.unwrap_or_default();
        let mut observations = self.observations(&services, observed.as_ref(), &answers, done);
        for deployed in self.under_way.in_turn(&services) {
            let observation = observations.remove(&deployed.spec.name).unwrap_or_default();
            let tick = self.serve(deployed, observation, &mut room, now);
            for action in tick.plan.clone() {
                self.start(action, now);
            }
            self.show(tick, observed.as_ref());
        }
        let told = room.told(self.shared.memory_mib(), self.slots.counts());
        self.shared.machine().show_room(told);
        self.shared.end_turn(now);
        self.forget_past(observed.as_ref(), now).await;
        if let Some(observed) = observed {
            self.shared.note_there(observed.containers.keys(), now);
            self.remove_withdrawn(&services, &observed, now).await;
            self.last_stats = Some(observed.stats);
        }
        let memories = self.controllers.iter().map(|(name, c)| (name.clone(), c.memory()));
        self.memory.keep(memories.collect()).await;
    }

    /// Forgets holds that are over, and removals of instances that are gone as far as is known.
    async fn forget_past(&mut self, observed: Option<&HostObservation>, now: Timestamp) {
        let is_gone = |name: &InstanceName| {
            let is_there = |seen: &HostObservation| seen.containers.contains_key(name);
            observed.is_some_and(|seen| !is_there(seen)) && self.under_way.on(name).is_none()
        };
        let past = self.shared.standing().past(is_gone, now);
        self.forgetting.begin(&self.shared, past).await;
    }

    /// Goes on with what is deployed now.
    fn follow_deployment(&mut self) {
        let Some(read) = self.deployment.changed() else { return };
        tracing::info!(services = read.services.len(), "something else is deployed");
        self.shared.deploy(read);
        let services = self.shared.services().all();
        self.controllers.retain(|name, _| services.contains_key(name));
        self.shared.recordings().withdraw(|name| services.contains_key(name));
    }

    /// Looks at the host and brings the load balancer to what is wanted where it differs.
    async fn observe(&mut self) -> anyhow::Result<HostObservation> {
        let rotation = self.actor.rotation();
        rotation.load_balancer().set_membership(self.shared.membership().membership);
        let observed = self.observer.observe(&*self.actor, self.shared.feed().is_read()).await?;
        // Before anything is changed here, which may be by a reload: the worker in charge now knows
        // what its statistics show.
        self.slots.note_held(slots_held(&observed, self.under_way.instances()));
        if self.slots.is_withholding() {
            self.slots.note_old_workers(&rotation.load_balancer().old_workers().await?);
        }
        if self.slots.is_owner_unknown() {
            match rotation.load_balancer().known_to_old_workers().await {
                Ok(known) => self.slots.note_known(&known),
                Err(error) => {
                    tracing::warn!(%error, "no slot is given out while an old worker cannot be asked");
                }
            }
        }
        if self.last_stats.is_none() {
            let instances = observed.containers.keys().map(|name| (name, observed.version(name)));
            rotation.adopt(&observed.stats, instances).await?;
        }
        let busy = self.under_way.slots().collect();
        let present = observed.containers.keys().map(InstanceName::slot).collect();
        if rotation.mend(&observed.stats, &present, &busy).await? {
            tracing::info!("the load balancer was brought to what is wanted");
        }
        Ok(observed)
    }

    /// What is observed of each service.
    fn observations(
        &self,
        services: &Deployed,
        observed: Option<&HostObservation>,
        answers: &AnswersBySlot,
        done: Vec<Done>,
    ) -> BTreeMap<ServiceName, ServiceObservation> {
        let mut observations: BTreeMap<ServiceName, ServiceObservation> = BTreeMap::new();
        if let Some(observed) = observed {
            let increase = self.last_stats.as_ref().map(|last| increase(last, &observed.stats));
            let wanted = |instance: &_| self.actor.rotation().wanted(instance);
            let mut answers = observed.answers(answers);
            let released = |instance: &_| self.actor.containers().has_released(instance);
            let instances = observed.instances(services, &self.under_way, wanted, released);
            for (name, instances) in instances {
                let observation = ServiceObservation {
                    load: services
                        .get(&name)
                        .zip(increase.as_ref())
                        .and_then(|(deployed, increase)| observed.load(&deployed.spec, increase)),
                    cpu_cores: observed.cpu.of(&name),
                    host_cpu: observed.cpu.host,
                    instances: Some(instances),
                    answers: answers.remove(&name).unwrap_or_default(),
                    done: Vec::new(),
                };
                observations.insert(name, observation);
            }
        }
        for ended in done {
            let service = ended.instance.service().clone();
            observations.entry(service).or_default().done.push(ended);
        }
        observations
    }

    /// One service's turn. The slots that it plans for are its own from then on.
    fn serve(
        &mut self,
        deployed: &DeployedService,
        observation: ServiceObservation,
        room: &mut Room,
        now: Timestamp,
    ) -> Tick {
        let spec = &self.shared.in_force(&deployed.spec);
        let standing = self.shared.standing();
        let launches_left = room.clones(&spec.name);
        let rollout = self.controllers.get(&spec.name).and_then(Controller::rollout);
        let instance_mib = instance_mib(deployed, rollout.map(Rollout::serving));
        let context = TurnContext {
            spec,
            wanted: deployed.wanted,
            release: deployed.release,
            free_slots: &self.slots.free_for(&spec.name, launches_left),
            launches_left: u32::try_from(launches_left).unwrap_or(u32::MAX),
            fits: room.fits(&spec.name, instance_mib),
            launch_timeout: spec.launch_timeout(self.settings.launch_timeout),
            hold: standing.hold(&spec.name, now).map(|hold| hold.ready),
            removals: &standing.removals(&spec.name),
        };
        let memory = &self.memory;
        let controller = self.controllers.entry(spec.name.clone());
        let controller = controller.or_insert_with(|| Controller::restored(memory.of(&spec.name)));
        let recordings = self.shared.recordings();
        let mut tick = recordings.turn(controller, &context, observation, now);
        for ended in &mut tick.ended {
            ended.last_lines = self.shared.outputs().last_lines(&ended.instance);
            tracing::warn!(instance = %ended.instance, "it ended by itself");
        }
        for given_up in &mut tick.given_up {
            given_up.last_lines = self.shared.outputs().last_lines(&given_up.instance);
            tracing::warn!(instance = %given_up.instance, "its version was given up after it was watched");
        }
        for action in tick.plan.iter().filter(|action| action.kind == ActionKind::Clone) {
            self.slots.give(action.slot, &spec.name);
            room.begin(&spec.name, instance_mib);
        }
        tick
    }

    /// Starts an action, whose end comes back through the channel, also when it panics.
    fn start(&mut self, action: Action, planned_at: Timestamp) {
        let is_failed = action.kind == ActionKind::Kill || self.has_failed(&action.instance);
        let outputs = Arc::clone(self.shared.outputs());
        self.under_way.begin(&action);
        let (actor, finished) = (Arc::clone(&self.actor), self.finished.0.clone());
        let started = Instant::now();
        tokio::spawn(async move {
            let Action { kind, instance, slot, version, .. } = action.clone();
            let carried_out = tokio::spawn(async move { actor.carry_out(&action).await });
            let (error, Course { release, steps }) = match carried_out.await {
                Ok(CarriedOut { result, course }) => {
                    (result.err().map(|error| format!("{error:#}")), course)
                }
                Err(panic) => (Some(format!("a fault of the scaler: {panic}")), Course::default()),
            };
            let finished_at = planned_at.after(started.elapsed());
            let last_lines = match is_failed || error.is_some() {
                true => outputs.last_lines(&instance),
                false => Vec::new(),
            };
            // The loop has ended and nobody asks any more.
            let _ = finished.send(Done {
                kind,
                instance,
                slot,
                version,
                planned_at,
                finished_at,
                error,
                last_lines,
                release,
                steps,
            });
        });
    }

    /// Whether an instance is removed because it is not well.
    fn has_failed(&self, instance: &InstanceName) -> bool {
        let fleet = self.controllers.get(instance.service()).map(Controller::fleet);
        let mut instances = fleet.into_iter().flat_map(|fleet| fleet.instances());
        instances.any(|it| it.name == *instance && it.phase == Phase::Failed)
    }

    /// Stops instances whose service is no longer deployed: when no worker of the load balancer knows
    /// them any more, or when they have had their time.
    async fn remove_withdrawn(
        &mut self,
        services: &Deployed,
        observed: &HostObservation,
        now: Timestamp,
    ) {
        let is_withdrawn = |name: &InstanceName| !services.contains_key(name.service());
        let containers: Vec<_> =
            observed.containers.iter().filter(|(name, _)| is_withdrawn(name)).collect();
        if containers.is_empty() {
            self.withdrawn = Withdrawn::default();
            return self.shared.services().forget_withdrawn();
        }
        let known = self.actor.rotation().load_balancer().known_to_old_workers().await;
        if let Err(error) = &known {
            tracing::debug!(%error, "old workers cannot be asked what they know");
        }
        let gets_requests = |name: &InstanceName| {
            let place = (name.service().clone(), name.slot());
            let by_old_workers = known.as_ref().map_or(true, |known| known.contains(&place));
            by_old_workers || observed.stats.services.contains_key(name.service())
        };
        let instances = containers.into_iter().map(|(name, container)| {
            let last_known = self.shared.services().last_known(name.service());
            let drain_timeout = last_known.map(|service| service.spec.scale_in.drain_timeout);
            WithdrawnInstance {
                name,
                is_idle: container.state == ContainerState::Stopped || !gets_requests(name),
                drain_timeout: drain_timeout.unwrap_or(withdrawn::DRAIN),
            }
        });
        let instances: Vec<_> = instances.collect();
        for name in self.withdrawn.due(&instances, Instant::now()) {
            if self.under_way.on(&name).is_none() {
                tracing::info!(instance = %name, "its service is not deployed: it is removed");
                let version = observed.version(&name);
                self.start(Action::new(ActionKind::Stop, name, version), now);
            }
        }
    }

    /// Shows a service's turn on the shared state, and what is known of its instances.
    fn show(&self, tick: Tick, observed: Option<&HostObservation>) {
        let subnet = self.shared.services().subnet();
        let fleet = self.controllers.get(&tick.service).map(Controller::fleet);
        let instances = fleet.map(Fleet::instances).unwrap_or_default();
        let figures = || {
            let names = instances.iter().map(|instance| &instance.name);
            names
                .map(|name| observed.map_or_else(|| unknown(name), |it| it.figures(name)))
                .collect()
        };
        let status = |instance: &policy::fleet::Instance| {
            Some(InstanceStatus {
                name: instance.name.clone(),
                slot: instance.slot(),
                address: subnet.address(instance.slot())?,
                version: instance.version,
                phase: instance.phase,
                since: instance.since,
                to_be_removed: instance.to_be_removed,
            })
        };
        let statuses = instances.iter().filter_map(status).collect();
        self.shared.show(tick, statuses, figures);
    }
}

/// The slots that an instance is in, is made in, or gets requests in.
fn slots_held<'a>(
    observed: &'a HostObservation,
    under_way: impl Iterator<Item = &'a InstanceName>,
) -> BTreeMap<Slot, ServiceName> {
    let in_rotation = observed.stats.services.iter().flat_map(|(service, figures)| {
        figures.servers.keys().map(move |slot| (*slot, service.clone()))
    });
    let instances = observed.containers.keys().chain(under_way);
    let of_instances = instances.map(|name| (name.slot(), name.service().clone()));
    in_rotation.chain(of_instances).collect()
}

fn report(done: &Done) {
    let took_ms = done.finished_at.since(done.planned_at).as_millis();
    let (instance, action) = (&done.instance, done.kind);
    match &done.error {
        None => tracing::info!(%instance, ?action, took_ms, "done"),
        Some(error) => tracing::warn!(%instance, ?action, took_ms, error, "failed"),
    }
}
