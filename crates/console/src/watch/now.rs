//! What is known of the host now, as the scaler told it last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::feed::ServiceFeed;
use model::names::ServiceName;
use model::network::NetworkStatus;
use model::status::{HostStatus, ServiceStatus};
use model::tick::Tick;
use serde_json::Value;
use tokio::time::Instant;

/// A service that was not told of for so long is not deployed any more: each is told of once a second.
const GONE: Duration = Duration::from_secs(5);

/// What is known now.
#[derive(Debug, Default)]
pub struct Now {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    services: BTreeMap<ServiceName, (Instant, ServiceStatus)>,
    /// What decisions read of their descriptions, as far as the scaler tells it.
    terms: BTreeMap<ServiceName, Value>,
    ticks: BTreeMap<ServiceName, Tick>,
    network: NetworkStatus,
    /// Why the scaler does not tell; `None` while it does.
    away: Option<String>,
    is_told: bool,
}

/// Whether what is known is of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is.
    Now,
    /// It is not: the scaler does not tell, for this reason.
    Away(String),
}

impl Now {
    /// A service is like this.
    pub fn service(&self, feed: &ServiceFeed) {
        let mut inner = self.lock();
        let name = feed.status.name.clone();
        match &feed.terms {
            // It is told each second, and is mostly what it was.
            Some(terms) if inner.terms.get(&name) == Some(terms) => {}
            Some(terms) => drop(inner.terms.insert(name.clone(), terms.clone())),
            None => drop(inner.terms.remove(&name)),
        }
        inner.services.insert(name, (Instant::now(), feed.status.clone()));
        inner.is_told = true;
    }

    /// A turn was taken.
    pub fn tick(&self, tick: Tick) {
        self.lock().ticks.insert(tick.service.clone(), tick);
    }

    /// The instances' firewall is like this.
    pub fn network(&self, network: NetworkStatus) {
        let mut inner = self.lock();
        inner.network = network;
        inner.is_told = true;
        // It is told once a second, whatever there is of services.
        let Inner { services, ticks, terms, .. } = &mut *inner;
        services.retain(|_, (at, _)| at.elapsed() < GONE);
        terms.retain(|name, _| services.contains_key(name));
        ticks.retain(|name, _| services.contains_key(name));
    }

    /// The scaler tells again.
    pub fn found(&self) {
        self.lock().away = None;
    }

    /// The scaler does not tell any more. What it told is not of now.
    pub fn lost(&self, why: String) {
        let mut inner = self.lock();
        *inner = Inner { away: Some(why), ..Inner::default() };
    }

    /// Whether what is known is of now.
    pub fn seen(&self) -> Seen {
        let inner = self.lock();
        match &inner.away {
            Some(why) => Seen::Away(why.clone()),
            None if inner.is_told => Seen::Now,
            None => Seen::Away("it has told nothing yet".to_owned()),
        }
    }

    /// All services.
    pub fn host(&self) -> HostStatus {
        let inner = self.lock();
        let services = inner.services.keys().filter_map(|name| inner.status(name));
        HostStatus { services: services.collect(), network: inner.network.clone() }
    }

    /// The names of all services.
    pub fn names(&self) -> BTreeSet<ServiceName> {
        self.lock().services.keys().cloned().collect()
    }

    /// One service.
    pub fn one(&self, name: &ServiceName) -> Option<ServiceStatus> {
        self.lock().status(name)
    }

    /// What decisions read of a service's description, with the keys of its file; `None` where the scaler does not tell it.
    pub fn terms(&self, name: &ServiceName) -> Option<Value> {
        self.lock().terms.get(name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A service with its last turn, which may be a few tenths younger than the rest.
    fn status(&self, name: &ServiceName) -> Option<ServiceStatus> {
        let (at, status) = self.services.get(name)?;
        if at.elapsed() >= GONE {
            return None;
        }
        Some(ServiceStatus { tick: self.ticks.get(name).cloned(), ..status.clone() })
    }
}
