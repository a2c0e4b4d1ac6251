//! One look at everything below a folder, without opening a file but `.gitignore`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::ReadError;
use super::ignored::Ignored;
use super::left_out::{LeftOut, Why};
use crate::bounds::Bounds;
use crate::link;
use crate::path::EntryPath;

/// What was seen of a part of a folder.
pub(super) enum Seen {
    Folder,
    File(SeenFile),
    Link(String),
}

/// What was seen of a file.
#[derive(Clone, Copy)]
pub(super) struct SeenFile {
    pub(super) size: u64,
    pub(super) executable: bool,
    pub(super) modified: u64,
}

/// Looks at everything below `folder` that goes along, and tells what stays out.
pub(super) fn walk(
    folder: &Path,
    bounds: Bounds,
) -> Result<(BTreeMap<EntryPath, Seen>, LeftOut), ReadError> {
    match folder.metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ReadError::unread(folder, error));
        }
        Ok(_) | Err(_) => return Err(ReadError::NotAFolder(folder.to_owned())),
    }
    let mut walk = Walk {
        folder,
        bounds,
        ignored: Ignored::default(),
        seen: BTreeMap::new(),
        left_out: LeftOut::default(),
    };
    walk.enter(None)?;
    Ok((walk.seen, walk.left_out))
}

/// What becomes of a part of a folder.
enum Look {
    Along(Seen),
    Out(Why),
}

struct Walk<'a> {
    folder: &'a Path,
    bounds: Bounds,
    ignored: Ignored,
    seen: BTreeMap<EntryPath, Seen>,
    left_out: LeftOut,
}

impl Walk<'_> {
    /// Looks at what a folder holds. Folders lie in each other as deep as a path is long, 512 times at most.
    fn enter(&mut self, folder: Option<&EntryPath>) -> Result<(), ReadError> {
        let place = folder.map_or(self.folder.to_owned(), |folder| self.place(folder));
        self.ignored.enter(&place, folder)?;
        for name in names(&place)? {
            let path = EntryPath::within(folder, name.as_bytes());
            let path =
                path.map_err(|reason| ReadError::Path { path: place.join(&name), reason })?;
            self.look_at(path)?;
        }
        self.ignored.leave();
        Ok(())
    }

    fn look_at(&mut self, path: EntryPath) -> Result<(), ReadError> {
        let place = self.place(&path);
        let metadata =
            place.symlink_metadata().map_err(|source| ReadError::unread(&place, source))?;
        let is_folder = metadata.is_dir();
        let look = match self.why_left_out(&path, &place, is_folder) {
            Some(why) => Look::Out(why),
            None => look(&path, &place, &metadata)?,
        };
        match look {
            Look::Out(why) => {
                self.left_out.add(&path, is_folder, why);
                Ok(())
            }
            Look::Along(seen) => {
                self.seen.insert(path.clone(), seen);
                self.check_count()?;
                if is_folder { self.enter(Some(&path)) } else { Ok(()) }
            }
        }
    }

    /// Why a path stays out whatever it holds.
    fn why_left_out(&self, path: &EntryPath, place: &Path, is_folder: bool) -> Option<Why> {
        let name = path.name();
        if path.as_str() == "bellows.toml" {
            return Some(Why::ServiceFile);
        }
        if matches!(name, ".git" | ".hg" | ".jj" | ".svn") {
            return Some(Why::History);
        }
        if name == ".env" || name.starts_with(".env.") {
            return Some(Why::Environment);
        }
        if self.ignored.names(path, is_folder) {
            return Some(Why::Ignored);
        }
        let is_pythons = || name == "__pycache__" || place.join("pyvenv.cfg").exists();
        (is_folder && is_pythons()).then_some(Why::MadeByPython)
    }

    fn check_count(&self) -> Result<(), ReadError> {
        if self.seen.len() <= self.bounds.entries {
            return Ok(());
        }
        let mut tops: BTreeMap<&str, usize> = BTreeMap::new();
        for path in self.seen.keys() {
            *tops.entry(path.top()).or_default() += 1;
        }
        let most = tops.into_iter().max_by_key(|(_, count)| *count);
        let (most, count) = most.map_or((String::new(), 0), |(top, count)| (top.to_owned(), count));
        Err(ReadError::TooMany { bounds: self.bounds, most, count })
    }

    fn place(&self, path: &EntryPath) -> PathBuf {
        self.folder.join(path.as_str())
    }
}

/// The names in a folder, in order, so that the same folder is told alike each time.
fn names(place: &Path) -> Result<Vec<OsString>, ReadError> {
    let unread = |source| ReadError::unread(place, source);
    let entries = fs::read_dir(place).map_err(unread)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let mut names = names.collect::<Result<Vec<_>, _>>().map_err(unread)?;
    names.sort();
    Ok(names)
}

/// What lies at `place`, and whether things of its kind go along.
fn look(path: &EntryPath, place: &Path, metadata: &Metadata) -> Result<Look, ReadError> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Ok(Look::Along(Seen::Folder));
    }
    if kind.is_file() {
        let executable = metadata.mode() & 0o111 != 0;
        let modified = u64::try_from(metadata.mtime()).unwrap_or(0);
        let file = SeenFile { size: metadata.len(), executable, modified };
        return Ok(Look::Along(Seen::File(file)));
    }
    if kind.is_symlink() {
        let target = fs::read_link(place).map_err(|source| ReadError::unread(place, source))?;
        let target = target.to_str().filter(|target| link::stays_inside(path, target));
        let link = target.map(|target| Look::Along(Seen::Link(target.to_owned())));
        return Ok(link.unwrap_or(Look::Out(Why::LeadsOut)));
    }
    Ok(Look::Out(Why::NoFile))
}
