//! The time of day, and when it was set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::time::Timestamp;
use tokio::time::Instant;

/// A clock that is slewed gains or loses 0.5 ms a second; more than this between two turns is a
/// clock that was set, or a host that slept.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The time of day. The loop looks at the clock here and nowhere else.
pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

/// Compares the time of day with the time that has passed.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// Whether the time of day has jumped since the call before; `now` is the time of day.
    pub(crate) fn jumped(&mut self, now: Timestamp) -> bool {
        let moment = Instant::now();
        self.last.replace((now, moment)).is_some_and(|(before, then)| {
            let expected = before.after(moment - then);
            now.since(expected).max(expected.since(now)) > TOLERANCE
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_is_noticed_once_and_one_that_runs_is_not() {
        let (mut clock, start) = (Clock::default(), Timestamp::from_millis(10_000_000));
        let after = |seconds| start.after(Duration::from_secs(seconds));
        assert!(!clock.jumped(start));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!clock.jumped(after(60)));
        assert!(clock.jumped(after(120)));
        assert!(!clock.jumped(after(120)));
        assert!(clock.jumped(after(0)));
    }
}
