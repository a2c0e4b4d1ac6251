//! Room for the connections: the limit on open files.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files beside the connections under load: the terminal, the results, the scaler's API, and the
/// connections that store and remove objects.
const OTHER_FILES: u64 = 128;

/// The process may not open as many connections as the scenario wants in flight.
#[derive(Debug, thiserror::Error)]
pub enum OpenFilesError {
    /// The hard limit is too low.
    #[error(
        "in_flight = {in_flight} needs {needed} open files and the limit is {limit}: lower it, or \
         raise the limit (`ulimit -n {needed}`)"
    )]
    TooFew {
        /// The scenario's bound.
        in_flight: u64,
        /// What it takes.
        needed: u64,
        /// What may be had.
        limit: u64,
    },
    /// The limit can be neither read nor set.
    #[error("the limit on open files cannot be changed")]
    System(#[from] Errno),
}

/// Raises the limit on open files as far as `in_flight` connections need it.
pub(crate) fn make_room(in_flight: usize) -> Result<(), OpenFilesError> {
    let in_flight = in_flight as u64;
    let needed = in_flight + OTHER_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < needed {
        return Err(OpenFilesError::TooFew { in_flight, needed, limit: hard });
    }
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard)?;
    }
    Ok(())
}
