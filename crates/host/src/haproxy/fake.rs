//! A load balancer in memory, for tests of whoever uses one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::names::{ServiceName, Slot};
use tokio::time::Instant;

use super::backends::{Backends, ServerState};
use super::error::HaproxyError;
use super::load_balancer::{Applied, LoadBalancer, Way};
use super::stats::{Counters, ServerStats, ServerStatus, ServiceStats, Stats, StatsError, Worker};
use crate::settings::Membership;

/// A load balancer that holds what it is given, and says what a test has it say.
#[derive(Debug)]
pub struct FakeLoadBalancer {
    state: Mutex<State>,
    started: Instant,
}

#[derive(Debug, Default)]
struct State {
    held: Backends,
    membership: Option<Membership>,
    changes: usize,
    scrapes: u64,
    services: BTreeMap<ServiceName, ServiceStats>,
    old_workers: BTreeSet<u32>,
    known: BTreeSet<(ServiceName, Slot)>,
    apply_error: Option<fn() -> HaproxyError>,
    scrape_error: Option<fn() -> StatsError>,
}

impl Default for FakeLoadBalancer {
    fn default() -> Self {
        Self { state: Mutex::default(), started: Instant::now() }
    }
}

impl FakeLoadBalancer {
    /// What it was given last.
    pub fn held(&self) -> Backends {
        self.state().held.clone()
    }

    /// The way that it was told last.
    pub fn membership(&self) -> Option<Membership> {
        self.state().membership
    }

    /// How many times it was given something other than what it held.
    pub fn changes(&self) -> usize {
        self.state().changes
    }

    /// Lets a test set any figure that the next statistics say. A service that was applied starts
    /// with 0 in every figure.
    pub fn set_figures(&self, set: impl FnOnce(&mut BTreeMap<ServiceName, ServiceStats>)) {
        set(&mut self.state().services);
    }

    /// The old workers that there are from now on.
    pub fn set_old_workers(&self, workers: BTreeSet<u32>) {
        self.state().old_workers = workers;
    }

    /// The slots that the old workers know from now on, and by which services.
    pub fn set_known_to_old_workers(&self, known: BTreeSet<(ServiceName, Slot)>) {
        self.state().known = known;
    }

    /// Another worker takes over, which has read a file that holds this.
    pub fn restart_from(&self, older: &Backends) {
        let mut state = self.state();
        state.hold(older);
        state.scrapes = 0;
    }

    /// Has every change fail with this error, or succeed again.
    pub fn fail_apply(&self, error: Option<fn() -> HaproxyError>) {
        self.state().apply_error = error;
    }

    /// Has every scrape fail with this error, or succeed again.
    pub fn fail_scrape(&self, error: Option<fn() -> StatsError>) {
        self.state().scrape_error = error;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives each server the status that its state leads to, and keeps its figures.
    fn hold(&mut self, desired: &Backends) {
        self.held = desired.clone();
        self.services.retain(|name, _| desired.iter().any(|backend| backend.service == *name));
        for backend in desired.iter() {
            let stats = self.services.entry(backend.service.clone()).or_insert_with(zero);
            let before = std::mem::take(&mut stats.servers);
            for server in &backend.servers {
                let mut figures = before.get(&server.slot).cloned().unwrap_or(IDLE);
                figures.line = format!("{}.{}", backend.service, server.slot);
                figures.status = match server.state {
                    ServerState::Ready => ServerStatus::Up,
                    ServerState::Drain => ServerStatus::Drain,
                    ServerState::Maint => ServerStatus::Maint,
                };
                stats.servers.insert(server.slot, figures);
            }
        }
    }
}

const IDLE: ServerStats = ServerStats {
    line: String::new(),
    status: ServerStatus::Maint,
    in_flight: Some(0),
    queued: Some(0),
    sessions: Some(0),
    last_session: None,
    answers: Some(0),
    server_errors: Some(0),
    response_errors: Some(0),
    check: None,
};

fn zero() -> ServiceStats {
    ServiceStats {
        queued: Some(0),
        in_flight: Some(0),
        counters: Counters::ZERO,
        servers: BTreeMap::new(),
    }
}

impl LoadBalancer for FakeLoadBalancer {
    async fn apply(&self, desired: &Backends) -> Result<Applied, HaproxyError> {
        let mut state = self.state();
        if let Some(error) = state.apply_error {
            return Err(error());
        }
        let way = if state.held == *desired {
            Way::Unchanged
        } else {
            state.changes += 1;
            Way::Commands(1)
        };
        state.hold(desired);
        Ok(Applied { generation: 1, way })
    }

