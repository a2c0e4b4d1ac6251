//! A validated scenario: what to offer, for how long, and what must hold afterwards.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::format::{self, ScenarioError};
use crate::rate::{RateCurve, Segment, Shape};

/// A scenario whose every value has been checked; see `loadgen/scenarios/` for the files.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The scenario's name, which is also the stem of its file.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// The service that the load is for.
    pub service: String,
    /// Everything random follows from this number.
    pub seed: u64,
    /// How arrivals are spread below the rate.
    pub pacing: Pacing,
    /// The unit of every rate in `phases`.
    pub unit: RateUnit,
    /// The load over time; phases follow one another.
    pub phases: Vec<Phase>,
    /// What is due before this moment is left out of every figure.
    pub warm_up: Duration,
    /// How long to go on recording after the load, at most.
    pub settle: Duration,
    /// A request not answered this long after it was due has failed.
    pub timeout: Duration,
    /// Requests in flight at most; what is due beyond it is dropped.
    pub in_flight: NonZeroUsize,
    /// How often each operation is chosen.
    pub mix: Mix,
    /// Which objects are used.
    pub keys: Keys,
    /// How large the bodies are.
    pub sizes: Sizes,
    /// What must hold for a run to be good.
    pub limits: Limits,
}

/// How arrivals are spread in time, given the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// A Poisson process whose intensity is the rate: independent users.
    Poisson,
    /// Evenly spaced: no chance involved.
    Even,
}

/// The unit of a scenario's rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateUnit {
    /// Requests per second.
    RequestsPerSecond,
    /// Multiples of what one instance of the service serves.
    Instances,
}

/// What one instance serves, in requests per second: it turns [`RateUnit::Instances`] into rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceCapacity(f64);

impl InstanceCapacity {
    /// A capacity; `None` unless it is above 0 and finite.
    pub fn new(requests_per_second: f64) -> Option<Self> {
        (requests_per_second > 0.0 && requests_per_second.is_finite())
            .then_some(Self(requests_per_second))
    }
}

/// By how much to shorten a scenario: every duration of its load is multiplied by this.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeFactor(f64);

impl TimeFactor {
    /// The load as it is.
    pub const WHOLE: Self = Self(1.0);

    /// A factor; `None` unless it is above 0 and at most 1.
    pub fn new(factor: f64) -> Option<Self> {
        (factor > 0.0 && factor <= 1.0).then_some(Self(factor))
    }

    /// The factor as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// One stretch of load. Rates are in the scenario's [`RateUnit`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Phase {
    /// The same rate throughout.
    Constant {
        /// Length of the phase.
        duration: Duration,
        /// The rate.
        rate: f64,
    },
    /// A straight line from one rate to another.
    Ramp {
        /// Length of the phase.
        duration: Duration,
        /// Rate at its start.
        from: f64,
        /// Rate at its end.
        to: f64,
    },
    /// A staircase of equal steps; the first is `from`, the last is `to`.
    Steps {
        /// Length of the phase, shared equally by the steps.
        duration: Duration,
        /// Rate of the first step.
        from: f64,
        /// Rate of the last step.
        to: f64,
        /// Number of steps, at least 2.
        steps: u32,
    },
    /// A base rate with one sudden plateau in it.
    Spike {
        /// Length of the phase.
        duration: Duration,
        /// Rate outside the plateau.
        base: f64,
        /// Rate of the plateau.
        peak: f64,
        /// When the plateau begins, from the start of the phase.
        peak_start: Duration,
        /// How long it lasts.
        peak_duration: Duration,
    },
    /// A sine around a mean.
    Sine {
        /// Length of the phase.
        duration: Duration,
        /// The mean rate.
        mean: f64,
        /// Largest distance from the mean; at most the mean.
        amplitude: f64,
        /// Length of one wave.
        period: Duration,
    },
}

/// Relative weights of the operations; at least one is above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Weight of reads.
    pub get: u32,
    /// Weight of writes.
    pub put: u32,
    /// Weight of removals.
    pub delete: u32,
}

/// The objects in use: key `k` is chosen with a weight of `1 / (k + 1)^zipf_exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keys {
    /// How many there are.
    pub count: u32,
    /// 0 chooses uniformly; around 1 is what web traffic looks like.
    pub zipf_exponent: f64,
}

/// Sizes of bodies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sizes {
    /// All the same.
    Fixed {
        /// The size.
        bytes: u32,
    },
    /// Every size from `min` to `max` is as likely.
    Uniform {
        /// Smallest size.
        min: u32,
        /// Largest size.
        max: u32,
    },
    /// Many small and a few large ones, clamped to `min..=max`.
    Lognormal {
        /// Half of the sizes lie below.
        median: u32,
        /// Standard deviation of the size's natural logarithm.
        sigma: f64,
        /// Smallest size.
        min: u32,
        /// Largest size.
        max: u32,
    },
}

