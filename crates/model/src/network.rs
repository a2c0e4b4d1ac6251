//! What became of the rules that were promised of the instances' network.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What is not as it was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// A table of the firewall is gone, and what it kept apart is not kept apart.
    #[strum(serialize = "missing")]
    Missing,
    /// The tables are there and hold something else.
    #[strum(serialize = "changed")]
    Changed,
}

/// One time that the rules were put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PutBack {
    /// When they were in place again.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// What was found.
    pub drift: Drift,
    /// How often they were put back within the minute that ended then, this time included.
    pub within_a_minute: u32,
}

impl PutBack {
    /// Whether somebody removes the rules again and again: a restart of the host's firewall is one
    /// time, or two.
    pub const fn is_disputed(&self) -> bool {
        self.within_a_minute >= 5
    }
}

/// The firewall of the instances, as the scaler holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NetworkStatus {
    /// How often its rules were put back since the scaler started.
    pub put_back: u64,
    /// The last time.
    pub last: Option<PutBack>,
    /// What keeps the scaler from holding the rules now; `None` while it does.
    pub trouble: Option<String>,
}
