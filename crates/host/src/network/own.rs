//! Whether an address is one of this host's own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use nix::errno::Errno;

/// Whether packets to an address stay on this host: one of an interface of it, or one that a route makes its
/// own. Where the kernel does not say, the address counts as the host's.
pub fn is_own(address: IpAddr) -> bool {
    is_of_an_interface(address) || leads_to_itself(address)
}

/// Whether an interface has the address. An interface's second address of one network is told by this alone: the
/// kernel leaves for it from the first.
fn is_of_an_interface(address: IpAddr) -> bool {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return true };
    all.filter_map(|interface| interface.address).any(|own| match address {
        IpAddr::V4(address) => own.as_sockaddr_in().is_some_and(|own| own.ip() == address),
        IpAddr::V6(address) => own.as_sockaddr_in6().is_some_and(|own| own.ip() == address),
    })
}

/// Whether the kernel, which is asked how it would send and sends nothing, leaves for the address from that very
/// address: a route makes all of 127.0.0.0/8 the host's own, and maybe others that no interface has.
fn leads_to_itself(address: IpAddr) -> bool {
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
