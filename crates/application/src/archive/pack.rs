//! A folder that was read, written as one archive.

use std::fs::Permissions;
use std::io::{self, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::contents::{Entry, File};
use crate::folder::Found;
use crate::hashed::Hashed;
use crate::path::EntryPath;

/// What GNU calls an entry that holds the target of the next.
const LONG_LINK: &str = "././@LongLink";

/// Why a folder was not packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read any more.
    #[error("{path} cannot be read: allow it to whoever deploys, or name it in .gitignore")]
    Unread {
        /// The file.
        path: EntryPath,
        /// What the system says.
        source: io::Error,
    },
    /// A file is no longer what it was when the folder was read.
    #[error("{path} changed while it was packed: try again, or name it in .gitignore")]
    Changed {
        /// The file.
        path: EntryPath,
    },
    /// The archive cannot be written.
    #[error("the archive cannot be written to its end")]
    Unwritten(#[source] io::Error),
}

/// Writes all that goes along, as it was when the folder was read.
///
/// # Errors
/// [`PackError`]; what was written until then is no archive.
pub fn pack(found: &Found, to: impl Write) -> Result<(), PackError> {
    let mut archive = Builder::new(to);
    for (path, entry) in found.contents.iter() {
        match entry {
            Entry::Folder => {
                let mut header = header(EntryType::Directory, mode(true), 0);
                archive.append_data(&mut header, path.as_str(), io::empty())
            }
            Entry::Link(target) => add_link(&mut archive, path, target),
            Entry::File(file) => {
                add_file(&mut archive, found, path, *file)?;
                Ok(())
            }
        }
        .map_err(PackError::Unwritten)?;
    }
    archive.into_inner().and_then(|mut to| to.flush()).map_err(PackError::Unwritten)
}

/// The library would write `a//b` as `a/b`, which is another text, and so another digest.
fn add_link(archive: &mut Builder<impl Write>, path: &EntryPath, target: &str) -> io::Result<()> {
    let mut link = header(EntryType::Symlink, mode(true), 0);
    if link.set_link_name_literal(target).is_err() {
        // Too long for a header: GNU writes it before, as the content of an entry of its own.
        let content = [target.as_bytes(), b"\0"].concat();
        let mut long = header(EntryType::GNULongLink, mode(false), content.len() as u64);
        archive.append_data(&mut long, LONG_LINK, content.as_slice())?;
    }
    archive.append_data(&mut link, path.as_str(), io::empty())
}

fn add_file(
    archive: &mut Builder<impl Write>,
    found: &Found,
    path: &EntryPath,
    file: File,
) -> Result<(), PackError> {
    let opened = found.root.file(Path::new(path.as_str()));
    let opened = opened.map_err(|source| PackError::Unread { path: path.clone(), source })?;
    let mut header = header(EntryType::Regular, mode(file.executable), file.size);
    header.set_mtime(file.modified);
    let mut content = Hashed::new(opened.take(file.size));
    archive.append_data(&mut header, path.as_str(), &mut content).map_err(PackError::Unwritten)?;
    if content.finish() == (file.size, file.content) {
        return Ok(());
    }
    Err(PackError::Changed { path: path.clone() })
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// Whoever runs the application may read it, and nobody but the owner may write to it.
pub(super) const fn mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

/// The rights of [`mode`].
pub(super) fn permissions(executable: bool) -> Permissions {
    Permissions::from_mode(mode(executable))
}
