//! Which slots take requests: what this process wants of the load balancer, and the way there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use host::haproxy::{Backends, BackendsError, LoadBalancer, ServerState, ServerStatus, Stats};
use model::names::{InstanceName, ServiceName, Slot};

use crate::services::Services;
use crate::shared_state::lock;

/// What is wanted of each slot in use. A slot that is not named is out of rotation.
type Wanted = BTreeMap<Slot, (ServiceName, ServerState)>;

/// The rotation of all services.
#[derive(Debug)]
pub(crate) struct Rotation<L> {
    load_balancer: L,
    services: Services,
    slots: Mutex<BTreeMap<ServiceName, Vec<Slot>>>,
    wanted: Mutex<Wanted>,
}

impl<L: LoadBalancer> Rotation<L> {
    /// Nothing in rotation yet, and no slots.
    pub(crate) fn new(load_balancer: L, services: Services) -> Self {
        Self { load_balancer, services, slots: Mutex::default(), wanted: Mutex::default() }
    }

    /// The load balancer itself.
    pub(crate) fn load_balancer(&self) -> &L {
        &self.load_balancer
    }

    /// Takes over what the load balancer holds: after a restart, it is what was wanted before.
    ///
    /// # Errors
    /// The load balancer cannot be told so. It must be: it dates drains from what it is told.
    pub(crate) async fn adopt(&self, stats: &Stats) -> anyhow::Result<()> {
        {
            let mut wanted = lock(&self.wanted);
            wanted.clear();
            for (service, figures) in &stats.services {
                for (slot, server) in &figures.servers {
                    want(&mut wanted, service, *slot, held(server.status));
                }
            }
        }
        self.apply().await
    }

    /// The slots that the load balancer names for each service.
    pub(crate) fn slots(&self) -> BTreeMap<ServiceName, Vec<Slot>> {
        lock(&self.slots).clone()
    }

    /// Sets the slots that the load balancer names for each service.
    pub(crate) fn set_slots(&self, slots: BTreeMap<ServiceName, Vec<Slot>>) {
        *lock(&self.slots) = slots;
    }

    /// What is wanted of `slot` for `service`.
    pub(crate) fn wanted(&self, service: &ServiceName, slot: Slot) -> ServerState {
        match lock(&self.wanted).get(&slot) {
            Some((owner, state)) if owner == service => *state,
            _ => ServerState::Maint,
        }
    }

    /// Brings an instance's slot to `state`; returns when the running process holds it.
    ///
    /// # Errors
    /// The load balancer did not take it. It stays wanted, and [`Self::mend`] tries again.
    pub(crate) async fn set(
        &self,
        instance: &InstanceName,
        state: ServerState,
    ) -> anyhow::Result<()> {
        want(&mut lock(&self.wanted), instance.service(), instance.slot(), state);
        self.apply().await
    }

    /// Takes every slot out of rotation whose instance is gone, and brings the load balancer to
    /// what is wanted where its statistics say something else. Slots in `busy` are left to the
    /// action that is under way there. Returns whether anything had to be mended.
    ///
    /// # Errors
    /// The load balancer did not take it; the next turn tries again.
    pub(crate) async fn mend(
        &self,
        stats: &Stats,
        present: &BTreeSet<Slot>,
        busy: &BTreeSet<Slot>,
    ) -> anyhow::Result<bool> {
        lock(&self.wanted).retain(|slot, _| present.contains(slot) || busy.contains(slot));
        let backends = self.backends()?;
        if agrees(&backends, stats, busy) {
            return Ok(false);
        }
        self.load_balancer.apply(&backends).await?;
        Ok(true)
    }

    /// What the load balancer should hold now.
    ///
    /// # Errors
    /// The services' files contradict each other.
    fn backends(&self) -> Result<Backends, BackendsError> {
        let slots = lock(&self.slots);
        let wanted = lock(&self.wanted);
        self.services.backends(&slots, &wanted)
    }

    /// Of two changes at once, the later call must carry both. So it does: nothing is awaited
    /// between reading what is wanted and the load balancer's note of it, and the scaler has
    /// one thread.
    async fn apply(&self) -> anyhow::Result<()> {
        self.load_balancer.apply(&self.backends()?).await?;
        Ok(())
    }
}

fn want(wanted: &mut Wanted, service: &ServiceName, slot: Slot, state: ServerState) {
    if state == ServerState::Maint {
        // What another service wants of the slot is no matter of this one.
        if wanted.get(&slot).is_some_and(|(owner, _)| owner == service) {
            wanted.remove(&slot);
        }
    } else {
        wanted.insert(slot, (service.clone(), state));
    }
}

/// The state that a status comes from. A server that is down may be ready or draining: its health
/// says nothing of what is wanted of it.
fn held(status: ServerStatus) -> ServerState {
    match status {
        ServerStatus::Maint => ServerState::Maint,
        ServerStatus::Drain => ServerState::Drain,
        ServerStatus::Up | ServerStatus::Down | ServerStatus::Nolb | ServerStatus::NoCheck => {
            ServerState::Ready
        }
    }
}

/// Whether the statistics show the backends as they should be, busy slots aside.
fn agrees(backends: &Backends, stats: &Stats, busy: &BTreeSet<Slot>) -> bool {
    let services_agree = backends.iter().all(|b| stats.services.contains_key(&b.service))
        && backends.iter().count() == stats.services.len();
    let servers_agree = backends.servers().all(|(service, server)| {
        let figures = stats.services.get(service).and_then(|s| s.servers.get(&server.slot));
        busy.contains(&server.slot)
            || figures.is_some_and(|figures| match figures.status {
                ServerStatus::Down => server.state != ServerState::Maint,
                status => held(status) == server.state,
            })
    });
    services_agree && servers_agree
}
