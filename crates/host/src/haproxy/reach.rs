//! What instances may reach, in the words in which HAProxy is told: entries of the map that it asks at
//! each request from an instance.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::names::ServiceName;

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

/// An address leads to the service that it is an instance's of, and an address and a name, as in
/// `10.117.0.2/store`, to the backend of that name. What has no entry may reach nothing.
pub(super) fn entries(reaches: &[Reach]) -> Entries {
    let of_instance = |Reach { address, service, reached }: &Reach| {
        let own = (address.to_string(), service.to_string());
        let edges = reached.iter().map(|name| (format!("{address}/{name}"), name.to_string()));
        std::iter::once(own).chain(edges).collect::<Vec<_>>()
    };
    reaches.iter().flat_map(of_instance).collect()
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
        let held = entries(&[
            reach("10.117.0.2", "front", &["store", "queue"]),
            reach("10.117.0.3", "front", &["store"]),
        ]);
        let wanted = entries(&[
            reach("10.117.0.2", "api", &["store"]),
            reach("10.117.0.4", "front", &["store"]),
        ]);
        insta::assert_snapshot!(commands("/m", &held, &wanted).join("\n"), @"
        del map /m 10.117.0.2/queue
        del map /m 10.117.0.3
        del map /m 10.117.0.3/store
        set map /m 10.117.0.2 api
        add map /m 10.117.0.4 front
        add map /m 10.117.0.4/store store
        ");
        assert!(commands("/m", &wanted, &wanted).is_empty());
        assert!(wanted.keys().all(|key| is_entry(key)));
        assert!(!is_entry("store.1"));
    }
}
