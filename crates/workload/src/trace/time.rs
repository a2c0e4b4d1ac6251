//! A time in the first column of a file, in each of the spellings that are understood.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::{Time as TimeOfDay, date};
use jiff::fmt::temporal::Pieces;

/// No load lasts longer, and a smaller number counts from the start of the file: as seconds since
/// 1970 it would lie before 1980.
pub(super) const TEN_YEARS: Duration = Duration::from_secs(315_360_000);
/// The last number that is seconds since 1970: in 2286.
const LAST_SECOND: i64 = 9_999_999_999;
/// The first number that is milliseconds since 1970, in 1973, and the last.
const FIRST_MILLISECOND: i64 = 100_000_000_000;
const LAST_MILLISECOND: i64 = LAST_SECOND * 1_000 + 999;

/// The spellings, for errors.
pub(super) const SPELLINGS: &str = "seconds from the start, seconds or milliseconds since 1970, or \
                                    a date and time such as 1995-07-03 00:01:00 or \
                                    1995-07-03T00:01:00Z";

/// How a time is meant. All times of a file are meant alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// So long after a start that the file does not name.
    FromStart,
    /// A date and time of clocks that do not say where they stand: taken for UTC.
    Local,
    /// One moment everywhere: a date with an offset or `Z`, or a number since 1970.
    Moment,
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) meaning: Meaning,
    /// Since the start, or since 1970 in UTC.
    pub(super) at: Duration,
    /// What clocks showed there, since 1970; the same as `at` without an offset.
    pub(super) clock: Duration,
}

impl Time {
    /// `None` unless the text is one of [`SPELLINGS`].
    pub(super) fn parse(text: &str) -> Option<Self> {
        if is_plain(text) { Self::from_number(text) } else { Self::from_date(text) }
    }

    fn from_number(text: &str) -> Option<Self> {
        // As a duration it is exact to the nanosecond, which a floating-point number of seconds
        // since 1970 is not.
        let number: SignedDuration = format!("{text}s").parse().ok()?;
        let (meaning, at) = match number.as_secs() {
            _ if number <= SignedDuration::try_from(TEN_YEARS).ok()? => {
                (Meaning::FromStart, number)
            }
            ..=LAST_SECOND => (Meaning::Moment, number),
            FIRST_MILLISECOND..=LAST_MILLISECOND => (Meaning::Moment, number / 1_000),
            _ => return None,
        };
        let at = Duration::try_from(at).ok()?;
        Some(Self { meaning, at, clock: at })
    }

    fn from_date(text: &str) -> Option<Self> {
        // Some databases write `UTC` for `Z`.
        let zulu = text.strip_suffix(" UTC").map(|text| format!("{text}Z"));
        let pieces = Pieces::parse(zulu.as_deref().unwrap_or(text)).ok()?;
        let offset = pieces.to_numeric_offset();
        if offset.is_none() && pieces.time_zone_annotation().is_some() {
            return None;
        }
        let time = pieces.time().unwrap_or_else(TimeOfDay::midnight);
        let clock = pieces.date().to_datetime(time).duration_since(date(1970, 1, 1).at(0, 0, 0, 0));
        let ahead = SignedDuration::from_secs(offset.map_or(0, |offset| offset.seconds().into()));
        Some(Self {
            meaning: if offset.is_some() { Meaning::Moment } else { Meaning::Local },
            at: Duration::try_from(clock - ahead).ok()?,
            clock: Duration::try_from(clock).ok()?,
        })
    }
}

/// Whether a text has only digits and at most one point: no sign, no exponent, no `inf`.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A length as people write it, and as `interval=` takes it: `1h 30m`.
pub(super) fn length(length: Duration) -> String {
    SignedDuration::try_from(length)
        .map_or_else(|_| format!("{} s", length.as_secs()), |length| format!("{length:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of 2024-01-01 in UTC, in milliseconds since 1970.
    const NOON_MS: u64 = 1_704_110_400_000;

    fn meant(text: &str) -> Option<(Meaning, u128)> {
        Time::parse(text).map(|time| (time.meaning, time.at.as_micros()))
    }

    #[test]
    fn a_time_is_read_in_the_spellings_of_usual_exports() {
        let us = |ms: u64| u128::from(ms) * 1_000;
        for text in [
            "2024-01-01T12:00:00Z",
            "2024-01-01 12:00:00Z",
            "2024-01-01t12:00z",
            "2024-01-01 12:00:00 UTC",
            "2024-01-01T13:00:00+01:00",
            "2024-01-01T07:00:00.000-0500",
            "2024-01-01T13:00:00+01:00[Europe/Berlin]",
            "1704110400",
            "1704110400.0",
            "1704110400000",
        ] {
            assert_eq!(meant(text), Some((Meaning::Moment, us(NOON_MS))), "{text}");
        }
        for text in ["2024-01-01 12:00:00", "2024-01-01T12:00", "2024-01-01 12:00:00.000"] {
            assert_eq!(meant(text), Some((Meaning::Local, us(NOON_MS))), "{text}");
        }
        assert_eq!(meant("2024-01-01"), Some((Meaning::Local, us(NOON_MS - 43_200_000))));
        assert_eq!(meant("315360000"), Some((Meaning::FromStart, 315_360_000_000_000)));
        assert_eq!(meant("0.25"), Some((Meaning::FromStart, 250_000)));
    }

    #[test]
    fn fractions_of_a_second_are_exact() {
        assert_eq!(meant("1704110400.123457").unwrap().1, 1_704_110_400_123_457);
        assert_eq!(meant("1704110400123.457").unwrap().1, 1_704_110_400_123_457);
        assert_eq!(meant("2024-01-01T12:00:00.123457Z").unwrap().1, 1_704_110_400_123_457);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            ".",
            "1.2.3",
            "-1",
            "+1",
            "inf",
            "1e9",
            "yesterday",
            "12:00:00",
            "03/07/1995",
            // Before 1970, between seconds and milliseconds, microseconds, nanoseconds.
            "1969-12-31T23:59:59Z",
            "10000000000",
            "1704110400000000",
            "1704110400000000000",
            // A zone without an offset: it takes a database of zones to know the moment.
            "2024-01-01T13:00:00[Europe/Berlin]",
        ] {
            assert_eq!(meant(text), None, "{text}");
        }
    }

    #[test]
    fn clocks_show_the_time_of_their_own_zone() {
        let time = Time::parse("1995-07-03T00:00:00-04:00").unwrap();
        assert_eq!(time.clock, Duration::from_secs(804_729_600));
        assert_eq!(time.at, Duration::from_secs(804_729_600 + 4 * 3_600));
    }
}
