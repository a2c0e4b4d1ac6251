//! The folder of images: root's alone, with nothing removed from it on which a template stands, and each image made
//! in it by one recipe at a time.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::image_error::ImageError;
use super::mounts::remove_unmounted;
use crate::files::{FileError, ensure_private_folder, file_error, remove_file};
use crate::lock::{holders, lock_for_programs};

/// The file that says that the folder stood open, until what is in it was removed.
const STOOD_OPEN: &str = ".stood-open";

/// What the name of a folder ends with in which an image is being made.
const DRAFT: &str = "-draft";

/// Makes the folder of images, for root alone: an image has folders that everybody may write to, and programs
/// that would be set-uid root on the host. Those that stood open, as an earlier release left them, are removed, to be
/// made anew, since what somebody put into them would be in the next version. `stood_on` are the folders that templates
/// stand on. Returns whether there was something to do about it.
///
/// # Errors
/// [`ImageError::StoodOpen`] while a template stands on one of them: its instances would lose their files.
pub fn close_images(images: &Path, stood_on: &BTreeSet<PathBuf>) -> Result<bool, ImageError> {
    let mark = images.join(STOOD_OPEN);
    if stand_open(images) {
        // Before it is closed, so that it is known also after a crash. What has the name already serves as well, and
        // is not followed.
        let made = File::options().write(true).create_new(true).mode(0o600).open(&mark);
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => drop(made.map_err(file_error("make", &mark))?),
        }
    }
    ensure_private_folder(images)?;
    if fs::symlink_metadata(&mark).is_err() {
        return Ok(false);
    }
    if let Some(folder) = stood_on.iter().find(|folder| folder.starts_with(images)) {
        return Err(ImageError::StoodOpen { folder: folder.clone() });
    }
    remove_images(images, stood_on)?;
    Ok(remove_file(&mark)?)
}

/// That nobody but root can have put a file into an image.
///
/// # Errors
/// [`ImageError::StoodOpen`] where somebody can: [`close_images`] was not called, or refused.
pub(crate) fn ensure_closed(images: &Path) -> Result<(), ImageError> {
    if stand_open(images) || fs::symlink_metadata(images.join(STOOD_OPEN)).is_ok() {
        return Err(ImageError::StoodOpen { folder: images.to_owned() });
    }
    Ok(ensure_private_folder(images)?)
}

fn stand_open(images: &Path) -> bool {
    fs::metadata(images).is_ok_and(|it| it.permissions().mode() & 0o077 != 0)
}

/// Removes every folder below `images` but these, and but those that a recipe writes to at this moment; gives how many
/// there were.
///
/// # Errors
/// When one cannot be removed.
pub(super) fn remove_images(images: &Path, kept: &BTreeSet<PathBuf>) -> Result<usize, FileError> {
    let mut removed = 0;
    for folder in folders_but(images, kept) {
        removed += usize::from(remove_image(&folder)?);
    }
    Ok(removed)
}

/// Every folder below `images` but these, in the order of their names. What is no folder is none of ours, or a lock.
pub(super) fn folders_but(images: &Path, kept: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let entries = fs::read_dir(images).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let others = folders.map(|entry| entry.path()).filter(|folder| !kept.contains(folder));
    let mut others: Vec<_> = others.collect();
    others.sort();
    others
}

/// Removes an image, or what is left of one that was not finished, unless a recipe writes to it at this moment. Says
/// whether it did. Whoever calls has seen that no template stands on it, and keeps others from making one meanwhile.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_image(folder: &Path) -> Result<bool, FileError> {
    let is_draft = folder.as_os_str().as_encoded_bytes().ends_with(DRAFT.as_bytes());
    // Held until it is removed.
    let lock = if is_draft { lock_for_programs(&lock_of(folder))? } else { None };
    if is_draft && lock.is_none() {
        return Ok(false);
    }
    // A script that was killed may have left mounts of the host's /dev and /sys there.
    remove_unmounted(folder)
}

/// A folder in which one image is being made, by who holds its lock: a script that outlives its `up` goes on writing.
pub(crate) struct Draft {
    pub(crate) folder: PathBuf,
    /// To be handed to whoever writes there.
    pub(crate) lock: Arc<File>,
}

impl Draft {
    /// An empty one.
    ///
    /// # Errors
    /// [`ImageError::UnderWay`] while somebody makes the same image.
    pub(crate) fn make(images: &Path, image: &str) -> Result<Self, ImageError> {
        let folder = images.join(format!(".{image}{DRAFT}"));
        let file = lock_of(&folder);
        let lock = lock_for_programs(&file)?.ok_or_else(|| ImageError::UnderWay {
            image: image.to_owned(),
            holders: holders(&file),
        })?;
        remove_unmounted(&folder)?;
        fs::create_dir_all(&folder).map_err(file_error("make", &folder))?;
        Ok(Self { folder, lock })
    }
}

/// The lock of a draft. It stays: were it removed, two could be held under one name.
fn lock_of(draft: &Path) -> PathBuf {
    draft.with_added_extension("lock")
}

#[cfg(test)]
mod tests;
