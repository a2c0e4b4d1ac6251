//! Which slots a service may have. All services share one pool: a free slot goes to whoever needs
//! it, but for a while not to another service than had it last.
//!
//! A worker of the load balancer that a reload has replaced lives until its last request ends, and
//! takes no commands. It may go on sending a service's requests to an address which that service has
//! given back since. So such a slot is withheld from the other services until every worker that was
//! old when the slot was given back is gone. The one in charge was told, and so will be those after it.

use std::collections::{BTreeMap, BTreeSet};

use model::names::{ServiceName, Slot};

/// The id of a process of the load balancer.
pub type WorkerId = u32;

/// The lower bounds ask for more slots than the host has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "service {service} always needs {needed} slots, and the services before it leave {left} of the \
     host's: lower a bounds.min or widen network.subnet"
)]
pub struct SlotsError {
    /// The first service that found no room.
    pub service: ServiceName,
    /// Its lower bound.
    pub needed: u32,
    /// How many slots no service before it takes.
    pub left: u32,
}

/// Whether slots up to `last` are enough for each service to have its lower bound of instances at a
/// time. One more is asked for, since a replacement starts before its predecessor leaves.
///
/// # Errors
/// [`SlotsError`] names the first service that they are not enough for.
pub fn suffice<'a>(
    lower_bounds: impl IntoIterator<Item = (&'a ServiceName, u32)>,
    last: u16,
) -> Result<(), SlotsError> {
    let mut left = u32::from(last) - 1;
    for (service, needed) in lower_bounds {
        left = left.checked_sub(needed).ok_or_else(|| SlotsError {
            service: service.clone(),
            needed,
            left,
        })?;
    }
    Ok(())
}

/// The slots of a host.
#[derive(Debug)]
pub struct SlotPool {
    held: BTreeMap<Slot, ServiceName>,
    /// All that are not held, the lowest first.
    free: BTreeSet<Slot>,
    /// Those of the free ones that old workers may still know.
    withheld: BTreeMap<Slot, Withheld>,
}

/// How many slots there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotCounts {
    /// Held by a service.
    pub held: usize,
    /// The others.
    pub free: usize,
    /// Those of the free ones that not every service may have.
    pub withheld: usize,
}

/// Who may have a slot all the same, and what the others wait for.
#[derive(Debug)]
struct Withheld {
    owner: Owner,
    /// The old workers of the moment at which it was given back, as far as they are still there;
    /// `None` until they are known.
    workers: Option<BTreeSet<WorkerId>>,
}

/// Who had a free slot last.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    /// It was free before anybody looked.
    Unknown,
    Service(ServiceName),
    /// Old workers know it by several services.
    Several,
}

impl SlotPool {
    /// The slots from 1 to `last`, all of them free. Who had them before is not known.
    pub fn new(last: u16) -> Self {
        let free: BTreeSet<_> = slots(last).collect();
        let unknown = |slot: &Slot| (*slot, Withheld { owner: Owner::Unknown, workers: None });
        Self { held: BTreeMap::new(), withheld: free.iter().map(unknown).collect(), free }
    }

    /// Takes note of the slots that are held now: an instance is in them or is made there, or the load
    /// balancer sends requests there.
    pub fn note_held(&mut self, held: BTreeMap<Slot, ServiceName>) {
        for (slot, owner) in std::mem::take(&mut self.held) {
            if !held.contains_key(&slot) {
                self.free.insert(slot);
                self.withheld
                    .insert(slot, Withheld { owner: Owner::Service(owner), workers: None });
            }
        }
        self.held = held;
        for slot in self.held.keys() {
            self.free.remove(slot);
            self.withheld.remove(slot);
        }
    }

    /// Whether it matters which old workers there are.
    pub fn is_withholding(&self) -> bool {
        !self.withheld.is_empty()
    }

    /// Takes note of the old workers, asked for after [`Self::note_held`].
    pub fn note_old_workers(&mut self, alive: &BTreeSet<WorkerId>) {
        self.withheld.retain(|_, withheld| {
            let workers = withheld.workers.get_or_insert_with(|| alive.clone());
            workers.retain(|worker| alive.contains(worker));
            !workers.is_empty()
        });
    }

