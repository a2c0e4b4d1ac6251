//! Why a message was not taken.

/// Why. Its text has no address of whom it was for, since that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SendError {
    /// It may be taken when it is sent again.
    #[error("{0}")]
    Now(String),
    /// It would be refused again.
    #[error("{0}")]
    Ever(String),
}
