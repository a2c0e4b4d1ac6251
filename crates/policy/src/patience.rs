//! Patience: scaling in waits until the lower need has held for a while.

use std::collections::VecDeque;
use std::time::Duration;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The highest need of a sliding window, in amortised constant time: entries that a later and
/// higher one outlives can never be the maximum again and are dropped at once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NeedHistory {
    /// Needs in falling order, each with its moment.
    falling: VecDeque<(Timestamp, u32)>,
    /// When the record without a break began.
    began: Option<Timestamp>,
}

impl NeedHistory {
    /// Records the need at `now` and forgets what `patience` no longer covers. A clock that was set
    /// back starts the record anew.
    pub fn push(&mut self, now: Timestamp, need: u32, patience: Duration) {
        if self.falling.back().is_some_and(|(at, _)| *at > now) {
            self.interrupt();
        }
        while self.falling.back().is_some_and(|(_, earlier)| *earlier <= need) {
            self.falling.pop_back();
        }
        self.falling.push_back((now, need));
        let reach = now.before(patience);
        while self.falling.front().is_some_and(|(at, _)| *at < reach) {
            self.falling.pop_front();
        }
        self.began.get_or_insert(now);
    }

    /// A break in the record: nothing before it counts as known.
    pub fn interrupt(&mut self) {
        *self = Self::default();
    }

    /// The highest need within the patience, or `None` where the record does not reach back that
    /// far: then nobody knows that a lower need has held.
    pub fn highest_over(&self, patience: Duration, now: Timestamp) -> Option<u32> {
        let covered = self.began.is_some_and(|began| now.since(began) >= patience);
        self.falling.front().filter(|_| covered).map(|(_, need)| *need)
    }

    /// Since when a lower need than [`Self::highest_over`] allows is known to have held: the moment of the highest
    /// need within the patience, or of the record's beginning where it does not reach back that far.
    pub fn holds_since(&self, patience: Duration, now: Timestamp) -> Option<Timestamp> {
        let began = self.began?;
        let covered = now.since(began) >= patience;
        if covered { self.falling.front().map(|(at, _)| *at) } else { Some(began) }
    }

    /// The highest need that the record holds, however far it reaches back.
    pub fn highest(&self) -> Option<u32> {
        self.falling.front().map(|(_, need)| *need)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_record_shorter_than_the_patience_says_nothing() {
        let mut needs = NeedHistory::default();
        needs.push(at(0), 3, SECOND);
        needs.push(at(900), 1, SECOND);
        assert_eq!(needs.highest_over(SECOND, at(900)), None);
        assert_eq!(needs.highest_over(SECOND, at(1000)), Some(3));
    }

    #[test]
    fn a_break_and_a_clock_set_back_start_the_record_anew() {
        let mut needs = NeedHistory::default();
        needs.push(at(0), 1, SECOND);
        needs.push(at(5000), 1, SECOND);
        needs.interrupt();
        needs.push(at(5100), 1, SECOND);
        assert_eq!(needs.highest_over(SECOND, at(5100)), None);
        needs.push(at(100), 1, SECOND);
        assert_eq!(needs.highest_over(SECOND, at(1000)), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_maximum(needs in prop::collection::vec(0_u32..50, 1..200)) {
            let mut history = NeedHistory::default();
            for (i, need) in needs.iter().enumerate() {
                let now = at(i as u64 * 100);
                history.push(now, *need, SECOND);
                let plain = needs[i.saturating_sub(10)..=i].iter().max().copied();
                prop_assert_eq!(history.highest_over(SECOND, now), plain.filter(|_| i >= 10));
            }
        }
    }
}
