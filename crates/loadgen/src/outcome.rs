//! How a request ended.

use std::time::Duration;

use http::StatusCode;
use model::names::Slot;
use run::Recorder;

/// Why a request counts as failed; as text the code under which a run's summary counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection could be made.
    #[error("connect")]
    Connect,
    /// The connection broke before the whole answer was there.
    #[error("connection_lost")]
    ConnectionLost,
    /// The whole answer was not there in time, counted from the moment the request was due.
    #[error("timeout")]
    Timeout,
    /// A status that is not an expected one.
    #[error("status_{}", .0.as_u16())]
    Status(StatusCode),
    /// A body without the text that is expected, or one that was never stored under this key, or a
    /// part of one.
    #[error("wrong_body")]
    WrongBody,
    /// A body that was stored under this key, and replaced before the read began.
    #[error("outdated_body")]
    OutdatedBody,
    /// 404 for an object that must exist.
    #[error("lost_object")]
    LostObject,
}

impl Failure {
    /// Whether the service refused the request for want of capacity.
    pub(crate) fn is_rejection(self) -> bool {
        let Self::Status(status) = self else { return false };
        status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
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

impl Answer {
    /// Enters a request into the figures of the run: when it was due, from which its latency
    /// counts, and when its last byte was there or it was given up, both from the start of the load.
    pub(crate) fn record(&self, recorder: &mut Recorder, due: Duration, done: Duration) {
        match self.result {
            Ok(()) => recorder.ok(due, done, 1),
            Err(failure) => {
                recorder.failed(due, done, &failure.to_string(), failure.is_rejection(), 1);
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
            recorder.taken_up(due, due);
            answer.record(&mut recorder, due, done);
        }
        let requests = recorder.requests();
        assert_eq!((requests.due, requests.failed, requests.rejected), (2, 2, 1));
        let causes: Vec<_> = recorder.failures().keys().map(String::as_str).collect();
        assert_eq!(causes, ["status_503", "timeout"]);
    }
}