    fn set_membership(&self, membership: Membership) {
        self.state().membership = Some(membership);
    }

    async fn scrape(&self) -> Result<Stats, StatsError> {
        let mut state = self.state();
        if let Some(error) = state.scrape_error {
            return Err(error());
        }
        state.scrapes += 1;
        let age_s = self.started.elapsed().as_secs();
        let worker = Worker { generation: 1, age_s, scrapes: state.scrapes };
        Ok(Stats { asked_at: Instant::now(), worker, services: state.services.clone() })
    }

    async fn old_workers(&self) -> Result<BTreeSet<u32>, HaproxyError> {
        Ok(self.state().old_workers.clone())
    }

    async fn known_to_old_workers(&self) -> Result<BTreeSet<(ServiceName, Slot)>, HaproxyError> {
        Ok(self.state().known.clone())
    }

    async fn drained(&self, stats: &Stats) -> Result<BTreeSet<(ServiceName, Slot)>, HaproxyError> {
        let state = self.state();
        if let Some(error) = state.apply_error {
            return Err(error());
        }
        let places = state.held.servers().filter(|(service, server)| {
            let figures = stats.services.get(*service).and_then(|s| s.servers.get(&server.slot));
            let empty = figures.is_some_and(|s| s.in_flight == Some(0) && s.queued == Some(0));
            server.state == ServerState::Drain && empty
        });
        Ok(places.map(|(service, server)| (service.clone(), server.slot)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::backends::tests::backend;
    use super::super::stats::Entrance;
    use super::*;
    use crate::slots::Subnet;

    #[tokio::test]
    async fn a_draining_server_is_drained_once_its_figures_are_zero() {
        let fake = FakeLoadBalancer::default();
        let states = [ServerState::Ready, ServerState::Drain];
        let desired = Backends::new(vec![backend("store", "/", 1, &states)]).unwrap();
        fake.apply(&desired).await.unwrap();
        let (store, slot) = ("store".parse::<ServiceName>().unwrap(), Slot::try_from(2).unwrap());
        let in_flight = |count| {
            fake.set_figures(|services| {
                let servers = &mut services.get_mut(&store).unwrap().servers;
                servers.get_mut(&slot).unwrap().in_flight = Some(count);
            });
        };
        in_flight(1);
        let stats = fake.scrape().await.unwrap();
        assert!(fake.drained(&stats).await.unwrap().is_empty());
        in_flight(0);
        let stats = fake.scrape().await.unwrap();
        assert_eq!(fake.drained(&stats).await.unwrap(), [(store, slot)].into());
    }

    #[tokio::test]
    async fn failures_last_until_they_are_taken_back() {
        let fake = FakeLoadBalancer::default();
        fake.fail_scrape(Some(|| {
            Stats::parse("", Entrance::Socket, Instant::now(), Subnet::DEFAULT).unwrap_err()
        }));
        assert!(matches!(fake.scrape().await, Err(StatsError::NotStatistics { .. })));
        fake.fail_scrape(None);
        assert!(fake.scrape().await.is_ok());
        fake.fail_apply(Some(|| HaproxyError::Refused { command: "c".into(), reply: "r".into() }));
        assert!(fake.apply(&Backends::default()).await.is_err());
        fake.fail_apply(None);
        assert!(fake.apply(&Backends::default()).await.is_ok());
        assert_eq!(fake.changes(), 0);
    }
}
