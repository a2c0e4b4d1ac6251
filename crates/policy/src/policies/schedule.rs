//! Schedule: bounds by time of day and week, in a time zone.
//!
//! It bounds what the other policies of the service ask for; alone it keeps what is, within its
//! bounds. Zones are those of the IANA database as built into the program: no file is read.

use jiff::Timestamp as Instant;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::advice::Advice;
use crate::bounds::Bounds;
use crate::reading::Reading;
use crate::spec::SpecError;
use crate::spec::figures;
use crate::time::Timestamp;

/// Entries, of which the first that covers the hour holds. Where none does, the schedule says
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The zone of all times of day, by its IANA name.
    pub time_zone: String,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// Bounds for a part of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The days on which it begins; every day where none is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When it begins, as `HH:MM`, included.
    pub from: String,
    /// When it ends, as `HH:MM`, not included; `24:00` is the end of the day. A time before `from`
    /// is on the next day.
    pub to: String,
    /// The fewest ready instances.
    pub min: u32,
    /// The most ready instances.
    pub max: u32,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

const WEEK: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// The bounds of the minute that was looked at last: a zone is asked once a minute, not once a turn.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    zone: Option<TimeZone>,
    minute: Option<u64>,
    within: Option<(u32, u32)>,
}

impl Default for Schedule {
    /// No entries, in UTC.
    fn default() -> Self {
        Self { time_zone: "UTC".to_owned(), entries: Vec::new() }
    }
}

impl Schedule {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let allowed = "a name of the IANA time zone database, such as Europe/Berlin";
        let zone = self.zone();
        figures::check(zone.is_some(), "policy.time_zone", &self.time_zone, allowed)?;
        self.entries.iter().enumerate().try_for_each(|(index, entry)| {
            entry.check().map_err(|error| error.of_item("policy.entries", index))
        })
    }

    fn zone(&self) -> Option<TimeZone> {
        TimeZoneDatabase::bundled().get(&self.time_zone).ok()
    }

    pub(super) fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
        let minute = reading.now.as_millis() / 60_000;
        if memory.minute != Some(minute) {
            if memory.zone.is_none() {
                memory.zone = self.zone();
            }
            let Some(zone) = &memory.zone else { return Advice::Unknown };
            memory.within = self.within(zone, reading.now);
            memory.minute = Some(minute);
        }
        memory.within.map_or(Advice::Silent, |(min, max)| Advice::Within { min, max })
    }

    /// The bounds of the first entry that covers `now`.
    fn within(&self, zone: &TimeZone, now: Timestamp) -> Option<(u32, u32)> {
        let millis = i64::try_from(now.as_millis()).ok()?;
        let local = Instant::from_millisecond(millis).ok()?.to_zoned(zone.clone());
        let today = usize::try_from(local.weekday().to_monday_zero_offset()).ok()?;
        let minute = u16::try_from(local.hour()).ok()? * 60 + u16::try_from(local.minute()).ok()?;
        let holds = self.entries.iter().find(|entry| entry.covers(today, minute));
        holds.map(|entry| (entry.min, entry.max))
    }
}

impl Entry {
    fn check(&self) -> Result<(), SpecError> {
        let allowed = "a time of day from 00:00 to 23:59";
        let from = minute_of_day(&self.from).filter(|from| *from < DAY_MINUTES);
        figures::check(from.is_some(), "policy.entries.from", &self.from, allowed)?;
        let allowed = "a time of day from 00:00 to 24:00, not that of `from`";
        let to = minute_of_day(&self.to).filter(|to| Some(*to) != from);
        figures::check(to.is_some(), "policy.entries.to", &self.to, allowed)?;
        let allowed = "0 to 750 (instances)";
        let most = Bounds::MAX_INSTANCES;
        figures::within("policy.entries.max", self.max, 0..=most, allowed)?;
        let keys = ["policy.entries.min", "policy.entries.max"];
        figures::not_above(keys, self.min, self.max)
    }

