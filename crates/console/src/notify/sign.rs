//! What is seen at one moment of the matter of an episode.

use model::version::Wanted;
use serde::{Deserialize, Serialize};

/// A turn stands for the time up to the next one, if that is no more than this: the slowest loop takes one every 10 s
/// (`scaler.tick_ms`). Of a longer time nothing is known.
pub(super) const TURN_MAX_S: u64 = 15;

/// Whether the matter of an episode is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It is there: an episode begins, or goes on.
    Present(Evidence),
    /// It has been away for long enough: an episode ends.
    Absent,
    /// Neither: what goes on goes on, and nothing begins.
    Unclear,
}

/// The figures by which people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Evidence {
    /// A service wants more than its upper bound.
    AtMaximum {
        /// The bound: its own, or that of a schedule in force.
        bound: u32,
    },
    /// Instances are replaced again and again.
    RepeatedReplacement,
    /// A version was given up.
    FailedDeploy {
        /// What was tried.
        tried: Wanted,
    },
    /// A file system has little room.
    FullDisk {
        /// What is free for users other than root, in MiB.
        free_mib: u64,
        /// Its size, in MiB.
        size_mib: u64,
    },
}

impl Evidence {
    /// Whether it tells of another episode than this one did: another deploy that failed, with no look in between.
    pub(super) fn is_of_another(self, began: Self) -> bool {
        matches!((self, began),
            (Self::FailedDeploy { tried }, Self::FailedDeploy { tried: before }) if tried != before)
    }
}
