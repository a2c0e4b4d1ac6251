//! Files of this machine: errors that name the path, and writes that a crash cannot leave half done.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;

use crate::command::SEARCH_PATH;

/// The mode of a folder that is nobody else's.
const PRIVATE: u32 = 0o700;

/// A file operation that failed, with the path it failed on.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}; check the disk and that this runs as root", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// Whether the disk, or what is allowed of it, is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Turns an I/O error into a [`FileError`]: `action` is a verb in the infinitive, such as `read`.
pub fn file_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError { action, path: path.to_owned(), source }
}

/// Replaces the content of a file, or makes the file. Readers see the old content or the new one,
/// never a part, and after `Ok` the new content survives a loss of power: it is written to a file
/// beside the old one, flushed to the disk and renamed, and then the folder is flushed.
///
/// A file that exists keeps its mode. A new one gets exactly `mode`: the umask of whoever called us
/// must not decide who can read it.
///
/// # Errors
/// When the folder is missing, not writable or full. The old content is still there then, and
/// nothing beside it.
pub fn replace_file(path: &Path, content: impl AsRef<[u8]>, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let permissions = fs::metadata(path).map(|old| old.permissions());
    let mut beside = NamedTempFile::new_in(folder)?;
    beside.write_all(content.as_ref())?;
    let file = beside.as_file();
    file.set_permissions(permissions.unwrap_or(fs::Permissions::from_mode(mode)))?;
    file.sync_all()?;
    beside.persist(path)?;
    fs::File::open(folder)?.sync_all()
}

/// Makes a folder that its owner alone lists, passes through and writes to, whatever the umask, and closes one
/// that is there. The folders above it, which others may have to pass through, are made with the usual mode.
///
/// # Errors
/// When the folder above is not writable, or something else has the name.
pub fn ensure_private_folder(folder: &Path) -> Result<(), FileError> {
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).map_err(file_error("make", above))?;
    }
    match fs::DirBuilder::new().mode(PRIVATE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(file_error("make", folder)(error));
        }
        _ => {}
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(PRIVATE))
        .map_err(file_error("close", folder))
}

/// Makes a link lead to `target`, at every moment to the old one or to the new one. Says whether it did
/// not.
///
/// # Errors
/// When the folder is missing or not writable. The old link is there then.
pub fn replace_link(link: &Path, target: &Path) -> Result<bool, FileError> {
    if fs::read_link(link).is_ok_and(|held| held == target) {
        return Ok(false);
    }
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let beside = link.with_file_name(format!(".{name}-draft"));
    remove_file(&beside)?;
    symlink(target, &beside).map_err(file_error("make", &beside))?;
    fs::rename(&beside, link).map_err(file_error("rename", &beside))?;
    Ok(true)
}

/// Removes a file or a link, and says whether it was there.
pub(crate) fn remove_file(path: &Path) -> Result<bool, FileError> {
    was_there(fs::remove_file(path)).map_err(file_error("remove", path))
}

/// Removes a folder with all that is in it, and says whether it was there.
///
/// # Errors
/// When something in it cannot be removed.
pub fn remove_tree(folder: &Path) -> Result<bool, FileError> {
    was_there(fs::remove_dir_all(folder)).map_err(file_error("remove", folder))
}

/// The same of a folder that strangers wrote to, instances or builds, and of nothing that is mounted there. They make
/// folders in folders as deep as they like: each level takes an open file and some of the stack of this process, but
/// neither of `rm`'s. 1,500 levels were too many files, and 15,000 too much of the stack.
///
/// # Errors
/// When something in it cannot be removed.
pub(crate) fn remove_strangers_tree(folder: &Path) -> Result<bool, FileError> {
    let remove = || {
        fs::symlink_metadata(folder)?;
        let mut command = Command::new("rm");
        command.args(["-rf", "--one-file-system", "--"]).arg(folder);
        command.env_clear().env("PATH", SEARCH_PATH).stdin(Stdio::null());
        let ended = command.output()?;
        let told = || io::Error::other(String::from_utf8_lossy(&ended.stderr).trim().to_owned());
        if ended.status.success() { Ok(()) } else { Err(told()) }
    };
    was_there(remove()).map_err(file_error("remove", folder))
}

/// The names of what is in a folder; none where there is no folder.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_error("read", folder)(error)),
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

/// What the file system that holds `folder` has left.
pub(crate) fn free_bytes(folder: &Path) -> Result<u64, FileError> {
    let status = nix::sys::statvfs::statvfs(folder)
        .map_err(|error| file_error("examine", folder)(error.into()))?;
    Ok(status.blocks_available() * status.fragment_size())
}

fn was_there(removed: io::Result<()>) -> io::Result<bool> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// Flushes the whole file system that holds `folder`. Done before a folder is renamed into place:
/// otherwise the new name may reach the disk before the content does.
pub(crate) fn sync_file_system(folder: &Path) -> Result<(), FileError> {
    let open = fs::File::open(folder).map_err(file_error("open", folder))?;
    nix::unistd::syncfs(open).map_err(|error| file_error("sync", folder)(error.into()))
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{OFlag, openat};
    use nix::sys::stat::{Mode, mkdirat};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_file_has_the_mode_it_is_given_whatever_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        // The usual umask, 022, would leave 0644 of the first.
        for (name, wanted) in [("open", 0o666), ("private", 0o600)] {
            let path = folder.path().join(name);
            replace_file(&path, "text", wanted).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "text");
            assert_eq!(mode(&path), wanted);
        }
    }

    #[test]
    fn a_file_that_exists_keeps_its_mode_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old and longer").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace_file(&path, "new", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(mode(&path), 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_removed_was_there_or_not_and_anything_else_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (file, tree) = (folder.path().join("file"), folder.path().join("tree"));
        fs::write(&file, "text").unwrap();
        fs::create_dir_all(tree.join("below")).unwrap();
        assert!(remove_file(&file).unwrap() && !remove_file(&file).unwrap());
        assert!(remove_file(&tree).unwrap_err().to_string().contains("tree"));
        assert!(remove_tree(&tree).unwrap() && !remove_tree(&tree).unwrap());
    }

    #[test]
    fn what_strangers_wrote_is_removed_however_deep_it_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let mut deep = fs::File::open(&folder).unwrap();
        for _ in 0..15_000 {
            mkdirat(&deep, "d", Mode::S_IRWXU).unwrap();
            deep = openat(&deep, "d", OFlag::O_DIRECTORY, Mode::empty()).unwrap().into();
        }
        assert!(remove_strangers_tree(&folder).unwrap());
        assert!(!remove_strangers_tree(&folder).unwrap());
        let above = root.path().join("file/folder");
        fs::write(root.path().join("file"), "text").unwrap();
        assert!(remove_strangers_tree(&above).unwrap_err().to_string().contains("file/folder"));
    }

    #[test]
    fn a_private_folder_is_its_owners_alone_also_where_it_stood_open() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("above/private");
        for _ in 0..2 {
            ensure_private_folder(&folder).unwrap();
            assert_eq!(mode(&folder), 0o700);
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
        }
        assert_eq!(mode(&root.path().join("above")) & 0o700, 0o700);
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(ensure_private_folder(&file.join("below")).is_err());
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(replace_file(&path, "new", 0o600).is_err());
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
