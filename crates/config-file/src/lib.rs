//! The one reader of files that people write: TOML into checked values. An error names the file, the
//! line, the key, the value and what is allowed. The bodies of requests are checked by the same
//! [`Checked`], once their JSON is read.
//!
//! ```
//! use config_file::{Checked, Invalid};
//!
//! struct Workers(u32);
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct RawWorkers {
//!     workers: u32,
//! }
//!
//! impl Checked for Workers {
//!     type Raw = RawWorkers;
//!
//!     fn from_raw(raw: RawWorkers) -> Result<Self, Invalid> {
//!         Ok(Self(config_file::in_range("workers", raw.workers, 1..=8)?))
//!     }
//! }
//!
//! let error = config_file::from_toml::<Workers>("pool.toml", "\nworkers = 9").err().unwrap();
//! assert_eq!(error.to_string(), "pool.toml, line 2: workers is 9: use 1 to 8");
//! ```

mod by_key;
mod place;
mod problems;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use model::output::harmless;

use serde::de::DeserializeOwned;

pub use model::value::{Checked, Invalid, check, in_range, not_above, within};

pub use self::by_key::ByKey;
pub use self::place::{line_of, place_of};
pub use self::problems::{from_partial_toml_or_problems, from_toml_or_problems};

/// The largest file that is read: 128 MiB. A trace of two million lines with dates is half of this.
pub const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// Why a file cannot be used. Each text says all that there is to say, its source included.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file system refuses.
    #[error("{} cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file is larger than [`MAX_BYTES`].
    #[error("{} is too large: use a file of up to {MAX_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not TOML, an unknown or missing key, or a value of another type.
    #[error("{file}: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, with the line and what is expected there.
        reason: String,
    },
    /// A value that is not allowed.
    #[error("{place}: {invalid}")]
    Invalid {
        /// The file, and the line where there is one.
        place: String,
        /// The key, its value and what is allowed.
        invalid: Invalid,
    },
}

/// Reads the TOML file at `path` and checks what it holds.
///
/// # Errors
/// [`ConfigError`] says what is wrong, where, and what is allowed.
pub fn read<T: Checked>(path: &Path) -> Result<T, ConfigError> {
    from_toml(path.display(), &read_text(path)?)
}

/// Reads a text that fits into memory.
///
/// # Errors
/// [`ConfigError::Read`] or [`ConfigError::TooLarge`].
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unread = |cause| ConfigError::Read { path: path.to_owned(), cause };
    let mut text = String::new();
    // Devices and pipes do not tell their size beforehand.
    let file = File::open(path).map_err(unread)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

/// Reads a TOML text and checks what it holds; `file` names it in errors.
///
/// # Errors
/// [`ConfigError::Syntax`] or [`ConfigError::Invalid`].
pub fn from_toml<T: Checked>(file: impl Display, text: &str) -> Result<T, ConfigError> {
    from_toml_with(file, text, T::from_raw)
}

/// The same where more is needed than the text to check it.
///
/// # Errors
/// [`ConfigError::Syntax`] or [`ConfigError::Invalid`].
pub fn from_toml_with<R: DeserializeOwned, T>(
    file: impl Display,
    text: &str,
    check: impl FnOnce(R) -> Result<T, Invalid>,
) -> Result<T, ConfigError> {
    let ByKey(raw) = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        file: file.to_string(),
        // With the line of the text as it stands there.
        reason: error.to_string().trim_end().lines().map(harmless).collect::<Vec<_>>().join("\n"),
    })?;
    check(raw).map_err(|invalid| ConfigError::Invalid {
        place: place_of(file, text, invalid.key()),
        invalid,
    })
}

