//! What instances ran and cost, as the API says it and its clients read it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::names::ServiceName;
use crate::time::Timestamp;

/// What the instances of each service ran and cost in a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostPage {
    /// Since when: what was asked for, or the begin of what is summed up there, or that of the record.
    #[serde(rename = "since_ms")]
    pub since: Timestamp,
    /// Until when.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Those that had instances, deployed still or not, in the order of their names.
    pub services: Vec<ServiceCost>,
}

/// What the instances of one service ran and cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceCost {
    /// The service.
    pub service: ServiceName,
    /// Instances that there are now.
    pub instances: u32,
    /// Instances that began in the span.
    pub launches: u64,
    /// The time that all of them were there, in milliseconds.
    pub runtime_ms: u64,
    /// The time that is charged: of each instance, every second that was begun.
    pub charged_s: u64,
    /// What that costs, in the currency of the prices; `None` where nothing of it has a price.
    pub cost: Option<f64>,
    /// What of the charged time has no price, in seconds.
    pub unpriced_s: u64,
}

impl CostPage {
    /// A line for each service (RFC 4180); nothing in a name has to be quoted.
    pub fn csv(&self) -> String {
        let head =
            "service,instances,launches,runtime_s,charged_s,unpriced_s,cost,since_ms,at_ms\r\n";
        self.services.iter().fold(head.to_owned(), |mut text, row| {
            let runtime_s = row.runtime_ms / 1_000;
            let cost = row.cost.map(|cost| cost.to_string()).unwrap_or_default();
            // Writing to a `String` cannot fail.
            let _ = write!(
                text,
                "{},{},{},{runtime_s},{},{},{cost},{},{}\r\n",
                row.service,
                row.instances,
                row.launches,
                row.charged_s,
                row.unpriced_s,
                self.since.as_millis(),
                self.at.as_millis()
            );
            text
        })
    }
}
