//! When a draining server has nothing left to do, old workers included.

use std::collections::{BTreeMap, BTreeSet};

use model::names::{ServiceName, Slot};
use tokio::time::Instant;

use super::backends::{Backends, ServerState};
use super::running::Pid;
use super::stats::Stats;

/// A slot of a service.
pub(super) type Place = (ServiceName, Slot);

/// The servers that drain.
#[derive(Debug, Default)]
pub(super) struct Drains(BTreeMap<Place, Drain>);

/// A drain in effect.
#[derive(Debug)]
struct Drain {
    since: Instant,
    /// Workers that have known the server as ready. Of those that started later none ever sent it
    /// a request.
    predating: BTreeSet<Pid>,
}

impl Drains {
    /// Whether `desired` drains a server that did not drain before.
    pub(super) fn has_new(&self, desired: &Backends) -> bool {
        draining(desired).any(|place| !self.0.contains_key(&place))
    }

    /// Notes that `desired` is in effect from `now` on, and that `workers` may know the servers
    /// that are new in it as ready.
    pub(super) fn note(&mut self, desired: &Backends, now: Instant, workers: &BTreeSet<Pid>) {
        let places: BTreeSet<_> = draining(desired).collect();
        self.0.retain(|place, _| places.contains(place));
        for place in places {
            let drain = || Drain { since: now, predating: workers.clone() };
            self.0.entry(place).or_insert_with(drain);
        }
    }

    /// The draining servers that had neither requests nor a queue in the current worker when
    /// `stats` were asked for, which must be after their drain took effect.
    pub(super) fn idle(&self, stats: &Stats) -> Vec<Place> {
        let idle = self.0.iter().filter(|((service, slot), drain)| {
            let server = stats.services.get(service).and_then(|s| s.servers.get(slot));
            let empty = server.is_some_and(|s| s.in_flight == Some(0) && s.queued == Some(0));
            empty && stats.asked_at >= drain.since
        });
        idle.map(|(place, _)| place.clone()).collect()
    }

    /// Those of `idle` that no worker of `old` may still send to.
    pub(super) fn drained(&self, idle: Vec<Place>, old: &BTreeSet<Pid>) -> BTreeSet<Place> {
        let free =
            |place: &Place| self.0.get(place).is_some_and(|drain| drain.predating.is_disjoint(old));
        idle.into_iter().filter(free).collect()
    }
}

fn draining(desired: &Backends) -> impl Iterator<Item = Place> {
    desired
        .servers()
        .filter(|(_, server)| server.state == ServerState::Drain)
        .map(|(service, server)| (service.clone(), server.slot))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::backends::tests::backend;
    use super::super::stats::{ServerStats, ServerStatus, ServiceStats, Worker};
    use super::*;

    fn stats(asked_at: Instant, in_flight: Option<u64>, queued: Option<u64>) -> Stats {
        let server = ServerStats {
            line: "store.2".to_owned(),
            status: ServerStatus::Drain,
            in_flight,
            queued,
            sessions: None,
            last_session: None,
            answers: None,
            server_errors: None,
            response_errors: None,
            check: None,
        };
        let servers = [(Slot::try_from(2).unwrap(), server)].into();
        Stats {
            asked_at,
            worker: Worker { generation: 1, age_s: 0, scrapes: 1 },
            services: [("store".parse().unwrap(), ServiceStats { servers, ..Default::default() })]
                .into(),
        }
    }

    fn second_drains() -> Backends {
        let states = [ServerState::Ready, ServerState::Drain];
        Backends::new(vec![backend("store", "/", 1, &states)]).unwrap()
    }

    #[test]
    fn only_a_server_known_to_be_empty_after_its_drain_is_idle() {
        let now = Instant::now();
        let mut drains = Drains::default();
        assert!(drains.has_new(&second_drains()));
        drains.note(&second_drains(), now, &[7].into());
        assert!(!drains.has_new(&second_drains()));
        assert_eq!(drains.idle(&stats(now, Some(0), Some(0))).len(), 1);
        for (in_flight, queued) in
            [(Some(1), Some(0)), (Some(0), Some(1)), (None, Some(0)), (Some(0), None)]
        {
            assert!(drains.idle(&stats(now, in_flight, queued)).is_empty());
        }
        let before = now.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(drains.idle(&stats(before, Some(0), Some(0))).is_empty());
    }

    #[test]
    fn a_worker_that_predates_the_drain_holds_it_up_until_it_is_gone() {
        let now = Instant::now();
        let mut drains = Drains::default();
        drains.note(&second_drains(), now, &[7].into());
        drains.note(&second_drains(), now, &[7, 8].into());
        let idle = drains.idle(&stats(now, Some(0), Some(0)));
        assert!(drains.drained(idle.clone(), &[7, 8].into()).is_empty());
        assert_eq!(drains.drained(idle, &[8].into()).len(), 1);
    }

    #[test]
    fn a_drain_that_was_called_off_and_ordered_anew_starts_anew() {
        let mut drains = Drains::default();
        drains.note(&second_drains(), Instant::now(), &[7].into());
        let ready =
            Backends::new(vec![backend("store", "/", 1, &[ServerState::Ready; 2])]).unwrap();
        drains.note(&ready, Instant::now(), &[7].into());
        assert!(drains.has_new(&second_drains()));
    }
}
