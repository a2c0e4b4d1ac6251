//! What is wrong with a recording.

use model::value::Invalid;

use super::FORMAT;

/// A recording that cannot be decided again. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file ends in the middle of a line.
    #[error(
        "line {line} is cut in the middle: remove it, and what stands before it can be replayed"
    )]
    Cut {
        /// The line.
        line: usize,
    },
    /// A line that no release writes.
    #[error(
        "line {line} is no line of a recording: remove it and all that follows, and what stands before it can be replayed"
    )]
    Spoilt {
        /// The line.
        line: usize,
        /// What the reader of JSON says.
        source: serde_json::Error,
    },
    /// A later release wrote it.
    #[error(
        "line {line}: release {release} wrote this in format {format}, and this release reads formats up to {FORMAT}: \
         replay it with that release, or a later one"
    )]
    Newer {
        /// The line.
        line: usize,
        /// The format.
        format: u32,
        /// Who wrote it.
        release: String,
    },
    /// No header stands where a recording begins.
    #[error(
        "line {line} should be the first of a recording, and is not: choose a file that `bellows record` wrote"
    )]
    NoHeader {
        /// The line.
        line: usize,
    },
    /// A turn without the start that it follows on.
    #[error(
        "line {line} is a turn that no start stands before: the lines before it are missing; take the recording anew"
    )]
    NoStart {
        /// The line.
        line: usize,
    },
    /// A turn that does not follow on the one before it.
    #[error(
        "line {line} does not follow on the turn before it ({what}): lines are missing; remove it and all that follows"
    )]
    Gap {
        /// The line.
        line: usize,
        /// What is missing.
        what: &'static str,
    },
    /// A service that cannot be as it is described.
    #[error("line {line}: the service's description does not hold")]
    Service {
        /// The line.
        line: usize,
        /// Which of its values.
        source: Invalid,
    },
    /// The policy that is to decide cannot decide for the service.
    #[error("line {line}: the policy cannot decide for this service")]
    Policy {
        /// The line.
        line: usize,
        /// Why.
        source: Invalid,
    },
}
