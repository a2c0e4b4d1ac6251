//! The name of a host, in one spelling.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::output::harmless;

/// Longest name in bytes (RFC 1035, 2.3.4), and longest part of it between two dots.
const NAME_MAX_BYTES: usize = 253;
const LABEL_MAX_BYTES: usize = 63;

/// A text that is not the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not the name of a host: use a name of two parts or more, of a-z, 0-9, `-` and `_` between \
     dots, such as example.org",
        harmless(.0)
)]
pub struct HostNameError(String);

/// The name of a host, in lower case and without a dot at its end: two parts or more, of which the last is
/// no number. What some programs read as an address (`127.1`, `0x7f.1`) is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

impl HostName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a name below the other.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.strip_suffix(other.as_str()).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let mut labels = name.rsplit('.');
        let last_is_a_name = labels
            .next()
            .is_some_and(|last| is_label(last) && !last.starts_with(|c: char| c.is_ascii_digit()));
        let parts = name.split('.').count();
        let good =
            last_is_a_name && labels.all(is_label) && parts >= 2 && name.len() <= NAME_MAX_BYTES;
        if good { Ok(Self(name)) } else { Err(HostNameError(text.to_owned())) }
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=LABEL_MAX_BYTES).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

is_text!(HostName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        for text in ["example.org", "Example.ORG", "example.org."] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), "example.org", "{text}");
        }
        for good in
            ["a.b", "xn--bcher-kva.example", "_dmarc.example.org", "1.example.org", "a-b.co"]
        {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_no_name_or_could_be_read_as_an_address_is_refused() {
        let long = format!("{}.org", "a".repeat(64));
        let longer = format!("{}org", "a.".repeat(126));
        for bad in [
            "",
            ".",
            "org",
            "localhost",
            "example.org..",
            ".example.org",
            "a..b",
            "-a.org",
            "a-.org",
            "127.1",
            "127.0.0.1",
            "0x7f.1",
            "1.2.3",
            "example.0x7f",
            "2130706433",
            "a b.org",
            "a\n.org",
            "a%2e.org",
            "ex\u{e4}mple.org",
            "*.example.org",
            "a:b.org",
            "[::1]",
            &long,
            &longer,
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_below_another_by_whole_parts() {
        let name = |text: &str| text.parse::<HostName>().unwrap();
        assert!(name("a.example.org").is_below(&name("example.org")));
        assert!(!name("aexample.org").is_below(&name("example.org")));
        assert!(!name("example.org").is_below(&name("example.org")));
    }
}
