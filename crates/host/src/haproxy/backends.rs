//! What the load balancer should hold, as checked data: nothing in here can inject a directive.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::num::NonZeroU32;

use model::names::{ServiceName, Slot};
use model::paths::{HealthPath, PathPrefix};
use serde::{Deserialize, Serialize};

/// Something that the load balancer must not be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendsError {
    /// Two backends of one service.
    #[error("service {0} has two backends: give each service one")]
    SameService(ServiceName),
    /// Two services under one route.
    #[error("services {0} and {1} both have the route {2}: give each its own path_prefix")]
    SameRoute(ServiceName, ServiceName, PathPrefix),
    /// A slot twice in one backend.
    #[error("slot {slot} is twice in the backend of {service}")]
    SameSlot {
        /// The backend's service.
        service: ServiceName,
        /// The slot.
        slot: Slot,
    },
    /// One slot in rotation twice.
    #[error("slot {0} is in rotation for two services: a slot holds one instance")]
    SharedSlot(Slot),
}

/// What a server is told to do. Whether it is well is for its health check to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// Takes requests.
    Ready,
    /// Ends the requests it has and takes no new ones. Its health is still checked.
    Drain,
    /// Takes nothing and is not checked: a free slot, or one whose instance is not serving yet.
    Maint,
}

/// One slot of a service, as HAProxy's server `s{slot}` with the id `{slot}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Server {
    /// The slot.
    pub slot: Slot,
    /// Where the slot's instance listens. It derives from the slot, so it never changes.
    pub address: SocketAddrV4,
    /// What the server is told to do.
    pub state: ServerState,
}

/// One service, with all of its slots: those in use and the spare ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// The service, which is also HAProxy's name of the backend.
    pub service: ServiceName,
    /// The paths that go to it.
    pub path_prefix: PathPrefix,
    /// The path of its health check.
    pub health_path: HealthPath,
    /// Requests in flight for each server. More than these wait in HAProxy's queue.
    pub concurrency: NonZeroU32,
    /// The slots, in use or spare. A slot that is not listed costs a reload when it is first used.
    pub servers: Vec<Server>,
}

/// All services: no two share a name or a route, and no slot is in rotation twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Backends(Vec<Backend>);

impl Backends {
    /// Checks `backends` against each other, and puts backends by name and servers by slot, so
    /// that the same fleet always renders to the same text.
    ///
    /// # Errors
    /// Two backends share a service, a route or a slot in rotation, or one lists a slot twice.
    pub fn new(mut backends: Vec<Backend>) -> Result<Self, BackendsError> {
        backends.sort_by(|a, b| a.service.cmp(&b.service));
        let mut in_rotation = BTreeSet::new();
        for backend in &mut backends {
            backend.servers.sort_by_key(|server| server.slot);
            for pair in backend.servers.windows(2) {
                if let [a, b] = pair
                    && a.slot == b.slot
                {
                    let service = backend.service.clone();
                    return Err(BackendsError::SameSlot { service, slot: a.slot });
                }
            }
            for server in &backend.servers {
                if server.state != ServerState::Maint && !in_rotation.insert(server.slot) {
                    return Err(BackendsError::SharedSlot(server.slot));
                }
            }
        }
        for (index, a) in backends.iter().enumerate() {
            for b in backends.iter().skip(index + 1) {
                if a.service == b.service {
                    return Err(BackendsError::SameService(a.service.clone()));
                }
                if a.path_prefix == b.path_prefix {
                    let (first, second) = (a.service.clone(), b.service.clone());
                    return Err(BackendsError::SameRoute(first, second, a.path_prefix.clone()));
                }
            }
        }
        Ok(Self(backends))
    }

    /// The backends, by the name of their service.
    pub fn iter(&self) -> impl Iterator<Item = &Backend> {
        self.0.iter()
    }

    /// Every server with its service.
    pub fn servers(&self) -> impl Iterator<Item = (&ServiceName, &Server)> {
        self.0
            .iter()
            .flat_map(|backend| backend.servers.iter().map(|server| (&backend.service, server)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A backend of `service` under `prefix`, with one server for each state, in slots from `first`.
    pub(crate) fn backend(
        service: &str,
        prefix: &str,
        first: u32,
        states: &[ServerState],
    ) -> Backend {
        let servers = (first..).zip(states).map(|(number, &state)| {
            let address =
                SocketAddrV4::new([127, 0, 1, 1].into(), 9000 + u16::try_from(number).unwrap());
            Server { slot: Slot::try_from(number).unwrap(), address, state }
        });
        Backend {
            service: service.parse().unwrap(),
            path_prefix: prefix.parse().unwrap(),
            health_path: "/healthz".parse().unwrap(),
            concurrency: NonZeroU32::new(8).unwrap(),
            servers: servers.collect(),
        }
    }

    #[test]
    fn services_that_share_what_must_be_their_own_are_refused() {
        use ServerState::{Maint, Ready};
        let store = backend("store", "/", 1, &[Ready, Maint]);
        let refused = |other: Backend| Backends::new(vec![store.clone(), other]).unwrap_err();
        assert!(matches!(refused(backend("store", "/b", 5, &[])), BackendsError::SameService(_)));
        assert!(matches!(refused(backend("b", "/", 5, &[])), BackendsError::SameRoute(..)));
        assert!(matches!(refused(backend("b", "/b", 1, &[Ready])), BackendsError::SharedSlot(_)));
        let mut twice = backend("b", "/b", 5, &[Maint]);
        twice.servers.push(twice.servers[0]);
        assert!(matches!(refused(twice), BackendsError::SameSlot { .. }));
        assert!(Backends::new(vec![store.clone(), backend("b", "/b", 1, &[Maint])]).is_ok());
    }
}
