//! Locks between processes, so that compare and rename are one step.
//!
//! A lock per object would leave a file for each id. A fixed number of stripes leaves 64, and
//! two unrelated writers meet on one in 64 cases for the some 50 us of a rename.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

use super::name::FileName;
use super::{StoreError, failed};

const STRIPES: u8 = 64;

/// How long a lock is waited for. A process that is frozen while it holds one must not take the
/// threads of all others with it.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);

const FIRST_REST: Duration = Duration::from_micros(50);
const LONGEST_REST: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Stripes {
    folder: OwnedFd,
}

/// The lock of a stripe. Dropping it, as dying does, releases it.
#[must_use]
#[derive(Debug)]
pub(super) struct StripeLock {
    _file: OwnedFd,
}

impl Stripes {
    /// Makes the files of the stripes that are missing, now and never again: on a full disk none
    /// could be made, and deleting must work there.
    pub(super) fn open(folder: OwnedFd) -> Result<Self, Errno> {
        for stripe in 0..STRIPES {
            let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC;
            openat(&folder, file_of(stripe), flags, Mode::RUSR | Mode::WUSR)?;
        }
        Ok(Self { folder })
    }

    /// Locks the stripe of `name` against this and all other processes.
    pub(super) fn lock(&self, name: &FileName) -> Result<StripeLock, StoreError> {
        // A lock belongs to an open file: each holder opens its own.
        let file = openat(
            &self.folder,
            file_of(stripe_of(name)),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(failed("open a lock file"))?;
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut rest = FIRST_REST;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(StripeLock { _file: file }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => {
                    std::thread::sleep(rest);
                    rest = (rest * 2).min(LONGEST_REST);
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(StoreError::Busy),
                Err(error) => return Err(failed("lock a stripe")(error)),
            }
        }
    }
}

/// FNV-1a: every process, of every version, must come to the same stripe.
fn stripe_of(name: &FileName) -> u8 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    let hash = name.as_str().bytes().fold(2_166_136_261, mix);
    // The high bits are the better mixed ones.
    (hash >> 24).to_le_bytes()[0] % STRIPES
}

fn file_of(stripe: u8) -> String {
    format!("{stripe:02}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::id::ObjectId;

    #[test]
    fn names_spread_over_all_stripes_and_keep_theirs() {
        let stripe = |text: &str| stripe_of(&FileName::of(&ObjectId::new(text).unwrap()));
        let used: HashSet<u8> = (0..2000).map(|key| stripe(&format!("key-{key}"))).collect();
        assert_eq!(used.len(), usize::from(STRIPES));
        assert_eq!(stripe("photos/cat 1.jpg"), 8);
    }
}
