//! What load is simulated: that of a scenario, or of a trace.

use std::time::Duration;

use model::time::Timestamp;
use workload::{Limits, OfferedLoad, OpenLoad, Pacing, RateCurve, Replay, Scenario, TimeFactor};

/// A load, ready to be simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// The scenario's or the trace's name.
    pub name: String,
    /// Everything random follows from this number.
    pub seed: u64,
    /// When requests are due.
    pub offered: OfferedLoad,
    /// How a trace is divided and scaled, for people; `None` for other loads.
    pub trace: Option<String>,
    /// What the durations were multiplied by.
    pub time_factor: f64,
    /// What is due before this moment is left out of every figure.
    pub warm_up: Duration,
    /// How long to go on after the load, at most.
    pub settle: Duration,
    /// How long a client waits.
    pub timeout: Duration,
    /// Requests under way at most.
    pub in_flight: usize,
    /// What must hold.
    pub limits: Limits,
    /// The virtual time of day at which the load starts.
    pub began: Timestamp,
}

/// A Monday at midnight UTC, 2026-01-05: where a load does not say when it began.
const MONDAY: Timestamp = Timestamp::from_millis(1_767_571_200_000);

impl Load {
    /// The load of a scenario, which has become `offered`.
    pub fn of_scenario(scenario: &Scenario, offered: OfferedLoad, factor: TimeFactor) -> Self {
        Self {
            name: scenario.name.clone(),
            seed: scenario.seed,
            offered,
            trace: None,
            time_factor: factor.get(),
            warm_up: scenario.warm_up,
            settle: scenario.settle,
            timeout: scenario.timeout,
            in_flight: scenario.in_flight.get(),
            limits: scenario.limits,
            began: MONDAY,
        }
    }

    /// A load that is only a curve, with the generator's defaults for all else.
    pub fn of_curve(name: &str, seed: u64, curve: RateCurve) -> Self {
        Self {
            name: name.to_owned(),
            seed,
            offered: OfferedLoad::Open(OpenLoad { pacing: Pacing::Poisson, curve }),
            trace: None,
            time_factor: 1.0,
            warm_up: Duration::ZERO,
            settle: Duration::ZERO,
            timeout: Duration::from_secs(10),
            in_flight: 4096,
            limits: Limits { max_failed: None, max_dropped: None, back_to_min: false },
            began: MONDAY,
        }
    }

    /// The load of a trace, for a service of which one instance serves so many requests per second.
    pub fn of_trace(name: &str, replay: &Replay, instance_rps: f64) -> Self {
        let began = replay.trace.began().and_then(|since| u64::try_from(since.as_millis()).ok());
        let curve = replay.scaled(instance_rps).curve(replay.factor);
        Self {
            trace: Some(replay.to_string()),
            time_factor: replay.factor.get(),
            began: began.map_or(MONDAY, Timestamp::from_millis),
            ..Self::of_curve(name, 1, curve)
        }
    }
}
