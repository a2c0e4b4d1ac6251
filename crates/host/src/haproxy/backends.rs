//! What the load balancer should hold, as checked data: nothing in here can inject a directive.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::num::NonZeroU32;
use std::time::Duration;

use model::names::{ServiceName, Slot};
use model::paths::HealthPath;
use model::service::{HealthCheck, HealthStatus, Route};

use super::checks::Checks;
use super::limits::Limits;
use super::reach::Reach;

/// Something that the load balancer must not be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendsError {
    /// Two backends of one service.
    #[error("service {0} has two backends: give each service one")]
    SameService(ServiceName),
    /// Two services under one route.
    #[error("services {0} and {1} both have the route {2}: give each its own host or path_prefix")]
    SameRoute(ServiceName, ServiceName, Box<Route>),
    /// One slot twice.
    #[error("slot {0} is in rotation twice: a slot holds one instance")]
    SameSlot(Slot),
}

/// What a server is told to do. Whether it is well is for its health check to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerState {
    /// Takes requests.
    Ready,
    /// Ends the requests it has and takes no new ones. Its health is still checked.
    Drain,
    /// Takes nothing and is not checked.
    Maint,
}

/// An instance as the load balancer is to treat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The instance's slot.
    pub slot: Slot,
    /// Where it listens: the slot's address, and a port of its own.
    pub address: SocketAddrV4,
    /// The path of its health check; `None` where to be connected to is enough.
    pub health_path: Option<HealthPath>,
    /// Requests that it is given at a time. More than these wait in HAProxy's queue.
    pub concurrency: NonZeroU32,
    /// What it is told to do.
    pub state: ServerState,
}

/// One service with its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The service, which is also HAProxy's name of the backend.
    pub service: ServiceName,
    /// The requests that go to it; `None` for a service that gets none from outside, whose instances' health
    /// is checked all the same.
    pub route: Option<Route>,
    /// How often the health of its instances is checked. A change is a reload.
    pub health_check: HealthCheck,
    /// The statuses by which an instance of any version that there may be says that it can serve: HAProxy
    /// knows one list for a backend. A change is a reload.
    pub health_statuses: BTreeSet<HealthStatus>,
    /// Whether there may be instances of a version that names no health path, and can serve when they take
    /// connections. A change is a reload.
    pub some_by_connection: bool,
    /// The port by which instances of others reach it, where it takes connections and not requests.
    pub tcp_port: Option<u16>,
    /// How many instances it may come to have. Up to there, and room allowing, one more costs no
    /// reload. A change of this alone costs none either.
    pub max_servers: u32,
    /// How long an instance may take to end its requests, and so how long a request may take. A change
    /// beyond a minute is a reload.
    pub drain_timeout: Duration,
    /// The instances in rotation. One that is not named here is out of it.
    pub servers: Vec<Server>,
}

impl Backend {
    /// What is said of it that only a reload changes.
    pub(super) fn fixed(&self) -> Fixed<'_> {
        let limits = Limits::of(self.drain_timeout);
        let checks = Checks::of(self);
        (&self.service, self.route.as_ref(), self.tcp_port.is_some(), limits, checks)
    }
}

/// What only a reload changes of a backend: its name, its route, whether it is of TCP, its limits, and its
/// health checks.
pub(super) type Fixed<'a> = (&'a ServiceName, Option<&'a Route>, bool, Limits, Checks);

/// All services: no two share a name or a route, and no two instances a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backends {
    backends: Vec<Backend>,
    reaches: Vec<Reach>,
}

impl Backends {
    /// Checks `backends` against each other, and puts backends by name and servers by slot, so
    /// that the same fleet always renders to the same text. Servers in maintenance are left out.
    ///
    /// # Errors
    /// Two backends share a service or a route, or two servers a slot.
    pub fn new(mut backends: Vec<Backend>) -> Result<Self, BackendsError> {
        backends.sort_by(|a, b| a.service.cmp(&b.service));
        let (mut slots, mut routes) = (BTreeSet::new(), BTreeMap::new());
        for backend in &mut backends {
            backend.servers.retain(|server| server.state != ServerState::Maint);
            backend.servers.sort_by_key(|server| server.slot);
            if let Some(server) = backend.servers.iter().find(|server| !slots.insert(server.slot)) {
                return Err(BackendsError::SameSlot(server.slot));
            }
        }
        for (a, b) in backends.iter().zip(backends.iter().skip(1)) {
            if a.service == b.service {
                return Err(BackendsError::SameService(a.service.clone()));
            }
        }
        for Backend { service, route, .. } in &backends {
            let Some(route) = route else { continue };
            if let Some(other) = routes.insert(route.matched(), service) {
                let (first, second) = (other.clone(), service.clone());
                return Err(BackendsError::SameRoute(first, second, Box::new(route.clone())));
            }
        }
        Ok(Self { backends, reaches: Vec::new() })
    }

