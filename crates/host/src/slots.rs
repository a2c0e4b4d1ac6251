//! What derives from a slot: an instance's address and MAC, its interface on the host, and the name
//! by which clients learn it from the load balancer.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::Ipv4Net;
use model::names::Slot;
use serde::Serialize;

/// The IPv4 network that holds the bridge and all instances. The bridge has the first address after
/// the network's own, and the instance in slot `n` the `n`-th after the bridge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subnet(Ipv4Net);

/// The lengths of prefix, in bits, that a subnet can have: a /16 has 65,536 addresses, far more than
/// there are slots, and a /28 has room for the bridge and 13 instances.
const PREFIX_BITS: RangeInclusive<u8> = 16..=28;

/// A text that is not a network for instances. Says what is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a private IPv4 network (10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16) of /16 to /28 whose host \
     bits are 0, such as 10.117.0.0/22"
)]
pub struct SubnetError;

impl Subnet {
    /// 10.117.0.0/22, which has room for every slot.
    pub const DEFAULT: Self = Self(Ipv4Net::new_assert(Ipv4Addr::new(10, 117, 0, 0), 22));

    /// A network on loopback, for tests whose instances are no containers.
    pub fn on_loopback(second: u8, third: u8) -> Self {
        Self(Ipv4Net::new_assert(Ipv4Addr::new(127, second, third & !3, 0), 22))
    }

    /// The network itself.
    pub fn network(self) -> Ipv4Net {
        self.0
    }

    /// The bridge's own address, which is also the only one that instances can answer to.
    pub fn gateway(self) -> Ipv4Addr {
        self.host(1)
    }

    /// The highest slot that has an address here: 1,000 in a /22, 253 in a /24.
    pub fn last_slot(self) -> u16 {
        let addresses = 1_u32 << (self.0.max_prefix_len() - self.0.prefix_len());
        // Three addresses are no instance's: the network's own, the bridge's and the broadcast.
        u16::try_from(addresses - 3).map_or(Slot::MAX, |fit| fit.min(Slot::MAX))
    }

    /// The address of the instance in a slot; `None` when the network is too small for the slot.
    pub fn address(self, slot: Slot) -> Option<Ipv4Addr> {
        (slot.get() <= self.last_slot()).then(|| self.host(1 + u32::from(slot.get())))
    }

    /// Every slot that has an address here, with it.
    pub fn slots(self) -> impl Iterator<Item = (Slot, Ipv4Addr)> {
        let slots = (1..=self.last_slot()).filter_map(|n| Slot::try_from(u32::from(n)).ok());
        slots.filter_map(move |slot| Some((slot, self.address(slot)?)))
    }

    /// The slot whose instance has this address; `None` for an address that is no instance's.
    pub fn slot(self, address: Ipv4Addr) -> Option<Slot> {
        let number = u32::from(address).checked_sub(u32::from(self.gateway()))?;
        Slot::try_from(number).ok().filter(|slot| slot.get() <= self.last_slot())
    }

    /// Whether the two networks share an address. Of two networks that do, one holds the other.
    pub fn overlaps(self, other: Ipv4Net) -> bool {
        self.0.contains(&other) || other.contains(&self.0)
    }

    fn host(self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.0.network()) + number)
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let network: Ipv4Net = text.parse().map_err(|_| SubnetError)?;
        let is_allowed = PREFIX_BITS.contains(&network.prefix_len())
            && network.addr().is_private()
            && network.addr() == network.network();
        if is_allowed { Ok(Self(network)) } else { Err(SubnetError) }
    }
}

impl Serialize for Subnet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The MAC of a slot's instance. A fixed one keeps the host's neighbour cache right: an address
/// that came back with another MAC was seen to hang connections for up to 9 s.
pub fn mac(slot: Slot) -> String {
    let [high, low] = slot.get().to_be_bytes();
    format!("02:62:77:00:{high:02x}:{low:02x}")
}

/// The bridge's MAC, that of the slot 0 which no instance has. Without a fixed one a bridge takes
/// the lowest MAC of its ports, and changes it as instances come and go.
pub const BRIDGE_MAC: &str = "02:62:77:00:00:00";

