//! What the scaler tells the console as it happens: one JSON value a line, in the order of the turns.

use serde::{Deserialize, Serialize};

use crate::names::InstanceName;
use crate::network::NetworkStatus;
use crate::status::ServiceStatus;
use crate::tick::Tick;
use crate::time::Timestamp;

/// One line of the feed. A reader passes over lines whose word it does not know: a later release may say more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedLine {
    /// A turn of the loop for one service, kept in the record or not. The sequence is 0 where it is not. Never with what
    /// instances wrote.
    Tick(Box<Tick>),
    /// The instances' firewall: when the reader comes, and once a second.
    Network(NetworkStatus),
    /// A service and its instances: when the reader comes, once a second, and at each turn that the record keeps.
    Service(Box<ServiceFeed>),
}

/// A service and its instances at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceFeed {
    /// When it was so: the moment of the turn before it in the feed.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The service, without its tick.
    pub status: ServiceStatus,
    /// What is known of its instances, in the order of their names.
    pub instances: Vec<InstanceFigures>,
    /// What decisions read of its description, with the keys of a service's file; not known of a release that did not tell
    /// it. Without what its program is, its variables and its secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<serde_json::Value>,
}

/// What is known of one instance. What only grows begins anew with another instance, and requests with another worker
/// of HAProxy too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceFigures {
    /// The instance.
    pub name: InstanceName,
    /// CPU time that it has used since it began, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_time_us: Option<u64>,
    /// The memory that it needs: what is charged to it without the pages of files that nobody used lately, which the kernel
    /// takes back first. It is at most 1 s older than the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Requests that it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// Requests that it was given since HAProxy's worker began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
}
