//! Values that are not allowed: which key holds one, and what it may hold.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

use crate::output::harmless;

/// A type that is read in two steps: raw, as a file or a request has it, then checked.
pub trait Checked: Sized {
    /// What is written. It refuses unknown keys.
    type Raw: DeserializeOwned;

    /// Checks what is written.
    ///
    /// # Errors
    /// [`Invalid`] names the first key whose value is not allowed.
    fn from_raw(raw: Self::Raw) -> Result<Self, Invalid>;
}

/// A type whose form says all: whatever reads as one is allowed. It is [`Checked`] by that.
pub trait Plain: DeserializeOwned {}

impl<T: Plain> Checked for T {
    type Raw = Self;

    fn from_raw(raw: Self) -> Result<Self, Invalid> {
        Ok(raw)
    }
}

/// A value that is not allowed. Keys are written with their tables and the index in a list:
/// `instance.port`, `phases[2].rate`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A value out of its range.
    #[error("{} is {}: use {allowed}", harmless(key), harmless(value))]
    Value {
        /// The key.
        key: Cow<'static, str>,
        /// What it holds.
        value: String,
        /// What it may hold.
        allowed: Cow<'static, str>,
    },
    /// Two values that do not fit each other.
    #[error(
        "{lower_key} is {}, {relation} {upper_key}, {}: lower one or raise the other",
        .values[0],
        .values[1]
    )]
    Crossed {
        /// How they lie to each other: `above`, `not below`.
        relation: &'static str,
        /// The key of the one that should be lower.
        lower_key: Cow<'static, str>,
        /// The key of the one that should be higher.
        upper_key: Cow<'static, str>,
        /// What the two hold. In a box, because this error is part of many larger ones.
        values: Box<[String; 2]>,
    },
    /// A text of the wrong form.
    #[error("{}: {}", harmless(key), harmless(reason))]
    Form {
        /// The key.
        key: Cow<'static, str>,
        /// What is wrong with the text, and what would be right.
        reason: String,
    },
}

impl Invalid {
    /// `key` holds `value`; `allowed` completes the sentence `use ...`.
    pub fn new(
        key: impl Into<Cow<'static, str>>,
        value: impl Display,
        allowed: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Value { key: key.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// A text below `key` that was refused with `error`, which quotes it.
    pub fn form(key: impl Into<Cow<'static, str>>, error: &impl Display) -> Self {
        Self::Form { key: key.into(), reason: error.to_string() }
    }

    /// The key that the error is about; of two, the one that should be lower.
    pub fn key(&self) -> &str {
        match self {
            Self::Value { key, .. } | Self::Form { key, .. } => key,
            Self::Crossed { lower_key, .. } => lower_key,
        }
    }

    /// All keys that it is about.
    pub fn keys(&self) -> Vec<&str> {
        match self {
            Self::Value { key, .. } | Self::Form { key, .. } => vec![key],
            Self::Crossed { lower_key, upper_key, .. } => vec![lower_key, upper_key],
        }
    }

    /// The same error with each of its keys renamed.
    #[must_use]
    pub fn with_keys(self, rename: impl Fn(&str) -> String) -> Self {
        let named = |key: Cow<'static, str>| Cow::Owned(rename(&key));
        match self {
            Self::Value { key, value, allowed } => Self::Value { key: named(key), value, allowed },
            Self::Form { key, reason } => Self::Form { key: named(key), reason },
            Self::Crossed { relation, lower_key, upper_key, values } => {
                let (lower_key, upper_key) = (named(lower_key), named(upper_key));
                Self::Crossed { relation, lower_key, upper_key, values }
            }
        }
    }

    /// The same error about the item at `index` of `list`: `steps.by` becomes `steps[1].by`.
    #[must_use]
    pub fn of_item(self, list: &str, index: usize) -> Self {
        self.with_keys(|key| match key.strip_prefix(list).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) => format!("{list}[{index}].{rest}"),
            None => key.to_owned(),
        })
    }
}

/// One day, in milliseconds: the longest span that a file may ask for.
pub const DAY_MS: u64 = 86_400_000;

/// What is allowed for a span of time that may be zero.
pub(crate) const SPAN: &str = "0 to 86400000 (milliseconds, one day)";

/// What is allowed for a span of time that must be longer than zero.
pub(crate) const SOME_TIME: &str = "1 to 86400000 (milliseconds, one day)";

