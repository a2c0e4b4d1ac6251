//! Why a rehearsal could not be held.

use std::io;

use crate::files::FileError;
use crate::id_map::IdMapError;
use crate::id_ranges::IdRangeError;
use crate::lock::LockError;
use crate::lxc::{ContainerError, TemplateError};

/// A rehearsal that the host could not hold, whatever the application does.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// Another one of the same service is held.
    #[error("{service} is rehearsed already: wait until that has ended, or end it")]
    Busy {
        /// The service.
        service: String,
        /// Who does.
        source: LockError,
    },
    /// The lock cannot be had.
    #[error(transparent)]
    Lock(LockError),
    /// Its container could not be made.
    #[error(transparent)]
    Made(#[from] TemplateError),
    /// What an earlier one left could not be removed.
    #[error(transparent)]
    Left(#[from] ContainerError),
    /// LXC could not start it.
    #[error("LXC did not start the rehearsal of {service}: {log}")]
    Start {
        /// The service.
        service: String,
        /// What LXC said.
        log: String,
    },
    /// Nobody could ask it.
    #[error(
        "the network namespace of the rehearsal of {service} cannot be entered: `bellows` has to run as the host's root"
    )]
    Namespace {
        /// The service.
        service: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The service can be given no ids.
    #[error(transparent)]
    IdRange(#[from] IdRangeError),
    /// The host does not let root use them.
    #[error(transparent)]
    IdMap(#[from] IdMapError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}
