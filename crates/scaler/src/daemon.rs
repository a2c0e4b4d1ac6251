//! The control loop: looks at the host, lets the policy decide and plan, starts what is planned,
//! and shows it all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use host::haproxy::{LoadBalancer, Stats, increase};
use host::lxc::{ContainerState, Containers};
use host::probe::Probe;
use host::records::Deployed;
use policy::controller::{Controller, Seen, Surroundings};
use policy::fleet::Fleet;
use policy::names::{InstanceName, ServiceName, Slot};
use policy::plan::{Action, ActionKind};
use policy::slots::SlotsError;
use policy::status::InstanceStatus;
use policy::tick::{Done, Tick};
use policy::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::act::Actor;
use crate::board::Board;
use crate::clock::{Clock, now};
use crate::look::{Look, LookError, Looker};
use crate::services::Services;
use crate::trouble::Trouble;

/// How the loop works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Time from one turn to the next.
    pub(crate) tick: Duration,
    /// Launches at a time, all services together.
    pub(crate) parallel_launches: u32,
    /// How long an instance may take to become healthy.
    pub(crate) launch_timeout: Duration,
}

/// How long the instances of a service that was withdrawn may take to finish their requests, which
/// old workers of the load balancer still have.
const WITHDRAWN_DRAIN: Duration = Duration::from_secs(30);

/// The control loop of all services.
#[derive(Debug)]
pub(crate) struct Daemon<C, L, P> {
    actor: Arc<Actor<C, L, P>>,
    services: Arc<Services>,
    board: Arc<Board>,
    pace: Pace,
    looker: Looker,
    controllers: BTreeMap<ServiceName, Controller>,
    under_way: BTreeMap<InstanceName, ActionKind>,
    finished: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    /// When the instances of services that are no longer deployed are to be stopped.
    strangers: BTreeMap<InstanceName, Instant>,
    last_stats: Option<Stats>,
    trouble: Trouble,
    /// Whether the bounds in force need more slots than there are.
    lacks_slots: bool,
    clock: Clock,
}

