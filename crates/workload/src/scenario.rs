//! A validated scenario: what to offer, to whom, and what must hold afterwards.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::objects::{Objects, Sizes};
use crate::operation::Operations;
use crate::phases::Phases;
use crate::replay::{PeakInstances, Replay, trace_name};
use crate::stages::Stages;
use crate::time_factor::TimeFactor;
use crate::trace::Trace;

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
    /// The requests to choose from.
    pub operations: Operations,
    /// What must hold for a run to be good.
    pub limits: Limits,
    /// An experiment runs it once with each way in which the load balancer learns of members.
    pub each_membership: bool,
}

/// What a scenario says of the moments at which requests are due.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// Rates over time, in phases.
    Phases(Phases),
    /// Each request when the one before it has been answered, in stages of threads.
    Stages(Stages),
    /// Rates over time, as a real system had them.
    Trace(Replay),
}

/// What a run must hold to be good; `None` means that the scenario does not ask for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests without the expected answer in time.
    pub max_failed: Option<u64>,
    /// Requests not sent because too many were in flight.
    pub max_dropped: Option<u64>,
    /// The service is back at its lower bound before the settle time is over.
    #[serde(default)]
    pub back_to_min: bool,
}

impl Scenario {
    /// The load of a trace for a service, with the operations and the objects of the shipped
    /// scenarios. It sets no limits, has no warm-up and ends with its load, as in the simulator.
    pub fn of_trace(file: &Path, service: &str, trace: Trace, peak: Option<PeakInstances>) -> Self {
        Self {
            name: trace_name(file),
            description: String::new(),
            service: service.to_owned(),
            seed: 1,
            load: Load::Trace(Replay { trace, peak, factor: TimeFactor::WHOLE }),
            warm_up: Duration::ZERO,
            settle: Duration::ZERO,
            timeout: Duration::from_secs(10),
            in_flight: NonZeroUsize::MIN.saturating_add(4_095),
            operations: Operations::Objects(Objects {
                get: 90,
                put: 8,
                delete: 2,
                count: 200,
                zipf_exponent: 0.9,
                size: Sizes::Lognormal {
                    median_bytes: 4_096,
                    sigma: 1.0,
                    min_bytes: 64,
                    max_bytes: 65_536,
                },
            }),
            limits: Limits::default(),
            each_membership: false,
        }
    }

    /// The same scenario with its load squeezed in time: rates and counts stay, phases, intervals
    /// of a trace, delays of threads and the warm-up get shorter. The settle time and the time-out
    /// stay, for they measure the system.
    #[must_use]
    pub fn shortened(mut self, factor: TimeFactor) -> Self {
        let f = factor.get();
        self.warm_up = self.warm_up.mul_f64(f);
        match &mut self.load {
            Load::Phases(phases) => phases.shorten(f),
            Load::Stages(stages) => stages.delay_factor *= f,
            Load::Trace(replay) => replay.factor = replay.factor.and(factor),
        }
        self
    }
}