    /// Whether old workers are alive that may know slots of which nobody has looked who had them last.
    pub fn is_owner_unknown(&self) -> bool {
        self.withheld.values().any(|withheld| withheld.owner == Owner::Unknown)
    }

    /// Takes note of the slots that old workers know and by which services, asked for after
    /// [`Self::note_old_workers`]: these had the slots that were free before anybody looked.
    pub fn note_known(&mut self, known: &BTreeSet<(ServiceName, Slot)>) {
        self.withheld.retain(|slot, withheld| {
            if withheld.owner == Owner::Unknown {
                let mut owners = known.iter().filter(|(_, at)| at == slot).map(|(owner, _)| owner);
                let Some(owner) = owners.next() else { return false };
                let only = owners.next().is_none();
                withheld.owner = if only { Owner::Service(owner.clone()) } else { Owner::Several };
            }
            true
        });
    }

    /// Up to `count` free slots that `service` may have, the lowest first.
    pub fn free_for(&self, service: &ServiceName, count: usize) -> Vec<Slot> {
        let may_have = |slot: &&Slot| {
            let owner = self.withheld.get(slot).map(|withheld| &withheld.owner);
            owner.is_none_or(|owner| matches!(owner, Owner::Service(owner) if owner == service))
        };
        self.free.iter().filter(may_have).take(count).copied().collect()
    }

    /// How many are held, and how many are free.
    pub fn counts(&self) -> SlotCounts {
        SlotCounts { held: self.held.len(), free: self.free.len(), withheld: self.withheld.len() }
    }

    /// Gives a free slot to a service, until the next note of what is held.
    pub fn give(&mut self, slot: Slot, service: &ServiceName) {
        self.free.remove(&slot);
        self.withheld.remove(&slot);
        self.held.insert(slot, service.clone());
    }
}

