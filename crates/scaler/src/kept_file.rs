//! What an operator said, in a file for the process that comes after this one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use host::files::replace_file;
use serde::Serialize;

use crate::lock::lock;

/// Something that is kept, and the file that holds it. Whoever reads does not wait for the disk.
#[derive(Debug)]
pub(crate) struct KeptFile<T> {
    path: PathBuf,
    held: Mutex<Arc<T>>,
}

impl<T: Clone + Default + PartialEq + Serialize> KeptFile<T> {
    /// Reads the file at `path` by `parse`; none is nothing kept.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(crate) fn open(
        path: &Path,
        parse: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    ) -> io::Result<Self> {
        let held = match std::fs::read(path) {
            Ok(text) => parse(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => T::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), held: Mutex::new(Arc::new(held)) })
    }

    /// What is kept.
    pub(crate) fn held(&self) -> Arc<T> {
        Arc::clone(&lock(&self.held))
    }

    /// Changes what is kept, on disk first, and says whether it was otherwise. Two callers at once get in each
    /// other's way.
    ///
    /// # Errors
    /// It could not be written. What was kept before goes on to hold.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) -> io::Result<bool> {
        let before = self.held();
        let mut changed = T::clone(&before);
        change(&mut changed);
        if changed == *before {
            return Ok(false);
        }
        replace_file(&self.path, serde_json::to_vec_pretty(&changed)?, 0o600)?;
        *lock(&self.held) = Arc::new(changed);
        Ok(true)
    }
}