/// Whether a TOML text has `key` at its top level.
pub fn has_key(text: &str, key: &str) -> bool {
    toml::from_str::<toml::Table>(text).is_ok_and(|table| table.contains_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Pool {
        workers: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawPool {
        workers: u32,
    }

    impl Checked for Pool {
        type Raw = RawPool;

        fn from_raw(raw: RawPool) -> Result<Self, Invalid> {
            Ok(Self { workers: in_range("workers", raw.workers, 1..=8)? })
        }
    }

    fn refused(text: &str) -> String {
        from_toml::<Pool>("pool.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn a_good_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool.toml");
        std::fs::write(&path, "workers = 3").unwrap();
        assert_eq!(read::<Pool>(&path).unwrap(), Pool { workers: 3 });
    }

    #[test]
    fn a_value_that_is_not_allowed_is_named_with_file_line_key_and_bound() {
        let told = "pool.toml, line 2: workers is 9: use 1 to 8";
        assert_eq!(refused("# ours\nworkers = 9"), told);
        assert_eq!(refused("# ours\r\nworkers = 9\r\n"), told);
    }

    #[test]
    fn an_unknown_key_and_a_value_of_another_type_are_named_with_what_is_expected() {
        insta::assert_snapshot!(refused("worker = 9"), @r"
        pool.toml: TOML parse error at line 1, column 1
          |
        1 | worker = 9
          | ^^^^^^
        unknown field `worker`, expected `workers`
        ");
        insta::assert_snapshot!(refused("workers = \"many\""), @r#"
        pool.toml: TOML parse error at line 1, column 11
          |
        1 | workers = "many"
          |           ^^^^^^
        invalid type: string "many", expected u32
        "#);
    }

    #[test]
    fn what_a_file_holds_does_nothing_on_a_terminal() {
        for text in ["\"w\u{1b}[2J\" = 9", "\"w\\u001b[2J\" = 9", "workers = \"\\u009b2J\""] {
            let told = refused(text);
            assert!(!told.contains(['\u{1b}', '\u{9b}']), "{told:?}");
        }
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Kind {
        Sized { bytes: u32 },
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawPools {
        first: Option<RawPool>,
        #[serde(default)]
        others: Vec<RawPool>,
        #[serde(default)]
        kinds: Vec<Kind>,
        #[serde(default)]
        free: toml::Table,
    }

    impl model::value::Plain for RawPools {}

    #[test]
    fn a_list_of_values_is_no_table_at_any_depth() {
        let read = |text: &str| from_toml::<RawPools>("pools.toml", text);
        let good = "first.workers = 1\nothers = [{ workers = 2 }]\n\
                    kinds = [{ kind = \"sized\", bytes = 3 }]\nfree.any = [[1], { a = [2] }]";
        let pools = read(good).unwrap();
        assert_eq!((pools.first.map(|pool| pool.workers), pools.others.len()), (Some(1), 1));
        assert!(matches!(pools.kinds[..], [Kind::Sized { bytes: 3 }]));
        assert_eq!(pools.free["any"].as_array().map(Vec::len), Some(2));
        for (bad, column) in
            [("first = [1]", 9), ("others = [[1]]", 11), ("kinds = [['sized', 1]]", 10)]
        {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("line 1, column {column}")), "{error}");
            assert!(error.ends_with("invalid type: sequence, expected keys with their values"));
        }
        let body = |json: &str| serde_json::from_str::<ByKey<RawPool>>(json);
        assert_eq!(body(r#"{"workers":3}"#).unwrap().0.workers, 3);
        let error = body("[3]").unwrap_err().to_string();
        assert!(error.starts_with("invalid type: sequence, expected keys"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named_and_one_without_end_is_not_read_to_its_end() {
        insta::assert_snapshot!(
            read::<Pool>(Path::new("/nowhere/pool.toml")).unwrap_err(),
            @"/nowhere/pool.toml cannot be read: No such file or directory (os error 2)"
        );
        insta::assert_snapshot!(
            read_text(Path::new("/dev/zero")).unwrap_err(),
            @"/dev/zero is too large: use a file of up to 134217728 bytes"
        );
    }
}
