//! What an operator set while the system runs, on top of the services' files: kept in a file, so
//! that it survives a restart.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use policy::bounds::Bounds;
use policy::names::ServiceName;

/// The bounds that an operator set, by service.
#[derive(Debug)]
pub(crate) struct Overrides {
    path: PathBuf,
    bounds: BTreeMap<ServiceName, Bounds>,
}

impl Overrides {
    /// Reads the file at `path`; none is none set.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let bounds = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), bounds })
    }

    /// The bounds set for `service`, if any were.
    pub(crate) fn bounds(&self, service: &ServiceName) -> Option<Bounds> {
        self.bounds.get(service).copied()
    }

    /// Sets the bounds of `service`, on disk first.
    ///
    /// # Errors
    /// They could not be written. Those from before go on to hold.
    pub(crate) fn set_bounds(&mut self, service: &ServiceName, bounds: Bounds) -> io::Result<()> {
        let mut changed = self.bounds.clone();
        changed.insert(service.clone(), bounds);
        self.store(changed)
    }

    /// Forgets the bounds that were set for `service`, on disk first.
    ///
    /// # Errors
    /// It could not be written. They go on to hold.
    pub(crate) fn clear_bounds(&mut self, service: &ServiceName) -> io::Result<()> {
        let mut changed = self.bounds.clone();
        changed.remove(service);
        self.store(changed)
    }

    fn store(&mut self, changed: BTreeMap<ServiceName, Bounds>) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, &changed)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        self.bounds = changed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_were_set_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overrides.json");
        let (store, bounds) = ("store".parse().unwrap(), Bounds::new(2, 5).unwrap());
        let mut overrides = Overrides::open(&path).unwrap();
        assert_eq!(overrides.bounds(&store), None);
        overrides.set_bounds(&store, bounds).unwrap();
        let mut overrides = Overrides::open(&path).unwrap();
        assert_eq!(overrides.bounds(&store), Some(bounds));
        overrides.clear_bounds(&store).unwrap();
        assert_eq!(Overrides::open(&path).unwrap().bounds(&store), None);
    }

    #[test]
    fn a_file_that_was_spoilt_is_an_error_and_not_no_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overrides.json");
        std::fs::write(&path, r#"{"store":{"min":9,"max":1}}"#).unwrap();
        assert!(Overrides::open(&path).is_err());
    }
}
