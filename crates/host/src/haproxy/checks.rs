//! How HAProxy checks the health of a service's instances, in the words of its file.

use std::collections::BTreeSet;

use model::service::{HealthCheck, HealthStatus};
use serde::Serialize;

/// The checks of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Checks {
    interval_ms: u128,
    rise: u32,
    fall: u32,
    /// The statuses of an instance that can serve, as `200,300-399`.
    statuses: String,
}

impl Checks {
    /// Checks as often as `check` says, for these statuses.
    pub(super) fn new(check: HealthCheck, statuses: &BTreeSet<HealthStatus>) -> Self {
        let statuses: Vec<_> = statuses.iter().map(HealthStatus::to_string).collect();
        let HealthCheck { interval, rise, fall, launch_timeout: _ } = check;
        Self { interval_ms: interval.as_millis(), rise, fall, statuses: statuses.join(",") }
    }
}
