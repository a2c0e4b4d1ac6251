//! Concurrency: requests in flight per instance, over a stable and a panic window.
//!
//! As Knative defines it: `knative/serving`, `pkg/autoscaler/scaling/autoscaler.go` and the
//! defaults of `pkg/autoscaler/config/config.go`. The target is that of a revision that says how
//! many requests it takes at once, 70% of them; the 100 of one that does not say are no figure for
//! an instance that takes 8. What it has and this has not: activation scale, a delay of scale-in
//! (none by default), the burst capacity of its activator, and the grace of 30 s before the last
//! instance goes, which its activator needs to get into the path of the requests; here HAProxy
//! always is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rounding;
use super::timer::Paced;
use crate::advice::Advice;
use crate::decision::Reason;
use crate::reading::{Reading, known};
use crate::spec::SpecError;
use crate::spec::figures::{self, PERCENT_OF_CAPACITY, SOME_TIME, SPAN};
use crate::time::Timestamp;
use crate::window::MeanWindow;

/// ready = ceil(requests in flight and waiting / (concurrency of an instance x target)), as a mean
/// over the stable window; in panic over the panic window too, and then never fewer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Concurrency {
    /// The share of `capacity.concurrency` to aim for.
    pub target_percent: u32,
    /// How far back the stable mean looks, and how long panic lasts after its cause.
    pub stable_window_ms: u64,
    /// How far back the panic mean looks.
    pub panic_window_ms: u64,
    /// Panic begins where the panic mean asks for this share of the ready instances.
    pub panic_threshold_percent: f64,
    /// The most that the fleet is multiplied by at once.
    pub max_out_rate: f64,
    /// The most that the fleet is divided by at once.
    pub max_in_rate: f64,
    /// Time from one advice to the next.
    pub sync_ms: u64,
}

impl Default for Concurrency {
    /// Knative's: 70%, 60 s, a panic window of 10% of that, 200%, 1000, 2, every 2 s.
    fn default() -> Self {
        Self {
            target_percent: 70,
            stable_window_ms: 60_000,
            panic_window_ms: 6_000,
            panic_threshold_percent: 200.0,
            max_out_rate: 1000.0,
            max_in_rate: 2.0,
            sync_ms: 2_000,
        }
    }
}

/// What it remembers.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    stable: MeanWindow,
    panic: MeanWindow,
    mode: Option<Mode>,
    paced: Paced,
}

/// Panic, or not.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Stable,
    /// Since its cause was seen last, with the most that was advised in it.
    Panic {
        since: Timestamp,
        most: u32,
    },
}

impl Concurrency {
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let target = self.target_percent;
        figures::within("policy.target_percent", target, 1..=100, PERCENT_OF_CAPACITY)?;
        let (stable, panic) = (self.stable_window_ms, self.panic_window_ms);
        figures::within("policy.stable_window_ms", stable, 1..=figures::DAY_MS, SOME_TIME)?;
        figures::within("policy.panic_window_ms", panic, 1..=figures::DAY_MS, SOME_TIME)?;
        let windows = ["policy.panic_window_ms", "policy.stable_window_ms"];
        figures::ordered(windows, panic, stable)?;
        let threshold = self.panic_threshold_percent;
        let allowed = "110 to 1000 (percent of the ready instances)";
        figures::within("policy.panic_threshold_percent", threshold, 110.0..=1000.0, allowed)?;
        let allowed = "1.01 to 1000000";
        figures::within("policy.max_out_rate", self.max_out_rate, 1.01..=1e6, allowed)?;
        figures::within("policy.max_in_rate", self.max_in_rate, 1.01..=1e6, allowed)?;
        figures::within("policy.sync_ms", self.sync_ms, 0..=figures::DAY_MS, SPAN)
    }

    pub(super) fn advise(&self, memory: &mut Memory, reading: &Reading) -> Advice {
        let per_instance =
            f64::from(reading.capacity.concurrency) * f64::from(self.target_percent) / 100.0;
        let load = known(reading.backlog().map(|backlog| backlog / per_instance));
        let Some(load) = load else { return Advice::Unknown };
        let now = reading.now;
        memory.stable.push(now, load, Duration::from_millis(self.stable_window_ms));
        memory.panic.push(now, load, Duration::from_millis(self.panic_window_ms));
        let means = memory.stable.mean().zip(memory.panic.mean());
        let mode = memory.mode.get_or_insert_with(|| Mode::at_start(reading));
        let sync = Duration::from_millis(self.sync_ms);
        memory.paced.advise(sync, now, || match means {
            Some(means) => self.scale(means, mode, reading),
            None => Advice::Unknown,
        })
    }

    /// The advice from the stable and the panic mean, both in instances at their target.
    fn scale(&self, (stable, panic): (f64, f64), mode: &mut Mode, reading: &Reading) -> Advice {
        let fleet = f64::from(reading.ready.max(1));
        // Rounded away from the fleet, or a rate of 1.1 would never get 2 instances to 3.
        let most = rounding::ceil(self.max_out_rate * fleet);
        let fewest = rounding::floor(fleet / self.max_in_rate);
        let stable = rounding::ceil(stable).clamp(fewest, most);
        let asked_in_panic = rounding::ceil(panic);

        let share = 100.0 * f64::from(asked_in_panic) / fleet;
        mode.look(share >= self.panic_threshold_percent, self.stable_window_ms, reading.now);
        match mode {
            Mode::Stable => Advice::ready(stable, Reason::Concurrency),
            Mode::Panic { most: advised, .. } => {
                *advised = stable.max(asked_in_panic.clamp(fewest, most)).max(*advised);
                Advice::ready(*advised, Reason::Panic)
            }
        }
    }
}

