//! A service that stands at its upper bound and needs more.

use model::decision::{Decision, Reason};
use model::tick::Tick;

use super::sign::{Evidence, Sign, TURN_MAX_S};
use crate::events::reasons;

/// It begins when the service needed more in so many seconds of the last 60 of which anything is known. A burst that the
/// bound cuts off for some seconds is what the bound is for.
const BEGINS_AFTER_S: u32 = 30;

/// It ends when the service needed no more for so many seconds in a row: a load that swings around the bound is one
/// episode.
const ENDS_AFTER_S: u32 = 60;

/// The last 60 seconds, a bit each.
const MINUTE: u64 = (1 << 60) - 1;

/// What is remembered of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AtMaximum {
    /// The second that is not over: since 1970, and whether more was needed at one of its turns.
    open: Option<(u64, bool)>,
    /// The seconds before it, the last one in the lowest bit.
    seconds: u64,
    /// How many of the last seconds in a row needed no more.
    below_s: u32,
}

impl AtMaximum {
    /// Takes in a turn. One that holds says nothing of what is needed.
    pub(super) fn tick(&mut self, tick: &Tick) -> Sign {
        let Decision::Target { ready, .. } = tick.decision else {
            self.close_open(1);
            return Sign::Unclear;
        };
        let needs_more = reasons(tick)
            .iter()
            .any(|reason| matches!(reason, Reason::AtMax | Reason::AtScheduledMax));
        let second = tick.at.as_millis() / 1000;
        match &mut self.open {
            Some((open, needed)) if *open == second => *needed |= needs_more,
            open => {
                let passed = open.map_or(0, |(open, _)| second.saturating_sub(open));
                self.close_open(if passed <= TURN_MAX_S { passed.max(1) } else { 1 });
                self.open = Some((second, needs_more));
            }
        }
        if self.seconds.count_ones() >= BEGINS_AFTER_S {
            Sign::Present(Evidence::AtMaximum { bound: ready })
        } else if self.below_s >= ENDS_AFTER_S {
            Sign::Absent
        } else {
            Sign::Unclear
        }
    }

    /// The open second is over, and was like the ones after it, so many in all.
    fn close_open(&mut self, count: u64) {
        let Some((_, needed)) = self.open.take() else { return };
        for _ in 0..count {
            self.seconds = (self.seconds << 1 | u64::from(needed)) & MINUTE;
            self.below_s = if needed { 0 } else { self.below_s.saturating_add(1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn turn(second: u64, reason: Reason) -> Tick {
        let decision = Decision::Target { ready: 10, reasons: vec![Reason::OfferedLoad, reason] };
        Tick { decision, ..samples::tick("store", second * 1000) }
    }

    /// What is seen at the end of these seconds.
    fn after(state: &mut AtMaximum, seconds: std::ops::Range<u64>, reason: Reason) -> Sign {
        seconds.map(|second| state.tick(&turn(second, reason))).last().unwrap()
    }

    const PRESENT: Sign = Sign::Present(Evidence::AtMaximum { bound: 10 });

    #[test]
    fn it_is_there_after_30_s_and_away_after_60_s_below() {
        let mut state = AtMaximum::default();
        assert_eq!(after(&mut state, 0..30, Reason::AtMax), Sign::Unclear);
        assert_eq!(after(&mut state, 30..31, Reason::AtScheduledMax), PRESENT);
        // The 31st second at the bound is over with the first below, and 60 are over with the 61st.
        after(&mut state, 31..91, Reason::Patience);
        assert_eq!(after(&mut state, 91..92, Reason::Patience), Sign::Absent);
    }

    #[test]
    fn a_load_that_swings_around_the_bound_is_there_and_never_away() {
        let mut state = AtMaximum::default();
        let swing = |second| if second % 10 < 6 { Reason::AtMax } else { Reason::Patience };
        let signs: Vec<_> =
            (0..600).map(|second| state.tick(&turn(second, swing(second)))).collect();
        assert!(signs[60..].iter().all(|sign| *sign == PRESENT), "{signs:?}");
    }

    #[test]
    fn short_bursts_are_nothing() {
        let mut state = AtMaximum::default();
        let burst = |second| if second % 60 < 20 { Reason::AtMax } else { Reason::Patience };
        let any = (0..600).any(|second| state.tick(&turn(second, burst(second))) == PRESENT);
        assert!(!any);
    }

    #[test]
    fn a_time_of_which_nothing_is_known_neither_begins_nor_ends_it() {
        let mut state = AtMaximum::default();
        after(&mut state, 0..20, Reason::AtMax);
        let mut hold = turn(21, Reason::NoData);
        hold.decision = Decision::Hold { reasons: vec![Reason::NoData] };
        for second in 21..500 {
            hold.at = model::time::Timestamp::from_millis(second * 1000);
            assert_eq!(state.tick(&hold), Sign::Unclear);
        }
        assert_eq!(after(&mut state, 500..511, Reason::AtMax), PRESENT);
        // An hour without a turn, and a clock that is set back.
        assert_eq!(after(&mut state, 4_000..4_001, Reason::Patience), PRESENT);
        assert_ne!(after(&mut state, 3_000..3_059, Reason::Patience), Sign::Absent);
    }

    #[test]
    fn a_slow_loop_takes_no_longer() {
        let mut state = AtMaximum::default();
        let mut signs = |range: std::ops::Range<u64>, reason| {
            range.map(|number| state.tick(&turn(number * 10, reason))).collect::<Vec<_>>()
        };
        assert_eq!(signs(0..4, Reason::AtMax)[2..], [Sign::Unclear, PRESENT]);
        assert_eq!(signs(4..11, Reason::Patience)[5..], [Sign::Unclear, Sign::Absent]);
    }
}
