//! The name that a client gives an object.

use crate::escape::{EscapeError, decode};

/// The longest id in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 1024;

/// An id: 1 to 1,024 bytes of UTF-8 without NUL, none of whose segments between slashes is `.` or
/// `..`. Slashes are ordinary characters.
///
/// Dot segments would be safe here, where no id is ever part of a path, but clients and proxies
/// remove them from URLs: such an object could not be reached again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(String);

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It has no bytes.
    #[error("The id is empty; give 1 to 1,024 bytes of UTF-8 after /objs/.")]
    Empty,
    /// It has more than 1,024 bytes.
    #[error("The id is longer than 1,024 bytes of UTF-8.")]
    TooLong,
    /// It cannot be decoded.
    #[error("The id {0}")]
    Escape(#[from] EscapeError),
    /// It has a NUL character.
    #[error("The id holds a NUL character.")]
    Nul,
    /// It has a segment `.` or `..`.
    #[error("The id holds a segment \".\" or \"..\" between slashes.")]
    DotSegment,
}

impl ObjectId {
    /// Checks `text` as it stands.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > MAX_ID_BYTES {
            return Err(IdError::TooLong);
        }
        if text.contains('\0') {
            return Err(IdError::Nul);
        }
        if text.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(IdError::DotSegment);
        }
        Ok(Self(text))
    }

    /// Decodes the rest of a URL's path, once, and checks the result.
    ///
    /// ```
    /// use object_store::id::{IdError, ObjectId};
    /// assert_eq!(ObjectId::from_url_path("a%2Fb").unwrap().as_str(), "a/b");
    /// assert_eq!(ObjectId::from_url_path("%252e").unwrap().as_str(), "%2e");
    /// assert_eq!(ObjectId::from_url_path("%2e%2e%2fetc"), Err(IdError::DotSegment));
    /// ```
    pub fn from_url_path(raw: &str) -> Result<Self, IdError> {
        Self::new(decode(raw)?)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as text of its own.
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bad_ids_are_refused_with_their_reason() {
        let long = "x".repeat(1025);
        let cases = [
            ("", IdError::Empty),
            (long.as_str(), IdError::TooLong),
            ("a%00b", IdError::Nul),
            ("%ff", IdError::Escape(EscapeError::NotUtf8)),
            ("100%", IdError::Escape(EscapeError::Malformed)),
            ("%2", IdError::Escape(EscapeError::Malformed)),
            ("%zz", IdError::Escape(EscapeError::Malformed)),
            ("%%32e", IdError::Escape(EscapeError::Malformed)),
            ("..", IdError::DotSegment),
            ("..%2f..%2fetc%2fpasswd", IdError::DotSegment),
            ("a/../b", IdError::DotSegment),
            ("a%2F.", IdError::DotSegment),
        ];
        for (raw, reason) in cases {
            assert_eq!(ObjectId::from_url_path(raw), Err(reason), "{raw:?}");
        }
    }

    #[test]
    fn odd_ids_are_taken_as_they_are() {
        for raw in ["a", "...", "..a", "a//b", "/a", "a/", "a\\b", "\u{1F600}", "~", "a+b"] {
            assert_eq!(ObjectId::from_url_path(raw).unwrap().as_str(), raw);
        }
        assert!(ObjectId::new("x".repeat(1024)).is_ok());
    }

    proptest! {
        #[test]
        fn an_id_survives_its_url(text in "\\PC{1,80}") {
            if let Ok(id) = ObjectId::new(text.clone()) {
                let raw = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
                prop_assert_eq!(ObjectId::from_url_path(&raw), Ok(id));
            }
        }

        #[test]
        fn judging_any_url_path_never_panics(raw in "[%./a0-9\\PC]{0,40}") {
            let _ = ObjectId::from_url_path(&raw);
        }
    }
}