fn slots(last: u16) -> impl Iterator<Item = Slot> {
    (1..=u32::from(last)).map_while(|number| Slot::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(name: &str) -> ServiceName {
        name.parse().unwrap()
    }

    fn slot(number: u32) -> Slot {
        Slot::try_from(number).unwrap()
    }

    fn held(by: &[(u32, &str)]) -> BTreeMap<Slot, ServiceName> {
        by.iter().map(|(number, name)| (slot(*number), service(name))).collect()
    }

    /// The free slots of a service as numbers.
    fn free_for(pool: &SlotPool, name: &str, count: usize) -> Vec<u16> {
        pool.free_for(&service(name), count).into_iter().map(Slot::get).collect()
    }

    /// A pool of six slots of which these are held, at a moment without old workers.
    fn pool(by: &[(u32, &str)]) -> SlotPool {
        let mut pool = SlotPool::new(6);
        pool.note_held(held(by));
        pool.note_old_workers(&BTreeSet::new());
        pool
    }

    #[test]
    fn the_lowest_free_slots_go_to_whoever_asks_first_and_to_nobody_else_in_the_same_turn() {
        let mut pool = pool(&[(2, "a")]);
        assert!(!pool.is_withholding());
        assert_eq!(free_for(&pool, "a", 3), [1, 3, 4]);
        pool.give(slot(1), &service("a"));
        pool.give(slot(3), &service("a"));
        assert_eq!(free_for(&pool, "b", 9), [4, 5, 6]);
    }

    #[test]
    fn a_slot_that_was_given_back_is_its_services_own_until_the_old_workers_of_that_time_are_gone()
    {
        let mut pool = pool(&[(1, "a"), (2, "b")]);
        pool.note_held(held(&[(2, "b")]));
        assert!(pool.is_withholding());
        assert_eq!(free_for(&pool, "b", 1), [3], "nobody has looked for old workers yet");
        assert_eq!(free_for(&pool, "a", 1), [1]);
        pool.note_old_workers(&[7, 8].into());
        pool.note_old_workers(&[8, 9].into());
        assert_eq!(free_for(&pool, "b", 1), [3]);
        assert_eq!(free_for(&pool, "a", 1), [1]);
        pool.note_old_workers(&[9].into());
        assert_eq!(free_for(&pool, "b", 1), [1], "9 was in charge when a's instance left");
        assert!(!pool.is_withholding());
    }

    #[test]
    fn what_was_free_before_anybody_looked_waits_for_the_old_workers_of_that_time() {
        let mut pool = SlotPool::new(3);
        pool.note_held(held(&[(1, "a")]));
        assert!(free_for(&pool, "a", 1).is_empty());
        pool.note_old_workers(&[7].into());
        assert!(free_for(&pool, "a", 1).is_empty());
        pool.note_old_workers(&BTreeSet::new());
        assert_eq!(free_for(&pool, "a", 9), [2, 3]);
    }

    #[test]
    fn of_what_was_free_before_anybody_looked_only_what_old_workers_know_is_withheld() {
        let mut pool = SlotPool::new(6);
        pool.note_held(held(&[(1, "a")]));
        pool.note_old_workers(&[7, 8].into());
        assert!(pool.is_owner_unknown());
        let known = [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 4)];
        pool.note_known(&known.map(|(name, number)| (service(name), slot(number))).into());
        assert!(!pool.is_owner_unknown());
        assert_eq!(free_for(&pool, "a", 9), [2, 5, 6]);
        assert_eq!(free_for(&pool, "b", 9), [3, 5, 6]);
        pool.note_old_workers(&[9].into());
        assert_eq!(free_for(&pool, "b", 9), [2, 3, 4, 5, 6]);
    }

    #[test]
    fn lower_bounds_and_a_replacement_must_fit_and_upper_bounds_need_not() {
        let (a, b) = (service("a"), service("b"));
        let bounds = |of_b| [(&a, 5), (&b, of_b)];
        assert_eq!(suffice(bounds(7), 13), Ok(()));
        let error = suffice(bounds(8), 13).unwrap_err();
        assert_eq!((error.service, error.needed, error.left), (b.clone(), 8, 7));
    }

    /// Something that happens to a host with four slots and two services.
    #[derive(Debug, Clone)]
    enum Event {
        /// A service asks for a slot and starts an instance there.
        Launch(usize),
        /// The instance in the slot of this number, if there is one, is gone.
        Gone(u32),
        /// The load balancer is reloaded: the worker in charge becomes an old one.
        Reload,
        /// The old worker of this number, counted from the oldest, ends.
        Ends(usize),
        /// The scaler is killed and started again.
        Restart,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => (0..2_usize).prop_map(Event::Launch),
            3 => (1..5_u32).prop_map(Event::Gone),
            1 => Just(Event::Reload),
            1 => (0..3_usize).prop_map(Event::Ends),
            1 => Just(Event::Restart),
        ]
    }

    proptest! {
        /// An old worker knows what was in rotation when it was replaced, for ever.
        #[test]
        fn no_worker_that_is_alive_knows_a_slot_by_another_service(
            events in prop::collection::vec(event(), 1..60)
        ) {
            let services = [service("a"), service("b")];
            let mut pool = pool(&[]);
            let mut now = BTreeMap::new();
            let mut old: BTreeMap<WorkerId, BTreeMap<Slot, ServiceName>> = BTreeMap::new();
            for (id, event) in (1..).zip(events) {
                match event {
                    Event::Launch(index) => {
                        let service = &services[index];
                        for slot in pool.free_for(service, 1) {
                            let known = old.values().filter_map(|known| known.get(&slot));
                            prop_assert!(known.into_iter().all(|owner| owner == service));
                            pool.give(slot, service);
                            prop_assert!(now.insert(slot, service.clone()).is_none());
                        }
                    }
                    Event::Gone(number) => drop(now.remove(&slot(number))),
                    Event::Reload => drop(old.insert(id, now.clone())),
                    Event::Ends(index) => {
                        let ended = old.keys().nth(index).copied();
                        old.retain(|id, _| Some(*id) != ended);
                    }
                    Event::Restart => pool = SlotPool::new(6),
                }
                pool.note_held(now.clone());
                if pool.is_withholding() {
                    pool.note_old_workers(&old.keys().copied().collect());
                }
                if pool.is_owner_unknown() {
                    let known = old.values().flatten();
                    pool.note_known(&known.map(|(slot, owner)| (owner.clone(), *slot)).collect());
                }
            }
            pool.note_held(BTreeMap::new());
            pool.note_old_workers(&BTreeSet::new());
            prop_assert_eq!(pool.free_for(&services[0], 9).len(), 6);
        }
    }
}
