//! Owners of an image's files: moved into the instances' id range where the image is copied into a template.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::sync::Arc;

use super::error::ContainerError;
use crate::command::{CommandLine, Runner};
use crate::files::{FileError, file_error};
use crate::settings::IdRange;

/// Copies `image` to `rootfs`, which must not exist. What copies holds `lock`.
///
/// # Errors
/// When the copy fails, or the image holds an owner outside the id range.
pub(super) async fn copy_image(
    runner: &impl Runner,
    image: &Path,
    rootfs: &Path,
    ids: IdRange,
    lock: Arc<File>,
) -> Result<(), ContainerError> {
    let deadline = std::time::Duration::from_secs(600);
    let command = CommandLine::new("cp").args(["--archive", "--reflink=auto", "--"]);
    runner.run(&command.arg(image).arg(rootfs).deadline(deadline).holding(lock)).await?;
    Ok(shift_owners(image, rootfs, ids)?)
}

/// Reads owners from the image and not from the copy, where a file with two names would be moved
/// twice.
fn shift_owners(image: &Path, copy: &Path, ids: IdRange) -> Result<(), FileError> {
    let source = look_at(image, ids)?;
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
        for name in names_in(image)? {
            shift_owners(&image.join(&name), &copy.join(&name), ids)?;
        }
    }
    Ok(())
}

/// That the id range has an id for every owner in an image.
///
/// # Errors
/// When it has not.
pub(super) fn check_owners(image: &Path, ids: IdRange) -> Result<(), FileError> {
    if look_at(image, ids)?.is_dir() {
        for name in names_in(image)? {
            check_owners(&image.join(name), ids)?;
        }
    }
    Ok(())
}

fn look_at(file: &Path, ids: IdRange) -> Result<fs::Metadata, FileError> {
    let found = fs::symlink_metadata(file).map_err(file_error("read", file))?;
    if found.uid().max(found.gid()) < ids.count {
        return Ok(found);
    }
    let error = format!("its owner is above the {} ids of [id_map]", ids.count);
    Err(file_error("move the owner of", file)(io::Error::other(error)))
}

fn names_in(folder: &Path) -> Result<Vec<OsString>, FileError> {
    let entries = fs::read_dir(folder).map_err(file_error("read", folder))?;
    let names = entries.map(|entry| Ok(entry?.file_name()));
    names.collect::<io::Result<_>>().map_err(file_error("read", folder))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::command::HostRunner;
    use crate::lock::lock_for_programs;

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
        let lock = lock_for_programs(&root.path().join("lock")).unwrap().unwrap();
        copy_image(&HostRunner, &image, &copy, ids, lock).await.unwrap();
        let program = fs::metadata(copy.join("program")).unwrap();
        assert_eq!((program.uid(), program.gid()), (1_000_007, 1_000_008));
        assert_eq!(program.mode() & 0o7777, 0o4755);
        assert_eq!(program.nlink(), 2);
        assert_eq!(fs::symlink_metadata(copy.join("link")).unwrap().uid(), 1_000_000);
        assert_eq!(fs::metadata("/etc/shadow").unwrap().uid(), 0);
    }

    #[test]
    fn an_owner_that_the_range_has_no_id_for_is_named() {
        let image = tempfile::tempdir().unwrap();
        let file = image.path().join("opt/program");
        fs::create_dir(image.path().join("opt")).unwrap();
        fs::write(&file, "").unwrap();
        lchown(&file, Some(9), Some(10)).unwrap();
        check_owners(image.path(), IdRange { first: 1_000_000, count: 11 }).unwrap();
        let error = check_owners(image.path(), IdRange { first: 1_000_000, count: 10 });
        assert!(error.unwrap_err().to_string().contains("opt/program"));
    }
}
