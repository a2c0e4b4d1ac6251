//! What was observed of a service, step by step.

use std::ops::Range;
use std::time::Duration;

use model::service::ServiceSpec;
use model::time::Timestamp;
use workload::{RateCurve, Segment, Shape};

/// How long the steps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// A second, made of the ticks in it.
    Second,
    /// A minute.
    Minute,
}

impl Grain {
    /// The length of a step.
    pub const fn step(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_secs(60),
        }
    }

    /// Time between two turns: the scaler's own, and at minutes one that a day of them can be had of in a fraction of a
    /// second. Between the means of minutes there is nothing that a turn each tenth would see sooner.
    pub(super) const fn tick(self) -> Duration {
        match self {
            Self::Second => Duration::from_millis(100),
            Self::Minute => Duration::from_secs(5),
        }
    }

    /// The step in which amounts are looked at.
    pub(super) const fn amounts(self) -> Duration {
        match self {
            Self::Second => Duration::from_millis(100),
            Self::Minute => Duration::from_secs(1),
        }
    }
}

/// The means of one step. What was not known is `None`, and never 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Observed {
    /// Load offered, in requests per second, as a tick has it: what clears the queue within a second is in it.
    pub offered_rps: Option<f64>,
    /// Requests that wait in the load balancer.
    pub queued: Option<f64>,
    /// Requests served, per second.
    pub served_rps: Option<f64>,
    /// Requests that instances work on.
    pub in_flight: Option<f64>,
    /// CPU time that instances use, in cores.
    pub cpu_cores: Option<f64>,
    /// Instances in rotation.
    pub ready: Option<f64>,
    /// All instances.
    pub instances: Option<f64>,
}

impl Observed {
    /// Requests that came, per second: those that wait had come before.
    fn arrivals_rps(&self) -> Option<f64> {
        let offered = good(self.offered_rps)?;
        Some((offered - good(self.queued).unwrap_or(0.0)).max(0.0))
    }
}

/// What was observed of one service, from a moment on.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    from: Timestamp,
    grain: Grain,
    steps: Vec<Observed>,
}

/// What the requests of a stretch took, on average; `None` where that cannot be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RequestFigures {
    /// Time in an instance, in seconds.
    pub(super) service_s: Option<f64>,
    /// CPU time, in seconds.
    pub(super) cpu_s: Option<f64>,
}

impl Stretch {
    /// Steps that follow one another from a moment on; those in front whose load is not known are left out. A step of which
    /// nothing was recorded is `Observed::default()`.
    pub fn new(from: Timestamp, grain: Grain, steps: Vec<Observed>) -> Self {
        let first = steps.iter().position(|step| step.arrivals_rps().is_some());
        let first = first.unwrap_or(steps.len());
        let skipped = grain.step() * u32::try_from(first).unwrap_or(u32::MAX);
        Self { from: from.after(skipped), grain, steps: steps[first..].to_vec() }
    }

    /// When its first step begins.
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// How long its steps are.
    pub fn grain(&self) -> Grain {
        self.grain
    }

    /// Its steps.
    pub fn steps(&self) -> &[Observed] {
        &self.steps
    }

    /// Requests that came in each step, per second.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = Option<f64>> {
        self.steps.iter().map(Observed::arrivals_rps)
    }

    /// Where a step begins, from the start of the first one.
    pub(super) fn start_of(&self, step: usize) -> Duration {
        self.grain.step() * u32::try_from(step).unwrap_or(u32::MAX)
    }

    /// The load with which it begins; `None` where none is known.
    pub(super) fn first_rps(&self) -> Option<f64> {
        self.arrivals().flatten().next()
    }

    /// The instances in rotation with which it begins.
    pub(super) fn first_ready(&self) -> Option<u32> {
        let ready = self.steps.iter().find_map(|step| good(step.ready))?;
        // Slots end at 1,000.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        Some(ready.round().min(1_000.0) as u32)
    }

    /// The spans of which the load is not known, where the first step begins after `offset`.
    pub(super) fn holes(&self, offset: Duration) -> Vec<Range<Duration>> {
        let unknown = self.arrivals().enumerate().filter(|(_, rate)| rate.is_none());
        unknown.map(|(i, _)| offset + self.start_of(i)..offset + self.start_of(i + 1)).collect()
    }

    /// The load, after `warm_up` of its beginning. A second is level; the mean of a minute is a line through its middle,
    /// which leads halfway to those beside it, for a step between two means would be a jump that never was.
    pub(super) fn curve(&self, warm_up: Duration, first_rps: f64) -> RateCurve {
        let rates: Vec<Option<f64>> = self.arrivals().collect();
        let step = self.grain.step();
        let segments = rates.iter().enumerate().flat_map(|(i, rate)| {
            let Some(rate) = *rate else { return [Segment::level(step, 0.0)].to_vec() };
            let beside = |other: Option<&Option<f64>>| {
                f64::midpoint(rate, other.copied().flatten().unwrap_or(rate))
            };
            match self.grain {
                Grain::Second => vec![Segment::level(step, rate)],
                Grain::Minute => {
                    let before = beside(i.checked_sub(1).and_then(|i| rates.get(i)));
                    let line = |from, to| Segment::new(step / 2, Shape::Line { from, to });
                    vec![line(before, rate), line(rate, beside(rates.get(i + 1)))]
                }
            }
        });
        RateCurve::new([Segment::level(warm_up, first_rps)].into_iter().chain(segments))
    }

    /// What a request took in an instance, and of CPU time. By Little's law the mean time is that in flight by the rate
    /// served; steps in which requests waited, or half of the places were taken, would tell of the waiting in it.
    pub(super) fn requests(&self, spec: &ServiceSpec) -> RequestFigures {
        let places = spec.requests().map_or(1, |requests| requests.capacity.concurrency);
        let is_calm = |step: &&Observed| {
            let places = good(step.ready).unwrap_or(0.0) * f64::from(places);
            good(step.queued) == Some(0.0)
                && good(step.in_flight).is_some_and(|busy| busy * 2.0 <= places)
        };
        let per_request = |steps: &mut dyn Iterator<Item = &Observed>,
                           of: fn(&Observed) -> Option<f64>| {
            let (sum, served) = steps
                .filter_map(|step| good(of(step)).zip(good(step.served_rps)))
                .fold((0.0, 0.0), |all, step| (all.0 + step.0, all.1 + step.1));
            (served > 0.0 && sum > 0.0).then(|| sum / served)
        };
        let in_flight = |step: &Observed| step.in_flight;
        let calm = per_request(&mut self.steps.iter().filter(is_calm), in_flight);
        RequestFigures {
            service_s: calm.or_else(|| per_request(&mut self.steps.iter(), in_flight)),
            cpu_s: per_request(&mut self.steps.iter(), |step| step.cpu_cores),
        }
    }
}

/// A figure that can be true.
pub(super) fn good(figure: Option<f64>) -> Option<f64> {
    figure.filter(|value| value.is_finite() && *value >= 0.0)
}
