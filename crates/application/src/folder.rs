//! An application's folder, read with the rights of whoever calls.

mod error;
mod ignored;
mod left_out;
mod root;
mod texts;
mod walk;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub use self::error::ReadError;
pub use self::left_out::{LeftOut, Why};

use self::walk::Seen;
use crate::bounds::Bounds;
use crate::contents::{Contents, Entry, File};
use crate::hashed::Hashed;
use crate::path::EntryPath;
use crate::program::{self, Program};

pub(crate) use self::root::Root;

/// What a folder holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it lies.
    pub folder: PathBuf,
    /// The same, as it was opened: a folder that took its place since is another.
    pub(crate) root: Root,
    /// What goes along.
    pub contents: Contents,
    /// What stays out.
    pub left_out: LeftOut,
    /// The files that are programs for a machine.
    pub(crate) programs: BTreeMap<EntryPath, Program>,
    /// The texts that tell what application it is.
    pub(crate) texts: BTreeMap<EntryPath, String>,
}

/// Reads a folder. Nothing in it is run, and no link is followed.
///
/// # Errors
/// [`ReadError`] says what cannot go along, and what to do about it.
pub fn read(folder: &Path, bounds: Bounds) -> Result<Found, ReadError> {
    let root = Root::open(folder).map_err(|error| ReadError::unopened(folder, error))?;
    let (seen, left_out) = walk::walk(&root, folder, bounds)?;
    check_bytes(&seen, bounds)?;
    texts::check_bytes(&seen)?;
    let mut found = Found {
        folder: folder.to_owned(),
        root,
        contents: Contents::default(),
        left_out,
        programs: BTreeMap::new(),
        texts: BTreeMap::new(),
    };
    for (path, seen) in seen {
        let entry = match seen {
            Seen::Folder => Entry::Folder,
            Seen::Link(target) => Entry::Link(target),
            Seen::File(seen) => found.read_file(&path, seen)?,
        };
        found.contents.0.insert(path, entry);
    }
    Ok(found)
}

impl Found {
    /// Whether a file lies at this path.
    pub(crate) fn has_file(&self, path: &str) -> bool {
        let path = EntryPath::new(path.as_bytes());
        path.is_ok_and(|path| matches!(self.contents.0.get(&path), Some(Entry::File(_))))
    }

    /// The text at this path, of those that tell what application it is.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        let path = EntryPath::new(path.as_bytes()).ok()?;
        self.texts.get(&path).map(String::as_str)
    }

    fn read_file(&mut self, path: &EntryPath, seen: walk::SeenFile) -> Result<Entry, ReadError> {
        let place = self.folder.join(path.as_str());
        let unread = |source| ReadError::unread(&place, source);
        let opened = self.root.file(Path::new(path.as_str()));
        let mut file = opened.map_err(|error| ReadError::unseen(&self.folder, path, error))?;
        if let Some(program) = program::examine(&mut file).map_err(unread)? {
            self.programs.insert(path.clone(), program);
        }
        if texts::tells(path) {
            let text = texts::read(&mut file, &place)?;
            self.texts.insert(path.clone(), text);
        }
        // One byte more, to see that there is none.
        let mut content = Hashed::new(file.take(seen.size.saturating_add(1)));
        io::copy(&mut content, &mut io::sink()).map_err(unread)?;
        let (bytes, content) = content.finish();
        if bytes != seen.size {
            return Err(ReadError::Changed { path: path.clone() });
        }
        Ok(Entry::File(File {
            size: seen.size,
            executable: seen.executable,
            modified: seen.modified,
            content,
        }))
    }
}

fn check_bytes(seen: &BTreeMap<EntryPath, Seen>, bounds: Bounds) -> Result<(), ReadError> {
    let mut tops: BTreeMap<&str, u64> = BTreeMap::new();
    for (path, seen) in seen {
        if let Seen::File(file) = seen {
            *tops.entry(path.top()).or_default() += file.size;
        }
    }
    let bytes = tops.values().sum::<u64>();
    let Some((top, top_bytes)) = tops.into_iter().max_by_key(|(_, bytes)| *bytes) else {
        return Ok(());
    };
    if bytes <= bounds.bytes {
        return Ok(());
    }
    let (biggest, biggest_bytes) = (top.to_owned(), top_bytes);
    Err(ReadError::TooLarge { bytes, bounds, biggest, biggest_bytes })
}
