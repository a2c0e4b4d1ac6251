//! The folders of the host that are mounted in instances.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::ContainerError;
use super::mounts::{is_mounted, mount_points};
use crate::command::{CommandLine, Runner};
use crate::files::{FileError, file_error};

/// What nobody can do in a shared folder, on the host or in an instance.
const OPTIONS: &str = "nosuid,nodev,noexec";

/// Makes a folder that instances share: owned by their root where it is new, and a mount of its own.
///
/// LXC 5 drops `nosuid`, `nodev` and `noexec` from a bind mount (it compares them with the source's
/// and then skips the remount that sets them). As a mount that has them on the host, the folder
/// hands them to every mount of it, where an instance cannot take them off again.
///
/// # Errors
/// When the folder cannot be made, owned or mounted.
pub async fn ensure_shared_folder(
    runner: &impl Runner,
    folder: &Path,
    owner: u32,
) -> Result<(), ContainerError> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(file_error("make", parent))?;
        // LXC mounts what is inside as the instance's root, which needs the right to pass through.
        let passable = fs::Permissions::from_mode(0o711);
        fs::set_permissions(parent, passable).map_err(file_error("open", parent))?;
    }
    // Who owns one that is there is said by whoever knows the service's users: they may have given it on.
    if !folder.exists() {
        fs::create_dir_all(folder).map_err(file_error("make", folder))?;
        std::os::unix::fs::chown(folder, Some(owner), Some(owner))
            .map_err(file_error("change the owner of", folder))?;
    }
    if !is_mounted(folder)? {
        let options = format!("bind,{OPTIONS}");
        runner
            .run(&CommandLine::new("mount").args(["-o", &options]).arg(folder).arg(folder))
            .await?;
    }
    Ok(())
}

/// Undoes the mount and keeps the folder with what is in it.
///
/// # Errors
/// When the folder is mounted and in use.
pub async fn remove_shared_folder(
    runner: &impl Runner,
    folder: &Path,
) -> Result<(), ContainerError> {
    while is_mounted(folder)? {
        runner.run(&CommandLine::new("umount").arg(folder)).await?;
    }
    Ok(())
}

/// The shared folders that are mounted below `state`, innermost first.
///
/// # Errors
/// When the kernel's table of mounts cannot be read.
pub fn shared_folders_below(state: &Path) -> Result<Vec<PathBuf>, FileError> {
    Ok(below(state, mount_points()?))
}

fn below(state: &Path, mut points: Vec<PathBuf>) -> Vec<PathBuf> {
    points.retain(|point| point != state && point.starts_with(state));
    points.sort();
    points.dedup();
    points.reverse();
    points
}

#[cfg(test)]
mod tests {
    use super::super::mounts::parse;
    use super::*;

    #[test]
    fn only_mounts_below_the_state_folder_are_undone_and_inner_ones_first() {
        let table = b"\
22 1 254:0 / / rw - ext4 /dev/vda rw
90 22 254:0 /var/lib/bellows/objects /var/lib/bellows/objects rw,nosuid - ext4 /dev/vda rw
91 90 0:40 / /var/lib/bellows/objects/inner rw - tmpfs tmpfs rw
92 22 254:1 / /var/lib/bellows rw - ext4 /dev/vdb rw
93 22 254:0 / /var/lib/bellows-other/objects rw - ext4 /dev/vda rw
94 22 254:0 /var/lib/bellows/objects /var/lib/bellows/objects rw,nosuid - ext4 /dev/vda rw
";
        let found = below(Path::new("/var/lib/bellows"), parse(table));
        let expected =
            ["/var/lib/bellows/objects/inner", "/var/lib/bellows/objects"].map(PathBuf::from);
        assert_eq!(found, expected);
    }
}
