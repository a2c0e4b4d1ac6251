//! Who may reach what, as the scaler tells it to the proxy by a file.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::Egress;
use crate::names::{InstanceName, ServiceName};

/// The instances that may reach something, by their addresses, and what each service may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    services: BTreeMap<ServiceName, Egress>,
    instances: BTreeMap<Ipv4Addr, InstanceName>,
}

/// An instance that may reach something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Its name.
    pub instance: &'a InstanceName,
    /// What it may reach.
    pub egress: &'a Egress,
}

impl Sources {
    /// Whether nobody may reach anything.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// The instances that may reach something.
    pub fn instances(&self) -> impl Iterator<Item = &InstanceName> {
        self.instances.values()
    }

    /// From now on the instance has this address, whoever had it before, and its service may reach
    /// this.
    pub fn admit(&mut self, address: Ipv4Addr, instance: &InstanceName, egress: &Egress) {
        if egress.is_none() {
            self.instances.remove(&address);
            return;
        }
        // A list is the same for each instance of a service, and copied once.
        if self.services.get(instance.service()) != Some(egress) {
            self.services.insert(instance.service().clone(), egress.clone());
        }
        self.instances.insert(address, instance.clone());
    }

    /// The instance with this address; `None` where none has it that may reach anything.
    pub fn at(&self, address: Ipv4Addr) -> Option<Source<'_>> {
        let instance = self.instances.get(&address)?;
        let egress = self.services.get(instance.service())?;
        Some(Source { instance, egress })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 117, 0, 2);

    fn egress(entry: &str) -> Egress {
        Egress::new(vec![entry.parse().unwrap()])
    }

    #[test]
    fn who_has_an_address_next_has_nothing_of_who_had_it_before() {
        let mut sources = Sources::default();
        let (web, quiet) = ("bw-web-1-x".parse().unwrap(), "bw-quiet-1-y".parse().unwrap());
        sources.admit(ADDRESS, &web, &egress("example.org:443"));
        assert_eq!(sources.at(ADDRESS).unwrap().instance, &web);
        sources.admit(ADDRESS, &quiet, &Egress::default());
        assert_eq!(sources.at(ADDRESS), None);
        assert!(sources.is_empty());
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        let mut sources = Sources::default();
        sources.admit(ADDRESS, &"bw-web-1-x".parse().unwrap(), &egress("*.example.org:443"));
        let json = serde_json::to_string(&sources).unwrap();
        insta::assert_snapshot!(json, @r#"{"services":{"web":["*.example.org:443"]},"instances":{"10.117.0.2":"bw-web-1-x"}}"#);
        assert_eq!(serde_json::from_str::<Sources>(&json).unwrap(), sources);
        for spoilt in [
            "",
            "{}",
            "{\"services\":{}}",
            &json.replace(":443", ""),
            &json.replace("web\":", "Web\":"),
        ] {
            assert!(serde_json::from_str::<Sources>(spoilt).is_err(), "{spoilt}");
        }
    }
}