impl Sizes {
    /// The largest size that can occur, in bytes.
    pub fn max_bytes(&self) -> u32 {
        match *self {
            Self::Fixed { bytes } => bytes,
            Self::Uniform { max, .. } | Self::Lognormal { max, .. } => max,
        }
    }
}

/// What a run must hold to be good; `None` means that the scenario does not ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests without the expected answer in time.
    pub max_failed: Option<u64>,
    /// Requests not sent because too many were in flight.
    pub max_dropped: Option<u64>,
    /// The service is back at its lower bound before the settle time is over.
    pub back_to_min: bool,
}

impl Scenario {
    /// Parses and checks the text of a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] names the `file`, the key, the value and what is allowed.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        format::parse(file, text)
    }

    /// How long load is offered, warm-up included.
    pub fn duration(&self) -> Duration {
        self.phases.iter().map(Phase::duration).sum()
    }

    /// The same scenario with its load squeezed in time: the rates stay, the phases and the warm-up
    /// get shorter. The settle time and the time-out stay, for they measure the system.
    #[must_use]
    pub fn shortened(mut self, factor: TimeFactor) -> Self {
        let TimeFactor(f) = factor;
        self.warm_up = self.warm_up.mul_f64(f);
        for phase in &mut self.phases {
            phase.shorten(f);
        }
        self
    }

    /// The load as requests per second over time. A scenario in multiples of an instance's
    /// capacity needs to be told that capacity.
    ///
    /// # Errors
    /// When the capacity is missing, or makes the load faster than anything can offer it.
    pub fn curve(&self, capacity: Option<InstanceCapacity>) -> Result<RateCurve, ScenarioError> {
        let scale = match (self.unit, capacity) {
            (RateUnit::RequestsPerSecond, _) => 1.0,
            (RateUnit::Instances, Some(InstanceCapacity(rps))) => rps,
            (RateUnit::Instances, None) => {
                return Err(ScenarioError::CapacityUnknown { scenario: self.name.clone() });
            }
        };
        let segments: Vec<Segment> = self.phases.iter().flat_map(|p| p.segments(scale)).collect();
        format::check_resolved(&self.name, &segments)?;
        Ok(RateCurve::new(segments))
    }
}

impl Phase {
    /// Length of the phase.
    pub fn duration(&self) -> Duration {
        match *self {
            Self::Constant { duration, .. }
            | Self::Ramp { duration, .. }
            | Self::Steps { duration, .. }
            | Self::Spike { duration, .. }
            | Self::Sine { duration, .. } => duration,
        }
    }

    fn shorten(&mut self, factor: f64) {
        match self {
            Self::Constant { duration, .. }
            | Self::Ramp { duration, .. }
            | Self::Steps { duration, .. } => *duration = duration.mul_f64(factor),
            Self::Spike { duration, peak_start, peak_duration, .. } => {
                *duration = duration.mul_f64(factor);
                *peak_start = peak_start.mul_f64(factor);
                *peak_duration = peak_duration.mul_f64(factor);
            }
            Self::Sine { duration, period, .. } => {
                *duration = duration.mul_f64(factor);
                *period = period.mul_f64(factor);
            }
        }
    }

    /// The phase as stretches of one shape each, rates multiplied by `scale`.
    fn segments(&self, scale: f64) -> Vec<Segment> {
        let level = |duration: Duration, rate: f64| {
            Segment::new(duration, Shape::Line { from: rate * scale, to: rate * scale })
        };
        match *self {
            Self::Constant { duration, rate } => vec![level(duration, rate)],
            Self::Ramp { duration, from, to } => {
                vec![Segment::new(duration, Shape::Line { from: from * scale, to: to * scale })]
            }
            Self::Steps { duration, from, to, steps } => (0..steps)
                .map(|i| {
                    let share = f64::from(i) / f64::from(steps - 1);
                    level(duration / steps, from + (to - from) * share)
                })
                .collect(),
            Self::Spike { duration, base, peak, peak_start, peak_duration } => {
                let rest = duration.saturating_sub(peak_start + peak_duration);
                vec![level(peak_start, base), level(peak_duration, peak), level(rest, base)]
            }
            Self::Sine { duration, mean, amplitude, period } => vec![Segment::new(
                duration,
                Shape::Sine { mean: mean * scale, amplitude: amplitude * scale, period },
            )],
        }
    }
}
