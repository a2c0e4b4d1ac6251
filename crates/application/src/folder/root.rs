//! The application's folder, held open: what lies in it is opened from there, and nothing beside it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::fs::{openat2, readlinkat, statat};
use rustix::io::Errno;

/// The folder. Whoever changes it meanwhile can put a link in the place of a folder that was seen: no link is
/// followed on any part of a path, and none leads out.
#[derive(Clone, Debug)]
pub(crate) struct Root(Arc<OwnedFd>);

/// What a folder lists.
pub(super) struct Listed {
    pub(super) name: OsString,
    pub(super) stat: Stat,
    /// Where it leads, if it is a link.
    pub(super) target: Option<OsString>,
}

impl Root {
    /// Opens the folder at `place`, to which links may lead: its user named it.
    pub(super) fn open(place: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(Arc::new(rustix::fs::open(place, flags, Mode::empty())?)))
    }

    /// Opens the file at `path`. What took its place since it was seen, a link or a pipe that nobody writes to, is
    /// neither followed nor waited for.
    pub(crate) fn file(&self, path: &Path) -> io::Result<File> {
        let file = File::from(self.beneath(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::other("it is no file any more"))
    }

    /// Whether anything lies at `path`.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.beneath(path, OFlags::PATH).is_ok()
    }

    /// What the folder at `path` lists, in the order of names, so that the same folder is told alike each time.
    /// What is gone before it was looked at is as if it had never been there.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let folder = self.beneath(here, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut all = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                all.extend(look(&folder, name)?);
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    fn beneath(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat2(&self.0, path, flags, Mode::empty(), resolve)?)
    }
}

impl Listed {
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

fn look(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<Listed>> {
    let seen = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).and_then(|stat| {
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        let target = is_link.then(|| readlinkat(folder, name, Vec::new())).transpose()?;
        Ok((stat, target.map(|target| OsStr::from_bytes(target.to_bytes()).to_owned())))
    });
    match seen {
        Ok((stat, target)) => Ok(Some(Listed { name: name.to_owned(), stat, target })),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
