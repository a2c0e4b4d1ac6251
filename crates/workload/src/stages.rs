//! A closed load: stages of threads, each of which waits for an answer before it asks again.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

use crate::operation::{Operation, OperationSource, Operations};

/// Stages that follow one another; each ends when all its threads have.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages {
    /// The largest delay of every stage is multiplied by this, from 0 to 1.
    pub delay_factor: f64,
    /// The stages, at least one.
    pub stages: Vec<Stage>,
}

/// Threads that start together and end one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How many there are, at least 1.
    pub threads: u32,
    /// Requests that each of them makes, one after the other, at least 1.
    pub requests_per_thread: u32,
    /// Before each request its thread waits for a random time up to this one, every time as likely.
    pub max_delay_ms: u32,
}

/// How long one thread waits before each of its requests.
#[derive(Debug, Clone)]
pub struct ThreadDelays {
    rng: Xoshiro256PlusPlus,
    max_delay: Duration,
    left: u32,
}

/// The requests of one thread, each with the delay before it. They follow from the scenario's seed,
/// the stage and the thread alone. When answers come, and what they are, changes nothing.
#[derive(Debug, Clone)]
pub struct ThreadRequests {
    delays: ThreadDelays,
    operations: OperationSource,
}

impl Stages {
    /// The most threads that there are at one time.
    pub fn threads(&self) -> u32 {
        self.stages.iter().map(|stage| stage.threads).max().unwrap_or(0)
    }

    /// Requests in all.
    pub fn requests(&self) -> u64 {
        self.stages.iter().map(Stage::requests).sum()
    }

    /// How long all stages last at most, when each delay is the largest and each request is given
    /// up after `timeout`.
    pub(crate) fn longest(&self, timeout: Duration) -> Duration {
        let stage_s = |stage: &Stage| {
            let each = stage.max_delay().mul_f64(self.delay_factor) + timeout;
            each.as_secs_f64() * f64::from(stage.requests_per_thread)
        };
        Duration::from_secs_f64(self.stages.iter().map(stage_s).sum())
    }

    /// The delays of each thread of the stage with that index; empty when there is no such stage.
    pub fn delays(&self, seed: u64, stage: usize) -> Vec<ThreadDelays> {
        self.streams(seed, stage).map(|(delays, _)| delays).collect()
    }

    /// The requests of each thread of the stage with that index, chosen from `operations`; empty when
    /// there is no such stage.
    pub fn thread_requests(
        &self,
        operations: &Operations,
        seed: u64,
        stage: usize,
    ) -> Vec<ThreadRequests> {
        self.streams(seed, stage)
            .map(|(delays, seed)| ThreadRequests {
                delays,
                operations: OperationSource::new(operations, seed),
            })
            .collect()
    }

    /// For each thread of a stage its delays, and the seed of all else that is random in it.
    fn streams(&self, seed: u64, index: usize) -> impl Iterator<Item = (ThreadDelays, u64)> {
        let stage = self.stages.get(index).copied().unwrap_or_default();
        let max_delay = stage.max_delay().mul_f64(self.delay_factor);
        let left = stage.requests_per_thread;
        // The base is random: with the seed itself for a base, the threads of seed 2 would be those
        // of seed 1, shifted by one.
        let base: u64 = Xoshiro256PlusPlus::seed_from_u64(seed).random();
        (0..stage.threads).map(move |thread| {
            let own = base.wrapping_add(((index as u64) << 32) | u64::from(thread));
            (ThreadDelays { rng: Xoshiro256PlusPlus::seed_from_u64(own), max_delay, left }, own)
        })
    }
}

impl Stage {
    /// Requests of all its threads.
    pub fn requests(&self) -> u64 {
        u64::from(self.threads) * u64::from(self.requests_per_thread)
    }

    fn max_delay(&self) -> Duration {
        Duration::from_millis(self.max_delay_ms.into())
    }
}

impl Iterator for ThreadDelays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        // An hour is the longest delay: its nanoseconds are far below 2^64.
        let max = u64::try_from(self.max_delay.as_nanos()).unwrap_or(u64::MAX);
        Some(Duration::from_nanos(self.rng.random_range(0..=max)))
    }
}

impl Iterator for ThreadRequests {
    type Item = (Duration, Operation);

    fn next(&mut self) -> Option<(Duration, Operation)> {
        Some((self.delays.next()?, self.operations.next()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stages(delay_factor: f64, stages: &[(u32, u32, u32)]) -> Stages {
        let stages = stages.iter().map(|&(threads, requests_per_thread, max_delay_ms)| Stage {
            threads,
            requests_per_thread,
            max_delay_ms,
        });
        Stages { delay_factor, stages: stages.collect() }
    }

    fn delays(stages: &Stages, seed: u64, stage: usize) -> Vec<Vec<Duration>> {
        stages.delays(seed, stage).into_iter().map(Iterator::collect).collect()
    }

    #[test]
    fn each_thread_has_its_requests_and_there_is_no_stage_past_the_last() {
        let stages = stages(1.0, &[(2, 3, 10), (4, 5, 10)]);
        assert_eq!((stages.threads(), stages.requests()), (4, 26));
        let counts = |stage| delays(&stages, 1, stage).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!([counts(0), counts(1), counts(2)], [vec![3; 2], vec![5; 4], vec![]]);
    }

    #[test]
    fn delays_are_spread_evenly_up_to_the_largest_one_times_the_factor() {
        let all = delays(&stages(0.25, &[(4, 5_000, 4_000)]), 3, 0).concat();
        let largest = all.iter().max().unwrap();
        assert!((990..=1_000).contains(&largest.as_millis()), "{largest:?}");
        // Of 20,000 evenly spread ones the mean has a standard deviation of 2 ms.
        let mean = all.iter().sum::<Duration>() / 20_000;
        assert!((488..=512).contains(&mean.as_millis()), "{mean:?}");
        let quarter = all.iter().filter(|delay| delay.as_millis() < 250).count();
        assert!((4_600..=5_400).contains(&quarter), "{quarter}");
    }

    #[test]
    fn neighbouring_seeds_share_no_thread() {
        let stages = stages(1.0, &[(8, 4, 1_000)]);
        let (one, two) = (delays(&stages, 1, 0), delays(&stages, 2, 0));
        assert!(one.iter().all(|thread| !two.contains(thread)));
    }

    proptest! {
        #[test]
        fn a_thread_is_the_same_whatever_the_others_are(
            seed: u64, threads in 1_u32..20, more in 0_u32..20, requests in 1_u32..30, ms in 0_u32..5_000,
        ) {
            let few = delays(&stages(1.0, &[(threads, requests, ms)]), seed, 0);
            let many = delays(&stages(1.0, &[(threads + more, requests, ms), (3, 1, 1)]), seed, 0);
            prop_assert_eq!(&few[..], &many[..few.len()]);
            prop_assert!(few.concat().iter().all(|delay| *delay <= Duration::from_millis(ms.into())));
            // No two threads wait alike, unless there is nothing to wait for.
            let mut distinct = few.clone();
            distinct.sort();
            distinct.dedup();
            prop_assert!(ms == 0 || distinct.len() == few.len());
        }
    }
}
