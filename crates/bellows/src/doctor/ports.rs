//! The check that the ports Bellows listens on are free, or held by the running Bellows itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::finding::{Check, Finding};

/// A TCP socket that listens, as the kernel lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    /// The socket's inode number, by which the process that holds it is found.
    pub(super) inode: u64,
}

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    pub(super) program: String,
    /// Whether it is part of the running Bellows.
    pub(super) ours: bool,
}

/// A port that Bellows is to listen on, or that nobody may, and who listens there now.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The key in `bellows.toml`; `None` where nobody may listen.
    pub(super) key: Option<&'static str>,
    pub(super) address: SocketAddr,
    pub(super) state: PortState,
}

/// Whether a wanted port can be had.
#[derive(Debug)]
pub(super) enum PortState {
    Free,
    /// Held by a process that could be found.
    Held(Holder),
    /// Held, and no process shows the socket among its open files.
    HeldByUnknown,
}

/// Whether every wanted port is free or ours.
pub(super) fn ports(wanted: &[Wanted]) -> Finding {
    let mut problems = Vec::new();
    let mut cures = Vec::new();
    for Wanted { key, address, state } in wanted {
        let other = |whose: String| match key {
            Some(key) => format!("{whose}change listen.{key} in bellows.toml"),
            None => "end it: requests that wait for an instance are sent there".to_owned(),
        };
        match state {
            PortState::Free => {}
            PortState::Held(holder) if holder.ours => {}
            PortState::Held(holder) => {
                let Holder { pid, program, .. } = holder;
                problems.push(format!("{address} is held by {program} (process {pid})"));
                cures.push(other(format!("end process {pid}, or ")));
            }
            PortState::HeldByUnknown => {
                problems.push(format!("{address} is held by a process that cannot be seen"));
                cures.push(other(String::new()));
            }
        }
    }
    if problems.is_empty() {
        let addresses: Vec<String> = wanted.iter().map(|w| w.address.to_string()).collect();
        return Finding::good(Check::Ports, format!("free or our own: {}", addresses.join(", ")));
    }
    Finding::bad(Check::Ports, problems.join("; "), cures.join("; "))
}

/// The sockets that listen where `address` is wanted.
pub(super) fn in_the_way(listening: &[Listening], address: SocketAddr) -> Option<Listening> {
    let overlaps = |held: IpAddr| {
        held == address.ip() || held.is_unspecified() || address.ip().is_unspecified()
    };
    listening
        .iter()
        .find(|socket| socket.address.port() == address.port() && overlaps(socket.address.ip()))
        .copied()
}

/// The listening sockets in the text of `/proc/net/tcp` or `/proc/net/tcp6`. Lines that do not
/// read like sockets are passed over.
pub(super) fn listening(table: &str) -> Vec<Listening> {
    table.lines().skip(1).filter_map(listening_line).collect()
}

fn listening_line(line: &str) -> Option<Listening> {
    /// `TCP_LISTEN` of the kernel.
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    let address = SocketAddr::new(kernel_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
    Some(Listening { address, inode })
}

/// An address as the kernel prints it: 32-bit words in the machine's byte order, in hex.
fn kernel_ip(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = hex
        .as_bytes()
        .chunks(8)
        .map(|word| {
            let word = std::str::from_utf8(word).ok()?;
            u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)
        })
        .collect();
    match words?.as_slice() {
        [v4] => Some(Ipv4Addr::from(*v4).into()),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_exact_mut(4).zip([a, b, c, d]) {
                place.copy_from_slice(word);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1582 1 000000008a37879e 100 0 0 10 0
   1: 020200C0:8A36 507100CB:0050 06 00000000:00000000 03:000010A9 00000000     0        0 0 3 00000000a08ea111
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F9A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0000000000000000 100 0 0 10 0
";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_listening_sockets_are_read() {
        let expected = Listening { address: address("127.0.0.1:8080"), inode: 1582 };
        assert_eq!(listening(TCP), [expected]);
        assert_eq!(listening(TCP6), [Listening { address: address("[::]:8090"), inode: 77 }]);
        assert_eq!(listening(""), []);
        assert_eq!(listening("head\nnot a socket\n"), []);
    }

    #[test]
    fn a_socket_on_all_addresses_is_in_the_way_and_one_on_another_is_not() {
        let sockets = [listening(TCP), listening(TCP6)].concat();
        assert!(in_the_way(&sockets, address("127.0.0.1:8080")).is_some());
        assert!(in_the_way(&sockets, address("127.0.0.2:8080")).is_none());
        assert!(in_the_way(&sockets, address("0.0.0.0:8080")).is_some());
        assert!(in_the_way(&sockets, address("127.0.0.1:8090")).is_some());
        assert!(in_the_way(&sockets, address("127.0.0.1:8404")).is_none());
    }

    #[test]
    fn a_port_held_by_us_is_good_and_by_another_is_bad() {
        let held = |ours| Wanted {
            key: Some("services"),
            address: address("127.0.0.1:8080"),
            state: PortState::Held(Holder { pid: 42, program: "nginx".to_owned(), ours }),
        };
        assert!(!ports(&[held(true)]).is_bad());
        insta::assert_snapshot!(ports(&[held(false)]), @r"
        FAIL  ports            127.0.0.1:8080 is held by nginx (process 42)
                               cure: end process 42, or change listen.services in bellows.toml
        ");
        let nobodys = Wanted { key: None, address: address("127.0.0.1:1"), ..held(false) };
        insta::assert_snapshot!(ports(&[nobodys]), @r"
        FAIL  ports            127.0.0.1:1 is held by nginx (process 42)
                               cure: end it: requests that wait for an instance are sent there
        ");
    }
}
