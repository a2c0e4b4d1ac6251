//! One look at everything below a folder, without opening a file but `.gitignore`.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::FileType;

use super::error::ReadError;
use super::ignored::Ignored;
use super::left_out::{LeftOut, Why};
use super::root::{Listed, Root};
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

/// Looks at everything at `root`, which lies at `place`, that goes along, and tells what stays out.
pub(super) fn walk(
    root: &Root,
    place: &Path,
    bounds: Bounds,
) -> Result<(BTreeMap<EntryPath, Seen>, LeftOut), ReadError> {
    let mut walk = Walk {
        root,
        place,
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
    root: &'a Root,
    place: &'a Path,
    bounds: Bounds,
    ignored: Ignored,
    seen: BTreeMap<EntryPath, Seen>,
    left_out: LeftOut,
}

impl Walk<'_> {
    /// Looks at what a folder holds. Folders lie in each other as deep as a path may have names.
    fn enter(&mut self, folder: Option<&EntryPath>) -> Result<(), ReadError> {
        let path = Path::new(folder.map_or("", EntryPath::as_str));
        let listed = self.root.list(path).map_err(|error| match folder {
            Some(folder) => ReadError::unseen(self.place, folder, error),
            None => ReadError::unread(self.place, error),
        })?;
        self.ignored.enter(self.root, self.place, path, &listed)?;
        for listed in &listed {
            self.look_at(folder, listed)?;
        }
        self.ignored.leave();
        Ok(())
    }

    /// A name that no path may have is refused where it goes along, and nowhere else.
    fn look_at(&mut self, folder: Option<&EntryPath>, listed: &Listed) -> Result<(), ReadError> {
        let place = Path::new(folder.map_or("", EntryPath::as_str)).join(&listed.name);
        let is_folder = listed.kind().is_dir();
        if let Some(why) = self.why_left_out(&place, listed) {
            self.left_out.add(&place, is_folder, why);
            return Ok(());
        }
        let path = EntryPath::within(folder, listed.name.as_bytes())
            .map_err(|reason| ReadError::Path { path: self.place.join(&place), reason })?;
        match look(&path, listed) {
            Look::Out(why) => {
                self.left_out.add(&place, is_folder, why);
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
    fn why_left_out(&self, path: &Path, listed: &Listed) -> Option<Why> {
        let (name, is_folder) = (listed.name.as_bytes(), listed.kind().is_dir());
        if path == Path::new("bellows.toml") {
            return Some(Why::ServiceFile);
        }
        if matches!(name, b".git" | b".hg" | b".jj" | b".svn") {
            return Some(Why::History);
        }
        if is_environment(name) {
            return Some(Why::Environment);
        }
        if self.ignored.names(path, is_folder) {
            return Some(Why::Ignored);
        }
        let is_pythons = || name == b"__pycache__" || self.root.has(&path.join("pyvenv.cfg"));
        if is_folder && is_pythons() {
            return Some(Why::MadeByPython);
        }
        let goes_along = matches!(
            listed.kind(),
            FileType::Directory | FileType::RegularFile | FileType::Symlink
        );
        (!goes_along).then_some(Why::NoFile)
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
}

/// `.env`, the variables of a folder in the same format for direnv, and what others put beside both.
fn is_environment(name: &[u8]) -> bool {
    let rest = name.strip_prefix(b".envrc").or_else(|| name.strip_prefix(b".env"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

/// What goes along of what was seen at `path`.
fn look(path: &EntryPath, listed: &Listed) -> Look {
    let Some(target) = &listed.target else {
        return Look::Along(if listed.kind().is_dir() {
            Seen::Folder
        } else {
            Seen::File(SeenFile::of(listed))
        });
    };
    let target = target.to_str().filter(|target| link::stays_inside(path, target));
    let link = target.map(|target| Look::Along(Seen::Link(target.to_owned())));
    link.unwrap_or(Look::Out(Why::LeadsOut))
}

impl SeenFile {
    fn of(listed: &Listed) -> Self {
        Self {
            size: u64::try_from(listed.stat.st_size).unwrap_or(0),
            executable: listed.stat.st_mode & 0o111 != 0,
            modified: u64::try_from(listed.stat.st_mtime).unwrap_or(0),
        }
    }
}
