//! Judging figures: each error names the key, the value and what is allowed.

use std::ops::RangeInclusive;

use super::SpecError;

/// One day, in milliseconds: the longest span that a file may ask for.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// What is allowed for a span of time that may be none.
pub(crate) const SPAN: &str = "0 to 86400000 (milliseconds, one day)";

/// What is allowed for a span of time that must be some.
pub(crate) const SOME_TIME: &str = "1 to 86400000 (milliseconds, one day)";

/// What is allowed for a target as a share of what an instance can do.
pub(crate) const PERCENT_OF_CAPACITY: &str = "1 to 100 (percent of an instance's capacity)";

/// What is allowed for a bound as a share of what instances have; a backlog can fill them many
/// times over.
pub(crate) const PERCENT_OF_INSTANCE: &str = "0 to 10000 (percent of what the instances have)";

/// An error, unless it `holds`.
pub(crate) fn check(
    holds: bool,
    key: &'static str,
    value: impl ToString,
    allowed: &'static str,
) -> Result<(), SpecError> {
    if holds {
        Ok(())
    } else {
        Err(SpecError::Value { key: key.into(), value: value.to_string(), allowed })
    }
}

/// An error for a value out of its range, of which `allowed` is the text; not a number is in none.
pub(crate) fn within<T: PartialOrd + ToString>(
    key: &'static str,
    value: T,
    range: RangeInclusive<T>,
    allowed: &'static str,
) -> Result<(), SpecError> {
    check(range.contains(&value), key, value, allowed)
}

/// An error where the first value lies above the second.
pub(crate) fn not_above<T: PartialOrd + ToString>(
    [lower_key, upper_key]: [&'static str; 2],
    lower: T,
    upper: T,
) -> Result<(), SpecError> {
    crossed("above", [lower_key, upper_key], lower <= upper, [lower.to_string(), upper.to_string()])
}

/// An error where the first value is not below the second.
pub(crate) fn ordered<T: PartialOrd + ToString>(
    [lower_key, upper_key]: [&'static str; 2],
    lower: T,
    upper: T,
) -> Result<(), SpecError> {
    let values = [lower.to_string(), upper.to_string()];
    crossed("not below", [lower_key, upper_key], lower < upper, values)
}

/// Judges a lower and an upper bound in percent of what instances have.
pub(crate) fn band(lower: f64, upper: f64, allowed: &'static str) -> Result<(), SpecError> {
    let keys = ["policy.lower_percent", "policy.upper_percent"];
    within(keys[0], lower, 0.0..=10_000.0, allowed)?;
    within(keys[1], upper, 0.0..=10_000.0, allowed)?;
    ordered(keys, lower, upper)
}

fn crossed(
    relation: &'static str,
    [lower_key, upper_key]: [&'static str; 2],
    holds: bool,
    values: [String; 2],
) -> Result<(), SpecError> {
    if holds {
        Ok(())
    } else {
        let (lower_key, upper_key) = (lower_key.into(), upper_key.into());
        Err(SpecError::Crossed { relation, lower_key, upper_key, values: Box::new(values) })
    }
}
