//! The check that the ports Bellows listens on are free, or held by the running Bellows itself.

use std::net::{IpAddr, SocketAddr};

use procfs::net::{TcpNetEntry, TcpState};

use super::finding::{Verdict, bad};

/// A port that Bellows is to listen on, or that nobody may, and who listens there now.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The key in `bellows.toml`; `None` where nobody may listen.
    pub(super) key: Option<&'static str>,
    pub(super) address: SocketAddr,
    pub(super) state: PortState,
}

/// Whether a wanted port can be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PortState {
    /// Free, or held by the running Bellows.
    Usable,
    /// Held by another process.
    Held { pid: i32, program: String },
    /// Held, and no process shows the socket among its open files.
    HeldByUnknown,
}

/// Whether every wanted port can be had.
pub(super) fn ports(wanted: &[Wanted]) -> Verdict {
    let mut problems = Vec::new();
    let mut cures = Vec::new();
    for Wanted { key, address, state } in wanted {
        let (holder, end_it) = match state {
            PortState::Usable => continue,
            PortState::Held { pid, program } => {
                (format!("{program} (process {pid})"), format!("end process {pid}, or "))
            }
            PortState::HeldByUnknown => ("a process that cannot be seen".to_owned(), String::new()),
        };
        problems.push(format!("{address} is held by {holder}"));
        cures.push(match key {
            Some(key) => format!("{end_it}change {key} in bellows.toml"),
            None => "end it: requests that wait for an instance are sent there".to_owned(),
        });
    }
    if problems.is_empty() {
        let addresses: Vec<String> = wanted.iter().map(|w| w.address.to_string()).collect();
        return Ok(format!("free or our own: {}", addresses.join(", ")));
    }
    bad(problems.join("; "), cures.join("; "))
}

/// A socket that listens where `address` is wanted.
pub(super) fn in_the_way(sockets: &[TcpNetEntry], address: SocketAddr) -> Option<&TcpNetEntry> {
    let overlaps = |held: IpAddr| {
        held == address.ip() || held.is_unspecified() || address.ip().is_unspecified()
    };
    let listening = sockets.iter().filter(|socket| socket.state == TcpState::Listen);
    listening
        .filter(|socket| socket.local_address.port() == address.port())
        .find(|socket| overlaps(socket.local_address.ip()))
}

#[cfg(test)]
mod tests {
    use procfs::net::TcpNetEntries;
    use procfs::prelude::*;

    use super::super::finding::Finding;
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
    fn a_socket_on_all_addresses_is_in_the_way_and_one_on_another_or_a_closed_one_is_not() {
        let read = |table: &str| {
            TcpNetEntries::from_buf_read(table.as_bytes(), procfs::current_system_info()).unwrap().0
        };
        let sockets = [read(TCP), read(TCP6)].concat();
        for (wanted, inode) in [
            ("127.0.0.1:8080", Some(1582)),
            ("127.0.0.2:8080", None),
            ("0.0.0.0:8080", Some(1582)),
            ("127.0.0.1:8090", Some(77)),
            ("127.0.0.1:8404", None),
            ("192.0.2.2:35382", None),
        ] {
            let found = in_the_way(&sockets, address(wanted)).map(|socket| socket.inode);
            assert_eq!(found, inode, "{wanted}");
        }
    }

    #[test]
    fn a_port_held_by_us_is_good_and_by_another_is_bad() {
        let wanted = |key, state| {
            let verdict = ports(&[Wanted { key, address: address("127.0.0.1:8080"), state }]);
            Finding { check: "ports", verdict }
        };
        let nginx = || PortState::Held { pid: 42, program: "nginx".to_owned() };
        assert!(wanted(Some("listen.services"), PortState::Usable).verdict.is_ok());
        insta::assert_snapshot!(wanted(Some("listen.services"), nginx()), @r"
        FAIL  ports            127.0.0.1:8080 is held by nginx (process 42)
                               cure: end process 42, or change listen.services in bellows.toml
        ");
        insta::assert_snapshot!(wanted(None, nginx()), @r"
        FAIL  ports            127.0.0.1:8080 is held by nginx (process 42)
                               cure: end it: requests that wait for an instance are sent there
        ");
    }
}
