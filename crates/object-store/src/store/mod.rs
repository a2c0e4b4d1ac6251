//! The folder of objects: what is on disk, and how several processes share it.
//!
//! ```text
//! objects/   one file an object, complete and on disk: name.rs, record.rs
//! incoming/  uploads under way, each locked by its process: upload.rs, sweep.rs
//! locks/     one empty file a stripe of names, locked around compare and rename: stripes.rs
//! ```
//!
//! A PUT writes to `incoming`, syncs the file, renames it over the object while it holds the
//! stripe, and syncs the folder: a reader has the old file or the new one, and what is
//! acknowledged survives a power cut. Everything here blocks, except [`Store::get_cached`].

mod fields;
mod list;
mod name;
mod read;
mod record;
mod remove;
mod stripes;
mod sweep;
mod sync;
mod upload;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::io::Errno;

pub use fields::{Fields, FieldsError, MAX_FIELDS_BYTES};
pub use list::{Page, Query};
pub use read::{Content, ContentFile, Object};
pub use record::{Head, RecordError};
pub use upload::{Claim, Stored, Upload};

use crate::condition::Unmet;
use stripes::Stripes;
use sync::GroupSync;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Why the folder of objects did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used at all.
    #[error("cannot use {} for objects: it must be a folder that this process may write", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A condition of the request does not hold.
    #[error("a condition of the request does not hold: {0:?}")]
    Unmet(Unmet),
    /// Another process held the lock of these names for too long.
    #[error("another process kept the lock of these names for over {} s", stripes::LONGEST_WAIT.as_secs())]
    Busy,
    /// There is no space left, or no quota.
    #[error("no space is left for objects: delete some or enlarge the disk")]
    Full(#[source] io::Error),
    /// A file in the folder is no object.
    #[error("the file objects/{name} is damaged: replace or delete the object")]
    Damaged {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        source: RecordError,
    },
    /// The system failed.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Sorts a system's error: a full disk is an answer of its own, all else is a failure.
fn failed<E: Into<io::Error>>(doing: &'static str) -> impl Fn(E) -> StoreError {
    move |error| {
        let source = error.into();
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => StoreError::Full(source),
            _ => StoreError::Io { doing, source },
        }
    }
}

/// What a call on a file gave; `None` when there is no such file.
fn if_there<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(given) => Ok(Some(given)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder of objects. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    folders: Arc<Folders>,
}

#[derive(Debug)]
struct Folders {
    objects: OwnedFd,
    incoming: OwnedFd,
    stripes: Stripes,
    renames: GroupSync,
}

impl Store {
    /// Opens the folder at `path`, which must exist, and makes what is missing in it. Any number
    /// of processes may do so at the same time.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = || -> io::Result<Folders> {
            let root = open(path, FOLDER, Mode::empty())?;
            let objects = subfolder(&root, "objects")?;
            let incoming = subfolder(&root, "incoming")?;
            let stripes = Stripes::open(subfolder(&root, "locks")?)?;
            // Without this a power cut could take the folders away with the objects in them.
            rustix::fs::fsync(&root)?;
            Ok(Folders { objects, incoming, stripes, renames: GroupSync::default() })
        };
        opened()
            .map(|folders| Self { folders: Arc::new(folders) })
            .map_err(|source| StoreError::Open { path: path.into(), source })
    }

    /// Waits until every change to the folder of objects made so far is on disk.
    fn sync_objects(&self) -> Result<(), StoreError> {
        let folders = &self.folders;
        folders.renames.sync(folders.objects.as_fd()).map_err(failed("sync the folder of objects"))
    }
}

fn subfolder(root: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(root, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(openat(root, name, FOLDER, Mode::empty())?),
        Err(error) => Err(error.into()),
    }
}
