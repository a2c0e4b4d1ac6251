//! One instance as the load balancer sees it: its places, and its token bucket.

use std::time::Duration;

use model::service::Capacity;
use model::watch::Answers;

use super::clients::Request;
use crate::moment::Moment;
use crate::outcomes::Failure;

/// The server of a slot, in rotation or not.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Tells the instances of a slot apart.
    pub(super) generation: u32,
    pub(super) in_rotation: bool,
    pub(super) first_served: Option<Moment>,
    /// The requests under way, by place.
    places: Vec<Option<Request>>,
    in_flight: u32,
    pub(super) bucket: TokenBucket,
    /// What this instance has answered.
    pub(super) answers: Answers,
    pub(super) fails_every_second: bool,
}

impl Server {
    /// How the instance fails an answer that nothing else failed.
    pub(super) const fn own_failure(&self) -> Option<Failure> {
        let fails = self.fails_every_second && self.answers.all.is_multiple_of(2);
        if fails { Some(Failure::Wrong) } else { None }
    }

    /// Counts an answer. A client that hangs up gets none.
    pub(super) fn count(&mut self, failure: Option<Failure>) {
        if failure != Some(Failure::Timeout) {
            self.answers += Answers { all: 1, failed: u64::from(failure == Some(Failure::Wrong)) };
        }
    }

    /// A new instance takes the slot.
    pub(super) fn renew(&mut self, capacity: Capacity) {
        *self = Self {
            generation: self.generation.wrapping_add(1),
            places: vec![None; capacity.concurrency as usize],
            ..Self::default()
        };
    }

    /// Takes a request in its first free place.
    pub(super) fn take(&mut self, request: Request) -> Option<usize> {
        let free = self.places.iter().position(Option::is_none)?;
        self.places[free] = Some(request);
        self.in_flight += 1;
        Some(free)
    }

    /// The request in `place` has ended.
    pub(super) fn give_back(&mut self, place: usize) -> Option<Request> {
        let request = self.places.get_mut(place)?.take()?;
        self.in_flight -= 1;
        Some(request)
    }

    /// The requests under way end here, the oldest first.
    pub(super) fn abandon(&mut self) -> Vec<Request> {
        let mut requests: Vec<_> = self.places.iter_mut().filter_map(Option::take).collect();
        requests.sort();
        self.in_flight = 0;
        requests
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn free_places(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX) - self.in_flight
    }
}

/// A token bucket in front of which requests wait in the order in which they came: when each will
/// pass is known as it comes.
#[derive(Debug, Default)]
pub(super) struct TokenBucket {
    /// When the bucket will be full again (the theoretical arrival time of GCRA).
    full_at: Moment,
    last_pass: Moment,
}

impl TokenBucket {
    /// When the rate limit lets through a request that comes now, at once where there is none; `None` when that
    /// is later than `until`, and the request leaves without a token.
    pub(super) fn pass(
        &mut self,
        capacity: Capacity,
        now: Moment,
        until: Moment,
    ) -> Option<Moment> {
        let Some(rate) = capacity.requests_per_second else {
            return (now <= until).then_some(now);
        };
        let token = Duration::from_secs_f64(1.0 / rate);
        // A bucket that lacks fewer than all of its tokens has one left.
        let next_token = self.full_at.before(token * (capacity.burst - 1));
        let at = now.max(self.last_pass).max(next_token);
        if at > until {
            return None;
        }
        self.full_at = self.full_at.max(at).after(token);
        self.last_pass = at;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIFTY: Capacity = Capacity { concurrency: 8, requests_per_second: Some(50.0), burst: 10 };

    const MAX_WAIT: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Moment {
        Moment::at(Duration::from_millis(ms))
    }

    fn pass(bucket: &mut TokenBucket, now: Moment) -> Option<Moment> {
        bucket.pass(FIFTY, now, now.after(MAX_WAIT))
    }

    #[test]
    fn a_full_bucket_lets_its_burst_through_and_then_one_a_token() {
        let mut bucket = TokenBucket::default();
        let passes: Vec<_> = (0..13).map(|_| pass(&mut bucket, ms(5_000)).unwrap()).collect();
        assert!(passes[..10].iter().all(|at| *at == ms(5_000)));
        assert_eq!(passes[10..], [ms(5_020), ms(5_040), ms(5_060)]);
    }

    #[test]
    fn an_idle_bucket_fills_up_to_its_burst_and_no_further() {
        let mut bucket = TokenBucket::default();
        for _ in 0..10 {
            pass(&mut bucket, ms(0));
        }
        let passes: Vec<_> = (0..4).map(|_| pass(&mut bucket, ms(60)).unwrap()).collect();
        assert_eq!(passes, [ms(60), ms(60), ms(60), ms(80)]);
        let later: Vec<_> = (0..11).map(|_| pass(&mut bucket, ms(9_000)).unwrap()).collect();
        assert_eq!(later[9..], [ms(9_000), ms(9_020)]);
    }

    #[test]
    fn who_would_wait_longer_than_allowed_is_refused_and_takes_no_token() {
        let mut bucket = TokenBucket::default();
        let passed = (0..100).filter(|_| pass(&mut bucket, ms(0)).is_some()).count();
        // The burst, and what the bucket gains within the second of the longest wait.
        assert_eq!(passed, 60);
        assert_eq!(pass(&mut bucket, ms(500)), Some(ms(1_020)));
    }
}
