//! A program's configuration file: TOML into a raw form, then the raw form into a checked one.

use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a configuration file was refused. Programs exit with
/// [`BAD_INPUT`](crate::exit::BAD_INPUT) on it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {}: check that it exists and is readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or holds a key or a type that is not expected. The source names
    /// line, key and what is allowed.
    #[error("the configuration file {} is not understood", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, key and what is allowed.
        source: Box<toml::de::Error>,
    },
    /// A value is outside of what is allowed.
    #[error("the configuration file {} holds a value that is not allowed", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Key, value and what is allowed.
        source: InvalidValue,
    },
}

/// A value that the checked form refuses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: allowed is {allowed}")]
pub struct InvalidValue {
    /// The key with the tables before it, joined by dots.
    pub key: &'static str,
    /// The value as it was given.
    pub value: String,
    /// What would have been accepted.
    pub allowed: String,
}

impl InvalidValue {
    /// Says that `key` holds `value`, and what is allowed there.
    pub fn new(key: &'static str, value: impl Display, allowed: impl Into<String>) -> Self {
        Self { key, value: value.to_string(), allowed: allowed.into() }
    }
}

/// Returns `value` if it is within `range`, both ends included.
///
/// ```
/// use service::config::within;
/// assert_eq!(within("burst", 10_u32, 1..=100), Ok(10));
/// assert_eq!(
///     within("burst", 0_u32, 1..=100).unwrap_err().to_string(),
///     "burst = 0: allowed is 1 to 100",
/// );
/// ```
pub fn within<N: PartialOrd + Display>(
    key: &'static str,
    value: N,
    range: std::ops::RangeInclusive<N>,
) -> Result<N, InvalidValue> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(InvalidValue::new(key, value, format!("{} to {}", range.start(), range.end())))
}

/// Loads the file at `path` as `Raw` and turns it into the checked `T`. `Raw` should carry
/// `#[serde(deny_unknown_fields)]`, so that a misspelt key is refused and not ignored.
pub fn load<Raw, T>(path: &Path) -> Result<T, ConfigError>
where
    Raw: DeserializeOwned,
    T: TryFrom<Raw, Error = InvalidValue>,
{
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.into(), source })?;
    let raw: Raw = toml::from_str(&text)
        .map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })?;
    T::try_from(raw).map_err(|source| ConfigError::Invalid { path: path.into(), source })
}

/// Whether `error` or one of its causes says that the input was bad.
pub(crate) fn is_bad_input(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<ConfigError>() || error.is::<InvalidValue>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::exit::chain;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        workers: u32,
    }

    #[derive(Debug, PartialEq)]
    struct Checked {
        workers: u32,
    }

    impl TryFrom<Raw> for Checked {
        type Error = InvalidValue;

        fn try_from(raw: Raw) -> Result<Self, InvalidValue> {
            Ok(Self { workers: within("workers", raw.workers, 1..=8)? })
        }
    }

    fn load_text(text: &str) -> Result<Checked, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("the text is written");
        load::<Raw, Checked>(file.path()).map_err(|error| {
            assert!(is_bad_input(&error));
            chain(&error).replace(&file.path().display().to_string(), "FILE")
        })
    }

    #[test]
    fn a_good_file_is_loaded() {
        assert_eq!(load_text("workers = 3"), Ok(Checked { workers: 3 }));
    }

    #[test]
    fn a_value_out_of_bounds_is_named_with_file_key_and_bound() {
        insta::assert_snapshot!(
            load_text("workers = 9").unwrap_err(),
            @"the configuration file FILE holds a value that is not allowed: workers = 9: allowed is 1 to 8"
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_what_is_allowed() {
        insta::assert_snapshot!(load_text("worker = 9").unwrap_err(), @r"
        the configuration file FILE is not understood: TOML parse error at line 1, column 1
          |
        1 | worker = 9
          | ^^^^^^
        unknown field `worker`, expected `workers`
        ");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_line() {
        insta::assert_snapshot!(load_text("workers = \"many\"").unwrap_err(), @r#"
        the configuration file FILE is not understood: TOML parse error at line 1, column 11
          |
        1 | workers = "many"
          |           ^^^^^^
        invalid type: string "many", expected u32
        "#);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load::<Raw, Checked>(Path::new("/nowhere/service.toml")).unwrap_err();
        insta::assert_snapshot!(
            chain(&error),
            @"cannot read the configuration file /nowhere/service.toml: check that it exists and is readable: No such file or directory (os error 2)"
        );
    }
}