impl Mode {
    /// A fleet of more than one instance is kept until the stable window knows the load: whoever
    /// has just started has seen too little to scale in.
    fn at_start(reading: &Reading) -> Self {
        if reading.ready > 1 {
            Self::Panic { since: reading.now, most: reading.ready }
        } else {
            Self::Stable
        }
    }

    /// Begins, prolongs and ends panic. A clock that was set back does not prolong it.
    fn look(&mut self, is_over: bool, stable_window_ms: u64, now: Timestamp) {
        let window = Duration::from_millis(stable_window_ms);
        *self = match *self {
            Self::Panic { most, .. } if is_over => Self::Panic { since: now, most },
            Self::Panic { since, .. } if now.since(since) > window => Self::Stable,
            Self::Panic { since, most } => Self::Panic { since: since.min(now), most },
            Self::Stable if is_over => Self::Panic { since: now, most: 0 },
            Self::Stable => Self::Stable,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Capacity;
    use crate::testing::{reading, seconds};

    /// Ten requests in flight per instance, of which seven are aimed for.
    fn at(memory: &mut Memory, second: u64, in_flight: u32, ready: u32) -> Advice {
        let reading = Reading {
            now: seconds(second),
            in_flight: Some(in_flight),
            queued: Some(0),
            ready,
            capacity: Capacity { requests_per_second: 50.0, concurrency: 10 },
            ..reading()
        };
        Concurrency::default().advise(memory, &reading)
    }

    #[test]
    fn the_stable_mean_decides_while_nothing_is_unusual() {
        let mut memory = Memory::default();
        for second in 0..=60 {
            let _ = at(&mut memory, second, 7, 1);
        }
        assert_eq!(at(&mut memory, 62, 7, 1), Advice::ready(1, Reason::Concurrency));
    }

    #[test]
    fn a_sudden_doubling_panics_and_the_panic_never_scales_in() {
        let mut memory = Memory::default();
        for second in 0..60 {
            let _ = at(&mut memory, second, 7, 1);
        }
        // Six seconds of 21 ask for 3 instances; the stable mean of 8.4 asks for 2.
        for second in 60..66 {
            let _ = at(&mut memory, second, 21, 1);
        }
        assert_eq!(at(&mut memory, 66, 21, 1), Advice::ready(3, Reason::Panic));
        for second in 67..126 {
            assert_eq!(at(&mut memory, second, 0, 3), Advice::ready(3, Reason::Panic));
        }
        for second in 126..130 {
            let _ = at(&mut memory, second, 0, 3);
        }
        // The most that goes at once is half of the three: floor(3 / 2) stay.
        assert_eq!(at(&mut memory, 130, 0, 3), Advice::ready(1, Reason::Concurrency));
    }

    #[test]
    fn a_low_rate_still_grows_by_one() {
        // The counter-example of Knative's source: rate 1.1, 2 instances, 3 times the target.
        let policy = Concurrency { max_out_rate: 1.1, target_percent: 100, ..Default::default() };
        let reading = Reading {
            in_flight: Some(3),
            queued: Some(0),
            ready: 2,
            capacity: Capacity { requests_per_second: 50.0, concurrency: 1 },
            ..reading()
        };
        let advice = policy.advise(&mut Memory::default(), &reading);
        assert_eq!(advice, Advice::ready(3, Reason::Panic), "it starts in panic");
    }

    #[test]
    fn it_starts_in_panic_so_that_a_restart_takes_nothing_away() {
        let mut memory = Memory::default();
        assert_eq!(at(&mut memory, 0, 0, 5), Advice::ready(5, Reason::Panic));
        assert_eq!(at(&mut memory, 2, 0, 5), Advice::ready(5, Reason::Panic));
    }

    #[test]
    fn a_panic_window_above_the_stable_one_is_refused() {
        let crossed = Concurrency { panic_window_ms: 70_000, ..Default::default() };
        let error = crossed.check().unwrap_err().to_string();
        assert_eq!(
            error,
            "policy.panic_window_ms is 70000, not below policy.stable_window_ms, 60000: lower one \
             or raise the other"
        );
    }
}
