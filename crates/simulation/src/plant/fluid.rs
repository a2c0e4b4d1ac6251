//! The plant in amounts: what comes within a step, a tenth of a second say, is served, waits or fails together.
//!
//! It keeps the same rules as the plant of requests, and is exact in its counts; latencies are as
//! fine as its steps. A step costs the same for one request and for a million.

use std::collections::VecDeque;

use model::names::Slot;
use model::watch::Answers;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Poisson};
use workload::{OpenLoad, Pacing, RateCurve};

use super::outcomes::Log;
use super::rules::Rules;
use super::{Counters, Plant, Statistics, narrow};
use crate::moment::Moment;
use crate::outcomes::Failure;

/// Instances as one server whose rate and bucket are theirs together.
#[derive(Debug)]
pub(crate) struct FluidPlant {
    rules: Rules,
    rng: Xoshiro256PlusPlus,
    curve: RateCurve,
    pacing: Pacing,
    load_start: Moment,
    now: Moment,
    /// Slots in rotation.
    rotation: Vec<Slot>,
    /// Tokens in all their buckets.
    tokens: f64,
    /// Expected requests of even pacing that have not come to a whole one.
    rest: f64,
    /// Requests that have not been served, by the moment they were due, the oldest first.
    waiting: VecDeque<Batch>,
    waiting_total: u64,
    counters: Counters,
}

#[derive(Debug, Clone, Copy)]
struct Batch {
    due: Moment,
    many: u64,
}

impl FluidPlant {
    /// A plant without instances, whose load starts at `load_start`.
    pub(crate) fn new(rules: Rules, load: OpenLoad, load_start: Moment, seed: u64) -> Self {
        let OpenLoad { pacing, curve } = load;
        Self {
            rules,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            curve,
            pacing,
            load_start,
            now: Moment::default(),
            rotation: Vec::new(),
            tokens: 0.0,
            rest: 0.0,
            waiting: VecDeque::new(),
            waiting_total: 0,
            counters: Counters::default(),
        }
    }
}

impl Plant for FluidPlant {
    fn advance(&mut self, to: Moment, log: &mut Log) {
        while self.now < to {
            let end = self.now.after(self.rules.step).min(to);
            self.step(end, log);
            self.now = end;
        }
    }

    fn open(&mut self, slot: Slot, now: Moment) {
        if self.rules.capacity.requests_per_second.is_some() {
            self.tokens += f64::from(self.rules.capacity.burst);
        }
        self.reopen(slot, now);
    }

    fn reopen(&mut self, slot: Slot, _now: Moment) {
        if !self.rotation.contains(&slot) {
            self.rotation.push(slot);
        }
    }

    fn drain(&mut self, slot: Slot) {
        let before = self.servers();
        self.rotation.retain(|other| *other != slot);
        if before > 0.0 {
            self.tokens *= self.servers() / before;
        }
    }

    fn stop(&mut self, slot: Slot, now: Moment, log: &mut Log) {
        let mut lost = u64::from(self.in_flight_of(slot));
        self.drain(slot);
        while let Some(batch) = self.waiting.front_mut().filter(|_| lost > 0) {
            let many = batch.many.min(lost);
            log.failed(batch.due, now, Failure::Stopped, many);
            self.counters.rejected += many;
            self.waiting_total -= many;
            batch.many -= many;
            lost -= many;
            if batch.many == 0 {
                self.waiting.pop_front();
            }
        }
    }

    fn remove(&mut self, slot: Slot, _now: Moment) {
        self.drain(slot);
    }

    fn statistics(&self) -> Statistics {
        let held = self.waiting_total.min(self.places());
        let count = |many: u64| narrow(usize::try_from(many).unwrap_or(usize::MAX));
        Statistics {
            counters: self.counters,
            queued: count(self.waiting_total - held),
            in_flight: count(held),
            cpu: self.rules.cpu.saturating_mul(count(self.counters.served)),
        }
    }

    /// Requests in flight are shared alike.
    fn in_flight_of(&self, slot: Slot) -> u32 {
        let count = narrow(self.rotation.len()).max(1);
        if self.rotation.contains(&slot) { self.statistics().in_flight.div_ceil(count) } else { 0 }
    }

    fn fail_every_second(&mut self, _slot: Slot) {}

    fn answers_of(&self, _slot: Slot) -> Option<Answers> {
        None
    }

    fn over_at(&self) -> Option<Moment> {
        None
    }

    fn first_served(&self, _slot: Slot) -> Option<Moment> {
        None
    }
}

