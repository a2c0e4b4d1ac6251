//! What is known of the host now, as the scaler told it last.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::feed::ServiceFeed;
use model::names::{InstanceName, ServiceName};
use model::network::NetworkStatus;
use model::status::{HostStatus, ServiceStatus};
use model::tick::Tick;
use serde_json::Value;
use tokio::time::Instant;

use crate::events::Event;
use crate::series::point::Row;

/// A service that was not told of for so long is not deployed any more: each is told of once a second.
const GONE: Duration = Duration::from_secs(5);

/// Events that are known without asking the history.
pub const EVENTS: usize = 100;

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
    /// The memory of their instances, in bytes, as far as it is known.
    memory: BTreeMap<ServiceName, BTreeMap<InstanceName, u64>>,
    ticks: BTreeMap<ServiceName, Tick>,
    /// The last second of each service.
    seconds: BTreeMap<ServiceName, Row>,
    /// What happened last, the newest first; it stays while the scaler is away.
    events: VecDeque<Event>,
    network: NetworkStatus,
    /// Why the scaler does not tell; `None` while it does.
    away: Option<String>,
    is_told: bool,
}

/// All that is known, of one moment.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The services.
    pub host: HostStatus,
    /// The last second of each.
    pub seconds: BTreeMap<ServiceName, Row>,
    /// The memory that instances need, in bytes, as far as it is known.
    pub memory: BTreeMap<InstanceName, u64>,
    /// What happened last, the newest first.
    pub events: Vec<Event>,
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
        let memory = feed.instances.iter();
        let memory = memory.filter_map(|it| Some((it.name.clone(), it.memory_bytes?))).collect();
        inner.memory.insert(name.clone(), memory);
        inner.services.insert(name, (Instant::now(), feed.status.clone()));
        inner.is_told = true;
    }

    /// A turn was taken.
    pub fn tick(&self, tick: Tick) {
        self.lock().ticks.insert(tick.service.clone(), tick);
    }

    /// A second of a service is over.
    pub fn second(&self, row: Row) {
        self.lock().seconds.insert(row.service.clone(), row);
    }

    /// Something happened. What the history has of before is given first, oldest first.
    pub fn happened(&self, event: Event) {
        let mut inner = self.lock();
        inner.events.push_front(event);
        inner.events.truncate(EVENTS);
    }

    /// The instances' firewall is like this.
    pub fn network(&self, network: NetworkStatus) {
        let mut inner = self.lock();
        inner.network = network;
        inner.is_told = true;
        // It is told once a second, whatever there is of services.
        let Inner { services, ticks, terms, memory, seconds, .. } = &mut *inner;
        services.retain(|_, (at, _)| at.elapsed() < GONE);
        terms.retain(|name, _| services.contains_key(name));
        memory.retain(|name, _| services.contains_key(name));
        ticks.retain(|name, _| services.contains_key(name));
        seconds.retain(|name, _| services.contains_key(name));
    }

    /// The scaler tells again.
    pub fn found(&self) {
        self.lock().away = None;
    }

    /// The scaler does not tell any more. What it told is not of now.
    pub fn lost(&self, why: String) {
        let mut inner = self.lock();
        let events = std::mem::take(&mut inner.events);
        *inner = Inner { away: Some(why), events, ..Inner::default() };
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
        self.lock().host()
    }

    /// All that is known, of one moment.
    pub fn picture(&self) -> Picture {
        let inner = self.lock();
        Picture {
            host: inner.host(),
            seconds: inner.seconds.clone(),
            memory: inner.memory.values().flatten().map(|(name, it)| (name.clone(), *it)).collect(),
            events: inner.events.iter().cloned().collect(),
        }
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
    fn host(&self) -> HostStatus {
        let services = self.services.keys().filter_map(|name| self.status(name));
        HostStatus { services: services.collect(), network: self.network.clone() }
    }

    /// A service with its last turn, which may be a few tenths younger than the rest.
    fn status(&self, name: &ServiceName) -> Option<ServiceStatus> {
        let (at, status) = self.services.get(name)?;
        if at.elapsed() >= GONE {
            return None;
        }
        Some(ServiceStatus { tick: self.ticks.get(name).cloned(), ..status.clone() })
    }
}
