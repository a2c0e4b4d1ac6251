//! What instances may reach, in the words in which HAProxy is told: entries of the map that it asks at
//! each request from an instance.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::names::ServiceName;

use super::backends::Backends;

/// What one instance may reach through the load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The instance's address, by which it is known.
    pub address: Ipv4Addr,
    /// Its service.
    pub service: ServiceName,
    /// The services that it may send requests to.
    pub reached: BTreeSet<ServiceName>,
}

/// The values of the map by their keys.
pub(super) type Entries = BTreeMap<String, String>;

/// An address leads to the service that it is an instance's of; an address and a name, as in
/// `10.117.0.2/store`, to the backend of that name; and an address and a port, as in `10.117.0.2:5432`, to the
/// backend that takes connections there. What has no entry may reach nothing.
pub(super) fn entries(desired: &Backends) -> Entries {
    let edge = |Reach { address, .. }: &Reach, name: &ServiceName| {
        let backend = desired.iter().find(|backend| backend.service == *name)?;
        let key = match backend.tcp_port {
            None => format!("{address}/{name}"),
            Some(port) => format!("{address}:{port}"),
        };
        Some((key, name.to_string()))
    };
    let of_instance = |reach: &Reach| {
        let own = (reach.address.to_string(), reach.service.to_string());
        let edges = reach.reached.iter().filter_map(|name| edge(reach, name));
        std::iter::once(own).chain(edges).collect::<Vec<_>>()
    };
    desired.reaches().iter().flat_map(of_instance).collect()
}

/// Whether a key of the map is one of these. The other keys are lines' names, and begin with a letter.
pub(super) fn is_entry(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_digit())
}

/// The commands that lead from the entries that a process holds to those wanted. What is taken away comes
/// first: an address may have become another service's.
pub(super) fn commands(map: &str, held: &Entries, wanted: &Entries) -> Vec<String> {
    let gone = held.keys().filter(|key| !wanted.contains_key(*key));
    let gone = gone.map(|key| format!("del map {map} {key}"));
    let come = wanted.iter().filter_map(|(key, value)| match held.get(key) {
        Some(held) if held == value => None,
        Some(_) => Some(format!("set map {map} {key} {value}")),
        None => Some(format!("add map {map} {key} {value}")),
    });
    gone.chain(come).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::backends::Backend;
    use super::super::backends::tests::backend;
    use super::*;

    /// An instance of this service that may reach these.
    pub(crate) fn reach(address: &str, service: &str, reached: &[&str]) -> Reach {
        Reach {
            address: address.parse().unwrap(),
            service: service.parse().unwrap(),
            reached: reached.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn an_address_that_becomes_another_services_loses_what_it_had_first() {
        let db = Backend { tcp_port: Some(5432), ..backend("db", "/db", 1, &[]) };
        let services = vec![backend("store", "/", 1, &[]), backend("queue", "/q", 1, &[]), db];
        let backends = Backends::new(services).unwrap();
        let entries = |reaches: Vec<Reach>| entries(&backends.clone().with_reaches(reaches));
        let held = entries(vec![
            reach("10.117.0.2", "front", &["store", "queue"]),
            reach("10.117.0.3", "front", &["store"]),
        ]);
        let wanted = entries(vec![
            reach("10.117.0.2", "api", &["store", "gone"]),
            reach("10.117.0.4", "front", &["db", "store"]),
        ]);
        insta::assert_snapshot!(commands("/m", &held, &wanted).join("\n"), @"
        del map /m 10.117.0.2/queue
        del map /m 10.117.0.3
        del map /m 10.117.0.3/store
        set map /m 10.117.0.2 api
        add map /m 10.117.0.4 front
        add map /m 10.117.0.4/store store
        add map /m 10.117.0.4:5432 db
        ");
        assert!(commands("/m", &wanted, &wanted).is_empty());
        assert!(wanted.keys().all(|key| is_entry(key)));
        assert!(!is_entry("store.1"));
    }
}
