//! How a request ended.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use model::names::Slot;
use run::Recorder;

/// Why a request counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection could be made.
    Connect,
    /// The connection broke before the whole answer was there.
    ConnectionLost,
    /// The whole answer was not there in time, counted from the moment the request was due.
    Timeout,
    /// A status that is not an expected one.
    Status(StatusCode),
    /// A body without the text that is expected, or one that was never stored under this key, or a
    /// part of one.
    WrongBody,
    /// A body that was stored under this key, and replaced before the read began.
    OutdatedBody,
    /// 404 for an object that must exist.
    LostObject,
}

impl Failure {
    /// Whether the service refused the request for want of capacity.
    pub(crate) fn is_rejection(self) -> bool {
        let Self::Status(status) = self else { return false };
        status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
    }
}

/// The code under which a run's summary counts the failure.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::ConnectionLost => f.write_str("connection_lost"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => write!(f, "status_{}", status.as_u16()),
            Self::WrongBody => f.write_str("wrong_body"),
            Self::OutdatedBody => f.write_str("outdated_body"),
            Self::LostObject => f.write_str("lost_object"),
        }
    }
}

/// An answer, or the lack of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// Whether it was the expected one.
    pub(crate) result: Result<(), Failure>,
    /// The instance that the load balancer says answered.
    pub(crate) slot: Option<Slot>,
}

/// A request without a whole answer.
impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self { result: Err(failure), slot: None }
    }
}

/// A request from due to done; moments count from the start of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// When it was due: what its latency counts from.
    pub(crate) due: Duration,
    /// How much later than it should have the generator took it up.
    pub(crate) late: Duration,
    /// When its last byte was there, or it was given up.
    pub(crate) done: Duration,
    /// How it ended.
    pub(crate) answer: Answer,
}

impl Outcome {
    /// Enters it into the figures of the run.
    pub(crate) fn record(&self, recorder: &mut Recorder) {
        recorder.taken_up(self.due, self.due + self.late);
        match self.answer.result {
            Ok(()) => recorder.ok(self.due, self.done, 1),
            Err(failure) => {
                let cause = failure.to_string();
                recorder.failed(self.due, self.done, &cause, failure.is_rejection(), 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_rejection_and_another_failure_is_not() {
        let mut recorder = Recorder::new(Duration::ZERO, Duration::from_secs(5));
        for failure in [Failure::Status(StatusCode::SERVICE_UNAVAILABLE), Failure::Timeout] {
            let (due, done) = (Duration::from_secs(1), Duration::from_secs(2));
            let answer = Answer { result: Err(failure), slot: None };
            Outcome { due, late: Duration::ZERO, done, answer }.record(&mut recorder);
        }
        let requests = recorder.requests();
        assert_eq!((requests.due, requests.failed, requests.rejected), (2, 2, 1));
        let causes: Vec<_> = recorder.failures().keys().map(String::as_str).collect();
        assert_eq!(causes, ["status_503", "timeout"]);
    }
}
