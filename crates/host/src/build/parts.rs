//! Parts of images that are no recipe's: what builds leave, and the files of applications. They lie beside the images
//! of recipes, are made in the same way, and are removed with them once no template stands on them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::BuildError;
use crate::files::{file_error, sync_file_system};
use crate::lxc::{Draft, ensure_closed};

/// The folder of images in the state folder.
const IMAGES: &str = "images";

/// The folder of images.
#[derive(Debug)]
pub(super) struct Parts {
    images: PathBuf,
}

/// A part that is being made.
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

    /// Begins a part, in which the folder at `path` is filled.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn begin(&self, name: &str, path: &str) -> Result<Part, BuildError> {
        ensure_closed(&self.images)?;
        let draft = Draft::make(&self.images, name)?;
        let folder = &draft.folder;
        let inner = folder.join(path.trim_start_matches('/'));
        fs::create_dir_all(&inner).map_err(file_error("make", &inner))?;
        // Whatever the umask: users of an instance pass through.
        for above in inner.ancestors().take_while(|above| above.starts_with(folder)) {
            fs::set_permissions(above, Permissions::from_mode(0o755))
                .map_err(file_error("change the mode of", above))?;
        }
        Ok(Part { name: name.to_owned(), draft, inner })
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
