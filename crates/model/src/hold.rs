//! An operator's hand on the number of a service's instances: for a time, whatever its policy says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::time::Timestamp;
use crate::value::{self, Checked, Invalid};

/// How many ready instances a service is held at, and until when by the clock of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hold {
    /// The number. The bounds in force clamp it.
    pub ready: u32,
    /// When it was set.
    #[serde(rename = "since_ms")]
    pub since: Timestamp,
    /// When it ends.
    #[serde(rename = "until_ms")]
    pub until: Timestamp,
}

impl Hold {
    /// As bounds clamp it.
    #[must_use]
    pub fn within(self, bounds: Bounds) -> Self {
        Self { ready: bounds.clamp(self.ready), ..self }
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

/// A hold that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldRequest {
    /// How many ready instances.
    pub ready: u32,
    /// For how long.
    pub lasts: HoldTime,
}

/// How long a hold lasts: 10 s to 30 days, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldTime(Duration);

impl HoldTime {
    /// The shortest, the one where nobody says another, and the longest, in seconds.
    const SHORTEST_S: u64 = 10;
    const USUAL_S: u64 = 3_600;
    const LONGEST_S: u64 = 30 * 86_400;

    /// So many seconds.
    ///
    /// # Errors
    /// Fewer than 10, or more than 30 days.
    pub fn from_secs(seconds: u64) -> Result<Self, Invalid> {
        let allowed = "10 to 2592000 (seconds: 10 s to 30 days)";
        value::within("for_s", seconds, Self::SHORTEST_S..=Self::LONGEST_S, allowed)?;
        Ok(Self(Duration::from_secs(seconds)))
    }

    /// The same as a span.
    pub const fn span(self) -> Duration {
        self.0
    }
}

/// An hour: what is forgotten by then was not meant to stay.
impl Default for HoldTime {
    fn default() -> Self {
        Self(Duration::from_secs(Self::USUAL_S))
    }
}

/// A hold as a request has it, not yet checked.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawHoldRequest {
    ready: u32,
    for_s: Option<u64>,
}

impl Checked for HoldRequest {
    type Raw = RawHoldRequest;

    fn from_raw(raw: RawHoldRequest) -> Result<Self, Invalid> {
        let RawHoldRequest { ready, for_s } = raw;
        let allowed = "0 to 750 (instances)";
        value::within("ready", ready, 0..=Bounds::MAX_INSTANCES, allowed)?;
        let lasts = for_s.map(HoldTime::from_secs).transpose()?.unwrap_or_default();
        Ok(Self { ready, lasts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Result<(u32, u64), String> {
        let raw = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let HoldRequest { ready, lasts } =
            HoldRequest::from_raw(raw).map_err(|error| error.to_string())?;
        Ok((ready, lasts.span().as_secs()))
    }

    #[test]
    fn a_hold_is_for_an_hour_unless_it_says_ten_seconds_to_thirty_days() {
        assert_eq!(asked(r#"{"ready":4}"#), Ok((4, 3600)));
        assert_eq!(asked(r#"{"ready":0,"for_s":10}"#), Ok((0, 10)));
        assert_eq!(asked(r#"{"ready":750,"for_s":2592000}"#), Ok((750, 2_592_000)));
        for (json, told) in [
            (r#"{"ready":4,"for_s":9}"#, "for_s is 9: use 10 to 2592000"),
            (r#"{"ready":4,"for_s":2592001}"#, "for_s is 2592001: use 10 to"),
            (r#"{"ready":751}"#, "ready is 751: use 0 to 750 (instances)"),
            (r#"{"for_s":60}"#, "missing field `ready`"),
            (r#"{"ready":4,"for":60}"#, "unknown field `for`"),
            (r#"{"ready":-1}"#, "invalid value: integer `-1`"),
        ] {
            let error = asked(json).unwrap_err();
            assert!(error.contains(told), "{json}: {error}");
        }
    }

    #[test]
    fn a_hold_is_over_from_its_end_on() {
        let at = Timestamp::from_millis;
        let hold = Hold { ready: 4, since: at(0), until: at(10) };
        assert!(!hold.is_over(at(9)) && hold.is_over(at(10)));
    }

    #[test]
    fn a_hold_is_clamped_by_bounds_and_lasts_as_long() {
        let at = Timestamp::from_millis;
        let hold = Hold { ready: 4, since: at(0), until: at(10) };
        for (min, max, ready) in [(5, 9, 5), (0, 3, 3), (1, 8, 4)] {
            let bounds = Bounds::new(min, max).unwrap();
            assert_eq!(hold.within(bounds), Hold { ready, ..hold });
        }
    }
}
