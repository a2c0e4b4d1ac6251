//! The query of `GET /`: which ids to list.

use crate::escape::{EscapeError, decode};
use crate::store::Query;

/// The most ids in one answer, and as many as there are without `limit`.
const MAX_IDS: usize = 1000;

/// Why a query is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("The query has {0:?}: use prefix, after and limit, each once.")]
    Key(String),
    #[error("In the query, {0:?} {1}")]
    Escape(String, EscapeError),
    #[error("limit is {0:?}: use 1 to {MAX_IDS}.")]
    Limit(String),
}

/// Reads a query as HTML forms write it, where `+` is a space.
pub(super) fn parse(raw: &str) -> Result<Query, QueryError> {
    let [mut prefix, mut after, mut limit] = [None, None, None];
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match key {
            "prefix" => &mut prefix,
            "after" => &mut after,
            "limit" => &mut limit,
            _ => return Err(QueryError::Key(key.to_owned())),
        };
        let spaced = value.replace('+', " ");
        let text = decode(&spaced).map_err(|error| QueryError::Escape(pair.to_owned(), error))?;
        if place.replace(text.into_owned()).is_some() {
            return Err(QueryError::Key(key.to_owned()));
        }
    }
    let limit = limit.map_or(Ok(MAX_IDS), |limit| {
        // Rust reads a sign too.
        let digits = limit.bytes().all(|byte| byte.is_ascii_digit()).then_some(&limit);
        let number = digits.and_then(|digits| digits.parse().ok());
        number.filter(|number| (1..=MAX_IDS).contains(number)).ok_or(QueryError::Limit(limit))
    })?;
    Ok(Query { prefix: prefix.unwrap_or_default(), after: after.unwrap_or_default(), limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_forms_write_it() {
        let read = |raw: &str| {
            let Query { prefix, after, limit } = parse(raw).unwrap();
            format!("{prefix}|{after}|{limit}")
        };
        assert_eq!(read(""), "||1000");
        assert_eq!(read("&limit=1&"), "||1");
        assert_eq!(read("prefix=a+b%2Bc&after=%C3%A9=/?"), "a b+c|\u{E9}=/?|1000");
        assert_eq!(read("prefix&after="), "||1000");
    }

    #[test]
    fn a_query_that_cannot_be_followed_is_refused_with_what_is_allowed() {
        let refusals = [
            "prefix=%zz",
            "prefix=%",
            "after=%ff",
            "limit=abc",
            "limit=0",
            "limit=1001",
            "limit=",
            "limit=%2B5",
            "sort=up",
            "prefix=a&prefix=b",
        ]
        .map(|raw| parse(raw).unwrap_err().to_string())
        .join("\n");
        insta::assert_snapshot!(refusals, @r#"
        In the query, "prefix=%zz" holds a percent sign without two hexadecimal digits; write it as %25.
        In the query, "prefix=%" holds a percent sign without two hexadecimal digits; write it as %25.
        In the query, "after=%ff" is not UTF-8.
        limit is "abc": use 1 to 1000.
        limit is "0": use 1 to 1000.
        limit is "1001": use 1 to 1000.
        limit is "": use 1 to 1000.
        limit is "+5": use 1 to 1000.
        The query has "sort": use prefix, after and limit, each once.
        The query has "prefix": use prefix, after and limit, each once.
        "#);
    }
}
