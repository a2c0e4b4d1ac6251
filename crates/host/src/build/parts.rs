//! Parts of images that are no recipe's: what builds leave, and the files of applications. They lie beside the images
//! of recipes, are made in the same way, and are removed with them once no template stands on them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::BuildError;
use crate::files::{file_error, free_bytes, remove_tree, sync_file_system};
use crate::lxc::{Draft, ensure_closed};

/// The folder of images in the state folder.
const IMAGES: &str = "images";

/// The folder of images.
#[derive(Debug)]
pub(super) struct Parts {
    images: PathBuf,
}

/// A part that is being made. Dropped before it is kept, it is removed.
pub(super) struct Part {
    name: String,
    draft: Draft,
    /// The empty folder in it that is filled.
    pub(super) inner: PathBuf,
}

impl Parts {
    pub(super) fn new(state: &Path) -> Self {
        Self { images: state.join(IMAGES) }
    }

    /// The folder of a part with this digest, if it is there.
    pub(super) fn find(&self, name: &str, digest: &str) -> Option<PathBuf> {
        Some(self.images.join(format!("{name}-{digest}"))).filter(|folder| folder.exists())
    }

    /// Begins a part, in which the folder at `path` is filled with so many bytes.
    ///
    /// # Errors
    /// When the disk has no room for them, or fails.
    pub(super) fn begin(&self, name: &str, path: &str, bytes: u64) -> Result<Part, BuildError> {
        ensure_closed(&self.images)?;
        let free = free_bytes(&self.images)?;
        if free < bytes {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            return Err(BuildError::NoRoomForPart { mib: mib(bytes), free_mib: free >> 20 });
        }
        let draft = Draft::make(&self.images, name)?;
        let inner = draft.folder.join(path.trim_start_matches('/'));
        let part = Part { name: name.to_owned(), draft, inner };
        let (folder, inner) = (&part.draft.folder, &part.inner);
        fs::create_dir_all(inner).map_err(file_error("make", inner))?;
        // Whatever the umask: users of an instance pass through.
        for above in inner.ancestors().take_while(|above| above.starts_with(folder)) {
            fs::set_permissions(above, Permissions::from_mode(0o755))
                .map_err(file_error("change the mode of", above))?;
        }
        Ok(part)
    }

    /// Has a part there, once it is on disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn keep(&self, part: Part, digest: &str) -> Result<PathBuf, BuildError> {
        let (draft, folder) = (&part.draft.folder, format!("{}-{digest}", part.name));
        let folder = self.images.join(folder);
        sync_file_system(draft)?;
        fs::rename(draft, &folder).map_err(file_error("rename", draft))?;
        Ok(folder)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It is not there any more once it is kept. Where it stays, the next one of its name removes it.
        let _ = remove_tree(&self.draft.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_not_kept_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        let parts = Parts::new(state.path());
        let begin = || {
            let part = parts.begin("test.packages", "/srv", 1).unwrap();
            fs::write(part.inner.join("file"), "text").unwrap();
            part
        };
        drop(begin());
        let names = || fs::read_dir(&parts.images).unwrap().count();
        assert_eq!(names(), 1, "its lock");
        let folder = parts.keep(begin(), "1").unwrap();
        assert_eq!(fs::read_to_string(folder.join("srv/file")).unwrap(), "text");
        assert_eq!(parts.find("test.packages", "1"), Some(folder));
        assert_eq!(names(), 2);
        assert!(matches!(
            parts.begin("test.packages", "/srv", u64::MAX),
            Err(BuildError::NoRoomForPart { .. })
        ));
    }
}
