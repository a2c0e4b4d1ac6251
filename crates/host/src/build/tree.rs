//! A folder copied entry by entry, with other owners, and with nothing that could do more than a file does: no set-uid
//! bits, devices, sockets, pipes or extended attributes. No link is followed.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown, symlink,
};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::files::{FileError, file_error};

/// Files, folders and links of one folder. A large application has some 50,000.
const ENTRIES_MAX: usize = 400_000;

/// Folders in folders, each of which takes some of the stack. Packages have some 15.
const DEPTH_MAX: usize = 100;

/// What a file takes is a multiple of this.
const BLOCK: u64 = 4096;

/// How many of the paths are told that were left out.
const TOLD: usize = 10;

/// Why a folder was not copied.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// It holds too much.
    #[error("it holds more than {entries} files, or {mib} MiB of them")]
    TooMuch {
        /// Files, folders and links that are allowed.
        entries: usize,
        /// MiB of all files that are allowed.
        mib: u64,
    },
    /// It is too deep.
    #[error("it has folders in folders, more than {folders} deep")]
    TooDeep {
        /// Folders in folders that are allowed.
        folders: usize,
    },
    /// A file that belongs to somebody else.
    #[error("{} belongs to {uid}:{gid}, who is nobody there", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its user on the host.
        uid: u32,
        /// Its group on the host.
        gid: u32,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What was copied.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// The first paths that were left out, since they are no files, folders or links.
    pub(super) left_out: Vec<PathBuf>,
}

/// What was seen, up to a bound.
struct Count {
    entries: usize,
    bytes: u64,
    /// In whole blocks.
    taken: u64,
    bytes_max: u64,
}

impl Count {
    fn new(bytes_max: u64) -> Self {
        Self { entries: 0, bytes: 0, taken: 0, bytes_max }
    }

    /// Takes note of one entry.
    fn add(&mut self, found: &fs::Metadata) -> Result<(), TreeError> {
        self.entries += 1;
        let bytes = if found.is_file() { found.len() } else { 0 };
        self.bytes = self.bytes.saturating_add(bytes);
        let blocks = if found.is_dir() { 1 } else { bytes.div_ceil(BLOCK) };
        self.taken = self.taken.saturating_add(blocks.saturating_mul(BLOCK));
        if self.entries > ENTRIES_MAX || self.bytes > self.bytes_max {
            return Err(TreeError::TooMuch { entries: ENTRIES_MAX, mib: self.bytes_max >> 20 });
        }
        Ok(())
    }

    /// Takes note of all that is in a folder.
    fn add_all(&mut self, folder: &Path, deep: usize) -> Result<(), TreeError> {
        if deep > DEPTH_MAX {
            return Err(TreeError::TooDeep { folders: DEPTH_MAX });
        }
        for entry in fs::read_dir(folder).map_err(file_error("read", folder))? {
            let path = entry.map_err(file_error("read", folder))?.path();
            let found = fs::symlink_metadata(&path).map_err(file_error("read", &path))?;
            self.add(&found)?;
            if found.is_dir() {
                self.add_all(&path, deep + 1)?;
            }
        }
        Ok(())
    }
}

/// The bytes of the disk that a copy of what is in a folder takes.
///
/// # Errors
/// When it holds more than `bytes_max`, or folders in folders that are deeper than a copy goes.
pub(super) fn measure(folder: &Path, bytes_max: u64) -> Result<u64, TreeError> {
    let mut count = Count::new(bytes_max);
    count.add_all(folder, 0)?;
    Ok(count.taken)
}

/// Copies what is in `from` into `to`, an empty folder. `owner` says whom a user or a group of this number on the host
/// is there, if anybody. Nobody changes either folder meanwhile.
///
/// # Errors
/// When it holds more than `bytes_max`, or a file of nobody's.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    owner: &impl Fn(u32) -> Option<u32>,
    bytes_max: u64,
) -> Result<Copied, TreeError> {
    let mut copy = Copy { owner, count: Count::new(bytes_max), copied: Copied::default() };
    copy.folder(from, to)?;
    Ok(copy.copied)
}

/// Copies these files alone, with the folders above them.
///
/// # Errors
/// As for [`copy`], and when there is no such file.
pub(super) fn copy_files(
    from: &Path,
    files: &BTreeSet<PathBuf>,
    to: &Path,
    owner: &impl Fn(u32) -> Option<u32>,
    bytes_max: u64,
) -> Result<Copied, TreeError> {
    let mut copy = Copy { owner, count: Count::new(bytes_max), copied: Copied::default() };
    for path in files {
        let mut above = PathBuf::new();
        for name in path.parent().into_iter().flat_map(Path::components) {
            above.push(name);
            let (from, to) = (from.join(&above), to.join(&above));
            if !to.exists() {
                fs::create_dir(&to).map_err(file_error("make", &to))?;
                let found = fs::symlink_metadata(&from).map_err(file_error("read", &from))?;
                copy.own(&from, &to, &found)?;
                rights(&to, &found)?;
            }
        }
        copy.entry(&from.join(path), &to.join(path))?;
    }
    Ok(copy.copied)
}

struct Copy<'a, F> {
    owner: &'a F,
    count: Count,
    copied: Copied,
}

