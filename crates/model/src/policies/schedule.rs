//! Figures of the schedule: bounds by time of day and week, in a time zone.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use super::tables;
use crate::bounds::Bounds;
use crate::value::{self, Invalid};

/// Entries, of which the first that covers the hour holds. Where none does, the schedule says
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The zone of all times of day, by its IANA name.
    pub time_zone: String,
    /// The entries.
    #[serde(deserialize_with = "tables::read")]
    pub entries: Vec<ScheduleEntry>,
}

/// Bounds for a part of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// The days on which it begins; every day where none is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When it begins, as `HH:MM`, included.
    pub from: String,
    /// When it ends, as `HH:MM`, not included; `24:00` is the end of the day. A time before `from`
    /// is on the next day.
    pub to: String,
    /// The fewest ready instances.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = Bounds::MAX_INSTANCES)))]
    pub min: u32,
    /// The most ready instances.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = Bounds::MAX_INSTANCES)))]
    pub max: u32,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// The days of a week, from Monday.
    pub const WEEK: [Self; 7] =
        [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];
}

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

impl Default for Schedule {
    /// No entries, in UTC.
    fn default() -> Self {
        Self { time_zone: "UTC".to_owned(), entries: Vec::new() }
    }
}

impl Schedule {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let allowed = "a name of the IANA time zone database, such as Europe/Berlin";
        let zone = self.zone();
        value::check(zone.is_some(), "policy.time_zone", &self.time_zone, allowed)?;
        self.entries.iter().enumerate().try_for_each(|(index, entry)| {
            entry.check().map_err(|error| error.of_item("policy.entries", index))
        })
    }

    /// The zone of its times; `None` where the database has none of that name.
    pub fn zone(&self) -> Option<TimeZone> {
        TimeZoneDatabase::bundled().get(&self.time_zone).ok()
    }
}

impl ScheduleEntry {
    fn check(&self) -> Result<(), Invalid> {
        let allowed = "a time of day from 00:00 to 23:59";
        let from = minute_of_day(&self.from).filter(|from| *from < DAY_MINUTES);
        value::check(from.is_some(), "policy.entries.from", &self.from, allowed)?;
        let allowed = "a time of day from 00:00 to 24:00, not that of `from`";
        let to = minute_of_day(&self.to).filter(|to| Some(*to) != from);
        value::check(to.is_some(), "policy.entries.to", &self.to, allowed)?;
        let allowed = "0 to 750 (instances)";
        let most = Bounds::MAX_INSTANCES;
        value::within("policy.entries.max", self.max, 0..=most, allowed)?;
        let keys = ["policy.entries.min", "policy.entries.max"];
        value::not_above(keys, self.min, self.max)
    }

    /// When it begins and ends, in minutes since midnight; `None` where one is no time of day.
    pub fn minutes(&self) -> Option<(u16, u16)> {
        minute_of_day(&self.from).zip(minute_of_day(&self.to))
    }
}

/// Minutes since midnight of `HH:MM`, 24:00 at most.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| is_plain)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
}
