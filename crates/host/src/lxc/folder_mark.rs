//! What a folder is known again by, whatever its name leads to by then.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// What tells a folder from a later one of its name.
///
/// The number of the device is no part of it: after a boot the same disk may have another one, as with LVM, btrfs or
/// one more disk. The inode's alone is not enough: ext4 gave the same one to 11 folders that were made and removed in turn. With the time
/// at which it was made it stays with the folder for life, also through renames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FolderMark {
    inode: u64,
    /// Nanoseconds since 1970; `None` on a file system that does not keep it.
    made_ns: Option<u64>,
}

impl FolderMark {
    /// The mark of the folder that has this name now.
    ///
    /// # Errors
    /// When there is no folder.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let found = fs::metadata(folder)?;
        if !found.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let made = found.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made_ns = made.and_then(|made| u64::try_from(made.as_nanos()).ok());
        Ok(Self { inode: found.ino(), made_ns })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_is_known_again_under_another_name_and_another_one_of_its_name_is_not() {
        let root = tempfile::tempdir().unwrap();
        let (folder, moved) = (root.path().join("image"), root.path().join("moved"));
        fs::create_dir(&folder).unwrap();
        let first = FolderMark::of(&folder).unwrap();
        fs::write(folder.join("file"), "").unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::rename(&folder, &moved).unwrap();
        assert_eq!(FolderMark::of(&moved).unwrap(), first);
        fs::remove_dir_all(&moved).unwrap();
        for _ in 0..10 {
            fs::create_dir(&folder).unwrap();
            assert_ne!(FolderMark::of(&folder).unwrap(), first);
            fs::remove_dir(&folder).unwrap();
        }
        assert!(FolderMark::of(&folder).is_err());
        fs::write(&folder, "").unwrap();
        assert!(FolderMark::of(&folder).is_err(), "it is a file");
    }
}
