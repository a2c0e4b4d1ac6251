//! Bounds of a scenario's numbers.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use model::value::{Invalid, check};

/// A span of so many seconds, refused outside of `range`.
pub(super) fn seconds(
    key: impl Into<String>,
    value: f64,
    range: RangeInclusive<f64>,
) -> Result<Duration, Invalid> {
    within(key, value, range)?;
    Ok(Duration::from_secs_f64(value))
}

/// Refuses a value outside of `range`, and gives one inside back. Not-a-number is in no range.
pub(super) fn within<T: Copy + Display + Into<f64>>(
    key: impl Into<String>,
    value: T,
    range: RangeInclusive<f64>,
) -> Result<T, Invalid> {
    let allowed = format!("{} to {}", range.start(), range.end());
    check(range.contains(&value.into()), key.into(), value, allowed)?;
    Ok(value)
}
