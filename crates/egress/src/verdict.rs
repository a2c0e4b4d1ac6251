//! Whether an address that a name leads to may be connected to. The answer goes by the address alone,
//! whatever the name says.

use std::net::{IpAddr, SocketAddr};

use model::egress::{AddressKind, Egress};

/// Why an address may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barred {
    /// It leads to this host, its link or nobody, or holds another address.
    Reserved,
    /// It is the host's own, or an instance's.
    Own,
    /// It is of a private network, and the service's file does not name it as such.
    Private,
}

/// Whether a service that may reach `egress` may be connected to an address. `is_ours` tells the host's own
/// addresses and those of instances.
pub(crate) fn check(
    address: SocketAddr,
    egress: &Egress,
    is_ours: impl FnOnce(IpAddr) -> bool,
) -> Result<(), Barred> {
    let kind = AddressKind::of(address.ip());
    if kind == AddressKind::Reserved {
        Err(Barred::Reserved)
    } else if is_ours(address.ip()) {
        Err(Barred::Own)
    } else if kind == AddressKind::Private && !egress.names(address) {
        Err(Barred::Private)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a host that has the public address 203.0.113.9 and the network 10.117.0.0/22.
    fn verdict(entries: &[&str], address: &str) -> Result<(), Barred> {
        let egress = Egress::new(entries.iter().map(|entry| entry.parse().unwrap()).collect());
        let ours = |address: IpAddr| match address {
            IpAddr::V4(address) => {
                address.octets()[..2] == [10, 117] || address.octets() == [203, 0, 113, 9]
            }
            IpAddr::V6(_) => false,
        };
        check(address.parse().unwrap(), &egress, ours)
    }

    #[test]
    fn a_name_may_lead_to_public_addresses_alone() {
        let list = ["example.org:443", "any"];
        assert_eq!(verdict(&list, "203.0.113.5:443"), Ok(()));
        assert_eq!(verdict(&list, "[2001:db8::5]:443"), Ok(()));
        for private in ["10.0.0.5:443", "192.168.1.1:443", "100.64.0.1:443", "[fd00::1]:443"] {
            assert_eq!(verdict(&list, private), Err(Barred::Private), "{private}");
        }
        for reserved in [
            "127.0.0.1:443",
            "169.254.169.254:443",
            "0.0.0.0:443",
            "[::1]:443",
            "[::ffff:203.0.113.5]:443",
            "[64:ff9b::cb00:7105]:443",
        ] {
            assert_eq!(verdict(&list, reserved), Err(Barred::Reserved), "{reserved}");
        }
    }

    #[test]
    fn a_private_address_is_reached_where_it_is_named_with_its_port() {
        assert_eq!(verdict(&["10.0.0.5:5432"], "10.0.0.5:5432"), Ok(()));
        assert_eq!(verdict(&["db.example.org:5432", "10.0.0.5:5432"], "10.0.0.5:5432"), Ok(()));
        assert_eq!(verdict(&["10.0.0.5:5432"], "10.0.0.5:22"), Err(Barred::Private));
        assert_eq!(verdict(&["10.0.0.5:5432"], "10.0.0.6:5432"), Err(Barred::Private));
    }

    #[test]
    fn an_address_of_ours_is_never_reached_whatever_is_named() {
        for ours in ["10.117.0.1:80", "10.117.3.200:80", "203.0.113.9:80"] {
            assert_eq!(verdict(&[ours, "any"], ours), Err(Barred::Own), "{ours}");
        }
    }
}
