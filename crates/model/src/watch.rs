//! What is seen of two versions while the new one is watched beside the old one.

use serde::{Deserialize, Serialize};

/// Answers to requests that an instance was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Answers {
    /// All of them, those that never came or broke off among them.
    pub all: u64,
    /// Answers 5xx that an instance gave itself, and those that it did not give or broke off. What the load
    /// balancer refuses without an instance is not in it.
    pub failed: u64,
}

impl std::ops::AddAssign for Answers {
    fn add_assign(&mut self, more: Self) {
        self.all += more.all;
        self.failed += more.failed;
    }
}

/// What was seen of one version since the watch began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionFigures {
    /// Answers of its instances, as far as they are counted.
    pub answers: Answers,
    /// Its instances that ended by themselves.
    pub ended: u32,
    /// Its instances in rotation now.
    pub ready: u32,
    /// Those of them that are unhealthy or stuck.
    pub unwell: u32,
}

/// What the verdict on a version follows from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Watched {
    /// The version that serves.
    pub old: VersionFigures,
    /// The version that is watched.
    pub new: VersionFigures,
}
