//! The query of a request: how large the matrices are, which ones, and how the answer is written.

use std::num::NonZeroUsize;
use std::str::FromStr;

use super::{Format, Task};

/// `n` where the query has none.
const DEFAULT_N: usize = 100;

/// Bits of a 64-bit number that those who read numbers of JSON as JavaScript does may lose: they keep 53. A seed of
/// chance has to come back as it was told.
const JSON_SPARE_BITS: u32 = 11;

/// A query, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) task: Task,
    /// `None` for what the headers ask for.
    pub(super) format: Option<Format>,
}

/// Why a query is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("The query has {0:?}: use n, seed and format, each once.")]
    Key(String),
    #[error("n is {given:?}: use 1 to {max}.")]
    N { given: String, max: usize },
    #[error("seed is {0:?}: use 0 to {max}.", max = u64::MAX)]
    Seed(String),
    #[error("format is {0:?}: use json or html.")]
    Format(String),
}

/// Reads a query. Without a seed, chance gives one. A key without a value is none, as a form sends it.
pub(super) fn parse(raw: &str, max_n: usize) -> Result<Query, QueryError> {
    let [mut n, mut seed, mut format] = [None, None, None];
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match key {
            "n" => &mut n,
            "seed" => &mut seed,
            "format" => &mut format,
            _ => return Err(QueryError::Key(key.to_owned())),
        };
        if place.replace(value).is_some() {
            return Err(QueryError::Key(key.to_owned()));
        }
    }
    Ok(Query {
        task: Task { n: read_n(n, max_n)?, seed: read_seed(seed)? },
        format: read_format(format)?,
    })
}

fn read_n(value: Option<&str>, max: usize) -> Result<NonZeroUsize, QueryError> {
    let default = DEFAULT_N.min(max).to_string();
    let text = value.filter(|value| !value.is_empty()).unwrap_or(&default);
    let n = number(text).filter(|n: &NonZeroUsize| n.get() <= max);
    n.ok_or_else(|| QueryError::N { given: text.to_owned(), max })
}

fn read_seed(value: Option<&str>) -> Result<u64, QueryError> {
    match value {
        None | Some("") => Ok(rand::random::<u64>() >> JSON_SPARE_BITS),
        Some(text) => number(text).ok_or_else(|| QueryError::Seed(text.to_owned())),
    }
}

/// A number as it is told in an answer. Rust's own reading takes a sign and zeros before it as well, and to a form a
/// `+` is a blank.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zero = text.len() > 1 && text.starts_with('0');
    if is_plain && !has_zero { text.parse().ok() } else { None }
}

fn read_format(value: Option<&str>) -> Result<Option<Format>, QueryError> {
    match value {
        None | Some("") => Ok(None),
        Some("json") => Ok(Some(Format::Json)),
        Some("html") => Ok(Some(Format::Page)),
        Some(text) => Err(QueryError::Format(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_multiplied_and_how_the_answer_is_written() {
        let read = |raw: &str| parse(raw, 500).unwrap();
        let query = read("n=500&seed=18446744073709551615&format=json");
        assert_eq!((query.task.n.get(), query.task.seed), (500, u64::MAX));
        assert_eq!(query.format, Some(Format::Json));
        assert_eq!(read("seed=0").task.seed, 0);
        assert_eq!(read("").task.n.get(), 100);
        assert_eq!(parse("", 7).unwrap().task.n.get(), 7);
        assert_eq!(read("n=&seed=&format=").format, None);
        assert_ne!(read("").task.seed, read("").task.seed);
    }

    #[test]
    fn a_query_that_cannot_be_followed_is_refused_with_what_is_allowed() {
        let refusals = [
            "n=0",
            "n=501",
            "n=-1",
            "n=1.5",
            "n=abc",
            "n=%31",
            "n=+5",
            "n=05",
            "n=5 ",
            "n=1e2",
            "seed=-1",
            "seed=+1",
            "seed=00",
            "seed=18446744073709551616",
            "format=xml",
            "m=1",
            "n=1&n=2",
        ]
        .map(|raw| parse(raw, 500).unwrap_err().to_string())
        .join("\n");
        insta::assert_snapshot!(refusals, @r#"
        n is "0": use 1 to 500.
        n is "501": use 1 to 500.
        n is "-1": use 1 to 500.
        n is "1.5": use 1 to 500.
        n is "abc": use 1 to 500.
        n is "%31": use 1 to 500.
        n is "+5": use 1 to 500.
        n is "05": use 1 to 500.
        n is "5 ": use 1 to 500.
        n is "1e2": use 1 to 500.
        seed is "-1": use 0 to 18446744073709551615.
        seed is "+1": use 0 to 18446744073709551615.
        seed is "00": use 0 to 18446744073709551615.
        seed is "18446744073709551616": use 0 to 18446744073709551615.
        format is "xml": use json or html.
        The query has "m": use n, seed and format, each once.
        The query has "n": use n, seed and format, each once.
        "#);
    }
}
