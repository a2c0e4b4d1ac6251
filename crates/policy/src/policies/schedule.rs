//! Schedule: bounds by time of day and week, in a time zone.
//!
//! It bounds what the other policies of the service ask for; alone it keeps what is, within its
//! bounds. Zones are those of the IANA database as built into the program: no file is read.

use jiff::Timestamp as Instant;
use jiff::tz::TimeZone;
use model::decision::Reason;
use model::policies::{Day, Schedule, ScheduleEntry};
use model::time::Timestamp;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use crate::advice::Advice;
use crate::input::PolicyInput;

/// The bounds of the minute that was looked at last: a zone is asked once a minute, not once a turn.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Found anew from the figures where it is not known.
    #[serde(skip)]
    zone: Option<TimeZone>,
    minute: Option<u64>,
    within: Option<(u32, u32)>,
}

pub(super) fn advise(figures: &Schedule, state: &mut State, input: &PolicyInput) -> Advice {
    let minute = input.now.as_millis() / 60_000;
    if state.minute != Some(minute) {
        if state.zone.is_none() {
            state.zone = figures.zone();
        }
        let Some(zone) = &state.zone else { return Advice::Unknown };
        state.within = within(figures, zone, input.now);
        state.minute = Some(minute);
    }
    state.within.map_or(Advice::Silent, |(min, max)| Advice::Within { min, max })
}

/// It goes by the clock.
pub(super) const fn went_by(_: &Schedule, _: &State, _: &PolicyInput, _: Reason) -> Option<WentBy> {
    None
}

/// The bounds of the first entry that covers `now`.
fn within(figures: &Schedule, zone: &TimeZone, now: Timestamp) -> Option<(u32, u32)> {
    let millis = i64::try_from(now.as_millis()).ok()?;
    let local = Instant::from_millisecond(millis).ok()?.to_zoned(zone.clone());
    let today = usize::try_from(local.weekday().to_monday_zero_offset()).ok()?;
    let minute = u16::try_from(local.hour()).ok()? * 60 + u16::try_from(local.minute()).ok()?;
    let holds = figures.entries.iter().find(|entry| covers(entry, today, minute));
    holds.map(|entry| (entry.min, entry.max))
}

/// Whether an entry covers this minute of the day `today`, counted from Monday.
fn covers(entry: &ScheduleEntry, today: usize, minute: u16) -> bool {
    let Some((from, to)) = entry.minutes() else { return false };
    let begins_on = |day: usize| entry.days.is_empty() || entry.days.contains(&Day::WEEK[day % 7]);
    if from < to {
        begins_on(today) && (from..to).contains(&minute)
    } else {
        // Over midnight: it began today, or it began yesterday.
        (begins_on(today) && minute >= from) || (begins_on(today + 6) && minute < to)
    }
}

#[cfg(test)]
mod tests {
    use model::policies::Policy;

    use super::*;
    use crate::testing::input;

    fn entry(days: &[Day], from: &str, to: &str, min: u32, max: u32) -> ScheduleEntry {
        ScheduleEntry { days: days.to_vec(), from: from.to_owned(), to: to.to_owned(), min, max }
    }

    fn berlin(entries: Vec<ScheduleEntry>) -> Schedule {
        Schedule { time_zone: "Europe/Berlin".to_owned(), entries }
    }

    fn at(schedule: &Schedule, utc: &str) -> Advice {
        let instant: Instant = utc.parse().unwrap();
        let now = Timestamp::from_millis(u64::try_from(instant.as_millisecond()).unwrap());
        advise(schedule, &mut State::default(), &PolicyInput { now, ..input() })
    }

    const BUSY: Advice = Advice::Within { min: 3, max: 10 };

    #[test]
    fn office_hours_follow_the_zone_through_summer_and_winter() {
        let weekdays = &Day::WEEK[..5];
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
        let message =
            |schedule: Schedule| Policy::Schedule(schedule).check().unwrap_err().to_string();
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
