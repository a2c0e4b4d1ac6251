//! Whom a message is mailed to.

use std::fmt;
use std::str::FromStr;

use model::output::harmless;

/// RFC 5321, 4.5.3.1: 64 bytes before the `@`, and 254 in all.
const LOCAL_MAX: usize = 64;
const LENGTH_MAX: usize = 254;

/// A mail address without quotes, comments or a name: nothing in it means anything to a header or to SMTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress(String);

impl MailAddress {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no mail address: write one as ops@example.org, without a name before it", harmless(.0))]
pub struct MailAddressError(String);

impl FromStr for MailAddress {
    type Err = MailAddressError;

    fn from_str(text: &str) -> Result<Self, MailAddressError> {
        let is_good = text.len() <= LENGTH_MAX
            && text
                .split_once('@')
                .is_some_and(|(local, domain)| is_local(local) && domain.split('.').all(is_label));
        if is_good { Ok(Self(text.to_owned())) } else { Err(MailAddressError(text.to_owned())) }
    }
}

/// RFC 5322, 3.2.3: words of these characters with dots between.
fn is_local(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.len() <= LOCAL_MAX
        && text.split('.').all(|word| !word.is_empty() && word.bytes().all(is_allowed))
}

fn is_label(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_and_of_a_host() {
        for good in
            ["ops@example.org", "root@localhost", "a.b+c=d@x-1.example", "o'neil@example.org"]
        {
            assert_eq!(good.parse::<MailAddress>().unwrap().as_str(), good);
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for bad in [
            "",
            "ops",
            "@example.org",
            "ops@",
            "a@b@c",
            "Ops <ops@example.org>",
            "ops@example.org\r\nBcc: x@example.org",
            "ops@example.org>",
            "\"a b\"@example.org",
            ".a@example.org",
            "a..b@example.org",
            "a@-x.example",
            "a@x..example",
            "a@[127.0.0.1]",
            "ä@example.org",
            &long,
        ] {
            assert!(bad.parse::<MailAddress>().is_err(), "{bad:?}");
        }
    }
}
