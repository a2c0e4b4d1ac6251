//! LXC: templates made from images, instances cloned from templates, and the list of what runs.

mod apparmor;
mod containers;
mod image;
mod inventory;
mod ownership;
mod profile;
mod shared_folder;
mod template;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use apparmor::{AppArmorProfile, remove_profiles};
pub use containers::{ContainerError, Containers, LxcContainers};
pub use image::{Image, ImageError, Recipe, remove_other_images};
pub use inventory::{Container, ContainerState, Inventory, names, parse_active};
pub use profile::{Profile, ProfileError};
pub use shared_folder::{ensure_shared_folder, remove_shared_folder};
pub use template::{TemplateError, TemplateStore};

/// A file operation that failed, with the path it failed on.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}; check the disk and that this runs as root", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Names the path and the deed of an I/O error.
pub(crate) fn file_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError { action, path: path.to_owned(), source }
}

/// A rename may reach the disk before the content that it makes visible.
pub(crate) fn sync(folder: &Path) -> Result<(), FileError> {
    let open = fs::File::open(folder).map_err(file_error("open", folder))?;
    nix::unistd::syncfs(open).map_err(|error| file_error("sync", folder)(error.into()))
}
