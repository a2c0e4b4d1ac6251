//! The root file system of a template whose image stands on others: an overlay, read-only, of the template's own
//! files, those of its image, and those of what that stands on. All but the first lie on disk once, owned by the
//! host's root, and are mounted with the ids of the service that has them.
//!
//! A boot forgets the overlay. Instances are overlays on it, and the kernel allows no third one.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use model::names::TemplateName;
use rustix::mount::MountFlags;
use serde::{Deserialize, Serialize};

use super::error::ContainerError;
use super::folder_mark::FolderMark;
use super::id_mapped;
use super::image::Image;
use super::mounts::{is_mounted, remove_unmounted};
use super::own_files::OwnFiles;
use super::ownership::check_owners;
use crate::files::{FileError, ensure_private_folder, file_error};
use crate::settings::IdRange;

/// The file of a template that says what its root file system is made of.
const FILE: &str = "stack.json";

/// The folder of a template's own files.
const OWN: &str = "own";

/// Where the overlay is mounted, and LXC looks for it.
const ROOTFS: &str = "rootfs";

/// Where the folders are mounted of which the overlay is made, until it is.
const STAGING: &str = "staging";

/// What the root file system of a template is made of beside its own files.
#[derive(Debug, Serialize, Deserialize)]
struct Stack {
    /// The first of the service's ids, and how many it has.
    first_id: u32,
    id_count: u32,
    /// The folders of the image and of what it stands on, the topmost first.
    folders: Vec<PathBuf>,
    /// What each of them is known again by; none where a release before this one made the template.
    #[serde(default)]
    marks: Vec<FolderMark>,
}

impl Stack {
    /// That the folders are those that the template was made on: what another one holds is not what was proved, and
    /// what is gone cannot be mounted.
    ///
    /// # Errors
    /// [`ContainerError::StoodOn`] when one is not.
    fn check_folders(&self, template: &Path) -> Result<(), ContainerError> {
        let marks = self.marks.iter().map(Some).chain(std::iter::repeat(None));
        for (folder, mark) in self.folders.iter().zip(marks) {
            let problem = match (FolderMark::of(folder), mark) {
                (Err(_), _) => "is gone",
                (Ok(found), Some(mark)) if found != *mark => "is another folder than it was",
                _ => continue,
            };
            let (template, folder) = (template.to_owned(), folder.clone());
            return Err(ContainerError::StoodOn { template, folder, problem });
        }
        Ok(())
    }
}

/// Makes what a template needs to stand on an image, in the folder of its draft; gives where its own files belong.
///
/// # Errors
/// When the disk fails, or the image has an owner that the service has no id for.
pub(super) fn lay<'a>(
    draft: &Path,
    image: &'a Image,
    ids: IdRange,
) -> Result<OwnFiles<'a>, FileError> {
    let folders = image.stack();
    for folder in &folders {
        check_owners(folder, ids)?;
    }
    let rootfs = draft.join(ROOTFS);
    fs::create_dir(&rootfs).map_err(file_error("make", &rootfs))?;
    // Also while nothing is mounted there, its owner says whose ids these are.
    chown(&rootfs, Some(ids.first), Some(ids.first))
        .map_err(file_error("change the owner of", &rootfs))?;
    let mark = |folder: &&Path| FolderMark::of(folder).map_err(file_error("look at", folder));
    let stack = Stack {
        first_id: ids.first,
        id_count: ids.count,
        folders: folders.iter().map(|folder| (*folder).to_owned()).collect(),
        marks: folders.iter().map(mark).collect::<Result<_, _>>()?,
    };
    let file = draft.join(FILE);
    let text = serde_json::to_vec(&stack).map_err(io::Error::from);
    text.and_then(|text| fs::write(&file, text)).map_err(file_error("write", &file))?;
    OwnFiles::above(folders, draft.join(OWN), ids)
}

/// The folders that a template stands on; none where it holds a copy of its image.
pub(super) fn folders_of(lxc: &Path, template: &TemplateName) -> Result<Vec<PathBuf>, FileError> {
    Ok(read(&lxc.join(template.as_str()))?.map(|stack| stack.folders).unwrap_or_default())
}

