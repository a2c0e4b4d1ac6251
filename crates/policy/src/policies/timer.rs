//! Intervals of policies that look at the load only now and then.

use std::time::Duration;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::advice::Advice;

/// Says when the next interval has come.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Timer {
    last: Option<Timestamp>,
}

impl Timer {
    /// Whether `interval` has passed since this last said so. It says so at first, and when the
    /// clock was set back. Turns that come a little late do not shift the beat, unless one was
    /// missed.
    pub(super) fn is_due(&mut self, interval: Duration, now: Timestamp) -> bool {
        let Some(last) = self.last.filter(|last| *last <= now) else {
            self.last = Some(now);
            return true;
        };
        let passed = now.since(last);
        if passed < interval {
            return false;
        }
        let beat = last.after(interval);
        self.last = Some(if passed < interval * 2 { beat } else { now });
        true
    }
}

/// Advice that is formed once in an interval and repeated in between.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Paced {
    timer: Timer,
    last: Option<Advice>,
}

impl Paced {
    /// The advice of before is not repeated: the next one is formed at once.
    pub(super) fn ask_anew(&mut self) {
        self.last = None;
    }

    /// The advice of `form` where an interval has begun, that of before otherwise.
    pub(super) fn advise(
        &mut self,
        interval: Duration,
        now: Timestamp,
        form: impl FnOnce() -> Advice,
    ) -> Advice {
        let is_due = self.timer.is_due(interval, now);
        match self.last {
            Some(last) if !is_due => last,
            _ => *self.last.insert(form()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_beats_at_its_interval_and_survives_gaps_and_clocks_set_back() {
        let mut timer = Timer::default();
        let mut due = |millis| timer.is_due(Duration::from_secs(1), Timestamp::from_millis(millis));
        assert!(due(5000));
        assert!(!due(5900));
        assert!(due(6050), "late by 50 ms");
        assert!(due(7000), "the beat is not shifted");
        assert!(due(20_000));
        assert!(!due(20_900));
        assert!(due(100), "the clock was set back");
        assert!(!due(200));
    }
}
