//! The tag of a content, and the conditions on it that a request may carry.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue};
use headers::{ETag, HeaderMapExt, IfMatch, IfNoneMatch, IfRange};

/// The SHA-256 of a content: equal contents, and no others, have equal tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Takes the 32 bytes of a SHA-256.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the SHA-256.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The value of the header `ETag`: the hash in hexadecimal digits and quotes.
    pub fn to_header(self) -> HeaderValue {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'"'; 66];
        for (pair, byte) in text[1..65].chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("\"\""))
    }

    fn tag(self) -> Option<ETag> {
        self.to_header().to_str().ok()?.parse().ok()
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.to_header())
    }
}

/// The headers `If-Match` and `If-None-Match` of a request.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    if_match: Option<IfMatch>,
    if_none_match: Option<IfNoneMatch>,
}

/// Which condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// `If-Match`: the object is gone or another.
    Match,
    /// `If-None-Match`: the object exists, or is the one named.
    NoneMatch,
}

/// A condition whose header is not understood. To take it for absent would do what the client
/// meant to prevent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The header {0} is not understood; give * or tags in double quotes, separated by commas.")]
pub struct BadCondition(&'static str);

impl Condition {
    /// Reads the conditions of a request.
    pub fn of(headers: &HeaderMap) -> Result<Self, BadCondition> {
        for name in ["if-match", "if-none-match"] {
            if !headers.get_all(name).iter().all(is_tag_list) {
                return Err(BadCondition(name));
            }
        }
        Ok(Self { if_match: headers.typed_get(), if_none_match: headers.typed_get() })
    }

    /// Whether the request has no condition.
    pub fn is_none(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Holds the conditions against the object as it is: its content's hash, or `None` if there is
    /// no object.
    pub fn check(&self, current: Option<ContentHash>) -> Result<(), Unmet> {
        let tag = current.and_then(ContentHash::tag);
        if let Some(if_match) = &self.if_match
            && !tag.as_ref().is_some_and(|tag| if_match.precondition_passes(tag))
        {
            return Err(Unmet::Match);
        }
        if let Some(if_none_match) = &self.if_none_match
            && !tag.as_ref().is_none_or(|tag| if_none_match.precondition_passes(tag))
        {
            return Err(Unmet::NoneMatch);
        }
        Ok(())
    }
}

/// Whether `If-Range` allows a part of the object to be sent: it is absent, or names this content.
pub fn if_range_allows(headers: &HeaderMap, current: ContentHash) -> bool {
    if !headers.contains_key("if-range") {
        return true;
    }
    // A date never matches, because objects have no date here.
    let tag = current.tag();
    headers
        .typed_get::<IfRange>()
        .is_some_and(|if_range| tag.is_some() && !if_range.is_modified(tag.as_ref(), None))
}

fn is_tag_list(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else {
        return false;
    };
    text.trim() == "*"
        || text.split(',').all(|tag| {
            let tag = tag.trim();
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAT: ContentHash = ContentHash([0xca; 32]);
    const DOG: ContentHash = ContentHash([0xd0; 32]);

    fn condition(name: &'static str, value: &str) -> Result<Condition, BadCondition> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Condition::of(&headers)
    }

    fn tag(hash: ContentHash) -> String {
        hash.to_header().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_tag_is_the_hash_in_quotes() {
        assert_eq!(tag(CAT), format!("\"{}\"", "ca".repeat(32)));
    }

    #[test]
    fn if_match_holds_for_the_named_content_only() {
        let either = format!("\"x\", {}", tag(CAT));
        for (value, current, holds) in [
            ("*", Some(CAT), true),
            ("*", None, false),
            (&tag(CAT), Some(CAT), true),
            (&either, Some(CAT), true),
            (&tag(CAT), Some(DOG), false),
            (&tag(CAT), None, false),
            (&format!("W/{}", tag(CAT)), Some(CAT), false),
        ] {
            let expected = if holds { Ok(()) } else { Err(Unmet::Match) };
            assert_eq!(condition("if-match", value).unwrap().check(current), expected, "{value}");
        }
    }

    #[test]
    fn if_none_match_holds_for_everything_else() {
        for (value, current, holds) in [
            ("*", Some(CAT), false),
            ("*", None, true),
            (&tag(CAT), Some(CAT), false),
            (&format!("W/{}", tag(CAT)), Some(CAT), false),
            (&tag(CAT), Some(DOG), true),
        ] {
            let expected = if holds { Ok(()) } else { Err(Unmet::NoneMatch) };
            let condition = condition("if-none-match", value).unwrap();
            assert_eq!(condition.check(current), expected, "{value}");
        }
    }

    #[test]
    fn a_condition_that_is_not_understood_is_refused() {
        for value in ["", "abc", "\"", "\"a\", b", "W/a", "**"] {
            assert!(condition("if-match", value).is_err(), "{value:?}");
            assert!(condition("if-none-match", value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn if_range_allows_the_same_content_only() {
        let allows = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("if-range", value.parse().unwrap());
            if_range_allows(&headers, CAT)
        };
        assert!(if_range_allows(&HeaderMap::new(), CAT));
        assert!(allows(&tag(CAT)));
        assert!(!allows(&tag(DOG)));
        assert!(!allows("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert!(!allows("nonsense"));
    }
}
