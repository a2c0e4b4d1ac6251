//! Room for the connections: the limit on open files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::Error;

/// Files beside the connections under load: the terminal, the results, the scaler's API, and the
/// connections that store and remove objects.
const OTHER_FILES: u64 = 128;

/// Raises the limit on open files as far as `in_flight` connections need it.
pub(crate) fn make_room(in_flight: usize) -> Result<(), Error> {
    let in_flight = in_flight as u64;
    let needed = in_flight + OTHER_FILES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < needed {
        return Err(Error::TooFewFiles { in_flight, needed, limit: hard });
    }
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard)?;
    }
    Ok(())
}
