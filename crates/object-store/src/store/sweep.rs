//! Removing what uploads left behind whose process was killed.

use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FlockOperation, flock, fstat, unlinkat};
use rustix::io::Errno;

use super::read::open_waiting;
use super::{Store, StoreError, failed, if_there};

/// How old an abandoned file has to be. An upload is locked from a few microseconds after its
/// creation; the age covers these, and a clock that was set.
const MIN_AGE: Duration = Duration::from_secs(600);

impl Store {
    /// Removes the files of uploads that no process works on any more and that were last written
    /// 10 minutes before `now` or earlier. Returns how many.
    pub fn sweep(&self, now: SystemTime) -> Result<u64, StoreError> {
        let mut removed = 0;
        let incoming = &self.folders.incoming;
        for entry in Dir::read_from(incoming).map_err(failed("list the uploads"))? {
            let entry = entry.map_err(failed("list the uploads"))?;
            let name = entry.file_name().to_string_lossy();
            let ours = name.len() == 32 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
            if ours && self.sweep_one(&name, now).map_err(failed("remove an old upload"))? {
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn sweep_one(&self, name: &str, now: SystemTime) -> Result<bool, Errno> {
        let incoming = &self.folders.incoming;
        let Some(file) = if_there(open_waiting(incoming, name))? else {
            return Ok(false);
        };
        let written = u64::try_from(fstat(&file)?.st_mtime).unwrap_or(0);
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(written);
        // A file from the future has no age.
        if !now.duration_since(written).is_ok_and(|age| age >= MIN_AGE) {
            return Ok(false);
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error),
        }
        // Another process sweeps too.
        Ok(if_there(unlinkat(incoming, name, AtFlags::empty()))?.is_some())
    }
}
