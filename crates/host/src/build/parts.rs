//! Parts of images that are no recipe's: what builds leave, and the files of applications. They lie beside the images
//! of recipes, are made in the same way, and are removed with them once no template stands on them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::files::{ensure_private_folder, file_error, sync_file_system};
use crate::lxc::remove_unmounted;

/// The folder of images in the state folder.
const IMAGES: &str = "images";

/// The folder of images.
#[derive(Debug)]
pub(super) struct Parts {
    images: PathBuf,
}

/// A part that is being made.
#[derive(Debug)]
pub(super) struct Draft {
    name: String,
    folder: PathBuf,
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
    pub(super) fn draft(&self, name: &str, path: &str) -> Result<Draft, super::BuildError> {
        ensure_private_folder(&self.images)?;
        let folder = self.images.join(format!(".{name}-draft"));
        remove_unmounted(&folder)?;
        let inner = folder.join(path.trim_start_matches('/'));
        fs::create_dir_all(&inner).map_err(file_error("make", &inner))?;
        // Whatever the umask: users of an instance pass through.
        for above in inner.ancestors().take_while(|above| above.starts_with(&folder)) {
            fs::set_permissions(above, Permissions::from_mode(0o755))
                .map_err(file_error("change the mode of", above))?;
        }
        Ok(Draft { name: name.to_owned(), folder, inner })
    }

    /// Has a part there, once it is on disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn keep(&self, draft: Draft, digest: &str) -> Result<PathBuf, super::BuildError> {
        let folder = self.images.join(format!("{}-{digest}", draft.name));
        sync_file_system(&draft.folder)?;
        fs::rename(&draft.folder, &folder).map_err(file_error("rename", &draft.folder))?;
        Ok(folder)
    }
}
