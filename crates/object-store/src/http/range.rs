//! The header `Range`: one range of bytes. RFC 9110, 14.1 and 14.2.

use std::ops::Range;

/// Which part of a content to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: no range was asked for, several were, or what was is not understood. RFC 9110,
    /// 14.2, lets a server ignore the last two.
    Whole,
    /// These bytes: not empty, and within the content.
    Bytes(Range<u64>),
    /// The range begins after the content's end.
    Unsatisfiable,
}

/// Reads the value of a `Range` header for a content of `length` bytes.
pub(super) fn parse(value: &str, length: u64) -> Part {
    let range = value.split_once('=').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = range.and_then(|(_, range)| range.trim().split_once('-')) else {
        return Part::Whole;
    };
    let range = match (first, last) {
        // 14.1.2: of a content shorter than the suffix, all is sent; an empty one has no part.
        ("", suffix) => match number(suffix) {
            Some(1..) if length == 0 => None,
            count => count.map(|count| length.saturating_sub(count)..length),
        },
        (first, "") => number(first).map(|first| first..length),
        (first, last) => number(first)
            .zip(number(last))
            .filter(|(first, last)| first <= last)
            .map(|(first, last)| first..last.saturating_add(1).min(length)),
    };
    match range {
        None => Part::Whole,
        Some(range) if range.start < range.end => Part::Bytes(range),
        Some(_) => Part::Unsatisfiable,
    }
}

/// Digits only; a number too large for the type is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (value, length, part) in [
            ("bytes=0-0", 10, Part::Bytes(0..1)),
            ("bytes=2-5", 10, Part::Bytes(2..6)),
            ("Bytes=2-", 10, Part::Bytes(2..10)),
            ("bytes=-3", 10, Part::Bytes(7..10)),
            ("bytes=-30", 10, Part::Bytes(0..10)),
            ("bytes=5-99999999999999999999999", 10, Part::Bytes(5..10)),
            ("bytes=10-", 10, Part::Unsatisfiable),
            ("bytes=10-11", 10, Part::Unsatisfiable),
            ("bytes=-0", 10, Part::Unsatisfiable),
            ("bytes=0-", 0, Part::Unsatisfiable),
            ("bytes=-5", 0, Part::Whole),
            ("bytes=-0", 0, Part::Unsatisfiable),
            ("bytes=5-2", 10, Part::Whole),
            ("bytes=-", 10, Part::Whole),
            ("bytes=0-1,4-5", 10, Part::Whole),
            ("bytes=+1-2", 10, Part::Whole),
            ("lines=0-1", 10, Part::Whole),
            ("0-1", 10, Part::Whole),
        ] {
            assert_eq!(parse(value, length), part, "{value} of {length}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_within_the_content(value in "bytes=[0-9]{0,21}-[0-9]{0,21}", length: u64) {
            if let Part::Bytes(range) = parse(&value, length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}
