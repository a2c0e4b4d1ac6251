//! Looks up names as the host does, so many at a time and for each service, and keeps the answers for a moment.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use host::name_lookup;
use model::egress::HostName;
use model::names::ServiceName;
use tokio::time::{Instant, timeout};

use crate::places::Places;
use crate::refusal::Refusal;

/// Lookups at a time, each a process of `getent`, most of which wait for an answer.
const AT_A_TIME: usize = 32;

/// Names that a service may have looked up in a second, and at once. One costs some 2 ms of CPU time.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();
const AT_ONCE: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// How long a lookup may take, its wait for a place included: name servers are given 10 s by default.
const PATIENCE: Duration = Duration::from_secs(12);

/// How long an answer is kept. What is kept was checked by nobody: each connection checks its address.
const KEPT: Duration = Duration::from_secs(10);

/// How many answers are kept.
const KEPT_MAX: usize = 1024;

/// What was found, and when.
type Answer = (Instant, Vec<IpAddr>);

/// Looks up names.
#[derive(Debug)]
pub(crate) struct Resolver {
    lookups: Arc<Places>,
    rates: RateLimiter<ServiceName, HashMapStateStore<ServiceName>, DefaultClock>,
    answers: Mutex<BTreeMap<HostName, Answer>>,
}

impl Resolver {
    pub(crate) fn new() -> Self {
        Self {
            lookups: Places::new(AT_A_TIME, AT_A_TIME),
            rates: RateLimiter::hashmap(Quota::per_second(PER_SECOND).allow_burst(AT_ONCE)),
            answers: Mutex::default(),
        }
    }

    /// The addresses of a name, one at least, that a client of a service asks for.
    ///
    /// # Errors
    /// There is none, or it could not be told.
    pub(crate) async fn addresses(
        &self,
        client: Ipv4Addr,
        service: &ServiceName,
        name: &HostName,
    ) -> Result<Vec<IpAddr>, Refusal> {
        if let Some(kept) = self.kept(name) {
            return Ok(kept);
        }
        if self.rates.check_key(service).is_err() {
            return Err(Refusal::TooManyNames(service.clone()));
        }
        let lookup = async {
            let _place = self.lookups.wait(client, Some(service)).await;
            name_lookup::addresses(name.as_str()).await
        };
        let found = timeout(PATIENCE, lookup).await;
        let found = found.unwrap_or(Ok(Vec::new())).map_err(Refusal::Lookup)?;
        if found.is_empty() {
            return Err(Refusal::NoAddress(name.clone()));
        }
        self.keep(name, &found);
        Ok(found)
    }

    fn kept(&self, name: &HostName) -> Option<Vec<IpAddr>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, found) = answers.get(name)?;
        (at.elapsed() < KEPT).then(|| found.clone())
    }

    fn keep(&self, name: &HostName, found: &[IpAddr]) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= KEPT_MAX {
            answers.retain(|_, (at, _)| at.elapsed() < KEPT);
        }
        // One that is not kept is looked up again.
        if answers.len() < KEPT_MAX {
            answers.insert(name.clone(), (Instant::now(), found.to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_for_a_time_and_in_a_bounded_number() {
        let resolver = Resolver::new();
        let name = |number: usize| format!("n{number}.example.org").parse::<HostName>().unwrap();
        let address: IpAddr = Ipv4Addr::new(203, 0, 113, 5).into();
        for number in 0..2 * KEPT_MAX {
            resolver.keep(&name(number), &[address]);
        }
        assert_eq!(resolver.answers.lock().unwrap().len(), KEPT_MAX);
        assert_eq!(resolver.kept(&name(0)), Some(vec![address]));
        tokio::time::advance(KEPT).await;
        assert_eq!(resolver.kept(&name(0)), None);
        resolver.keep(&name(1), &[address]);
        assert_eq!(resolver.answers.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_service_that_asks_for_too_many_names_is_told_and_another_is_not_held_up() {
        let resolver = Resolver::new();
        let (client, name) = (Ipv4Addr::LOCALHOST, "name.invalid".parse().unwrap());
        let (greedy, other) = ("greedy".parse().unwrap(), "other".parse().unwrap());
        while resolver.rates.check_key(&greedy).is_ok() {}
        let refused = resolver.addresses(client, &greedy, &name).await.unwrap_err();
        assert!(matches!(refused, Refusal::TooManyNames(_)), "{refused}");
        assert!(resolver.rates.check_key(&other).is_ok());
    }
}
