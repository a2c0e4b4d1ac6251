//! The answers of a span: how many there are of each class, and how their times are spread.
//!
//! A time is counted in a bucket: in one of its own up to 31 ms, and above in one of 16 between each power of two and the
//! next. So what is said of it is at most a thirty-second part away, and spans merge to what all their answers give: a
//! percentile of a minute is that of its answers, and not a mean of those of its seconds.

use std::collections::BTreeMap;

use host::answer_pipe::Class;

/// Times below this have a bucket of their own, in ms.
const EXACT_MS: u32 = 32;

/// Buckets between a power of two and the next, as a power of two.
const FINE_BITS: u32 = 4;

/// How many buckets there are for times of 32 bits.
const BUCKETS: u16 = 32 + (32 - 5) * 16;

/// The answers of a span. None is known where nothing was answered, or nobody told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    by_class: [u64; 4],
    times: BTreeMap<u16, u64>,
}

impl Answers {
    /// Counts an answer.
    pub fn add(&mut self, class: Class, time_ms: u32) {
        self.by_class[class as usize] += 1;
        *self.times.entry(bucket(time_ms)).or_default() += 1;
    }

    /// Takes in those of another span.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.by_class.iter_mut().zip(other.by_class) {
            *own = own.saturating_add(more);
        }
        for (bucket, more) in &other.times {
            let own = self.times.entry(*bucket).or_default();
            *own = own.saturating_add(*more);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.times.values().fold(0, |all: u64, count| all.saturating_add(*count))
    }

    /// Those that began later than that.
    pub fn later_than(&self, ms: u32) -> u64 {
        let later = self.times.iter().filter(|(bucket, _)| middle_ms(**bucket) > ms);
        later.fold(0, |all: u64, (_, count)| all.saturating_add(*count))
    }

    /// Those of a class.
    pub fn of(&self, class: Class) -> u64 {
        self.by_class[class as usize]
    }

    /// The time, in ms, within which so many thousandths of the answers began; `None` where there are none.
    pub fn within_ms(&self, thousandths: u64) -> Option<u32> {
        let wanted = u128::from(self.count()) * u128::from(thousandths);
        let mut seen = 0_u128;
        let found = self.times.iter().find(|(_, count)| {
            seen += u128::from(**count) * 1000;
            seen >= wanted
        });
        found.map(|(bucket, _)| middle_ms(*bucket))
    }

    /// All that is counted, for the file: by class, and by bucket in their order.
    pub(super) fn parts(&self) -> ([u64; 4], impl ExactSizeIterator<Item = (u16, u64)>) {
        (self.by_class, self.times.iter().map(|(bucket, count)| (*bucket, *count)))
    }

    /// What [`Answers::parts`] gave; `None` for what it cannot have given.
    pub(super) fn from_parts(
        by_class: [u64; 4],
        times: impl IntoIterator<Item = (u16, u64)>,
    ) -> Option<Self> {
        let times: BTreeMap<_, _> = times.into_iter().collect();
        let is_known = times.iter().all(|(bucket, count)| *bucket < BUCKETS && *count > 0);
        is_known.then_some(Self { by_class, times })
    }
}

/// The bucket of a time.
fn bucket(time_ms: u32) -> u16 {
    let bucket = match time_ms.checked_ilog2() {
        Some(power) if time_ms >= EXACT_MS => {
            // The first bit of it is the power; the four behind it are the place among the 16.
            let fine = (time_ms >> (power - FINE_BITS)) & ((1 << FINE_BITS) - 1);
            EXACT_MS + ((power - EXACT_MS.ilog2()) << FINE_BITS) + fine
        }
        _ => time_ms,
    };
    // There are 464.
    u16::try_from(bucket).unwrap_or(BUCKETS - 1)
}

/// The middle of a bucket's times.
fn middle_ms(bucket: u16) -> u32 {
    let bucket = u32::from(bucket);
    let Some(above) = bucket.checked_sub(EXACT_MS) else { return bucket };
    let width_bits = (above >> FINE_BITS) + EXACT_MS.ilog2() - FINE_BITS;
    let first = ((1 << FINE_BITS) + (above & ((1 << FINE_BITS) - 1))) << width_bits;
    first + ((1 << width_bits) - 1) / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: impl IntoIterator<Item = u32>) -> Answers {
        let mut answers = Answers::default();
        times.into_iter().for_each(|time| answers.add(Class::Success, time));
        answers
    }

    #[test]
    fn a_percentile_is_the_time_within_which_so_many_answers_began() {
        let answers = of(1..=10);
        assert_eq!(answers.within_ms(500), Some(5));
        assert_eq!(answers.within_ms(900), Some(9));
        assert_eq!(answers.within_ms(990), Some(10));
        assert_eq!((of([7]).within_ms(500), of([]).within_ms(500)), (Some(7), None));
    }

    #[test]
    fn a_percentile_of_a_minute_is_that_of_its_answers_and_no_mean_of_its_seconds() {
        // 59 seconds with one quick answer each, and one with a hundred slow ones.
        let mut minute = of([]);
        (0..59).for_each(|_| minute.merge(&of([2])));
        minute.merge(&of([1000; 100]));
        let near = |time: Option<u32>| time.is_some_and(|it| (970..=1030).contains(&it));
        assert!(near(minute.within_ms(500)), "{:?}", minute.within_ms(500));
        assert_eq!(minute.within_ms(370), Some(2));
        assert_eq!(minute.of(Class::Success), 159);
    }

    #[test]
    fn what_began_later_than_a_time_is_counted_and_what_began_at_it_is_not() {
        let answers = of([1, 7, 7, 8, 1000]);
        assert_eq!([0, 7, 8, 5000].map(|ms| answers.later_than(ms)), [5, 2, 1, 0]);
        assert_eq!((answers.count(), of([]).later_than(0)), (5, 0));
    }

    #[test]
    fn answers_are_counted_by_class() {
        let mut answers = Answers::default();
        let classes = [Class::Success, Class::Redirection, Class::ClientError, Class::ServerError];
        for (more, class) in classes.into_iter().enumerate() {
            (0..=more).for_each(|_| answers.add(class, 1));
        }
        assert_eq!(classes.map(|class| answers.of(class)), [1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn what_is_said_of_a_time_is_at_most_a_thirty_second_part_away(
            bits in 0_u32..=32, low in any::<u32>()
        ) {
            let time = low.checked_shr(32 - bits).unwrap_or_default();
            let said = middle_ms(bucket(time));
            prop_assert!(bucket(time) < BUCKETS);
            prop_assert!(said.abs_diff(time) <= time / 32, "{time} {said}");
        }

        #[test]
        fn later_times_never_have_earlier_buckets(a in any::<u32>(), b in any::<u32>()) {
            prop_assert!((a <= b) == (bucket(a) <= bucket(b)) || bucket(a) == bucket(b));
        }
    }
}
