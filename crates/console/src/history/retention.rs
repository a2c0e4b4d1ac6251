//! What is kept for how long, and what goes first where there is too much of it. Pure.

use std::time::Duration;

use model::time::Timestamp;
use serde::Serialize;

/// A class of what is kept, the most detailed first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Class {
    /// Every turn.
    Turns,
    /// Figures of each second.
    Seconds,
    /// Turns that changed something, which are those that the scaler's record keeps.
    Changed,
    /// Figures of each minute.
    Minutes,
    /// Events.
    Events,
}

impl Class {
    /// For how long it is kept.
    pub const fn age(self) -> Duration {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        Duration::from_secs(match self {
            Self::Turns | Self::Seconds => 30 * MINUTE,
            Self::Changed | Self::Minutes => 24 * HOUR,
            Self::Events => 30 * 24 * HOUR,
        })
    }

    /// What part of the whole size it may have whatever the others need, in percent: together 100, so where the whole is
    /// too much, one of them has more than its part.
    pub const fn share_percent(self) -> u64 {
        match self {
            Self::Turns | Self::Changed => 25,
            Self::Seconds => 20,
            Self::Minutes | Self::Events => 15,
        }
    }
}

/// What there is of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub class: Class,
    /// What it takes on the disk.
    pub bytes: u64,
    /// The oldest of it and the newest; `None` where there is none.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// All of a class before a moment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Of which class.
    pub class: Class,
    /// What is older goes.
    pub before: Timestamp,
}

/// What is too old by now.
pub fn by_age(now: Timestamp) -> Vec<Cut> {
    let cut = |class: Class| Cut { class, before: now.before(class.age()) };
    <Class as strum::IntoEnumIterator>::iter().map(cut).collect()
}

/// What goes next where all of it together is more than `most_bytes`: the oldest tenth, by time, of the most detailed class
/// that has more than its part. So a flood of one class takes nothing from what the others are sure of.
pub fn by_size(held: &[Held], most_bytes: u64) -> Option<Cut> {
    let all: u64 = held.iter().map(|it| it.bytes).sum();
    if all <= most_bytes {
        return None;
    }
    let is_over = |it: &&Held| it.bytes * 100 > most_bytes * it.class.share_percent();
    let mut over: Vec<_> = held.iter().filter(is_over).collect();
    over.sort_by_key(|it| it.class);
    let (class, (oldest, newest)) = over.iter().find_map(|it| Some((it.class, it.span?)))?;
    // At least a millisecond, so that something goes.
    let tenth = newest.since(oldest) / 10 + Duration::from_millis(1);
    Some(Cut { class, before: oldest.after(tenth) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strum::IntoEnumIterator as _;

    use super::*;

    fn held(class: Class, bytes: u64) -> Held {
        let at = Timestamp::from_millis;
        Held { class, bytes, span: (bytes > 0).then_some((at(1_000), at(11_000))) }
    }

    #[test]
    fn each_class_has_its_time() {
        let now = Timestamp::from_millis(40 * 24 * 3_600_000);
        let ages = by_age(now).into_iter().map(|cut| (cut.class, now.since(cut.before).as_secs()));
        assert_eq!(
            ages.collect::<Vec<_>>(),
            [
                (Class::Turns, 1_800),
                (Class::Seconds, 1_800),
                (Class::Changed, 86_400),
                (Class::Minutes, 86_400),
                (Class::Events, 2_592_000),
            ]
        );
    }

    #[test]
    fn the_parts_are_the_whole() {
        assert_eq!(Class::iter().map(Class::share_percent).sum::<u64>(), 100);
    }

    #[test]
    fn nothing_goes_where_all_fits_however_much_one_class_has() {
        assert_eq!(by_size(&[held(Class::Events, 100)], 100), None);
    }

    #[test]
    fn the_oldest_of_the_most_detailed_goes_first() {
        let held = Class::iter().map(|class| held(class, 1_000)).collect::<Vec<_>>();
        let cut = by_size(&held, 4_000).unwrap();
        assert_eq!(cut, Cut { class: Class::Seconds, before: Timestamp::from_millis(2_001) });
    }

    #[test]
    fn a_flood_of_events_takes_nothing_from_what_the_other_classes_are_sure_of() {
        let held = [held(Class::Turns, 20), held(Class::Seconds, 20), held(Class::Events, 70)];
        assert_eq!(by_size(&held, 100).unwrap().class, Class::Events);
    }

    proptest! {
        #[test]
        fn where_there_is_too_much_something_goes(
            bytes in prop::array::uniform5(0_u64..1_000_000), most in 0_u64..3_000_000
        ) {
            let held: Vec<_> = Class::iter().zip(bytes).map(|(class, it)| held(class, it)).collect();
            let cut = by_size(&held, most);
            prop_assert_eq!(cut.is_some(), bytes.iter().sum::<u64>() > most);
            if let Some(cut) = cut {
                prop_assert!(cut.before > Timestamp::from_millis(1_000));
            }
        }
    }
}
