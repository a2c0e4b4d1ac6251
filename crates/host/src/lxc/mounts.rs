//! What is mounted where, from the kernel's table, and how it is undone.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use crate::files::{FileError, file_error, remove_strangers_tree};

/// Whether something is mounted at this very folder.
pub(crate) fn is_mounted(folder: &Path) -> Result<bool, FileError> {
    let folder = resolved(folder);
    Ok(mount_points()?.contains(&folder))
}

/// Where something is mounted.
pub(super) fn mount_points() -> Result<Vec<PathBuf>, FileError> {
    let table = Path::new("/proc/self/mountinfo");
    Ok(parse(&fs::read(table).map_err(file_error("read", table))?))
}

/// Removes a folder with all that is in it, and nothing of what is mounted there: that is undone before. Says
/// whether there was such a folder.
///
/// # Errors
/// When a mount cannot be undone, or a file cannot be removed.
pub fn remove_unmounted(folder: &Path) -> Result<bool, FileError> {
    unmount_below(folder)?;
    remove_strangers_tree(folder)
}

/// Undoes all mounts at a folder and below it, the last first. Whoever has a file of one open keeps it.
pub(super) fn unmount_below(folder: &Path) -> Result<(), FileError> {
    let folder = resolved(folder);
    let last = || Ok(mount_points()?.into_iter().rfind(|point| point.starts_with(&folder)));
    while let Some(point) = last()? {
        unmount(&point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
            .map_err(|error| file_error("unmount", &point)(error.into()))?;
    }
    Ok(())
}

/// The path as the table has it, in which no link leads elsewhere.
fn resolved(folder: &Path) -> PathBuf {
    fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The mount points in the kernel's table. Any user who may mount by FUSE chooses a name in it, so
/// a name that is not UTF-8 must not make the whole table unreadable.
pub(super) fn parse(table: &[u8]) -> Vec<PathBuf> {
    let text = String::from_utf8_lossy(table);
    text.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use rustix::mount::mount_bind;

    use super::*;

    #[test]
    fn a_mount_point_that_is_not_utf_8_hides_no_other() {
        let table = b"90 60 0:5 / /home/u/\xff rw - fuse.x x rw\n\
            91 60 0:6 / /var/lib/bellows/objects rw,nosuid - ext4 /dev/sda1 rw\n";
        assert_eq!(parse(table)[1], Path::new("/var/lib/bellows/objects"));
    }

    #[test]
    fn what_is_mounted_below_a_folder_outlives_its_removal_also_behind_a_link() {
        let root = tempfile::tempdir().unwrap();
        let (shared, link) = (root.path().join("shared"), root.path().join("link"));
        let doomed = root.path().join("doomed");
        fs::create_dir_all(doomed.join("inner")).unwrap();
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("file"), "of all").unwrap();
        std::os::unix::fs::symlink(&doomed, &link).unwrap();
        for _ in 0..2 {
            mount_bind(&shared, doomed.join("inner")).unwrap();
        }
        assert!(is_mounted(&link.join("inner")).unwrap());
        assert!(remove_unmounted(&link.join("inner")).unwrap());
        mount_bind(&shared, &doomed).unwrap();
        assert!(remove_unmounted(&doomed).unwrap());
        assert!(!remove_unmounted(&doomed).unwrap());
        assert_eq!(fs::read_to_string(shared.join("file")).unwrap(), "of all");
    }
}
