//! What kind of place an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is, by the registries of special addresses (RFC 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// It is reached over the internet. The addresses of documentation count among these: nobody has
    /// them, so there is nothing to protect, and tests can name them without naming anybody.
    Public,
    /// It is of a network of somebody's own: RFC 1918, unique local, shared by a provider's customers
    /// (RFC 6598), or for measurements.
    Private,
    /// It leads to this host, to its link or to nobody, or it holds another address: loopback, link-local
    /// with the metadata services of clouds, multicast, unspecified, and the forms of IPv6 that hold an
    /// IPv4 address.
    Reserved,
}

impl AddressKind {
    /// The kind of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        // The metadata services of clouds that do not lie on the link: Azure's and Alibaba's.
        [168, 63, 129, 16] | [100, 100, 100, 200] => AddressKind::Reserved,
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [198, 18..=19, ..] => AddressKind::Private,
        // This host, loopback, link-local, protocols' own, the relay of 6to4; multicast, the reserved
        // and broadcast.
        [0 | 127, ..] | [169, 254, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [224..=255, ..] => {
            AddressKind::Reserved
        }
        _ => AddressKind::Public,
    }
}

/// Only 2000::/3 is given out. Mapped addresses, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), loopback,
/// link-local, site-local and multicast lie outside of it.
fn of_v6(address: Ipv6Addr) -> AddressKind {
    match address.segments() {
        // The metadata services of AWS and of Google.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            AddressKind::Reserved
        }
        // fc00::/7: unique local.
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        // 2001::/23, protocols' own, which holds Teredo; 2002::/16, 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => AddressKind::Reserved,
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_all(kind: AddressKind, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(AddressKind::of(address.parse().unwrap()), kind, "{address}");
        }
    }

    #[test]
    fn what_leads_to_this_host_its_link_or_another_address_is_reserved() {
        assert_all(
            AddressKind::Reserved,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "127.0.0.1",
                "127.255.255.254",
                "169.254.169.254",
                "168.63.129.16",
                "100.100.100.200",
                "fd00:ec2::254",
                "fd20:ce::254",
                "169.254.0.1",
                "192.0.0.1",
                "192.0.0.192",
                "192.88.99.1",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::1",
                "::127.0.0.1",
                "::ffff:127.0.0.1",
                "::ffff:203.0.113.5",
                "::ffff:0:10.0.0.1",
                "64:ff9b::10.0.0.1",
                "64:ff9b:1::1",
                "100::1",
                "fe80::1",
                "febf::1",
                "fec0::1",
                "ff02::1",
                "2001::1",
                "2001:1ff::1",
                "2002:a00:1::1",
                "5f00::1",
            ],
        );
    }

    #[test]
    fn networks_of_somebodys_own_are_private() {
        assert_all(
            AddressKind::Private,
            &[
                "10.0.0.1",
                "10.255.255.255",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.0.1",
                "100.64.0.1",
                "100.100.100.201",
                "100.127.255.255",
                "198.18.0.1",
                "198.19.255.255",
                "fc00::1",
                "fd00:ec2::255",
                "fdff::1",
            ],
        );
    }

    #[test]
    fn what_lies_beside_the_special_ranges_is_public() {
        assert_all(
            AddressKind::Public,
            &[
                "1.0.0.1",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "203.0.113.5",
                "223.255.255.255",
                "2001:200::1",
                "2001:db8::5",
                "2003::1",
                "2606:4700::1",
            ],
        );
    }
}
