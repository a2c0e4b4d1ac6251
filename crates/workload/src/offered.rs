//! A load in requests and seconds, as a generator offers it and a simulator takes it in.

use std::fmt;
use std::time::Duration;

use crate::phases::Pacing;
use crate::rate::RateCurve;
use crate::stages::Stages;

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
