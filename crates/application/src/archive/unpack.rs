//! An archive that somebody sent, laid out in a folder. Nothing that it says is trusted.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::{Archive, EntryType, Header};

use super::pack::permissions;
use crate::bounds::Bounds;
use crate::contents::{Contents, Entry, File};
use crate::hashed::Hashed;
use crate::link;
use crate::path::{EntryPath, PathError};

/// Room for the longest path and the zero behind it. What a header cannot hold comes before it, as content.
const LONG_NAME_BYTES_MAX: u64 = 4096;

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// There is something in the folder already, which the archive could reach through a link.
    #[error("{} is not empty: unpack into an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// The archive ends early, or is none.
    #[error("the archive cannot be read to its end: send it again")]
    Unread(#[source] io::Error),
    /// A path that leads elsewhere, or that nobody has.
    #[error("the archive holds {path:?}: {reason}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: PathError,
    },
    /// A path that the archive held before.
    #[error("the archive holds {0} twice: pack it again")]
    Twice(EntryPath),
    /// A path whose folder the archive did not hold before, or held as something else.
    #[error("the archive holds {0} before its folder: pack it again")]
    NoFolder(EntryPath),
    /// A link that leads out of the folder.
    #[error(
        "the archive holds the link {path} to {target:?}: link to what lies in the folder, by a relative path"
    )]
    Link {
        /// The link.
        path: EntryPath,
        /// Where it leads.
        target: String,
    },
    /// A device, a hard link, or any other kind that no application is made of.
    #[error(
        "the archive holds {path:?}, which is of kind {kind:?}: use files, folders and symbolic links"
    )]
    Kind {
        /// The path.
        path: String,
        /// The kind, as tar calls it.
        kind: EntryType,
    },
    /// The archive holds too many files.
    #[error(
        "the archive holds more than {} files, folders and links: leave out what the application does not need",
        .0.entries
    )]
    TooMany(Bounds),
    /// The archive holds too many bytes.
    #[error(
        "the archive holds more than {} bytes: leave out what the application does not need",
        .0.bytes
    )]
    TooLarge(Bounds),
    /// The folder cannot be written to.
    #[error("{path} cannot be written")]
    Unwritten {
        /// The path.
        path: EntryPath,
        /// What the system says.
        source: io::Error,
    },
    /// The folder cannot be made or read.
    #[error("{} cannot be used as a folder to unpack into", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Lays out an archive in `folder`, which is made, or is empty, and which nobody else writes to meanwhile. All
/// files belong to whoever calls, and have the rights that [`super::pack`] gives.
///
/// An archive that was cut between two entries is read as a whole one: compare the digest of what is returned
/// with the one that the sender told.
///
/// # Errors
/// [`UnpackError`]; what was written until then is in `folder` and nowhere else, for the caller to remove.
pub fn unpack(from: impl Read, folder: &Path, bounds: Bounds) -> Result<Contents, UnpackError> {
    make_empty(folder)?;
    let mut archive = Archive::new(from);
    let mut unpacking = Unpacking::new(folder, bounds);
    // Raw, because the names of long paths are read into memory otherwise, however long they are.
    for entry in archive.entries().map_err(UnpackError::Unread)?.raw(true) {
        let mut entry = entry.map_err(UnpackError::Unread)?;
        let header = entry.header().clone();
        unpacking.take(&header, &mut entry)?;
    }
    Ok(Contents(unpacking.entries))
}

fn make_empty(folder: &Path) -> Result<(), UnpackError> {
    let unusable = |source| UnpackError::Folder { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(unusable)?;
    if fs::read_dir(folder).map_err(unusable)?.next().is_some() {
        return Err(UnpackError::NotEmpty(folder.to_owned()));
    }
    Ok(())
}

/// What was unpacked so far.
struct Unpacking<'a> {
    folder: &'a Path,
    bounds: Bounds,
    entries: BTreeMap<EntryPath, Entry>,
    headers: usize,
    bytes: u64,
    long_path: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
}

impl<'a> Unpacking<'a> {
    fn new(folder: &'a Path, bounds: Bounds) -> Self {
        Self {
            folder,
            bounds,
            entries: BTreeMap::new(),
            headers: 0,
            bytes: 0,
            long_path: None,
            long_target: None,
        }
    }

    /// Takes the next entry.
    fn take(&mut self, header: &Header, content: &mut impl Read) -> Result<(), UnpackError> {
        self.headers += 1;
        let size = header.entry_size().map_err(UnpackError::Unread)?;
        // A path and a target that are too long for the header of an entry have one each.
        if self.headers > self.bounds.entries.saturating_mul(3)
            || self.entries.len() >= self.bounds.entries
        {
            return Err(UnpackError::TooMany(self.bounds));
        }
        if size > self.bounds.bytes - self.bytes {
            return Err(UnpackError::TooLarge(self.bounds));
        }
        self.bytes += size;
        match header.entry_type() {
            EntryType::GNULongName => self.long_path = Some(long_name(size, content)?),
            EntryType::GNULongLink => self.long_target = Some(long_name(size, content)?),
            kind => {
                let path = self.long_path.take().unwrap_or_else(|| header.path_bytes().into());
                let target = self.long_target.take();
                let path = self.path(&path, kind)?;
                let entry = match kind {
                    EntryType::Directory => self.make_folder(&path)?,
                    EntryType::Symlink => self.make_link(&path, header, target)?,
                    _ => self.make_file(&path, header, size, content)?,
                };
                self.entries.insert(path, entry);
            }
        }
        Ok(())
    }

