//! The paths of a service: what is routed to it, and what says that it is well. Both stand in the
//! load balancer's file as they are, so nothing in them can end a line or a word.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::output::harmless;

/// Longest path in bytes.
const PATH_MAX_BYTES: usize = 256;

/// A text that is not a path of a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A path prefix of another form.
    #[error(
        "`{}` is not a path prefix: use `/`, or `/name` of A-Z, a-z, 0-9, `.`, `_`, `~`, `-` and `/`, \
         without a `/` at the end",
        harmless(.0)
    )]
    Prefix(String),
    /// A health path of another form.
    #[error("`{}` is not a health path: use `/`, followed by A-Z, a-z, 0-9 and any of `._~-/?=&`",
        harmless(.0))]
    Health(String),
}

/// The start of the paths that go to a service: `/` for all, or `/name` for `/name` and whatever
/// is below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPrefix(String);

impl PathPrefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every path starts with it.
    pub fn is_all(&self) -> bool {
        self.0 == "/"
    }
}

impl FromStr for PathPrefix {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-/".contains(&b);
        let good = text.starts_with('/')
            && text.bytes().all(plain)
            && !text.contains("//")
            && (text == "/" || !text.ends_with('/'))
            && text.len() <= PATH_MAX_BYTES;
        good.then(|| Self(text.to_owned())).ok_or_else(|| PathError::Prefix(text.to_owned()))
    }
}

/// The path that HAProxy asks of each server once a second, to see whether it is well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HealthPath(String);

impl HealthPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HealthPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-/?=&".contains(&b);
        let good = text.starts_with('/') && text.bytes().all(plain) && text.len() <= PATH_MAX_BYTES;
        good.then(|| Self(text.to_owned())).ok_or_else(|| PathError::Health(text.to_owned()))
    }
}

is_text!(PathPrefix, HealthPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_could_end_a_line_or_a_word_is_refused() {
        for bad in [
            "",
            "x",
            "/a b",
            "/a\n",
            "/a\nserver evil 1.2.3.4:1",
            "/a#",
            "/a'",
            "/a\"",
            "/{",
            "/%[x]",
            "/a\\",
        ] {
            assert!(bad.parse::<PathPrefix>().is_err(), "{bad:?}");
            assert!(bad.parse::<HealthPath>().is_err(), "{bad:?}");
        }
        let told = "/a\n\u{1b}[2J".parse::<PathPrefix>().unwrap_err().to_string();
        assert!(told.starts_with("`/a\\u{a}\\u{1b}[2J` is not a path prefix"), "{told}");
        assert!("/a/".parse::<PathPrefix>().is_err());
        assert!("/a//b".parse::<PathPrefix>().is_err());
        assert!("/a?b=c&d".parse::<HealthPath>().is_ok());
    }
}
