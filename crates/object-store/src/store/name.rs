//! The file name of an object. An id has exactly one, and no two ids share one.
//!
//! - `=` and the id with everything but letters, digits, `.`, `_` and `-` percent-encoded, if that
//!   fits a file name; such a name tells its id.
//! - `~` and the SHA-256 of the id in hexadecimal digits, if not; the file itself holds the id.
//!
//! The first character keeps the two apart, and keeps `.` and `..` from being names.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::id::ObjectId;

/// The longest file name that Linux file systems take, in bytes.
const MAX_NAME_BYTES: usize = 255;

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// The name of an object's file below the folder of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName(String);

/// What a file name says about the id of its object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The name spells out the id.
    Id(ObjectId),
    /// The id is in the file.
    InFile,
    /// No id has this name.
    Foreign,
}

impl FileName {
    pub(super) fn of(id: &ObjectId) -> Self {
        let mut name = String::from("=");
        name.extend(utf8_percent_encode(id.as_str(), ESCAPED));
        if name.len() > MAX_NAME_BYTES {
            name.clear();
            name.push('~');
            for byte in Sha256::digest(id.as_str()) {
                // Writing to a String cannot fail.
                let _ = write!(name, "{byte:02x}");
            }
        }
        Self(name)
    }

    /// Reads a name found in the folder.
    pub(super) fn parse(name: &[u8]) -> (Self, Meaning) {
        let Ok(name) = std::str::from_utf8(name) else {
            return (Self(String::new()), Meaning::Foreign);
        };
        let meaning = match name.as_bytes().first() {
            Some(b'=') => spelt_out(name),
            Some(b'~') if is_hash(&name[1..]) => Meaning::InFile,
            _ => Meaning::Foreign,
        };
        (Self(name.to_owned()), meaning)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Only the one spelling that [`FileName::of`] gives counts.
fn spelt_out(name: &str) -> Meaning {
    percent_decode_str(&name[1..])
        .decode_utf8()
        .ok()
        .and_then(|text| ObjectId::new(text).ok())
        .filter(|id| FileName::of(id).as_str() == name)
        .map_or(Meaning::Foreign, Meaning::Id)
}

fn is_hash(digits: &str) -> bool {
    digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> impl Strategy<Value = ObjectId> {
        let any = proptest::collection::vec(any::<char>(), 1..300).prop_map(String::from_iter);
        let short = "[a-zA-Z0-9._/%=~ -]{1,20}";
        let near_the_limit = "[a-z]{250,258}|[a-z]{1018,1024}";
        prop_oneof![any, short, near_the_limit]
            .prop_filter_map("an id", |text| ObjectId::new(text).ok())
    }

    proptest! {
        #[test]
        fn a_name_is_safe_and_leads_back_to_its_id(id in id()) {
            let name = FileName::of(&id);
            prop_assert!(name.as_str().len() <= MAX_NAME_BYTES);
            prop_assert!(name.as_str().starts_with(['=', '~']));
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte);
            prop_assert!(name.as_str().bytes().skip(1).all(safe));
            let (parsed, meaning) = FileName::parse(name.as_str().as_bytes());
            prop_assert_eq!(&parsed, &name);
            match meaning {
                Meaning::Id(back) => prop_assert_eq!(back, id),
                Meaning::InFile => prop_assert!(id.as_str().len() > 84),
                Meaning::Foreign => prop_assert!(false, "{:?} is foreign", name),
            }
        }

        #[test]
        fn two_ids_have_two_names(one in id(), other in id()) {
            prop_assert_eq!(one == other, FileName::of(&one) == FileName::of(&other));
        }

        #[test]
        fn a_name_that_means_an_id_is_that_ids_name(name in "[=~][a-fA-F0-9%._-]{0,70}") {
            if let (_, Meaning::Id(id)) = FileName::parse(name.as_bytes()) {
                let own = FileName::of(&id);
                prop_assert_eq!(own.as_str(), name);
            }
        }
    }

    #[test]
    fn foreign_names_mean_nothing() {
        for name in ["", ".", "..", "a", "=", "=%61", "=a/b", "=%2e%2E", "~", "~00", "lost+found"] {
            assert_eq!(FileName::parse(name.as_bytes()).1, Meaning::Foreign, "{name}");
        }
        assert_eq!(FileName::parse(b"=\xff").1, Meaning::Foreign);
    }

    #[test]
    fn names_do_not_change_between_versions() {
        let name = |text: &str| FileName::of(&ObjectId::new(text).unwrap()).0;
        assert_eq!(name("photos/cat 1.jpg"), "=photos%2Fcat%201.jpg");
        assert_eq!(
            name(&"x".repeat(255)),
            "~d22609da3ae3956ca4877056a8e580eed744a6f7d7cfa5b19dd88d52fcc0d435"
        );
    }
}