/// What is allowed for a target as a share of what an instance can do.
pub(crate) const PERCENT_OF_CAPACITY: &str = "1 to 100 (percent of an instance's capacity)";

/// What is allowed for a bound as a share of what instances have. Requests that wait can fill them
/// many times over.
pub(crate) const PERCENT_OF_INSTANCE: &str = "0 to 10000 (percent of what the instances have)";

/// Refuses `value` below `key` unless `holds`.
///
/// # Errors
/// [`Invalid::Value`].
pub fn check(
    holds: bool,
    key: impl Into<Cow<'static, str>>,
    value: impl Display,
    allowed: impl Into<Cow<'static, str>>,
) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid::new(key, value, allowed)) }
}

/// Refuses a value outside of `range`, which `allowed` describes. Not-a-number is in no range.
///
/// # Errors
/// [`Invalid::Value`].
pub fn within<T: PartialOrd + Display>(
    key: impl Into<Cow<'static, str>>,
    value: T,
    range: RangeInclusive<T>,
    allowed: impl Into<Cow<'static, str>>,
) -> Result<(), Invalid> {
    check(range.contains(&value), key, value, allowed)
}

/// `value`, refused outside of `range`; the error says the range's ends.
///
/// # Errors
/// [`Invalid::Value`].
pub fn in_range<T: PartialOrd + Display>(
    key: impl Into<Cow<'static, str>>,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, Invalid> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Invalid::new(key, value, format!("{} to {}", range.start(), range.end())))
}

/// Refuses two values of which the first lies above the second.
///
/// # Errors
/// [`Invalid::Crossed`].
pub fn not_above<T: PartialOrd + Display>(
    keys: [&'static str; 2],
    lower: T,
    upper: T,
) -> Result<(), Invalid> {
    if lower <= upper { Ok(()) } else { Err(crossed("above", keys, lower, upper)) }
}

/// Refuses two values of which the first is not below the second.
pub(crate) fn ordered<T: PartialOrd + Display>(
    keys: [&'static str; 2],
    lower: T,
    upper: T,
) -> Result<(), Invalid> {
    if lower < upper { Ok(()) } else { Err(crossed("not below", keys, lower, upper)) }
}

/// Checks a lower and an upper bound in percent of what instances have.
pub(crate) fn percent_band(lower: f64, upper: f64) -> Result<(), Invalid> {
    let keys = ["policy.lower_percent", "policy.upper_percent"];
    within(keys[0], lower, 0.0..=10_000.0, PERCENT_OF_INSTANCE)?;
    within(keys[1], upper, 0.0..=10_000.0, PERCENT_OF_INSTANCE)?;
    ordered(keys, lower, upper)
}

fn crossed<T: Display>(
    relation: &'static str,
    [lower_key, upper_key]: [&'static str; 2],
    lower: T,
    upper: T,
) -> Invalid {
    let values = Box::new([lower.to_string(), upper.to_string()]);
    Invalid::Crossed { relation, lower_key: lower_key.into(), upper_key: upper_key.into(), values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_key_the_value_and_what_is_allowed() {
        let refused = within("bounds.max", 0, 1..=750, "1 to 750").unwrap_err();
        assert_eq!(refused.to_string(), "bounds.max is 0: use 1 to 750");
        let refused = not_above(["a.min", "a.max"], 3, 2).unwrap_err();
        assert_eq!(refused.to_string(), "a.min is 3, above a.max, 2: lower one or raise the other");
        assert_eq!(refused.key(), "a.min");
        assert!(within("x", f64::NAN, 0.0..=1.0, "0 to 1").is_err());
    }

    #[test]
    fn what_somebody_wrote_does_nothing_on_a_terminal() {
        let told = Invalid::new("a.\u{9b}2J", "x\ny", "z").to_string();
        assert_eq!(told, "a.\\u{9b}2J is x\\u{a}y: use z");
        let told = Invalid::form("a", &"`\u{1b}c` is none").to_string();
        assert_eq!(told, "a: `\\u{1b}c` is none");
    }

    #[test]
    fn an_error_about_an_item_of_a_list_has_its_index() {
        let of_item = |key: &'static str| Invalid::new(key, 1, "2").of_item("a.steps", 1);
        assert_eq!(of_item("a.steps.by").key(), "a.steps[1].by");
        assert_eq!(of_item("a.stepsize").key(), "a.stepsize");
        assert_eq!(of_item("a.steps").key(), "a.steps");
    }
}
