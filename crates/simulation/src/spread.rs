//! How long something takes: a lognormal distribution, given by two of its percentiles.

use std::time::Duration;

use model::value::Invalid;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, LogNormal};
use serde::Deserialize;

/// The 99th percentile of the standard normal distribution.
const Z_99: f64 = 2.326_347_87;

/// Durations whose logarithm is normal: none is negative, and the long ones are rare and long,
/// as start-up and response times are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    median_ms: f64,
    mean_s: f64,
    distribution: LogNormal<f64>,
}

/// The two percentiles, as a file says them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSpread {
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
}

impl RawSpread {
    /// The durations below `key`.
    pub(crate) fn checked(self, key: &'static str) -> Result<Spread, Invalid> {
        let Self { median_ms, p99_ms } = self;
        let allowed =
            "0.001 to 600000 (milliseconds) each, the median not above the 99th percentile";
        Spread::new(median_ms, p99_ms).ok_or_else(|| {
            let value = format!("{{ median_ms = {median_ms}, p99_ms = {p99_ms} }}");
            Invalid::new(key, value, allowed)
        })
    }
}

impl Spread {
    /// Durations with this median and 99th percentile, in milliseconds; `None` unless
    /// `0.001 <= median <= p99 <= 600,000`.
    pub fn new(median_ms: f64, p99_ms: f64) -> Option<Self> {
        let good = median_ms >= 0.001 && p99_ms >= median_ms && p99_ms <= 600_000.0;
        let sigma = (p99_ms / median_ms).ln() / Z_99;
        let distribution = LogNormal::new(median_ms.ln(), sigma).ok().filter(|_| good)?;
        // The mean lies above the median by half the variance of the logarithm.
        Some(Self {
            median_ms,
            mean_s: median_ms / 1e3 * (sigma * sigma / 2.0).exp(),
            distribution,
        })
    }

    /// One of the durations, of a microsecond at least.
    pub(crate) fn sample(&self, rng: &mut Xoshiro256PlusPlus) -> Duration {
        Duration::from_secs_f64((self.distribution.sample(rng) / 1e3).clamp(1e-6, 3_600.0))
    }

    /// The median, in milliseconds.
    pub(crate) const fn median_ms(&self) -> f64 {
        self.median_ms
    }

    /// The mean, in seconds.
    pub(crate) const fn mean_s(&self) -> f64 {
        self.mean_s
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn half_lie_below_the_median_and_one_in_a_hundred_above_the_99th_percentile() {
        let spread = Spread::new(40.0, 110.0).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut sorted: Vec<_> = (0..100_000).map(|_| spread.sample(&mut rng)).collect();
        let mean = sorted.iter().sum::<Duration>().as_secs_f64() / 1e5;
        sorted.sort();
        let ms = |index: usize| sorted[index].as_secs_f64() * 1e3;
        assert!((ms(50_000) - 40.0).abs() < 0.5, "{}", ms(50_000));
        assert!((ms(99_000) - 110.0).abs() < 3.0, "{}", ms(99_000));
        assert!((mean - spread.mean_s()).abs() < 0.0005, "{mean} {}", spread.mean_s());
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for (median, p99) in [(0.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (1.0, 1e9), (1.0, f64::NAN)]
        {
            assert_eq!(Spread::new(median, p99), None, "{median} {p99}");
        }
        let exact = Spread::new(7.0, 7.0).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        assert!((exact.sample(&mut rng).as_secs_f64() - 0.007).abs() < 1e-9);
    }
}
