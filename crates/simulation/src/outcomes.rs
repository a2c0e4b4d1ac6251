//! What becomes of requests, and who is told of it.

use std::time::Duration;

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The client had waited long enough.
    Timeout,
    /// The instance had no token for it in time.
    Limited,
    /// The load balancer held it too long, for want of an instance or of a place in one.
    NoServer,
    /// The instance answered it with 500.
    Wrong,
    /// The instance was stopped while it worked on it.
    Stopped,
}

impl Failure {
    /// The cause, as a run counts it.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Limited => "status_429",
            Self::NoServer => "status_503",
            Self::Wrong => "status_500",
            Self::Stopped => "status_502",
        }
    }

    /// Whether it was refused, for there was no room for it: 429 or 503.
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::Limited | Self::NoServer => true,
            Self::Timeout | Self::Wrong | Self::Stopped => false,
        }
    }
}

/// Who is told what becomes of requests. Times count from the start of the load.
pub trait Outcomes: std::fmt::Debug {
    /// `many` requests that were due at `due` were answered at `done`.
    fn ok(&mut self, due: Duration, done: Duration, many: u64);

    /// `many` requests that were due at `due` failed at `done`.
    fn failed(&mut self, due: Duration, done: Duration, failure: Failure, many: u64);

    /// `many` requests that were due at `due` were not sent: too many were under way.
    fn dropped(&mut self, due: Duration, many: u64);
}

#[cfg(feature = "run")]
impl Outcomes for run::Recorder {
    fn ok(&mut self, due: Duration, done: Duration, many: u64) {
        self.ok(due, done, many);
    }

    fn failed(&mut self, due: Duration, done: Duration, failure: Failure, many: u64) {
        self.failed(due, done, failure.cause(), failure.is_refusal(), many);
    }

    fn dropped(&mut self, due: Duration, many: u64) {
        self.dropped(due, many);
    }
}