/// That a template stands on the folders that it was made on, be it mounted or not.
///
/// # Errors
/// [`ContainerError::StoodOn`] when it does not, or another one when it does not say what it stands on.
pub(super) fn check_folders(lxc: &Path, template: &TemplateName) -> Result<(), ContainerError> {
    let folder = lxc.join(template.as_str());
    read(&folder)?.map_or(Ok(()), |stack| stack.check_folders(&folder))
}

/// That a template's root file system is mounted, where it has to be: else its instances would find none.
///
/// # Errors
/// [`ContainerError::StoodOn`] when it cannot be, and [`ContainerError::NoRootfs`] when it is not.
pub(super) fn check_mounted(lxc: &Path, template: &TemplateName) -> Result<(), ContainerError> {
    let folder = lxc.join(template.as_str());
    let rootfs = folder.join(ROOTFS);
    match read(&folder)? {
        Some(stack) if !is_mounted(&rootfs)? => {
            stack.check_folders(&folder)?;
            Err(ContainerError::NoRootfs { folder: rootfs })
        }
        _ => Ok(()),
    }
}

/// Mounts the root file system of a template, where it has to be and is not: who calls holds the lock of mounts.
///
/// # Errors
/// When what it stands on is gone or another, or the kernel cannot mount with other ids, or is out of memory.
pub(super) async fn ensure_mounted(
    lxc: &Path,
    template: &TemplateName,
) -> Result<(), ContainerError> {
    ensure_mounted_in(&lxc.join(template.as_str())).await
}

/// The same of the container in this folder.
pub(super) async fn ensure_mounted_in(folder: &Path) -> Result<(), ContainerError> {
    let Some(stack) = read(folder)? else { return Ok(()) };
    if is_mounted(&folder.join(ROOTFS))? {
        return Ok(());
    }
    stack.check_folders(folder)?;
    let staging = folder.join(STAGING);
    // Which a killed one left.
    remove_unmounted(&staging)?;
    let mounted = mount(folder, &stack).await;
    // The overlay has what it is made of for itself.
    remove_unmounted(&staging)?;
    mounted
}

async fn mount(template: &Path, stack: &Stack) -> Result<(), ContainerError> {
    let ids = IdRange { first: stack.first_id, count: stack.id_count };
    let namespace = id_mapped::user_namespace(ids).await;
    let namespace = namespace.map_err(ContainerError::NoUserNamespace)?;
    let staging = template.join(STAGING);
    // What is mounted there for a moment with the owners of the disk is for nobody else.
    ensure_private_folder(&staging)?;
    let mut lower = vec![template.join(OWN)];
    for (number, folder) in stack.folders.iter().enumerate() {
        let target = staging.join(number.to_string());
        fs::create_dir_all(&target).map_err(file_error("make", &target))?;
        id_mapped::mount(folder, &target, &namespace)
            .map_err(|source| ContainerError::IdMap { folder: folder.clone(), source })?;
        lower.push(target);
    }
    let rootfs = template.join(ROOTFS);
    mount_overlay(&lower, &rootfs)
        .map_err(|source| ContainerError::IdMap { folder: rootfs, source })
}

/// Mounts these folders as one, the topmost first. `mount` takes an option of 256 bytes from util-linux 2.39 on,
/// and the kernel itself a page.
fn mount_overlay(folders: &[PathBuf], target: &Path) -> io::Result<()> {
    let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let options = CString::new(format!("userxattr,lowerdir={}", folders.join(":")))?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID;
    Ok(rustix::mount::mount("bellows", target, "overlay", flags, options.as_c_str())?)
}

/// What a template is made of; `None` where it holds a copy of its image.
fn read(template: &Path) -> Result<Option<Stack>, FileError> {
    let file = template.join(FILE);
    let text = match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(file_error("read", &file))?,
    };
    let stack = serde_json::from_slice(&text).map_err(io::Error::from);
    stack.map(Some).map_err(file_error("read", &file))
}
