//! The folders of the host that are mounted in instances.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{ContainerError, file_error};
use crate::command::{CommandLine, Runner};

/// What nobody can do in a shared folder, on the host or in an instance.
const OPTIONS: &str = "nosuid,nodev,noexec";

/// Makes a folder that instances share: owned by their root, and a mount of its own.
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
        // The instance's root walks through as a stranger when it mounts what is inside.
        let passable = fs::Permissions::from_mode(0o711);
        fs::set_permissions(parent, passable).map_err(file_error("open", parent))?;
    }
    fs::create_dir_all(folder).map_err(file_error("make", folder))?;
    std::os::unix::fs::chown(folder, Some(owner), Some(owner))
        .map_err(file_error("change the owner of", folder))?;
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

fn is_mounted(folder: &Path) -> Result<bool, ContainerError> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(file_error("read", table))?;
    let place = folder.display().to_string();
    Ok(text.lines().any(|line| line.split(' ').nth(4) == Some(&place)))
}