impl<F: Fn(u32) -> Option<u32>> Copy<'_, F> {
    /// Copies what is in a folder, and then its rights: who could not write to it could put nothing in.
    fn folder(&mut self, from: &Path, to: &Path) -> Result<(), TreeError> {
        let found = fs::symlink_metadata(from).map_err(file_error("read", from))?;
        for entry in fs::read_dir(from).map_err(file_error("read", from))? {
            let name = entry.map_err(file_error("read", from))?.file_name();
            self.entry(&from.join(&name), &to.join(&name))?;
        }
        self.own(from, to, &found)?;
        rights(to, &found)
    }

    fn entry(&mut self, from: &Path, to: &Path) -> Result<(), TreeError> {
        let found = fs::symlink_metadata(from).map_err(file_error("read", from))?;
        let kind = found.file_type();
        self.count.add(&found)?;
        if kind.is_dir() {
            fs::create_dir(to).map_err(file_error("make", to))?;
            return self.folder(from, to);
        }
        if kind.is_symlink() {
            let target = fs::read_link(from).map_err(file_error("read", from))?;
            symlink(target, to).map_err(file_error("make", to))?;
            return self.own(from, to, &found);
        }
        if !kind.is_file() {
            if self.copied.left_out.len() < TOLD {
                self.copied.left_out.push(from.to_owned());
            }
            return Ok(());
        }
        let copied = copy_content(from, to).map_err(file_error("copy", from))?;
        self.own(from, to, &found)?;
        rights(to, &found)?;
        // What is compiled names the time of its source.
        let modified = found.modified().and_then(|time| copied.set_modified(time));
        Ok(modified.map_err(file_error("change the time of", to))?)
    }

    fn own(&self, from: &Path, to: &Path, found: &fs::Metadata) -> Result<(), TreeError> {
        let (uid, gid) = (found.uid(), found.gid());
        let owners = (self.owner)(uid).zip((self.owner)(gid));
        let (user, group) =
            owners.ok_or_else(|| TreeError::Owner { path: from.to_owned(), uid, gid })?;
        Ok(lchown(to, Some(user), Some(group)).map_err(file_error("change the owner of", to))?)
    }
}

/// Of the rights of a file or a folder those to read, write and run.
fn rights(to: &Path, found: &fs::Metadata) -> Result<(), TreeError> {
    let mode = Permissions::from_mode(found.mode() & 0o777);
    Ok(fs::set_permissions(to, mode).map_err(file_error("change the mode of", to))?)
}

fn copy_content(from: &Path, to: &Path) -> io::Result<File> {
    let mut source =
        OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut target)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, SystemTime};

    use rustix::fs::{XattrFlags, listxattr, setxattr};

    use super::*;

    const FIRST: u32 = 3_000_000;

    fn down(id: u32) -> Option<u32> {
        id.checked_sub(FIRST).filter(|id| *id < 65_536)
    }

    fn run(program: &str, arguments: &[&str]) {
        assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program}");
    }

    #[test]
    fn what_is_copied_is_files_folders_and_links_and_none_that_could_do_more() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::create_dir_all(from.join("folder/below")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("folder/program"), "text").unwrap();
        symlink("/etc/shadow", from.join("folder/link")).unwrap();
        symlink("/etc", from.join("etc")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("folder/socket")).unwrap();
        let path = |name: &str| from.join(name).display().to_string();
        run("mkfifo", &[&path("folder/pipe")]);
        run("mknod", &[&path("folder/null"), "c", "1", "3"]);
        run("mknod", &[&path("folder/whiteout"), "c", "0", "0"]);
        let program = File::open(from.join("folder/program")).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        program.set_modified(time).unwrap();
        run("chown", &["-hR", "3000000:3000007", from.to_str().unwrap()]);
        run("chmod", &["6755", &path("folder/program")]);
        run("chmod", &["1777", &path("folder/below")]);
        let below = from.join("folder/below");
        setxattr(&below, "user.overlay.opaque", b"y", XattrFlags::empty()).unwrap();

        let copied = copy(&from, &to, &down, 4).unwrap();
        let mut left_out: Vec<_> =
            copied.left_out.iter().map(|path| path.file_name().unwrap()).collect();
        left_out.sort();
        assert_eq!(left_out, ["null", "pipe", "socket", "whiteout"]);
        let program = fs::metadata(to.join("folder/program")).unwrap();
        assert_eq!((program.mode() & 0o7777, program.uid(), program.gid()), (0o755, 0, 7));
        assert_eq!(program.modified().unwrap(), time);
        let link = fs::symlink_metadata(to.join("folder/link")).unwrap();
        assert_eq!((link.is_symlink(), link.uid()), (true, 0));
        assert_eq!(fs::read_link(to.join("etc")).unwrap(), Path::new("/etc"));
        let below = fs::metadata(to.join("folder/below")).unwrap();
        assert_eq!((below.mode() & 0o7777, below.uid()), (0o777, 0));
        let mut names = [0; 100];
        assert_eq!(listxattr(to.join("folder/below"), &mut names[..]).unwrap(), 0);
        assert_eq!(fs::metadata("/etc/shadow").unwrap().uid(), 0);
        assert_eq!(fs::read_dir(to.join("folder")).unwrap().count(), 3);
    }

    #[test]
    fn what_is_too_much_or_nobodys_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        for folder in [&from, &to] {
            fs::create_dir(folder).unwrap();
        }
        lchown(&from, Some(FIRST), Some(FIRST)).unwrap();
        // A file that takes no disk, and a second name of it.
        File::create(from.join("large")).unwrap().set_len(1 << 40).unwrap();
        fs::hard_link(from.join("large"), from.join("again")).unwrap();
        assert!(matches!(copy(&from, &to, &down, 1 << 20), Err(TreeError::TooMuch { mib: 1, .. })));
        fs::remove_file(from.join("large")).unwrap();
        fs::remove_file(from.join("again")).unwrap();
        fs::write(from.join("file"), "").unwrap();
        assert!(matches!(copy(&from, &to, &down, 1), Err(TreeError::Owner { uid: 0, .. })));
    }
}
