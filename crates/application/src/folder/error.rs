//! Why a folder cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::bounds::Bounds;
use crate::path::{EntryPath, PathError};

/// Bytes in a MiB.
const MIB: u64 = 1 << 20;

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is none.
    #[error("{} is no folder: name the folder that holds the application", .0.display())]
    NotAFolder(PathBuf),
    /// The file system refuses.
    #[error(
        "{} cannot be read: allow it to whoever deploys, or name it in .gitignore",
        path.display()
    )]
    Unread {
        /// What was to be read.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The name of a file cannot be used.
    #[error("{path:?}: {reason}")]
    Path {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: PathError,
    },
    /// A line of a `.gitignore` that is not understood could be the one that names a secret.
    #[error("{}, line {line}, is no pattern that is understood: correct it or take it out", file.display())]
    Pattern {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<ignore::Error>,
    },
    /// A text that has to be understood is longer than anybody would write.
    #[error("{} is larger than {max_bytes} bytes: shorten it", path.display())]
    LongText {
        /// The file.
        path: PathBuf,
        /// How long it may be.
        max_bytes: u64,
    },
    /// The texts that have to be understood are longer together than anybody would write.
    #[error(
        "what tells which application it is, such as {path}, has more than {max_bytes} bytes together: shorten it"
    )]
    LongTexts {
        /// The longest of them.
        path: EntryPath,
        /// How long they may be.
        max_bytes: u64,
    },
    /// There are too many files.
    #[error(
        "there are more than {} files, folders and links, {count} of the first ones in {most}: name in \
         .gitignore what the application does not need",
        bounds.entries
    )]
    TooMany {
        /// What is allowed.
        bounds: Bounds,
        /// Which part of the folder has most.
        most: String,
        /// How many.
        count: usize,
    },
    /// The files are too large.
    #[error(
        "the files have {} MiB, and {} are allowed; {biggest} has {} of them: name in .gitignore what the \
         application does not need",
        bytes.div_ceil(MIB), bounds.bytes / MIB, biggest_bytes.div_ceil(MIB)
    )]
    TooLarge {
        /// Bytes of all of them.
        bytes: u64,
        /// What is allowed.
        bounds: Bounds,
        /// Which part of the folder has most.
        biggest: String,
        /// Its bytes.
        biggest_bytes: u64,
    },
    /// A file changed meanwhile.
    #[error("{path} changed while it was read: try again, or name it in .gitignore")]
    Changed {
        /// The file.
        path: EntryPath,
    },
}

impl ReadError {
    pub(super) fn unread(path: &Path, source: io::Error) -> Self {
        Self::Unread { path: path.to_owned(), source }
    }

    /// The folder at `path` cannot be opened.
    pub(super) fn unopened(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Self::NotAFolder(path.to_owned())
            }
            _ => Self::unread(path, source),
        }
    }

    /// What was seen at `path` cannot be opened there, where it may be gone, or a link be in its place or in that
    /// of a folder around it.
    pub(super) fn unseen(folder: &Path, path: &EntryPath, source: io::Error) -> Self {
        let is_other = matches!(
            source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::Other
        );
        if is_other || source.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            return Self::Changed { path: path.clone() };
        }
        Self::unread(&folder.join(path.as_str()), source)
    }
}
