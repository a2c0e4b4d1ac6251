//! A load in requests and seconds, as a generator offers it and a simulator takes it in, and how a
//! scenario becomes one.

use std::fmt;
use std::time::Duration;

use crate::phases::{Pacing, RateUnit};
use crate::rate::{RateCurve, Segment};
use crate::scenario::{Load, Scenario};
use crate::stages::Stages;
use crate::time_factor::TimeFactor;

/// Load is offered for a day at most.
pub(crate) const MAX_DURATION_S: f64 = 86_400.0;
/// No rate is above this many requests per second, about what one core can send.
pub(crate) const MAX_RATE: f64 = 100_000.0;

/// A load that is ready to be offered.
#[derive(Debug, Clone, PartialEq)]
pub enum OfferedLoad {
    /// Requests are due whether or not earlier ones have been answered.
    Open(OpenLoad),
    /// A request is due once its thread has the answer to the one before it, and has waited.
    Closed(Stages),
}

/// The rate at which requests are due, over time.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenLoad {
    /// How arrivals are spread below the rate.
    pub pacing: Pacing,
    /// The rate, in requests per second.
    pub curve: RateCurve,
}

impl OfferedLoad {
    /// How long it lasts, warm-up included. `None` of a closed load: that lasts as long as the
    /// answers make it last.
    pub fn duration(&self) -> Option<Duration> {
        match self {
            Self::Open(open) => Some(open.curve.duration()),
            Self::Closed(_) => None,
        }
    }

    /// How many requests there are in all: of an open load as an expectation.
    pub fn requests(&self) -> f64 {
        match self {
            Self::Open(open) => open.curve.total(),
            // At most ten million, so exact.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            Self::Closed(stages) => stages.requests() as f64,
        }
    }

    /// The rate with which it begins, in requests per second. `None` of a closed load: the answers
    /// decide.
    pub fn first_rps(&self) -> Option<f64> {
        match self {
            Self::Open(open) => Some(open.curve.rate_at(Duration::ZERO)),
            Self::Closed(_) => None,
        }
    }
}

/// For the conditions of a run.
impl fmt::Display for OfferedLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(_) => f.write_str("open"),
            Self::Closed(stages) => write!(f, "closed, {} threads at most", stages.threads()),
        }
    }
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

/// Why the load of a scenario cannot be offered, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScenarioError(String);

impl Scenario {
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
            None => Err(ScenarioError(format!(
                "scenario {} counts its rates in instances, and nothing says what one instance \
                 serves: give capacity.requests_per_second in the service's file",
                self.name
            ))),
        };
        let (pacing, curve) = match &self.load {
            Load::Stages(stages) => return Ok(OfferedLoad::Closed(stages.clone())),
            Load::Phases(phases) => {
                let scale = match phases.unit {
                    RateUnit::RequestsPerSecond => 1.0,
                    RateUnit::Instances => instance_rps()?,
                };
                let segments = phases.segments(scale);
                check_rate(&self.name, segments.iter().map(Segment::peak))?;
                (phases.pacing, RateCurve::new(segments))
            }
            Load::Trace(replay) => {
                let trace = replay.scaled(instance_rps()?);
                check_rate(&self.name, [trace.peak_rps()])?;
                check_span(&self.name, trace.duration(), replay.factor)?;
                (Pacing::Poisson, trace.curve(replay.factor))
            }
        };
        Ok(OfferedLoad::Open(OpenLoad { pacing, curve }))
    }
}

/// Refuses a load that an instance's capacity has made too fast, given its rates.
fn check_rate(scenario: &str, rates: impl IntoIterator<Item = f64>) -> Result<(), ScenarioError> {
    let rate = rates.into_iter().fold(0.0, f64::max);
    if rate <= MAX_RATE {
        return Ok(());
    }
    let error = format!("scenario {scenario} comes to {rate} requests/s: use up to {MAX_RATE}");
    Err(ScenarioError(error))
}

/// Refuses a load of that length when a factor leaves it too long.
fn check_span(scenario: &str, whole: Duration, factor: TimeFactor) -> Result<(), ScenarioError> {
    let whole_s = whole.as_secs_f64();
    let seconds = whole_s * factor.get();
    if seconds <= MAX_DURATION_S {
        return Ok(());
    }
    // Rounded down to what a person types; the longest trace, ten years, needs 0.000273.
    let factor = (MAX_DURATION_S / whole_s * 1e6).floor() / 1e6;
    Err(ScenarioError(format!(
        "{scenario} lasts {seconds} s: use up to {MAX_DURATION_S} s (a day): give a time factor of \
         {factor} or less"
    )))
}