impl<C, L, P> Daemon<C, L, P>
where
    C: Containers + 'static,
    L: LoadBalancer + 'static,
    P: Probe + 'static,
{
    /// A loop that has seen nothing yet. The board shows every service from here on.
    pub(crate) fn new(
        actor: Arc<Actor<C, L, P>>,
        services: Arc<Services>,
        board: Arc<Board>,
        pace: Pace,
    ) -> Self {
        let daemon = Self {
            actor,
            services,
            board,
            pace,
            looker: Looker::default(),
            controllers: BTreeMap::new(),
            under_way: BTreeMap::new(),
            finished: mpsc::unbounded_channel(),
            strangers: BTreeMap::new(),
            last_stats: None,
            trouble: Trouble::default(),
            lacks_slots: false,
            clock: Clock::default(),
        };
        for deployed in daemon.services.iter() {
            daemon.show(deployed, None);
        }
        daemon
    }

    /// Takes turns until `stop` completes: one a tick, and one at once whenever an action ends, so
    /// that what waited for it does not wait for the tick as well. Actions under way are left to
    /// themselves; whoever comes next finds what they leave.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut timer = tokio::time::interval(self.pace.tick);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            let mut done = Vec::new();
            tokio::select! {
                () = &mut stop => return,
                _ = timer.tick() => {}
                Some(first) = self.finished.1.recv() => done.push(first),
            }
            while let Ok(more) = self.finished.1.try_recv() {
                done.push(more);
            }
            self.turn(done, now()).await;
            if let Some(pause) = self.trouble.pause(self.pace.tick) {
                timer.reset_after(pause);
            }
        }
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

    /// One turn for every service.
    pub(crate) async fn turn(&mut self, done: Vec<Done>, now: Timestamp) {
        for ended in &done {
            self.under_way.remove(&ended.instance);
            report(ended);
        }
        if self.clock.jumped(now) {
            // What they remember is dated by the old time: patience and drains begin anew.
            tracing::warn!("the clock was set");
            self.controllers.clear();
        }
        let look = self.look().await;
        self.trouble.note(look.as_ref().err());
        let look = look.ok();
        let slots = self.free_slots(look.as_ref());
        let mut done_by_service = group(done);
        for deployed in Arc::clone(&self.services).iter() {
            let name = &deployed.spec.name;
            let done = done_by_service.remove(name).unwrap_or_default();
            let free = slots.get(name).map(Vec::as_slice).unwrap_or_default();
            let tick = self.serve(deployed, look.as_ref(), done, free, now);
            for action in tick.plan.clone() {
                self.start(action, now);
            }
            self.show(deployed, Some(tick));
        }
        if let Some(look) = look {
            self.remove_strangers(&look, now);
            self.last_stats = Some(look.stats);
        }
    }

    /// Looks at the host and brings the load balancer to what is wanted where it differs.
    async fn look(&mut self) -> Result<Look, LookError> {
        let slots = self.slots()?;
        self.actor.rotation().set_slots(slots);
        self.actor.rotation().set_membership(self.board.membership().membership);
        let look = self.looker.look(&*self.actor).await?;
        let rotation = self.actor.rotation();
        if self.last_stats.is_none() {
            rotation.adopt(&look.stats).await?;
        }
        let busy: BTreeSet<_> = self.under_way.keys().map(InstanceName::slot).collect();
        let present = look.containers.keys().map(InstanceName::slot).collect();
        if rotation.mend(&look.stats, &present, &busy).await? {
            tracing::info!("the load balancer was brought to what is wanted");
        }
        Ok(look)
    }

    /// The slots of each service. Bounds that were set may leave no room for a service that was
    /// deployed later: then all go on with the slots of their files, which fit, since `bellows up`
    /// saw to that.
    fn slots(&mut self) -> Result<BTreeMap<ServiceName, Vec<Slot>>, SlotsError> {
        let in_force = self.services.slots(|spec| self.board.bounds(spec));
        let lacked_slots = std::mem::replace(&mut self.lacks_slots, in_force.is_err());
        in_force.or_else(|error| {
            if !lacked_slots {
                tracing::warn!(%error, "bounds that were set have no room: set lower ones");
            }
            self.services.slots(|spec| spec.bounds)
        })
    }

    /// One service's turn.
    fn serve(
        &mut self,
        deployed: &Deployed,
        look: Option<&Look>,
        done: Vec<Done>,
        free_slots: &[Slot],
        now: Timestamp,
    ) -> Tick {
        let spec = &self.board.in_force(&deployed.spec);
        let seen = match look {
            None => Seen { done, ..Seen::default() },
            Some(look) => {
                let increase = self.last_stats.as_ref().map(|last| increase(last, &look.stats));
                let wanted = |slot| self.actor.rotation().wanted(&spec.name, slot);
                let sightings = look.sightings(deployed, &self.under_way, wanted);
                Seen {
                    sample: increase.and_then(|i| look.sample(&spec.name, &i)),
                    cpu_cores: look.cpu_cores.get(&spec.name).copied(),
                    sightings: Some(sightings),
                    done,
                }
            }
        };
        let launching = self.under_way.values().filter(|kind| **kind == ActionKind::Clone).count();
        let launching = u32::try_from(launching).unwrap_or(u32::MAX);
        let around = Surroundings {
            spec,
            free_slots,
            launches_left: self.pace.parallel_launches.saturating_sub(launching),
            launch_timeout: self.pace.launch_timeout,
        };
        self.controllers.entry(spec.name.clone()).or_default().turn(&around, seen, now)
    }

    /// The slots for new instances of each service that no container and no action holds.
    fn free_slots(&self, look: Option<&Look>) -> BTreeMap<ServiceName, Vec<Slot>> {
        let seen = look.into_iter().flat_map(|look| look.containers.keys());
        let taken: BTreeSet<_> =
            seen.chain(self.under_way.keys()).map(InstanceName::slot).collect();
        let mut slots = self.actor.rotation().slots();
        for own in slots.values_mut() {
            own.retain(|slot| !taken.contains(slot));
        }
        slots
    }

    /// Starts an action, whose end comes back through the channel.
    fn start(&mut self, action: Action, planned_at: Timestamp) {
        self.under_way.insert(action.instance.clone(), action.kind);
        let (actor, finished) = (Arc::clone(&self.actor), self.finished.0.clone());
        let started = Instant::now();
        tokio::spawn(async move {
            let outcome = actor.carry_out(&action).await;
            let done = Done {
                kind: action.kind,
                instance: action.instance,
                slot: action.slot,
                planned_at,
                finished_at: planned_at.after(started.elapsed()),
                error: outcome.err().map(|error| service::exit::chain(&error)),
            };
            // The loop has ended and nobody asks any more.
            let _ = finished.send(done);
        });
    }

    /// Stops instances whose service is no longer deployed. The load balancer has no backend for
    /// them any more, so they get no new requests.
    fn remove_strangers(&mut self, look: &Look, now: Timestamp) {
        let moment = Instant::now();
        let due_before = std::mem::take(&mut self.strangers);
        for (name, container) in &look.containers {
            if self.services.get(name.service()).is_some() {
                continue;
            }
            let drain = match container.state {
                ContainerState::Running => WITHDRAWN_DRAIN,
                ContainerState::Stopped => Duration::ZERO,
            };
            let mut due = due_before.get(name).copied().unwrap_or(moment + drain);
            if due <= moment && !self.under_way.contains_key(name) {
                tracing::info!(instance = %name, "its service is not deployed: it is removed");
                self.start(Action::new(ActionKind::Stop, name.clone()), now);
                // Should it fail, it is tried again after as long a time.
                due = moment + WITHDRAWN_DRAIN;
            }
            self.strangers.insert(name.clone(), due);
        }
    }

    /// Shows the state of a service on the board, after a turn or before the first one.
    fn show(&self, deployed: &Deployed, tick: Option<Tick>) {
        let spec = &deployed.spec;
        let fleet = self.controllers.get(&spec.name).map(Controller::fleet);
        let instances = fleet.into_iter().flat_map(|fleet| fleet.instances());
        let status = |instance: &policy::fleet::Instance| {
            Some(InstanceStatus {
                name: instance.name.clone(),
                slot: instance.slot(),
                address: *self.services.address(spec, instance.slot())?.ip(),
                phase: instance.phase,
                since: instance.since,
            })
        };
        let phases = fleet.map(Fleet::counts).unwrap_or_default();
        self.board.show(spec, phases, instances.filter_map(status).collect(), tick);
    }
}

fn report(done: &Done) {
    let took_ms = done.finished_at.since(done.planned_at).as_millis();
    let (instance, action) = (&done.instance, done.kind);
    match &done.error {
        None => tracing::info!(%instance, ?action, took_ms, "done"),
        Some(error) => tracing::warn!(%instance, ?action, took_ms, error, "failed"),
    }
}

fn group(done: Vec<Done>) -> BTreeMap<ServiceName, Vec<Done>> {
    let mut groups: BTreeMap<ServiceName, Vec<Done>> = BTreeMap::new();
    for done in done {
        groups.entry(done.instance.service().clone()).or_default().push(done);
    }
    groups
}
