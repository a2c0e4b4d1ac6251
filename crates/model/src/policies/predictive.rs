//! Figures of the forecast.

use serde::{Deserialize, Serialize};

use crate::value::{self, DAY_MS, Invalid, PERCENT_OF_CAPACITY, SOME_TIME, SPAN};

/// Target tracking on the higher one of the present and the forecast load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Predictive {
    /// The share of an instance's capacity to aim for.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100)))]
    pub target_percent: u32,
    /// How much further than one start-up time the forecast looks.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub margin_ms: u64,
    /// The start-up time; what was measured of late where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = DAY_MS)))]
    pub start_up_ms: Option<u64>,
    /// Time from one lesson to the next.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = DAY_MS)))]
    pub interval_ms: u64,
    /// How fast the level follows the load.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub level_gain: f64,
    /// How fast the trend follows the level.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub trend_gain: f64,
    /// How fast the season follows, from one to the next.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub season_gain: f64,
    /// The length of the season; 0 for none.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 31 * DAY_MS)))]
    pub season_ms: u64,
    /// How many parts of the season are told apart.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10080)))]
    pub season_slots: u32,
}

impl Default for Predictive {
    /// A second past the start-up time, lessons of a second, a day in minutes. The trend's gain is
    /// low: at 40 requests/s the mean of a second deviates by 16% from chance alone.
    fn default() -> Self {
        Self {
            target_percent: 80,
            margin_ms: 1_000,
            start_up_ms: None,
            interval_ms: 1_000,
            level_gain: 0.5,
            trend_gain: 0.2,
            season_gain: 0.3,
            season_ms: 86_400_000,
            season_slots: 1440,
        }
    }
}

impl Predictive {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let day = DAY_MS;
        let target = self.target_percent;
        value::within("policy.target_percent", target, 1..=100, PERCENT_OF_CAPACITY)?;
        value::within("policy.margin_ms", self.margin_ms, 0..=day, SPAN)?;
        value::within("policy.start_up_ms", self.start_up_ms.unwrap_or(0), 0..=day, SPAN)?;
        value::within("policy.interval_ms", self.interval_ms, 1..=day, SOME_TIME)?;
        let gain = "0 to 1";
        value::within("policy.level_gain", self.level_gain, 0.0..=1.0, gain)?;
        value::within("policy.trend_gain", self.trend_gain, 0.0..=1.0, gain)?;
        value::within("policy.season_gain", self.season_gain, 0.0..=1.0, gain)?;
        let allowed = "0 to 2678400000 (milliseconds, 31 days)";
        value::within("policy.season_ms", self.season_ms, 0..=31 * day, allowed)?;
        value::within("policy.season_slots", self.season_slots, 1..=10_080, "1 to 10080")?;
        let fits = self.season_ms == 0
            || u64::from(self.season_slots) <= self.season_ms / self.interval_ms;
        let allowed = "no more slots than intervals fit the season: season_ms / interval_ms";
        value::check(fits, "policy.season_slots", self.season_slots, allowed)
    }
}
