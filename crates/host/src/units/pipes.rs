//! Pipes that programs write to for as long as a unit is wanted: each has a name, by which others read it.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::Path;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::accounts;

/// Whoever made it writes, and its group reads.
pub(super) const MODE: u32 = 0o640;

/// Whose group reads.
pub(super) const READERS: &str = accounts::CONSOLE;

/// Opens the pipe at this path, and makes it where there is none.
///
/// It is open to read as well, so that to write never fails for want of a reader. Who writes when it is full is told
/// so, and does not wait.
///
/// # Errors
/// The folder is not writable, or something else has the name.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    match mkfifo(path, Mode::from_bits_truncate(MODE)) {
        Ok(()) | Err(nix::Error::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let mut options = fs::OpenOptions::new();
    let pipe = options.read(true).write(true).custom_flags(O_NONBLOCK | O_NOFOLLOW).open(path)?;
    if !pipe.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("it is no pipe: remove it"));
    }
    // Without the group nobody reads, and the program for whom it is cannot be started either.
    if let Some(group) = accounts::group(READERS) {
        fchown(&pipe, None, Some(group.as_raw()))?;
    }
    pipe.set_permissions(Permissions::from_mode(MODE))?;
    Ok(pipe.into())
}

/// Whether this is open at the pipe that has this path now.
pub(super) fn is_open_at(open: RawFd, path: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    let named = identity(path);
    // A number says what it is open at only by this.
    named.is_some() && named == identity(Path::new(&format!("/proc/self/fd/{open}")))
}