impl FluidPlant {
    fn step(&mut self, end: Moment, log: &mut Log) {
        let step_s = end.since(self.now).as_secs_f64();
        // What comes within the step is taken to come in its middle.
        let middle = self.now.after(end.since(self.now) / 2);
        let many = self.draw(end);
        self.arrive(middle, many, log);
        self.give_up(end, log);
        let rate = self.per_server() * self.servers();
        let rate = self.host_rate().map_or(rate, |of_host| rate.min(of_host));
        let supply = self.tokens + rate * step_s;
        let served = whole(supply).min(self.waiting_total);
        self.serve(served, end, log);
        // Without a limit there is no bucket, and of what was not used only the part of a request is left.
        let bucket = match self.rules.capacity.requests_per_second {
            Some(_) => f64::from(self.rules.capacity.burst) * self.servers(),
            None => 1.0,
        };
        self.tokens = (supply - as_f64(served)).min(bucket);
    }

    /// What one instance serves in a second: as much as its limit, its places and its CPU time allow.
    fn per_server(&self) -> f64 {
        let Rules { capacity, service, cpu, cores, cpus, .. } = self.rules;
        let by_places = f64::from(capacity.concurrency) / service.mean_s();
        let by_cpu = cores.map_or(f64::INFINITY, |_| cpus / cpu.as_secs_f64());
        capacity.requests_per_second.unwrap_or(f64::INFINITY).min(by_places).min(by_cpu)
    }

    /// What the host's cores serve in a second, where they are shared.
    fn host_rate(&self) -> Option<f64> {
        Some(f64::from(self.rules.cores?) / self.rules.cpu.as_secs_f64())
    }

    /// How many requests come until `end`.
    fn draw(&mut self, end: Moment) -> u64 {
        if end <= self.load_start {
            return 0;
        }
        let until = |at: Moment| self.curve.count_until(at.since(self.load_start));
        let expected = until(end) - until(self.now);
        match self.pacing {
            Pacing::Even => {
                self.rest += expected;
                let many = whole(self.rest);
                self.rest -= as_f64(many);
                many
            }
            // Poisson takes no mean of 0, which is what there is between loads.
            Pacing::Poisson => {
                Poisson::new(expected).map_or(0, |drawn| whole(drawn.sample(&mut self.rng)))
            }
        }
    }

    fn arrive(&mut self, due: Moment, many: u64, log: &mut Log) {
        if many == 0 {
            return;
        }
        let room = (self.rules.in_flight as u64).saturating_sub(self.waiting_total);
        // What is served within the step takes no place of those under way for long.
        let room = room.saturating_add(whole(self.tokens));
        let taken = many.min(room);
        if many > taken {
            log.dropped(due, many - taken);
        }
        self.counters.arrivals += taken;
        if taken > 0 {
            self.waiting.push_back(Batch { due, many: taken });
            self.waiting_total += taken;
        }
    }

    /// What has waited too long at `now` fails.
    fn give_up(&mut self, now: Moment, log: &mut Log) {
        let (patience, failure) = self.rules.patience();
        while let Some(batch) = self.waiting.front().copied() {
            let until = batch.due.after(patience);
            if until > now {
                return;
            }
            self.waiting.pop_front();
            self.waiting_total -= batch.many;
            self.counters.rejected += if failure == Failure::NoServer { batch.many } else { 0 };
            log.failed(batch.due, until, failure, batch.many);
        }
    }

    /// Serves the oldest `many` of those that wait. Whoever came before this step waited until
    /// the middle of it.
    fn serve(&mut self, many: u64, end: Moment, log: &mut Log) {
        let mut left = many;
        let middle = self.now.after(end.since(self.now) / 2);
        while let Some(batch) = self.waiting.front_mut().filter(|_| left > 0) {
            let served = batch.many.min(left);
            let done = middle.max(batch.due).after(self.rules.service.sample(&mut self.rng));
            log.ok(batch.due, done, served);
            batch.many -= served;
            left -= served;
            if batch.many == 0 {
                self.waiting.pop_front();
            }
        }
        self.waiting_total -= many - left;
        self.counters.served += many - left;
    }

    fn servers(&self) -> f64 {
        f64::from(narrow(self.rotation.len()))
    }

    fn places(&self) -> u64 {
        u64::from(self.rules.capacity.concurrency) * self.rotation.len() as u64
    }
}

#[expect(clippy::cast_precision_loss, reason = "requests of a step are far below 2^53")]
const fn as_f64(many: u64) -> f64 {
    many as f64
}

/// The whole part; a float's cast saturates, so none is out of range.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
const fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests;
