//! The way out of an instance: which hosts beyond this one a service may reach, by name and port.

mod address;
mod destination;
mod host_name;
mod sources;

use serde::{Deserialize, Serialize};

pub use self::address::AddressKind;
pub use self::destination::{Destination, DestinationError, Host, Target, TargetError};
pub use self::host_name::{HostName, HostNameError};
pub use self::sources::{Source, Sources};

/// The ports of the web, which `"any"` stands for.
const WEB_PORTS: [u16; 2] = [80, 443];

/// What a service may reach beyond this host; nothing unless its file says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Egress(Vec<Destination>);

impl Egress {
    /// These destinations and no others.
    pub fn new(destinations: Vec<Destination>) -> Self {
        Self(destinations)
    }

    /// Whether nothing may be reached.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// What may be reached.
    pub fn destinations(&self) -> &[Destination] {
        &self.0
    }

    /// Whether a target may be asked for. Where it leads is another question:
    /// [`Egress::names`].
    pub fn allows(&self, target: &Target) -> bool {
        self.0.iter().any(|destination| destination.holds(target))
    }

    /// Whether an address and port are named as such: then the address need not be a public one.
    pub fn names(&self, address: std::net::SocketAddr) -> bool {
        self.0.contains(&Destination::Address(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(entries: &[&str]) -> Egress {
        Egress::new(entries.iter().map(|entry| entry.parse().unwrap()).collect())
    }

    fn allows(entries: &[&str], target: &str) -> bool {
        egress(entries).allows(&target.parse().unwrap())
    }

    #[test]
    fn a_name_is_allowed_with_its_port_whatever_its_case() {
        let list = ["Example.ORG.:443"];
        for good in ["example.org:443", "EXAMPLE.org:443", "example.org.:443"] {
            assert!(allows(&list, good), "{good}");
        }
        for bad in [
            "example.org:80",
            "www.example.org:443",
            "example.org.evil.net:443",
            "notexample.org:443",
            "203.0.113.5:443",
        ] {
            assert!(!allows(&list, bad), "{bad}");
        }
    }

    #[test]
    fn a_star_stands_for_every_name_below_and_not_for_the_name_itself() {
        let list = ["*.example.org:443"];
        for good in ["a.example.org:443", "a.b.example.org:443"] {
            assert!(allows(&list, good), "{good}");
        }
        for bad in ["example.org:443", "aexample.org:443", "a.example.org:80"] {
            assert!(!allows(&list, bad), "{bad}");
        }
    }

    #[test]
    fn any_is_every_host_on_the_ports_of_the_web() {
        for good in ["example.org:443", "example.org:80", "203.0.113.5:443", "[2001:db8::5]:80"] {
            assert!(allows(&["any"], good), "{good}");
        }
        for bad in ["example.org:25", "example.org:22", "203.0.113.5:8443"] {
            assert!(!allows(&["any"], bad), "{bad}");
        }
        assert!(allows(&["any", "example.org:22"], "example.org:22"));
    }

    #[test]
    fn an_address_is_named_by_itself_alone() {
        let list = egress(&["10.0.0.5:5432", "[fd00::5]:443", "db.example.org:5432"]);
        assert!(list.names("10.0.0.5:5432".parse().unwrap()));
        assert!(list.names("[fd00::5]:443".parse().unwrap()));
        assert!(!list.names("10.0.0.5:443".parse().unwrap()));
        assert!(!list.names("10.0.0.6:5432".parse().unwrap()));
        assert!(list.allows(&"10.0.0.5:5432".parse().unwrap()));
        assert!(!egress(&["any"]).names("203.0.113.5:443".parse().unwrap()));
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_said() {
        assert!(egress(&[]).is_none() && !allows(&[], "example.org:443"));
    }
}
