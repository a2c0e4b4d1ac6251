//! How HAProxy checks the health of a service's instances, in the words of its file.

use std::collections::BTreeSet;

use model::service::{HealthCheck, HealthStatus};
use serde::Serialize;

use super::backends::Backend;

/// The checks of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Checks {
    interval_ms: u128,
    rise: u32,
    fall: u32,
    asked: Asked,
}

/// What its instances are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Asked {
    /// A connection.
    Connection,
    /// The path of its record.
    Path {
        /// The statuses of an instance that can serve, as `200,300-399`.
        statuses: String,
    },
    /// A connection, and then the path of its record, if it has one.
    Either {
        /// The statuses, as a regular expression has them.
        statuses: String,
    },
}

impl Checks {
    /// How often and for what a backend's instances are asked.
    pub(super) fn of(backend: &Backend) -> Self {
        let HealthCheck { interval, rise, fall, launch_timeout: _ } = backend.health_check;
        let asked = Asked::of(&backend.health_statuses, backend.some_by_connection);
        Self { interval_ms: interval.as_millis(), rise, fall, asked }
    }

    /// Whether some are asked for their path, and others are not.
    pub(super) fn differ(&self) -> bool {
        matches!(self.asked, Asked::Either { .. })
    }
}

impl Asked {
    fn of(statuses: &BTreeSet<HealthStatus>, some_by_connection: bool) -> Self {
        if statuses.is_empty() {
            return Self::Connection;
        }
        if some_by_connection {
            return Self::Either { statuses: pattern(statuses) };
        }
        let statuses: Vec<_> = statuses.iter().map(HealthStatus::to_string).collect();
        Self::Path { statuses: statuses.join(",") }
    }
}

/// A regular expression of these statuses, as `20[04]|30[12378]`, ten of them at a time: at most 600 bytes, of the 2,047
/// that a line of HAProxy's file has.
fn pattern(statuses: &BTreeSet<HealthStatus>) -> String {
    let holds = |status: u16| statuses.iter().any(|range| range.holds(status));
    let tens = (20..60_u16).filter_map(|tens| {
        let digits = (0..10).filter(|digit| holds(tens * 10 + digit));
        let digits: String = digits.map(|digit| digit.to_string()).collect();
        (!digits.is_empty()).then(|| format!("{tens}[{digits}]"))
    });
    tens.collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_the_statuses_of_all_ranges_and_no_others() {
        let of = |texts: &[&str]| {
            pattern(&texts.iter().map(|text| text.parse().unwrap()).collect::<BTreeSet<_>>())
        };
        assert_eq!(of(&["200"]), "20[0]");
        assert_eq!(of(&["204", "200-201", "399-401"]), "20[014]|39[9]|40[01]");
        let all = of(&["200-599"]);
        assert!(all.starts_with("20[0123456789]|21[") && all.ends_with("|59[0123456789]"));
        assert!(all.len() < 650, "{}", all.len());
    }
}
