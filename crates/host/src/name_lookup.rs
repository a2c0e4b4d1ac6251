//! Looks up names as every program of the host does, by `getent`: its `/etc/hosts`, its name servers, its
//! `nsswitch.conf`. Our programs are static, and have no such library of their own (decision 28).

use std::io;
use std::net::IpAddr;
use std::process::Stdio;

use tokio::process::Command;

/// libc's own program for it, part of every Debian.
const GETENT: &str = "/usr/bin/getent";

/// The addresses of a name, best first; none where the host does not know it. Dropped, it asks no more.
///
/// # Errors
/// It is no name, or `getent` is not there.
pub async fn addresses(name: &str) -> io::Result<Vec<IpAddr>> {
    if !is_name(name) {
        let text = "this is no name of a host: letters, digits, `-`, `_` and dots";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut command = Command::new(GETENT);
    command.args(["ahosts", name]).env_clear();
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = command.output().await?;
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// Whether a word is not an option of `getent`, nor anything else that a name is not.
fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=253).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(is_allowed)
}

/// `getent ahosts` prints a line for each address and kind of socket, best address first.
fn parse(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().and_then(|word| word.parse().ok());
        if let (Some(address), Some("STREAM")) = (address, words.next()) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_once_each_and_in_their_order() {
        // What Debian 12's `getent ahosts` prints.
        let printed = "2001:db8::5     STREAM example.org\n2001:db8::5     DGRAM\n203.0.113.5     STREAM\n\
                       203.0.113.5     RAW\n";
        let expected: Vec<IpAddr> =
            ["2001:db8::5", "203.0.113.5"].map(|address| address.parse().unwrap()).into();
        assert_eq!(parse(printed), expected);
        assert_eq!(parse("fe80::1%eth0 STREAM x\nSTREAM\n"), Vec::<IpAddr>::new());
    }

    #[tokio::test]
    async fn the_hosts_own_file_is_asked_and_an_option_is_no_name() {
        assert!(addresses("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
        for bad in ["", "-s", "a b", "a\n", "a/b"] {
            assert!(addresses(bad).await.is_err(), "{bad:?}");
        }
    }
}