    /// Whether it covers this minute of the day `today`, counted from Monday.
    fn covers(&self, today: usize, minute: u16) -> bool {
        let times = minute_of_day(&self.from).zip(minute_of_day(&self.to));
        let Some((from, to)) = times else { return false };
        let begins_on = |day: usize| self.days.is_empty() || self.days.contains(&WEEK[day % 7]);
        if from < to {
            begins_on(today) && (from..to).contains(&minute)
        } else {
            // Over midnight: it began today, or it began yesterday.
            (begins_on(today) && minute >= from) || (begins_on(today + 6) && minute < to)
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::reading;

    fn entry(days: &[Day], from: &str, to: &str, min: u32, max: u32) -> Entry {
        Entry { days: days.to_vec(), from: from.to_owned(), to: to.to_owned(), min, max }
    }

    fn berlin(entries: Vec<Entry>) -> Schedule {
        Schedule { time_zone: "Europe/Berlin".to_owned(), entries }
    }

    fn at(schedule: &Schedule, utc: &str) -> Advice {
        let instant: Instant = utc.parse().unwrap();
        let now = Timestamp::from_millis(u64::try_from(instant.as_millisecond()).unwrap());
        schedule.advise(&mut Memory::default(), &Reading { now, ..reading() })
    }

    const BUSY: Advice = Advice::Within { min: 3, max: 10 };

    #[test]
    fn office_hours_follow_the_zone_through_summer_and_winter() {
        let weekdays = &WEEK[..5];
        let schedule = berlin(vec![entry(weekdays, "08:00", "18:00", 3, 10)]);
        // Monday 2026-03-30, the day after the clocks went forward: 08:00 in Berlin is 06:00 UTC.
        assert_eq!(at(&schedule, "2026-03-30T05:59:59Z"), Advice::Silent);
        assert_eq!(at(&schedule, "2026-03-30T06:00:00Z"), BUSY);
        assert_eq!(at(&schedule, "2026-03-30T16:00:00Z"), Advice::Silent);
        // Friday 2026-03-27, in winter time: 08:00 in Berlin is 07:00 UTC.
        assert_eq!(at(&schedule, "2026-03-27T06:30:00Z"), Advice::Silent);
        assert_eq!(at(&schedule, "2026-03-27T07:00:00Z"), BUSY);
        assert_eq!(at(&schedule, "2026-03-28T07:00:00Z"), Advice::Silent, "a Saturday");
    }

    #[test]
    fn an_entry_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let schedule = berlin(vec![entry(&[Day::Sun], "22:00", "06:00", 3, 10)]);
        assert_eq!(at(&schedule, "2026-01-04T21:30:00Z"), BUSY, "Sunday, 22:30");
        assert_eq!(at(&schedule, "2026-01-05T04:00:00Z"), BUSY, "Monday, 05:00");
        assert_eq!(at(&schedule, "2026-01-04T04:00:00Z"), Advice::Silent, "Sunday, 05:00");
    }

    #[test]
    fn the_first_entry_that_covers_the_hour_holds() {
        let schedule =
            berlin(vec![entry(&[], "12:00", "13:00", 5, 5), entry(&[], "00:00", "24:00", 3, 10)]);
        assert_eq!(at(&schedule, "2026-01-05T11:30:00Z"), Advice::Within { min: 5, max: 5 });
        assert_eq!(at(&schedule, "2026-01-05T12:00:00Z"), BUSY);
    }

    #[test]
    fn each_wrong_figure_is_named() {
        let message = |schedule: Schedule| schedule.check().unwrap_err().to_string();
        let nowhere = Schedule { time_zone: "Europe/Atlantis".to_owned(), entries: vec![] };
        assert!(message(nowhere).starts_with("policy.time_zone is Europe/Atlantis: use a name"));
        let of = |from, to, min, max| message(berlin(vec![entry(&[], from, to, min, max)]));
        assert!(
            of("8:00", "18:00", 1, 2).starts_with("policy.entries[0].from is 8:00: use a time")
        );
        assert!(
            of("08:00", "24:01", 1, 2).starts_with("policy.entries[0].to is 24:01: use a time")
        );
        assert!(
            of("08:00", "08:00", 1, 2).starts_with("policy.entries[0].to is 08:00: use a time")
        );
        assert_eq!(
            of("08:00", "18:00", 3, 2),
            "policy.entries[0].min is 3, above policy.entries[0].max, 2: lower one or raise the \
             other"
        );
    }
}
