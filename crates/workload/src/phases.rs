//! The load of a scenario that says how many requests are due, whether or not any are answered.

use std::time::Duration;

use serde::Deserialize;

use crate::rate::{Segment, Shape};

/// Phases that follow one another.
#[derive(Debug, Clone, PartialEq)]
pub struct Phases {
    /// How arrivals are spread below the rate.
    pub pacing: Pacing,
    /// The unit of every rate in `phases`.
    pub unit: RateUnit,
    /// The load over time.
    pub phases: Vec<Phase>,
}

/// How arrivals are spread in time, given the rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// A Poisson process whose intensity is the rate: independent users.
    #[default]
    Poisson,
    /// Evenly spaced: no chance involved.
    Even,
}

/// The unit of a scenario's rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateUnit {
    /// Requests per second.
    #[default]
    RequestsPerSecond,
    /// Multiples of what one instance of the service serves.
    Instances,
}

/// One stretch of load. Rates are in the [`RateUnit`] of its [`Phases`], times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Phase {
    /// The same rate throughout.
    Constant {
        /// Length of the phase.
        duration_s: f64,
        /// The rate.
        rate: f64,
    },
    /// A straight line from one rate to another.
    Ramp {
        /// Length of the phase.
        duration_s: f64,
        /// Rate at its start.
        from: f64,
        /// Rate at its end.
        to: f64,
    },
    /// A staircase of equal steps; the first is `from`, the last is `to`.
    Steps {
        /// Length of the phase, shared equally by the steps.
        duration_s: f64,
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
        duration_s: f64,
        /// Rate outside the plateau.
        base: f64,
        /// Rate of the plateau.
        peak: f64,
        /// When the plateau begins, from the start of the phase.
        peak_start_s: f64,
        /// How long it lasts.
        peak_s: f64,
    },
    /// A sine around a mean.
    Sine {
        /// Length of the phase.
        duration_s: f64,
        /// The mean rate.
        mean: f64,
        /// Largest distance from the mean; at most the mean.
        amplitude: f64,
        /// Length of one wave.
        period_s: f64,
    },
}

impl Phases {
    /// How long load is offered.
    pub fn duration(&self) -> Duration {
        self.phases.iter().map(Phase::duration).sum()
    }

    pub(crate) fn shorten(&mut self, factor: f64) {
        self.phases.iter_mut().for_each(|phase| phase.shorten(factor));
    }

    /// The phases as stretches of one shape each, rates multiplied by `scale`.
    pub(crate) fn segments(&self, scale: f64) -> Vec<Segment> {
        self.phases.iter().flat_map(|phase| phase.segments(scale)).collect()
    }
}

impl Phase {
    /// Length of the phase, in seconds.
    pub(crate) fn duration_s(&self) -> f64 {
        match *self {
            Self::Constant { duration_s, .. }
            | Self::Ramp { duration_s, .. }
            | Self::Steps { duration_s, .. }
            | Self::Spike { duration_s, .. }
            | Self::Sine { duration_s, .. } => duration_s,
        }
    }

    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration_s())
    }

    fn shorten(&mut self, factor: f64) {
        match self {
            Self::Constant { duration_s, .. }
            | Self::Ramp { duration_s, .. }
            | Self::Steps { duration_s, .. } => *duration_s *= factor,
            Self::Spike { duration_s, peak_start_s, peak_s, .. } => {
                for time_s in [duration_s, peak_start_s, peak_s] {
                    *time_s *= factor;
                }
            }
            Self::Sine { duration_s, period_s, .. } => {
                *duration_s *= factor;
                *period_s *= factor;
            }
        }
    }

    /// The phase as stretches of one shape each, rates multiplied by `scale`.
    fn segments(&self, scale: f64) -> Vec<Segment> {
        let level = |duration: Duration, rate: f64| Segment::level(duration, rate * scale);
        let duration = self.duration();
        match *self {
            Self::Constant { rate, .. } => vec![level(duration, rate)],
            Self::Ramp { from, to, .. } => {
                vec![Segment::new(duration, Shape::Line { from: from * scale, to: to * scale })]
            }
            Self::Steps { from, to, steps, .. } => (0..steps)
                .map(|i| {
                    let share = f64::from(i) / f64::from(steps - 1);
                    level(duration / steps, from + (to - from) * share)
                })
                .collect(),
            Self::Spike { base, peak, peak_start_s, peak_s, .. } => {
                let [before, plateau] = [peak_start_s, peak_s].map(Duration::from_secs_f64);
                let rest = duration.saturating_sub(before + plateau);
                vec![level(before, base), level(plateau, peak), level(rest, base)]
            }
            Self::Sine { mean, amplitude, period_s, .. } => {
                let (mean, amplitude) = (mean * scale, amplitude * scale);
                let period = Duration::from_secs_f64(period_s);
                vec![Segment::new(duration, Shape::Sine { mean, amplitude, period })]
            }
        }
    }
}
