//! Copies an image into a template, with every file's owner moved into the instances' id range.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use super::error::ContainerError;
use crate::command::{CommandLine, Runner};
use crate::files::{FileError, file_error};
use crate::settings::IdRange;

/// Copies `image` to `rootfs`, which must not exist.
///
/// # Errors
/// When the copy fails, or the image holds an owner outside the id range.
pub(super) async fn copy_image(
    runner: &impl Runner,
    image: &Path,
    rootfs: &Path,
    ids: IdRange,
) -> Result<(), ContainerError> {
    let deadline = std::time::Duration::from_secs(600);
    let command = CommandLine::new("cp").args(["--archive", "--reflink=auto", "--"]);
    runner.run(&command.arg(image).arg(rootfs).deadline(deadline)).await?;
    Ok(shift_owners(image, rootfs, ids)?)
}

/// Reads owners from the image and not from the copy, where a file with two names would be moved
/// twice.
fn shift_owners(image: &Path, copy: &Path, ids: IdRange) -> Result<(), FileError> {
    let source = fs::symlink_metadata(image).map_err(file_error("read", image))?;
    if source.uid().max(source.gid()) >= ids.count {
        let error =
            io::Error::other(format!("its owner is above the {} ids of [id_map]", ids.count));
        return Err(file_error("move the owner of", image)(error));
    }
    let (user, group) = (ids.first + source.uid(), ids.first + source.gid());
    lchown(copy, Some(user), Some(group)).map_err(file_error("change the owner of", copy))?;
    if source.is_symlink() {
        return Ok(());
    }
    if source.mode() & 0o6000 != 0 {
        // A change of the owner takes these two bits away.
        let mode = source.permissions();
        fs::set_permissions(copy, mode).map_err(file_error("change the mode of", copy))?;
    }
    if source.is_dir() {
        for entry in fs::read_dir(image).map_err(file_error("read", image))? {
            let name = entry.map_err(file_error("read", image))?.file_name();
            shift_owners(&image.join(&name), &copy.join(&name), ids)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::command::HostRunner;

    #[tokio::test]
    async fn owners_move_once_and_modes_stay() {
        let root = tempfile::tempdir().unwrap();
        let (image, copy) = (root.path().join("image"), root.path().join("copy"));
        fs::create_dir(&image).unwrap();
        fs::write(image.join("program"), "").unwrap();
        fs::hard_link(image.join("program"), image.join("other-name")).unwrap();
        symlink("/etc/shadow", image.join("link")).unwrap();
        lchown(image.join("program"), Some(7), Some(8)).unwrap();
        let mode = fs::Permissions::from_mode(0o4755);
        fs::set_permissions(image.join("program"), mode).unwrap();

        let ids = IdRange { first: 1_000_000, count: 65_536 };
        copy_image(&HostRunner, &image, &copy, ids).await.unwrap();
        let program = fs::metadata(copy.join("program")).unwrap();
        assert_eq!((program.uid(), program.gid()), (1_000_007, 1_000_008));
        assert_eq!(program.mode() & 0o7777, 0o4755);
        assert_eq!(program.nlink(), 2);
        assert_eq!(fs::symlink_metadata(copy.join("link")).unwrap().uid(), 1_000_000);
        assert_eq!(fs::metadata("/etc/shadow").unwrap().uid(), 0);
    }
}
