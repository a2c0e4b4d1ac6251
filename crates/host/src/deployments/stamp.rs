//! What tells one content of a file from the next.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Tells one content of the file from the next, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    written: (i64, i64),
}

impl Stamp {
    /// That of a file; `None` where it is not there.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let file = fs::metadata(file).ok()?;
        Some(Self { inode: file.ino(), written: (file.mtime(), file.mtime_nsec()) })
    }
}
