//! The CPU time that an instance gets, in the words of control groups.

use model::size::DEFAULT_CPU_WEIGHT;
use serde::Serialize;

/// The period over which the share of CPU time is granted: the kernel's default.
pub(super) const CPU_PERIOD_US: u32 = 100_000;

/// The smallest quota of CPU time that the kernel takes.
const CPU_QUOTA_MIN_US: f64 = 1_000.0;

/// A weight as both versions of control groups have it.
#[derive(Serialize)]
pub(super) struct CpuWeight {
    weight: u32,
    shares: u32,
}

impl CpuWeight {
    /// 100 of version 2 are 1,024 of version 1, whose least is 2.
    pub(super) fn new(weight: u32) -> Self {
        Self { weight, shares: (weight * 1024 / DEFAULT_CPU_WEIGHT).max(2) }
    }
}

/// Microseconds of CPU time in each period.
pub(super) fn cpu_quota_us(cpus: f64) -> u64 {
    let quota = (cpus * f64::from(CPU_PERIOD_US)).round().max(CPU_QUOTA_MIN_US);
    // A service's file grants 0.01 to 1,024 cores, so the quota is at most 102,400,000.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let quota = quota as u64;
    quota
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_never_below_the_kernels_minimum() {
        assert_eq!(cpu_quota_us(0.001), 1_000);
        assert_eq!(cpu_quota_us(0.5), 50_000);
    }
}
