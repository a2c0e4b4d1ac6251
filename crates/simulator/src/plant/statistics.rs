//! What the load balancer's statistics say.

/// What the load balancer has counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Requests that came.
    pub(crate) arrivals: u64,
    /// Requests that an instance answered; a 429 of its own is an answer as well.
    pub(crate) served: u64,
    /// Requests that the load balancer answered 503.
    pub(crate) rejected: u64,
}

/// What the load balancer's statistics say at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) counters: Counters,
    /// Requests that wait.
    pub(crate) queued: u32,
    /// Requests that instances work on.
    pub(crate) in_flight: u32,
}

/// A count as the statistics have it.
pub(super) fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
