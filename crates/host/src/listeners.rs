//! What programs listen on, out of the kernel's tables of a network namespace, and what is wrong with it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The state of a socket that listens, as the kernel writes it.
const LISTENS: &str = "0A";

/// So much of a table is read at most, some 7,000 rows: a program may have any number of connections, and the kernel
/// writes those who listen first.
const TABLE_BYTES: u64 = 1 << 20;

/// The addresses on which somebody listens in the network namespace of a process, given by its folder in `/proc`.
///
/// # Errors
/// When the process has ended.
pub(crate) fn of_process(process: &Path) -> io::Result<BTreeSet<SocketAddr>> {
    let table = |name: &str| match File::open(process.join("net").join(name)).and_then(begin) {
        // Of a kernel without IPv6.
        Err(error) if name == "tcp6" && error.kind() == io::ErrorKind::NotFound => {
            Ok(String::new())
        }
        text => text,
    };
    Ok(parse(&table("tcp")?).chain(parse(&table("tcp6")?)).collect())
}

/// The begin of a table. A row that is cut off has no state.
fn begin(table: impl Read) -> io::Result<String> {
    let mut text = Vec::new();
    table.take(TABLE_BYTES).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Reads `/proc/PID/net/tcp` or `tcp6`: a header, and a row for each socket.
fn parse(table: &str) -> impl Iterator<Item = SocketAddr> {
    table.lines().skip(1).filter_map(|row| {
        let mut fields = row.split_ascii_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        (state == LISTENS).then(|| address(local)).flatten()
    })
}

/// Reads `0100007F:1F40`, and the same of IPv6: words of four bytes as this machine has them in memory.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let word = |from: usize| {
        let word = u32::from_str_radix(words.get(from..from + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = if words.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for (place, from) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
            place.copy_from_slice(&word(from)?);
        }
        // A program that speaks IPv6 alone may mean 127.0.0.1.
        IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// What keeps others from connecting to this port, as a part of a sentence that ends with the cure; `None` where
/// somebody listens on it for others than the container itself.
pub(crate) fn problem(port: u16, listening: &BTreeSet<SocketAddr>) -> Option<String> {
    let (own, others): (Vec<&SocketAddr>, Vec<&SocketAddr>) =
        listening.iter().partition(|address| address.ip().is_loopback());
    if others.iter().any(|address| address.port() == port) {
        return None;
    }
    if let Some(address) = own.iter().find(|address| address.port() == port) {
        return Some(format!(
            "it listens on {address} alone: have it listen on 0.0.0.0, as by `--host 0.0.0.0`"
        ));
    }
    let ports: BTreeSet<_> = others.iter().map(|address| address.port()).collect();
    let ports: Vec<_> = ports.into_iter().collect();
    Some(match (ports.as_slice(), own.first()) {
        ([other], _) => format!(
            "it listens on port {other}, not on {port}, which an application has in PORT: have it use PORT, or set \
             instance.port = {other}"
        ),
        ([], Some(address)) => format!(
            "it listens on {address} alone: have it listen on 0.0.0.0 and on port {port}, which an application has in \
             PORT"
        ),
        ([], None) => format!(
            "it listens on no port: have it listen on 0.0.0.0 and on port {port}, which an application has in PORT"
        ),
        (ports, _) => {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            format!(
                "it listens on ports {}, not on {port}, which an application has in PORT: have it use PORT, or set \
                 instance.port",
                ports.join(" and ")
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured: listeners on every kind of address, and a connection to one of them.
    const TCP: &str = include_str!("fixtures/net-tcp.txt");
    const TCP6: &str = include_str!("fixtures/net-tcp6.txt");

    fn listening(addresses: &[&str]) -> BTreeSet<SocketAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn who_listens_is_read_of_both_tables_and_connections_are_not() {
        let found: BTreeSet<_> = parse(TCP).chain(parse(TCP6)).collect();
        let wanted = [
            "0.0.0.0:2024",
            "127.0.0.1:44041",
            "0.0.0.0:55613",
            "[::]:38109",
            "[::1]:54709",
            "127.0.0.1:48947",
        ];
        assert_eq!(found, listening(&wanted));
        let odd = "sl local\n 0: 1\n 0: 00:1 00:0 0A\n 0: XY00007F:AC09 0:0 0A\n 0: :: 0 0A\n";
        assert_eq!(parse(odd).count(), 0);
    }

    #[test]
    fn a_table_is_read_up_to_a_bound() {
        let row = TCP.lines().nth(1).unwrap();
        let table = format!("{TCP}{}", format!("{row}\n").repeat(20_000));
        let read = begin(table.as_bytes()).unwrap();
        assert_eq!(read.len() as u64, TABLE_BYTES);
        let found: BTreeSet<_> = parse(&read).collect();
        assert_eq!(found, parse(TCP).collect());
    }

    #[test]
    fn where_others_can_connect_nothing_is_wrong() {
        for address in ["0.0.0.0:8000", "10.117.0.7:8000", "[::]:8000"] {
            assert_eq!(problem(8000, &listening(&[address, "127.0.0.1:9000"])), None);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_cure() {
        let cases: [(&[&str], &str); 6] = [
            (
                &["127.0.0.1:8000", "0.0.0.0:9000"],
                "it listens on 127.0.0.1:8000 alone: have it listen on 0.0.0.0, as by `--host 0.0.0.0`",
            ),
            (&["[::1]:8000"], "it listens on [::1]:8000 alone: have it listen on 0.0.0.0"),
            (
                &["0.0.0.0:5000", "[::]:5000", "127.0.0.1:9000"],
                "it listens on port 5000, not on 8000, which an application has in PORT: have it use PORT, or set \
                 instance.port = 5000",
            ),
            (&["0.0.0.0:5000", "0.0.0.0:6000"], "it listens on ports 5000 and 6000, not on 8000"),
            (
                &["127.0.0.1:5000"],
                "it listens on 127.0.0.1:5000 alone: have it listen on 0.0.0.0 and on port 8000",
            ),
            (&[], "it listens on no port: have it listen on 0.0.0.0 and on port 8000"),
        ];
        for (addresses, told) in cases {
            let problem = problem(8000, &listening(addresses)).unwrap();
            assert!(problem.starts_with(told), "{addresses:?}: {problem}");
        }
    }
}
