//! Secrets of services: what instances are given that nobody else is told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::access::Who;
use crate::names::SecretName;
use crate::output::harmless;
use crate::time::Timestamp;

/// The folder of an instance in which its secrets are, a file for each.
pub const SECRETS_FOLDER: &str = "/run/secrets";

/// The most that a secret has: the kernel takes no variable of more than 128 KiB.
pub const SECRET_MAX_BYTES: usize = 65_536;

/// Bytes that are no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretValueError {
    /// There is nothing in it, or the end of a line alone.
    #[error("the secret is empty: give its value on standard input")]
    Empty,
    /// There is too much in it.
    #[error(
        "the secret has more than {SECRET_MAX_BYTES} bytes: what is larger belongs in a mounted folder"
    )]
    TooLong,
}

/// What a secret says, 1 to [`SECRET_MAX_BYTES`] of any bytes. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Vec<u8>);

impl SecretValue {
    /// These bytes as they are.
    ///
    /// # Errors
    /// There are none, or there is but the end of a line, or too many.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretValueError> {
        match bytes.as_slice() {
            // What `echo "$VARIABLE"` writes where there is no such variable.
            [] | b"\n" => Err(SecretValueError::Empty),
            bytes if bytes.len() > SECRET_MAX_BYTES => Err(SecretValueError::TooLong),
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

/// A text that is no generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a generation of a secret: it has 16 digits of 0-9 and a-f",
        harmless(.0))]
pub struct SecretGenerationError(String);

/// Tells one value of a secret from the next: a number of chance, that says nothing of the value. It is a
/// part of what makes a version, and is written with 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct SecretGeneration(u64);

impl SecretGeneration {
    /// The generation with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for SecretGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SecretGeneration {
    type Err = SecretGenerationError;

    fn from_str(text: &str) -> Result<Self, SecretGenerationError> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let number = (text.len() == 16 && text.bytes().all(is_hex))
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten();
        number.map(Self).ok_or_else(|| SecretGenerationError(text.to_owned()))
    }
}

impl TryFrom<String> for SecretGeneration {
    type Error = SecretGenerationError;

    fn try_from(text: String) -> Result<Self, SecretGenerationError> {
        text.parse()
    }
}

impl From<SecretGeneration> for String {
    fn from(generation: SecretGeneration) -> Self {
        generation.to_string()
    }
}

/// A secret that is set, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Secret {
    /// Its name.
    pub name: SecretName,
    /// Which value it is.
    pub generation: SecretGeneration,
    /// When that was set.
    #[serde(rename = "set_at_ms")]
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: Who,
}

/// What became of a secret that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretChange {
    /// Which value it had before; `None` where it was not set.
    pub before: Option<SecretGeneration>,
    /// Which it has now: the same where that is the value that was set.
    pub after: SecretGeneration,
}

/// The secrets of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Secrets {
    /// In the order of their names.
    pub secrets: Vec<Secret>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_any_bytes_but_none_and_not_too_many() {
        let refused = |bytes: &[u8]| SecretValue::new(bytes.to_vec()).err();
        assert_eq!(refused(b""), Some(SecretValueError::Empty));
        assert_eq!(refused(b"\n"), Some(SecretValueError::Empty));
        assert_eq!(refused(&vec![b'x'; SECRET_MAX_BYTES + 1]), Some(SecretValueError::TooLong));
        for good in [&b"x"[..], b"two\nlines\n", b"\0\xff", &vec![b'x'; SECRET_MAX_BYTES]] {
            assert_eq!(SecretValue::new(good.to_vec()).unwrap().bytes(), good);
        }
        let value = SecretValue::new(b"hunter2".to_vec()).unwrap();
        assert_eq!(format!("{value:?}"), "SecretValue(..)");
    }

    #[test]
    fn a_generation_reads_back_and_nothing_else_is_one() {
        for number in [0, 0xab, u64::MAX] {
            let generation = SecretGeneration::new(number);
            assert_eq!(generation.to_string().parse(), Ok(generation));
        }
        for bad in ["", "ab", "00000000000000AB", "+0000000000000ab", "00000000000000abc"] {
            assert!(bad.parse::<SecretGeneration>().is_err(), "{bad}");
        }
    }
}
