//! The conditions that a request may carry: RFC 9110, 13.

use std::time::SystemTime;

use axum::http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};
use axum::http::{HeaderMap, HeaderName, Method};

use service::entity_tags::{TagList, is_one_strong_tag};

use crate::tag::ContentHash;

/// What tells one version of an object from another: RFC 9110, 8.8. The list of all objects has
/// neither a hash nor a date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// The hash of the content.
    pub hash: Option<ContentHash>,
    /// When it was stored, in whole seconds.
    pub modified: Option<SystemTime>,
}

/// The conditions of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    if_match: Option<TagList>,
    if_unmodified_since: Option<SystemTime>,
    if_none_match: Option<TagList>,
    if_modified_since: Option<SystemTime>,
}

/// Which condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// `If-Match`: the object is gone or another.
    Match,
    /// `If-Unmodified-Since`: the object was stored after that.
    UnmodifiedSince,
    /// `If-None-Match`: the object exists, or is the one named.
    NoneMatch,
    /// `If-Modified-Since`: the object was not stored after that.
    ModifiedSince,
}

/// A condition whose header is not understood. To take it for absent would do what the client
/// meant to prevent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "The header {0} is not understood; give one * alone, or tags in double quotes, separated by \
     commas."
)]
pub struct BadCondition(&'static str);

impl Condition {
    /// Reads the conditions of a request.
    pub fn of(method: &Method, headers: &HeaderMap) -> Result<Self, BadCondition> {
        // RFC 9110, 13.1.3: other methods ignore If-Modified-Since.
        let reads = matches!(*method, Method::GET | Method::HEAD);
        Ok(Self {
            if_match: tags(headers, &IF_MATCH).map_err(|()| BadCondition("if-match"))?,
            if_unmodified_since: date(headers, &IF_UNMODIFIED_SINCE),
            if_none_match: tags(headers, &IF_NONE_MATCH)
                .map_err(|()| BadCondition("if-none-match"))?,
            if_modified_since: date(headers, &IF_MODIFIED_SINCE).filter(|_| reads),
        })
    }

    /// Whether the request has no condition.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the conditions against the current object, in the order of RFC 9110, 13.2.2.
    /// `current` is `None` when there is no object.
    pub fn check(&self, current: Option<Validators>) -> Result<(), Unmet> {
        let modified = current.and_then(|current| current.modified);
        let tag = |current: Validators| current.hash.map(ContentHash::quoted);
        if let Some(tags) = &self.if_match {
            // 13.1.1: the strong comparison.
            if !current.is_some_and(|it| tags.includes_strongly(tag(it).as_ref().map(|it| &it[..])))
            {
                return Err(Unmet::Match);
            }
        } else if let (Some(date), Some(modified)) = (self.if_unmodified_since, modified)
            && modified > date
        {
            return Err(Unmet::UnmodifiedSince);
        }
        if let Some(tags) = &self.if_none_match {
            // 13.1.2: the weak comparison.
            if current.is_some_and(|it| tags.includes_weakly(tag(it).as_ref().map(|it| &it[..]))) {
                return Err(Unmet::NoneMatch);
            }
        } else if let (Some(date), Some(modified)) = (self.if_modified_since, modified)
            && modified <= date
        {
            return Err(Unmet::ModifiedSince);
        }
        Ok(())
    }
}

/// Whether `If-Range` allows a part of the object to be sent: it is absent, or names this content.
/// A date never allows it: RFC 9110, 13.1.5, asks for a strong validator, and a date in whole seconds
/// is none, because an object may be replaced twice within one second (8.8.2.2).
pub fn if_range_allows(headers: &HeaderMap, current: ContentHash) -> bool {
    let mut lines = headers.get_all(IF_RANGE).iter();
    lines.next().is_none_or(|line| is_one_strong_tag(line, &current.quoted()))
        && lines.next().is_none()
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<TagList>, ()> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    TagList::read(headers.get_all(name)).map(Some).ok_or(())
}

/// The date in a header. RFC 9110, 13.1.3 and 13.1.4: anything but one valid date is ignored.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    httpdate::parse_http_date(line.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CAT: ContentHash = ContentHash::from_bytes([0xca; 32]);
    const DOG: ContentHash = ContentHash::from_bytes([0xd0; 32]);

    /// When the objects of these tests were stored.
    const STORED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
    const SECOND_BEFORE: &str = "Wed, 21 Oct 2015 07:27:59 GMT";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn stored(hash: ContentHash) -> Option<Validators> {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        Some(Validators { hash: Some(hash), modified: Some(modified) })
    }

    fn check(
        method: Method,
        lines: &[(&'static str, &str)],
        current: Option<Validators>,
    ) -> Result<(), Unmet> {
        Condition::of(&method, &headers(lines)).unwrap().check(current)
    }

    fn tag(hash: ContentHash) -> String {
        hash.to_header().to_str().unwrap().to_owned()
    }

    #[test]
    fn if_match_holds_for_the_named_content_only() {
        let either = format!("\"x\", {}", tag(CAT));
        for (value, current, holds) in [
            ("*", stored(CAT), true),
            ("*", None, false),
            (&tag(CAT), stored(CAT), true),
            (&either, stored(CAT), true),
            (&tag(CAT), stored(DOG), false),
            (&tag(CAT), None, false),
            (&format!("W/{}", tag(CAT)), stored(CAT), false),
        ] {
            let expected = if holds { Ok(()) } else { Err(Unmet::Match) };
            assert_eq!(check(Method::PUT, &[("if-match", value)], current), expected, "{value}");
        }
    }

    #[test]
    fn if_none_match_holds_for_everything_else() {
        for (value, current, holds) in [
            ("*", stored(CAT), false),
            ("*", None, true),
            (&tag(CAT), stored(CAT), false),
            (&format!("W/{}", tag(CAT)), stored(CAT), false),
            (&tag(CAT), stored(DOG), true),
        ] {
            let expected = if holds { Ok(()) } else { Err(Unmet::NoneMatch) };
            let checked = check(Method::PUT, &[("if-none-match", value)], current);
            assert_eq!(checked, expected, "{value}");
        }
    }

    #[test]
    fn what_has_no_tag_is_matched_by_a_star_only() {
        let list = Some(Validators::default());
        let check = |name, value| check(Method::DELETE, &[(name, value)], list);
        assert_eq!(check("if-match", "*"), Ok(()));
        assert_eq!(check("if-match", "\"x\""), Err(Unmet::Match));
        assert_eq!(check("if-none-match", "*"), Err(Unmet::NoneMatch));
        assert_eq!(check("if-none-match", "\"x\""), Ok(()));
        assert_eq!(check("if-unmodified-since", STORED), Ok(()));
    }

    #[test]
    fn dates_are_compared_to_the_second() {
        let since = |method, name, date| check(method, &[(name, date)], stored(CAT));
        let (modified, unmodified) = ("if-modified-since", "if-unmodified-since");
        assert_eq!(since(Method::GET, modified, STORED), Err(Unmet::ModifiedSince));
        assert_eq!(since(Method::HEAD, modified, STORED), Err(Unmet::ModifiedSince));
        assert_eq!(since(Method::GET, modified, SECOND_BEFORE), Ok(()));
        assert_eq!(since(Method::PUT, modified, STORED), Ok(()));
        assert_eq!(since(Method::PUT, unmodified, STORED), Ok(()));
        assert_eq!(since(Method::PUT, unmodified, SECOND_BEFORE), Err(Unmet::UnmodifiedSince));
        assert_eq!(check(Method::PUT, &[(unmodified, SECOND_BEFORE)], None), Ok(()));
    }

    /// RFC 9110, 5.6.7.
    #[test]
    fn dates_may_have_the_two_obsolete_forms() {
        for date in ["Wednesday, 21-Oct-15 07:27:59 GMT", "Wed Oct 21 07:27:59 2015"] {
            let checked = check(Method::GET, &[("if-unmodified-since", date)], stored(CAT));
            assert_eq!(checked, Err(Unmet::UnmodifiedSince), "{date}");
        }
    }

    #[test]
    fn what_is_not_one_date_is_ignored() {
        let name = "if-unmodified-since";
        for lines in [
            vec![(name, "yesterday")],
            vec![(name, "")],
            vec![(name, SECOND_BEFORE), (name, SECOND_BEFORE)],
        ] {
            assert_eq!(check(Method::PUT, &lines, stored(CAT)), Ok(()), "{lines:?}");
        }
    }

    /// RFC 9110, 13.2.2.
    #[test]
    fn a_date_counts_only_where_there_are_no_tags() {
        let (cat, dog) = (tag(CAT), tag(DOG));
        let get = |lines: &[_]| check(Method::GET, lines, stored(CAT));
        assert_eq!(get(&[("if-match", &cat), ("if-unmodified-since", SECOND_BEFORE)]), Ok(()));
        assert_eq!(get(&[("if-match", &dog), ("if-unmodified-since", STORED)]), Err(Unmet::Match));
        assert_eq!(get(&[("if-none-match", &dog), ("if-modified-since", STORED)]), Ok(()));
        let both = [("if-none-match", &*cat), ("if-modified-since", SECOND_BEFORE)];
        assert_eq!(get(&both), Err(Unmet::NoneMatch));
        let all = [("if-none-match", &*cat), ("if-match", &*dog)];
        assert_eq!(get(&all), Err(Unmet::Match));
    }

    #[test]
    fn a_condition_that_is_not_understood_is_refused() {
        for name in ["if-match", "if-none-match"] {
            for lines in [vec![(name, "abc")], vec![(name, "*"), (name, "*")], vec![(name, "")]] {
                assert!(Condition::of(&Method::PUT, &headers(&lines)).is_err(), "{lines:?}");
            }
        }
    }

    #[test]
    fn if_range_allows_the_same_content_only() {
        let allows = |values: &[&str]| {
            let lines: Vec<_> = values.iter().map(|value| ("if-range", *value)).collect();
            if_range_allows(&headers(&lines), CAT)
        };
        let cat = &*tag(CAT);
        assert!(allows(&[]));
        assert!(allows(&[cat]));
        assert!(!allows(&[cat, cat]));
        for value in [&*tag(DOG), &format!("W/{cat}"), STORED, "nonsense"] {
            assert!(!allows(&[value]), "{value}");
        }
    }
}