/// The name of the host's end of a slot's veth pair.
pub fn interface(slot: Slot) -> String {
    format!("bw{slot}")
}

/// The slot of this interface; `None` for a name of another form.
pub fn of_interface(name: &str) -> Option<Slot> {
    Slot::try_from(name.strip_prefix("bw")?.parse::<u32>().ok()?).ok()
}

/// The name of a slot's instance in the header `x-bellows-server`.
pub fn server(slot: Slot) -> String {
    format!("s{slot}")
}

/// The slot of this name; `None` for a name of another form.
pub fn of_server(name: &str) -> Option<Slot> {
    Slot::try_from(name.strip_prefix('s')?.parse::<u32>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(number: u32) -> Slot {
        Slot::try_from(number).unwrap()
    }

    #[test]
    fn a_slot_gives_address_mac_interface_and_server() {
        let subnet: Subnet = "10.117.0.0/22".parse().unwrap();
        assert_eq!(subnet.gateway(), Ipv4Addr::new(10, 117, 0, 1));
        assert_eq!(subnet.address(slot(1)), Some(Ipv4Addr::new(10, 117, 0, 2)));
        assert_eq!(subnet.address(slot(1000)), Some(Ipv4Addr::new(10, 117, 3, 233)));
        assert_eq!(mac(slot(1000)), "02:62:77:00:03:e8");
        assert_eq!(interface(slot(17)), "bw17");
        assert_eq!(server(slot(17)), "s17");
    }

    #[test]
    fn a_name_is_a_slots_own_or_nobodys() {
        for number in [1, 17, 1000] {
            assert_eq!(of_server(&server(slot(number))), Some(slot(number)));
            assert_eq!(of_interface(&interface(slot(number))), Some(slot(number)));
        }
        for other in ["", "s", "s0", "s1001", "s1x", "17", "hold"] {
            assert_eq!(of_server(other), None, "{other:?}");
        }
        for other in ["", "bw", "bw0", "bw1001", "bw1x", "17", "bellows0"] {
            assert_eq!(of_interface(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_slot_past_the_end_of_a_small_network_has_no_address() {
        let subnet: Subnet = "10.117.8.0/24".parse().unwrap();
        assert_eq!(subnet.last_slot(), 253);
        assert_eq!(subnet.address(slot(253)), Some(Ipv4Addr::new(10, 117, 8, 254)));
        assert_eq!(subnet.address(slot(254)), None);
        for nobodys in [[10, 117, 8, 0], [10, 117, 8, 1], [10, 117, 8, 255], [127, 0, 0, 1]] {
            assert_eq!(subnet.slot(nobodys.into()), None, "{nobodys:?}");
        }
    }

    #[test]
    fn only_private_networks_of_a_sane_size_are_taken() {
        for bad in ["", "10.0.0.0", "10.0.0.0/8", "10.0.0.0/30", "10.0.0.1/24", "8.8.8.0/24"] {
            assert_eq!(bad.parse::<Subnet>(), Err(SubnetError), "{bad:?}");
        }
    }

    #[test]
    fn networks_overlap_when_one_holds_the_other() {
        let subnet: Subnet = "10.117.0.0/22".parse().unwrap();
        for (other, overlaps) in
            [("10.0.0.0/8", true), ("10.117.3.9/32", true), ("10.117.4.0/24", false)]
        {
            assert_eq!(subnet.overlaps(other.parse().unwrap()), overlaps, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_two_slots_share_an_address_and_none_has_the_gateways(a in 1_u32..=1000, b in 1_u32..=1000) {
            let subnet: Subnet = "10.117.0.0/22".parse().unwrap();
            let (first, second) = (subnet.address(slot(a)), subnet.address(slot(b)));
            prop_assert_eq!(first == second, a == b);
            prop_assert!(first.is_some_and(|address| address != subnet.gateway()));
            prop_assert_eq!(first.and_then(|address| subnet.slot(address)), Some(slot(a)));
            prop_assert_eq!(mac(slot(a)) == mac(slot(b)), a == b);
        }
    }
}