    /// The path of an entry of this kind: a new one, in a folder that was made here.
    fn path(&self, path: &[u8], kind: EntryType) -> Result<EntryPath, UnpackError> {
        let shown = || String::from_utf8_lossy(path).into_owned();
        if !matches!(kind, EntryType::Regular | EntryType::Directory | EntryType::Symlink) {
            return Err(UnpackError::Kind { path: shown(), kind });
        }
        // Most programs end the path of a folder with a slash.
        let is_folder = kind == EntryType::Directory;
        let bare = if is_folder { path.strip_suffix(b"/").unwrap_or(path) } else { path };
        let checked = EntryPath::new(bare);
        let checked = checked.map_err(|reason| UnpackError::Path { path: shown(), reason })?;
        let folder = checked.parent().map(|folder| self.entries.get(&folder));
        if folder.is_some_and(|folder| folder != Some(&Entry::Folder)) {
            return Err(UnpackError::NoFolder(checked));
        }
        if self.entries.contains_key(&checked) {
            return Err(UnpackError::Twice(checked));
        }
        Ok(checked)
    }

    fn make_folder(&self, path: &EntryPath) -> Result<Entry, UnpackError> {
        let place = self.place(path);
        let made = fs::create_dir(&place);
        made.and_then(|()| fs::set_permissions(&place, permissions(true)))
            .map_err(|source| unwritten(path, source))?;
        Ok(Entry::Folder)
    }

    /// `target` is the one that came before, where it is too long for a header.
    fn make_link(
        &self,
        path: &EntryPath,
        header: &Header,
        target: Option<Vec<u8>>,
    ) -> Result<Entry, UnpackError> {
        let target = target.or_else(|| header.link_name_bytes().map(Into::into));
        let target = target.unwrap_or_default();
        let shown = String::from_utf8_lossy(&target).into_owned();
        // A target that is not UTF-8 has another text than its bytes.
        if shown.as_bytes() != target || !link::stays_inside(path, &shown) {
            return Err(UnpackError::Link { path: path.clone(), target: shown });
        }
        symlink(&shown, self.place(path)).map_err(|source| unwritten(path, source))?;
        Ok(Entry::Link(shown))
    }

    fn make_file(
        &self,
        path: &EntryPath,
        header: &Header,
        size: u64,
        content: &mut impl Read,
    ) -> Result<Entry, UnpackError> {
        let executable = header.mode().map_err(UnpackError::Unread)? & 0o111 != 0;
        let modified = header.mtime().map_err(UnpackError::Unread)?;
        // A link is not followed by a path that must be new.
        let file = OpenOptions::new().write(true).create_new(true).open(self.place(path));
        let mut file = file.map_err(|source| unwritten(path, source))?;
        let mut content = Hashed::new(content);
        copy(&mut content, &mut file, path)?;
        let (bytes, content) = content.finish();
        if bytes != size {
            return Err(UnpackError::Unread(io::ErrorKind::UnexpectedEof.into()));
        }
        file.set_permissions(permissions(executable))
            .and_then(|()| file.set_modified(time(modified)))
            .map_err(|source| unwritten(path, source))?;
        Ok(Entry::File(File { size, executable, modified, content }))
    }

    fn place(&self, path: &EntryPath) -> PathBuf {
        self.folder.join(path.as_str())
    }
}

/// Copies a content to its end, and tells which of the two sides failed.
fn copy(from: &mut impl Read, to: &mut impl Write, path: &EntryPath) -> Result<(), UnpackError> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                to.write_all(&buffer[..count]).map_err(|source| unwritten(path, source))?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(UnpackError::Unread(error)),
        }
    }
}

/// A path or a target that is longer than a header can hold, without the zero at its end.
fn long_name(size: u64, content: &mut impl Read) -> Result<Vec<u8>, UnpackError> {
    if size > LONG_NAME_BYTES_MAX {
        let path = format!("a name of {size} bytes");
        return Err(UnpackError::Path { path, reason: PathError::TooLong });
    }
    let mut name = Vec::new();
    content.read_to_end(&mut name).map_err(UnpackError::Unread)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// Seconds since 1970, of which file systems do not take all.
fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(u64::from(u32::MAX)))
}

fn unwritten(path: &EntryPath, source: io::Error) -> UnpackError {
    UnpackError::Unwritten { path: path.clone(), source }
}
