//! Queue depth: backlog per instance.
//!
//! The rule of KEDA's queue scalers: as many instances as the backlog fills, none when there has
//! been none for a while. Bounds of the service decide whether none is allowed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rounding;
use crate::advice::Advice;
use crate::decision::Reason;
use crate::reading::{Reading, known};
use crate::spec::SpecError;
use crate::spec::figures::{self, SPAN};
use crate::time::Timestamp;

/// ready = ceil(backlog / backlog per instance).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueDepth {
    /// Work, waiting and under way, that one instance is to have; `capacity.concurrency` where it
    /// is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backlog_per_instance: Option<f64>,
    /// How long there must have been no work before the last instance goes.
    pub idle_ms: u64,
}

impl Default for QueueDepth {
    /// The last instance goes after 5 minutes, as with KEDA.
    fn default() -> Self {
        Self { backlog_per_instance: None, idle_ms: 300_000 }
    }
}

/// What it remembers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// When there was work last; at the start, when it began to look.
    busy_at: Option<Timestamp>,
}

impl QueueDepth {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let allowed = "0.001 to 1000000 (requests)";
        let per_instance = self.backlog_per_instance.unwrap_or(1.0);
        figures::within("policy.backlog_per_instance", per_instance, 0.001..=1e6, allowed)?;
        figures::within("policy.idle_ms", self.idle_ms, 0..=figures::DAY_MS, SPAN)
    }

    pub(super) fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
        let per_instance =
            self.backlog_per_instance.unwrap_or_else(|| f64::from(reading.capacity.concurrency));
        let load = known(reading.backlog().map(|backlog| backlog / per_instance));
        let Some(load) = load else { return Advice::Unknown };
        let now = reading.now;
        // A clock that was set back must not lengthen the wait.
        let busy_at = if load > 0.0 { now } else { memory.busy_at.unwrap_or(now).min(now) };
        memory.busy_at = Some(busy_at);
        // Where there is none, none is kept: a memory that has just begun must not launch one.
        let keeps_last =
            reading.current > 0 && now.since(busy_at) < Duration::from_millis(self.idle_ms);
        Advice::ready(rounding::ceil(load).max(u32::from(keeps_last)), Reason::Backlog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{reading, seconds};

    fn at(memory: &mut Memory, second: u64, queued: u32, in_flight: u32) -> Advice {
        let policy = QueueDepth { backlog_per_instance: Some(5.0), idle_ms: 10_000 };
        let (queued, in_flight) = (Some(queued), Some(in_flight));
        policy.advise(memory, &Reading { now: seconds(second), queued, in_flight, ..reading() })
    }

    #[test]
    fn five_pieces_of_work_an_instance_from_zero_and_back_to_zero() {
        let mut memory = Memory::default();
        let mut ready = |second, queued, in_flight| {
            at(&mut memory, second, queued, in_flight) == Advice::ready(0, Reason::Backlog)
        };
        assert!(!ready(0, 0, 0), "it has looked for too short a time");
        assert!(ready(10, 0, 0));
        assert!(!ready(11, 1, 0));
        assert!(!ready(20, 0, 0));
        assert!(ready(21, 0, 0));
    }

    #[test]
    fn a_service_without_an_instance_that_nobody_asks_for_is_given_none() {
        let silent = Reading { current: 0, queued: Some(0), in_flight: Some(0), ..reading() };
        let advice = QueueDepth::default().advise(&mut Memory::default(), &silent);
        assert_eq!(advice, Advice::ready(0, Reason::Backlog));
    }

    #[test]
    fn waiting_work_and_work_under_way_count() {
        let asked = [(1, 0), (4, 1), (4, 2), (40, 10)]
            .map(|(queued, in_flight)| at(&mut Memory::default(), 0, queued, in_flight));
        assert_eq!(asked, [1, 1, 2, 10].map(|ready| Advice::ready(ready, Reason::Backlog)));
    }
}
