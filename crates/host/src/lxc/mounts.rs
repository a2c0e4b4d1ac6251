//! What is mounted where, from the kernel's table.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{FileError, file_error};

/// Whether something is mounted at this very folder.
pub(super) fn is_mounted(folder: &Path) -> Result<bool, FileError> {
    Ok(mount_points()?.iter().any(|point| point == folder))
}

/// Where something is mounted.
pub(super) fn mount_points() -> Result<Vec<PathBuf>, FileError> {
    let table = Path::new("/proc/self/mountinfo");
    Ok(parse(&fs::read(table).map_err(file_error("read", table))?))
}

/// The mount points in the kernel's table. Any user who may mount by FUSE chooses a name in it, so
/// a name that is not UTF-8 must not make the whole table unreadable.
pub(super) fn parse(table: &[u8]) -> Vec<PathBuf> {
    let text = String::from_utf8_lossy(table);
    text.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_that_is_not_utf_8_hides_no_other() {
        let table = b"90 60 0:5 / /home/u/\xff rw - fuse.x x rw\n\
            91 60 0:6 / /var/lib/bellows/objects rw,nosuid - ext4 /dev/sda1 rw\n";
        assert_eq!(parse(table)[1], Path::new("/var/lib/bellows/objects"));
    }
}
