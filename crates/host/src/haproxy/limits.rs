//! How long HAProxy lets requests take, by how long their service lets an instance drain.

use std::time::Duration;

use serde::Serialize;

/// How long a request may take at least, however short its service's drains are.
const LASTS_MIN_S: u64 = 60;
/// What may come before that, 10 s held and 10 s in the queue, and 10 s to spare.
const AROUND_S: u64 = 30;
/// The longest silence that is waited through. A client that leaves meanwhile is not noticed and keeps its
/// place at the instance (`capacity.concurrency`), so a drain of a day must not make a day of it.
const SILENCE_MAX_S: u64 = 3_600;
/// How long a tunnel may be idle at least. What speaks WebSocket mostly pings every minute or so; this is
/// for what does not. The end of either side is noticed at once, so the wait costs little.
const TUNNEL_MIN_S: u64 = 3_600;

/// The limits of a service's requests, in seconds. The others follow from the first and grow with it, so
/// what has the greatest has the greatest of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Limits {
    /// How long a request may take.
    lasts_s: u64,
    /// How long an old worker may need for what it has.
    old_worker_s: u64,
    /// How long neither side of a request may send anything.
    silence_s: u64,
    /// The same of the way to `bellows.first` and `bellows.last`, where a request may wait beside.
    way_silence_s: u64,
    /// How long neither side of a tunnel may send anything.
    tunnel_s: u64,
}

impl Limits {
    /// The limits of a service whose instances may take so long to drain.
    pub(super) fn of(drain_timeout: Duration) -> Self {
        let drain_s = drain_timeout.as_millis().div_ceil(1_000);
        let lasts_s = u64::try_from(drain_s).unwrap_or(u64::MAX).max(LASTS_MIN_S);
        let silence_s = lasts_s.min(SILENCE_MAX_S);
        Self {
            lasts_s,
            old_worker_s: lasts_s.saturating_add(AROUND_S),
            silence_s,
            way_silence_s: silence_s + AROUND_S,
            tunnel_s: lasts_s.max(TUNNEL_MIN_S),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_last_as_long_as_a_drain_and_be_silent_for_an_hour_at_most() {
        let of = |millis| {
            let limits = Limits::of(Duration::from_millis(millis));
            [limits.silence_s, limits.tunnel_s, limits.old_worker_s]
        };
        assert_eq!(of(0), [60, 3_600, 90]);
        assert_eq!(of(60_000), of(0));
        assert_eq!(of(60_001), [61, 3_600, 91]);
        assert_eq!(of(600_000), [600, 3_600, 630]);
        assert_eq!(of(86_400_000), [3_600, 86_400, 86_430]);
    }
}