    /// The same, in which these instances may reach others. Services that are not among these are left
    /// out of what they reach.
    #[must_use]
    pub fn with_reaches(mut self, mut reaches: Vec<Reach>) -> Self {
        for reach in &mut reaches {
            reach.reached.retain(|name| self.iter().any(|backend| backend.service == *name));
        }
        reaches.retain(|reach| !reach.reached.is_empty());
        reaches.sort_by_key(|reach| reach.address);
        self.reaches = reaches;
        self
    }

    /// What instances may reach, by their addresses.
    pub fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    /// The backends, by the name of their service.
    pub fn iter(&self) -> std::slice::Iter<'_, Backend> {
        self.backends.iter()
    }

    /// Every server with its service.
    pub fn servers(&self) -> impl Iterator<Item = (&ServiceName, &Server)> {
        self.iter()
            .flat_map(|backend| backend.servers.iter().map(|server| (&backend.service, server)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::slots::Subnet;

    /// A backend of `service` under `prefix` for at most 4 servers, with one for each state, in slots
    /// from `first`.
    pub(crate) fn backend(
        service: &str,
        prefix: &str,
        first: u32,
        states: &[ServerState],
    ) -> Backend {
        let servers = (first..).zip(states).map(|(number, &state)| {
            let slot = Slot::try_from(number).unwrap();
            let ip = Subnet::DEFAULT.address(slot).unwrap();
            Server {
                slot,
                address: SocketAddrV4::new(ip, 8080),
                health_path: Some("/healthz".parse().unwrap()),
                concurrency: NonZeroU32::new(8).unwrap(),
                state,
            }
        });
        Backend {
            service: service.parse().unwrap(),
            route: Some(Route::below(prefix.parse().unwrap())),
            health_check: HealthCheck::default(),
            health_statuses: [HealthStatus::default()].into(),
            some_by_connection: false,
            tcp_port: None,
            max_servers: 4,
            drain_timeout: Duration::from_secs(30),
            servers: servers.collect(),
        }
    }

    #[test]
    fn services_that_share_what_must_be_their_own_are_refused() {
        use ServerState::{Drain, Maint, Ready};
        let store = backend("store", "/", 1, &[Ready, Maint]);
        let with = |other: Backend| Backends::new(vec![store.clone(), other]);
        let refused = |other| with(other).unwrap_err();
        assert!(matches!(refused(backend("store", "/b", 5, &[])), BackendsError::SameService(_)));
        assert!(matches!(refused(backend("b", "/", 5, &[])), BackendsError::SameRoute(..)));
        let other_view = Route { strips_prefix: true, ..Route::below("/".parse().unwrap()) };
        let other_view = Backend { route: Some(other_view), ..backend("b", "/b", 5, &[]) };
        assert!(matches!(refused(other_view), BackendsError::SameRoute(..)));
        let host = Some("shop.example".parse().unwrap());
        let of_host = Route { host, ..Route::below("/".parse().unwrap()) };
        assert!(with(Backend { route: Some(of_host), ..backend("b", "/b", 5, &[]) }).is_ok());
        assert!(matches!(refused(backend("b", "/b", 1, &[Drain])), BackendsError::SameSlot(_)));
        let mut twice = backend("b", "/b", 5, &[Ready]);
        twice.servers.push(twice.servers[0].clone());
        assert!(matches!(refused(twice), BackendsError::SameSlot(_)));
        let both = with(backend("b", "/b", 1, &[Maint])).unwrap();
        assert_eq!(both.servers().count(), 1, "those in maintenance are left out");
    }
}
