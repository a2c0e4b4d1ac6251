//! How many of something there may be at a time, so that no instance and no service takes them all.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::names::ServiceName;
use tokio::sync::Notify;

/// A number of places. One client has `per_client` at most, and a service as many as are left to others:
/// alone it gets half of them, and each of two that want all gets a third.
#[derive(Debug)]
pub(crate) struct Places {
    all: usize,
    per_client: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Clients that are no service's share one number.
    by_service: BTreeMap<Option<ServiceName>, usize>,
    by_client: BTreeMap<Ipv4Addr, usize>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    service: Option<ServiceName>,
    client: Ipv4Addr,
}

impl Places {
    pub(crate) fn new(all: usize, per_client: usize) -> Arc<Self> {
        Arc::new(Self { all, per_client, taken: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a client of a service; `None` while there is none for it.
    pub(crate) fn take(
        self: &Arc<Self>,
        client: Ipv4Addr,
        service: Option<&ServiceName>,
    ) -> Option<Place> {
        let service = service.cloned();
        let mut taken = self.taken();
        let left = self.all - taken.all;
        let of_service = taken.by_service.get(&service).copied().unwrap_or_default();
        let of_client = taken.by_client.get(&client).copied().unwrap_or_default();
        if of_service >= left || of_client >= self.per_client {
            return None;
        }
        taken.all += 1;
        taken.by_service.insert(service.clone(), of_service + 1);
        taken.by_client.insert(client, of_client + 1);
        drop(taken);
        Some(Place { places: Arc::clone(self), service, client })
    }

    /// The same, once there is one.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        client: Ipv4Addr,
        service: Option<&ServiceName>,
    ) -> Place {
        loop {
            // Before the look, so that no end is missed.
            let freed = self.freed.notified();
            if let Some(place) = self.take(client, service) {
                return place;
            }
            freed.await;
        }
    }

    /// Waits until none is taken.
    pub(crate) async fn until_empty(&self) {
        loop {
            let freed = self.freed.notified();
            if self.taken().all == 0 {
                return;
            }
            freed.await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        give_back(&mut taken.by_service, &self.service);
        give_back(&mut taken.by_client, &self.client);
        drop(taken);
        self.places.freed.notify_waiters();
    }
}

fn give_back<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 117, 0, last)
    }

    /// As many places as a service gets, whose clients are all different.
    fn flood(places: &Arc<Places>, service: Option<&str>, held: &mut Vec<Place>) -> usize {
        let service = service.map(|name| name.parse().unwrap());
        let before = held.len();
        held.extend((0..200).map_while(|last| places.take(client(last), service.as_ref())));
        held.len() - before
    }

    #[test]
    fn whoever_takes_all_that_it_can_leaves_some_to_the_next() {
        let (places, mut held) = (Places::new(100, 100), Vec::new());
        assert_eq!(flood(&places, Some("a"), &mut held), 50);
        assert_eq!(flood(&places, Some("b"), &mut held), 25);
        assert_eq!(flood(&places, None, &mut held), 13);
        assert!(flood(&places, Some("c"), &mut held) > 0);
        held.clear();
        assert_eq!(flood(&places, Some("c"), &mut held), 50);
    }

    #[test]
    fn one_client_leaves_some_to_the_others_of_its_service() {
        let (places, service) = (Places::new(100, 10), "a".parse().unwrap());
        let take = |last| places.take(client(last), Some(&service));
        let held: Vec<_> = (0..20).map_while(|_| take(1)).collect();
        assert_eq!(held.len(), 10);
        assert!(take(2).is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_a_place_that_is_given_back() {
        let places = Places::new(2, 2);
        let first = places.take(client(1), None).unwrap();
        assert!(places.take(client(2), None).is_none());
        let (second, ()) = tokio::join!(places.wait(client(2), None), async { drop(first) });
        let empty = places.until_empty();
        tokio::pin!(empty);
        let soon = tokio::time::timeout(std::time::Duration::from_millis(1), empty.as_mut()).await;
        assert!(soon.is_err(), "one is taken");
        drop(second);
        empty.await;
    }
}
