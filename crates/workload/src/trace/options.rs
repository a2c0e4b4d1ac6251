//! What can be said about a trace beside its file: `interval=` and `gaps=`.

use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// The longest interval: a leap year.
const MAX_LENGTH: Duration = Duration::from_secs(366 * 86_400);

/// What is said about the intervals of a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IntervalOptions {
    /// How long an interval is. Without it: as long as the shortest time from a line to the next.
    pub length: Option<IntervalLength>,
    /// What stands for missing intervals. Without it a trace with holes is refused.
    pub gaps: Option<Gaps>,
}

/// How long an interval is; as text `10s`, `1m`, `1h` or `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntervalLength(Duration);

/// What stands for missing intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// No request.
    Zero,
    /// As many requests as in the interval before.
    Hold,
}

/// A text that is not what `interval=` or `gaps=` takes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("use {0}")]
pub struct IntervalOptionError(&'static str);

impl IntervalLength {
    /// The length.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for IntervalLength {
    type Err = IntervalOptionError;

    fn from_str(text: &str) -> Result<Self, IntervalOptionError> {
        let span = text.parse::<Span>().ok().filter(|_| !text.starts_with(['+', '-']));
        span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
            .and_then(|length| Duration::try_from(length).ok())
            .filter(|length| *length > Duration::ZERO && *length <= MAX_LENGTH)
            .map(Self)
            .ok_or(IntervalOptionError("a length above 0 up to 366d, such as 10s, 1m, 1h or 1d"))
    }
}

impl FromStr for Gaps {
    type Err = IntervalOptionError;

    fn from_str(text: &str) -> Result<Self, IntervalOptionError> {
        match text {
            "zero" => Ok(Self::Zero),
            "hold" => Ok(Self::Hold),
            _ => Err(IntervalOptionError("zero (no request) or hold (as many as before)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_a_number_with_a_unit() {
        let length = |text: &str| text.parse::<IntervalLength>().map(|length| length.0.as_secs());
        for (text, seconds) in
            [("10s", 10), ("1m", 60), ("1h", 3_600), ("1h30m", 5_400), ("1d", 86_400)]
        {
            assert_eq!(length(text), Ok(seconds), "{text}");
        }
        for text in ["", "1", "0s", "-1h", "+1h", "1h ago", "1 fortnight", "1mo", "367d"] {
            assert_eq!(
                length(text).unwrap_err().to_string(),
                "use a length above 0 up to 366d, such as 10s, 1m, 1h or 1d",
                "{text}"
            );
        }
    }

    #[test]
    fn gaps_are_filled_in_one_of_two_ways() {
        assert_eq!(["zero", "hold"].map(str::parse), [Ok(Gaps::Zero), Ok(Gaps::Hold)]);
        let error = "none".parse::<Gaps>().unwrap_err();
        assert_eq!(error.to_string(), "use zero (no request) or hold (as many as before)");
    }
}
