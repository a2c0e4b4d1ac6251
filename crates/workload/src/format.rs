//! From a scenario file's raw values to a checked [`Scenario`], with the bounds of each.

mod load;

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::raw::{RawKeys, RawLimits, RawMix, RawScenario, RawSize};
use crate::scenario::{Keys, Limits, Mix, Scenario, Sizes, TimeFactor};

/// Load is offered for a day at most.
const MAX_DURATION_S: f64 = 86_400.0;
/// No rate is above this many requests per second, about what one core can send.
const MAX_RATE: f64 = 100_000.0;
const MAX_SETTLE_S: f64 = 3_600.0;
const MAX_TIMEOUT_MS: f64 = 600_000.0;
const MAX_IN_FLIGHT: f64 = 16_384.0;
const MAX_KEYS: f64 = 100_000.0;
const MAX_WEIGHT: f64 = 1_000_000.0;
/// A body carries its version and its size in front, 16 bytes.
const MIN_BYTES: f64 = 16.0;
const MAX_BYTES: f64 = 67_108_864.0;

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, or keys that a scenario does not have.
    #[error("{file} is not a scenario")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, with line and key.
        source: Box<toml::de::Error>,
    },
    /// A value that is not allowed.
    #[error("{place}: {key} = {value}: allowed is {allowed}")]
    Value {
        /// The file, and the line where there is one.
        place: String,
        /// The key, with the table it stands in.
        key: String,
        /// What the file says.
        value: String,
        /// What it may say.
        allowed: String,
    },
    /// Rates in multiples of an instance's capacity, and no capacity.
    #[error(
        "scenario {scenario} counts its rates in instances, and nothing says what one instance \
         serves: give capacity.requests_per_second in the service's file"
    )]
    CapacityUnknown {
        /// The scenario's name.
        scenario: String,
    },
    /// The instance's capacity turns a rate into one that cannot be offered.
    #[error("scenario {scenario} comes to {rate} requests/s: allowed is up to {MAX_RATE}")]
    TooFast {
        /// The scenario's name.
        scenario: String,
        /// Its highest rate, in requests per second.
        rate: f64,
    },
    /// A trace that a run would not come to the end of.
    #[error(
        "{scenario} lasts {seconds} s: allowed is up to {MAX_DURATION_S} s (a day): give a time \
         factor of {factor} or less"
    )]
    TooLong {
        /// The trace's name.
        scenario: String,
        /// How long it lasts, in seconds.
        seconds: f64,
        /// The largest factor that makes it short enough.
        factor: f64,
    },
}

/// Parses and checks the text of a scenario.
pub(crate) fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let raw: RawScenario = toml::from_str(text)
        .map_err(|e| ScenarioError::Syntax { file: file.to_owned(), source: Box::new(e) })?;
    Check { file, text }.scenario(raw)
}

/// Refuses a load that an instance's capacity has made too fast, given its rates.
pub(crate) fn check_rate(
    scenario: &str,
    rates: impl IntoIterator<Item = f64>,
) -> Result<(), ScenarioError> {
    let rate = rates.into_iter().fold(0.0, f64::max);
    if rate <= MAX_RATE {
        return Ok(());
    }
    Err(ScenarioError::TooFast { scenario: scenario.to_owned(), rate })
}

/// Refuses a load of that length when a factor leaves it too long.
pub(crate) fn check_span(
    scenario: &str,
    whole: Duration,
    factor: TimeFactor,
) -> Result<(), ScenarioError> {
    let whole_s = whole.as_secs_f64();
    let seconds = whole_s * factor.get();
    if seconds <= MAX_DURATION_S {
        return Ok(());
    }
    // Rounded down to what a person types; the longest trace, ten years, needs 0.000273.
    let factor = (MAX_DURATION_S / whole_s * 1e6).floor() / 1e6;
    Err(ScenarioError::TooLong { scenario: scenario.to_owned(), seconds, factor })
}

/// Turns raw values into checked ones; it knows the file and its text for its errors.
struct Check<'a> {
    file: &'a str,
    text: &'a str,
}

