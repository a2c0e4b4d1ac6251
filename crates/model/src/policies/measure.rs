//! What a policy measures.

use serde::{Deserialize, Serialize};

/// A figure of the service, measured against what one instance is given or can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// CPU time, against `instance.cpus`.
    Cpu,
    /// Requests per second that are offered, against `capacity.requests_per_second`.
    Offered,
    /// Requests per second that are answered, against `capacity.requests_per_second`. It never
    /// says how much more is wanted.
    Served,
    /// Requests in flight and waiting, against `capacity.concurrency`.
    InFlight,
}
