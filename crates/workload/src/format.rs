//! From a scenario file's raw values to a checked [`Scenario`], with the bounds of each.

mod load;
mod operations;

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use model::value::{Checked, Invalid, check};

use crate::offered::MAX_DURATION_S;
use crate::raw::RawScenario;
use crate::scenario::Scenario;

const MAX_SETTLE_S: f64 = 3_600.0;
const MAX_TIMEOUT_MS: f64 = 600_000.0;
const MAX_IN_FLIGHT: f64 = 16_384.0;

impl Checked for Scenario {
    type Raw = RawScenario;

    fn from_raw(raw: RawScenario) -> Result<Self, Invalid> {
        name("name", &raw.name)?;
        name("service", &raw.service)?;
        within("in_flight", raw.in_flight, 1.0..=MAX_IN_FLIGHT)?;
        within("timeout_ms", raw.timeout_ms, 1.0..=MAX_TIMEOUT_MS)?;
        let back_to_min = raw.limits.back_to_min;
        let allowed = "true only with a settle_s above 0, the time it may take";
        check(!back_to_min || raw.settle_s > 0.0, "limits.back_to_min", back_to_min, allowed)?;
        Ok(Self {
            limits: raw.limits,
            load: load::checked(&raw)?,
            operations: operations::checked(raw.objects, &raw.requests)?,
            warm_up: seconds("warm_up_s", raw.warm_up_s, 0.0..=MAX_DURATION_S)?,
            settle: seconds("settle_s", raw.settle_s, 0.0..=MAX_SETTLE_S)?,
            timeout: Duration::from_millis(raw.timeout_ms.into()),
            in_flight: NonZeroUsize::try_from(raw.in_flight as usize).unwrap_or(NonZeroUsize::MIN),
            name: raw.name,
            description: raw.description,
            service: raw.service,
            seed: raw.seed,
            each_membership: raw.each_membership,
        })
    }
}

/// Names become names of files and folders.
fn name(key: &'static str, value: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = value.len() <= 40
        && value.starts_with(|c: char| c.is_ascii_lowercase())
        && !value.ends_with('-')
        && value.chars().all(plain);
    let allowed = "up to 40 of a-z, 0-9 and `-`, a letter first and no `-` last";
    check(good, key, format!("{value:?}"), allowed)
}

/// A span of so many seconds, refused outside of `range`.
fn seconds(
    key: impl Into<String>,
    value: f64,
    range: RangeInclusive<f64>,
) -> Result<Duration, Invalid> {
    within(key, value, range)?;
    Ok(Duration::from_secs_f64(value))
}

/// Refuses a value outside of `range`. Not-a-number is in no range.
fn within<T: Copy + Display + Into<f64>>(
    key: impl Into<String>,
    value: T,
    range: RangeInclusive<f64>,
) -> Result<(), Invalid> {
    let allowed = format!("{} to {}", range.start(), range.end());
    check(range.contains(&value.into()), key.into(), value, allowed)
}
