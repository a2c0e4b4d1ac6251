//! Whether an address is one of this host's own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use nix::errno::Errno;

/// Whether packets to an address stay on this host: one of an interface of it, or one that a route makes its
/// own. The kernel is asked how it would send, and nothing is sent: it leaves for an address of its own
/// from that very address. Where it does not say, the address counts as the host's.
pub fn is_own(address: IpAddr) -> bool {
    match source_towards(address) {
        Ok(source) => source == address,
        // There is no way there, and so not to itself.
        Err(error) => !is_unreachable(&error),
    }
}

/// The address that this host would send from.
fn source_towards(address: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Any port will do: a connected socket for datagrams has sent none.
    socket.connect((address, 9))?;
    Ok(socket.local_addr()?.ip())
}

/// A kernel without IPv6 gives no socket for it.
fn is_unreachable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable
    ) || error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_interfaces_are_the_hosts_own_and_those_of_others_are_not() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
        let own = nix::ifaddrs::getifaddrs()
            .unwrap()
            .filter_map(|it| Some(it.address?.as_sockaddr_in()?.ip()));
        for address in own {
            assert!(is_own(address.into()), "{address}");
        }
        // Of documentation, so that it is nobody's; and nothing is sent there.
        assert!(!is_own("203.0.113.5".parse().unwrap()));
        assert!(!is_own("2001:db8::5".parse().unwrap()));
    }
}
