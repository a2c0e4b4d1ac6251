//! A validated scenario: what to offer, to whom, and what must hold afterwards.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::format::{self, ScenarioError};
use crate::offered::{OfferedLoad, OpenLoad};
use crate::phases::{Pacing, Phases, RateUnit};
use crate::rate::{RateCurve, Segment};
use crate::replay::Replay;
use crate::stages::Stages;

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
    /// When requests are due.
    pub load: Load,
    /// What is due before this moment is left out of every figure.
    pub warm_up: Duration,
    /// How long to go on recording after the load, at most.
    pub settle: Duration,
    /// A request not answered this long after it was due has failed.
    pub timeout: Duration,
    /// Requests in flight at most; what is due beyond it is dropped. Stages have no more threads.
    pub in_flight: NonZeroUsize,
    /// How often each operation is chosen.
    pub mix: Mix,
    /// Which objects are used.
    pub keys: Keys,
    /// How large the bodies are.
    pub sizes: Sizes,
    /// What must hold for a run to be good.
    pub limits: Limits,
    /// An experiment runs it once with each way in which the load balancer learns of members.
    pub each_membership: bool,
}

/// What a scenario says of the moments at which requests are due.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// So many a second, in phases.
    Phases(Phases),
    /// Each when the one before it has been answered, in stages of threads.
    Stages(Stages),
    /// So many a second as a real system saw them.
    Trace(Replay),
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

    /// The same scenario with its load squeezed in time: rates and counts stay, phases, intervals
    /// of a trace, delays of threads and the warm-up get shorter. The settle time and the time-out
    /// stay, for they measure the system.
    #[must_use]
    pub fn shortened(mut self, factor: TimeFactor) -> Self {
        let TimeFactor(f) = factor;
        self.warm_up = self.warm_up.mul_f64(f);
        match &mut self.load {
            Load::Phases(phases) => phases.shorten(f),
            Load::Stages(stages) => stages.delay_factor *= f,
            Load::Trace(replay) => replay.factor = TimeFactor(replay.factor.0 * f),
        }
        self
    }

    /// The load in requests and seconds. One in multiples of an instance's capacity needs to be
    /// told that capacity.
    ///
    /// # Errors
    /// When the capacity is missing, or makes the load faster than anything can offer it; when a
    /// trace is too fast or too long.
    pub fn offered(
        &self,
        capacity: Option<InstanceCapacity>,
    ) -> Result<OfferedLoad, ScenarioError> {
        let instance_rps = || match capacity {
            Some(InstanceCapacity(rps)) => Ok(rps),
            None => Err(ScenarioError::CapacityUnknown { scenario: self.name.clone() }),
        };
        let (pacing, curve) = match &self.load {
            Load::Stages(stages) => return Ok(OfferedLoad::Closed(stages.clone())),
            Load::Phases(phases) => {
                let scale = match phases.unit {
                    RateUnit::RequestsPerSecond => 1.0,
                    RateUnit::Instances => instance_rps()?,
                };
                let segments = phases.segments(scale);
                format::check_rate(&self.name, segments.iter().map(Segment::peak))?;
                (phases.pacing, RateCurve::new(segments))
            }
            Load::Trace(replay) => {
                let trace = replay.scaled(instance_rps()?);
                format::check_rate(&self.name, [trace.peak_rps()])?;
                format::check_span(&self.name, trace.duration(), replay.factor)?;
                (Pacing::Poisson, trace.curve(replay.factor))
            }
        };
        Ok(OfferedLoad::Open(OpenLoad { pacing, curve }))
    }
}