impl Check<'_> {
    fn scenario(&self, raw: RawScenario) -> Result<Scenario, ScenarioError> {
        self.name("name", &raw.name)?;
        self.name("service", &raw.service)?;
        self.within("in_flight", f64::from(raw.in_flight), 1.0..=MAX_IN_FLIGHT)?;
        self.within("timeout_ms", f64::from(raw.timeout_ms), 1.0..=MAX_TIMEOUT_MS)?;
        let limits = self.limits(&raw)?;
        let load = self.load(&raw)?;
        Ok(Scenario {
            name: raw.name,
            description: raw.description,
            service: raw.service,
            seed: raw.seed,
            load,
            warm_up: self.seconds("warm_up_s", raw.warm_up_s, 0.0..=MAX_DURATION_S)?,
            settle: self.seconds("settle_s", raw.settle_s, 0.0..=MAX_SETTLE_S)?,
            timeout: Duration::from_millis(raw.timeout_ms.into()),
            in_flight: NonZeroUsize::try_from(raw.in_flight as usize).unwrap_or(NonZeroUsize::MIN),
            mix: self.mix(&raw.mix)?,
            keys: self.keys(&raw.keys)?,
            sizes: self.sizes(&raw.size)?,
            limits,
            each_membership: raw.each_membership,
        })
    }

    fn mix(&self, raw: &RawMix) -> Result<Mix, ScenarioError> {
        for (key, weight) in [("get", raw.get), ("put", raw.put), ("delete", raw.delete)] {
            self.within(&format!("mix.{key}"), f64::from(weight), 0.0..=MAX_WEIGHT)?;
        }
        if raw.get + raw.put + raw.delete == 0 {
            return Err(self.refuse("the sum of mix", 0, "at least 1"));
        }
        Ok(Mix { get: raw.get, put: raw.put, delete: raw.delete })
    }

    fn keys(&self, raw: &RawKeys) -> Result<Keys, ScenarioError> {
        self.within("keys.count", f64::from(raw.count), 1.0..=MAX_KEYS)?;
        let zipf_exponent = self.within("keys.zipf_exponent", raw.zipf_exponent, 0.0..=10.0)?;
        Ok(Keys { count: raw.count, zipf_exponent })
    }

    fn sizes(&self, raw: &RawSize) -> Result<Sizes, ScenarioError> {
        let bytes = |name: &str, value: u32, range: RangeInclusive<f64>| {
            self.within(&format!("size.{name}"), f64::from(value), range).map(|_| value)
        };
        Ok(match *raw {
            RawSize::Fixed { bytes: value } => {
                Sizes::Fixed { bytes: bytes("bytes", value, MIN_BYTES..=MAX_BYTES)? }
            }
            RawSize::Uniform { min_bytes, max_bytes } => Sizes::Uniform {
                min: bytes("min_bytes", min_bytes, MIN_BYTES..=f64::from(max_bytes))?,
                max: bytes("max_bytes", max_bytes, MIN_BYTES..=MAX_BYTES)?,
            },
            RawSize::Lognormal { median_bytes, sigma, min_bytes, max_bytes } => Sizes::Lognormal {
                max: bytes("max_bytes", max_bytes, MIN_BYTES..=MAX_BYTES)?,
                min: bytes("min_bytes", min_bytes, MIN_BYTES..=f64::from(max_bytes))?,
                median: bytes(
                    "median_bytes",
                    median_bytes,
                    f64::from(min_bytes)..=f64::from(max_bytes),
                )?,
                sigma: self.within("size.sigma", sigma, 0.0..=10.0)?,
            },
        })
    }

    fn limits(&self, raw: &RawScenario) -> Result<Limits, ScenarioError> {
        let RawLimits { max_failed, max_dropped, back_to_min } = raw.limits;
        if back_to_min && raw.settle_s <= 0.0 {
            let allowed = "true only with a settle_s above 0, the time it may take";
            return Err(self.refuse("limits.back_to_min", back_to_min, allowed));
        }
        Ok(Limits { max_failed, max_dropped, back_to_min })
    }

    /// Names become names of files and folders.
    fn name(&self, key: &str, value: &str) -> Result<(), ScenarioError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = value.len() <= 40
            && value.starts_with(|c: char| c.is_ascii_lowercase())
            && !value.ends_with('-')
            && value.chars().all(plain);
        if good {
            return Ok(());
        }
        let allowed = "up to 40 of a-z, 0-9 and `-`, a letter first and no `-` last";
        Err(self.refuse(key, format!("{value:?}"), allowed))
    }

    fn seconds(
        &self,
        key: &str,
        value: f64,
        range: RangeInclusive<f64>,
    ) -> Result<Duration, ScenarioError> {
        self.within(key, value, range).map(Duration::from_secs_f64)
    }

    fn within(
        &self,
        key: &str,
        value: f64,
        range: RangeInclusive<f64>,
    ) -> Result<f64, ScenarioError> {
        if range.contains(&value) {
            return Ok(value);
        }
        Err(self.refuse(key, value, &format!("{} to {}", range.start(), range.end())))
    }

    fn refuse(&self, key: &str, value: impl Display, allowed: &str) -> ScenarioError {
        ScenarioError::Value {
            place: config_file::place_of(self.file, self.text, key),
            key: key.to_owned(),
            value: value.to_string(),
            allowed: allowed.to_owned(),
        }
    }
}
