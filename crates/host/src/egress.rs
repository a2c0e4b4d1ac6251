//! Who may reach what beyond this host: a file that the scaler writes and the proxy reads.

use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use model::egress::Sources;
use tempfile::NamedTempFile;

use crate::accounts;
use crate::files::{FileError, file_error};

/// The variable by which the proxy is given its socket.
pub const SOCKET: &str = "BELLOWS_EGRESS";

/// Root writes, and the proxy's group reads.
const MODE: u32 = 0o640;

/// What the file said when it was read. It holds the file open, so that the kernel gives its number to no
/// other: a file that was replaced is told by that, however soon it was.
#[derive(Debug)]
pub struct ReadSources {
    /// Who may reach what.
    pub sources: Sources,
    file: File,
}

/// The file.
#[derive(Debug, Clone)]
pub struct SourcesFile {
    path: PathBuf,
}

impl SourcesFile {
    /// The file at this path.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Whether there is a file.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// What it says.
    ///
    /// # Errors
    /// It is not there, may not be read, or was spoilt.
    pub fn read(&self) -> io::Result<ReadSources> {
        let file = File::open(&self.path)?;
        let sources = serde_json::from_reader(BufReader::new(&file))?;
        Ok(ReadSources { sources, file })
    }

    /// Whether it is still the file that was read.
    pub fn is_still(&self, read: &ReadSources) -> bool {
        let identity = |status: fs::Metadata| (status.dev(), status.ino());
        let now = fs::metadata(&self.path).ok().map(identity);
        now.is_some() && now == read.file.metadata().ok().map(identity)
    }

    /// Makes it say this, whole or not at all. It goes with a boot, as the instances do, so that nothing is
    /// flushed to a disk.
    ///
    /// # Errors
    /// The folder is missing, not writable or full.
    pub fn write(&self, sources: &Sources) -> Result<(), FileError> {
        let text = serde_json::to_vec(sources).map_err(io::Error::from);
        text.and_then(|text| self.replace(&text)).map_err(file_error("write", &self.path))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let mut beside = NamedTempFile::new_in(folder)?;
        beside.write_all(text)?;
        if let Some(group) = accounts::group(accounts::EGRESS) {
            fchown(beside.as_file(), None, Some(group.as_raw()))?;
        }
        beside.as_file().set_permissions(Permissions::from_mode(MODE))?;
        beside.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_root_and_one_group_alone_and_its_end_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("egress.json");
        let file = SourcesFile::new(&path);
        assert!(!file.exists() && file.read().is_err());
        let mut sources = Sources::default();
        file.write(&sources).unwrap();
        let first = file.read().unwrap();
        assert!(file.is_still(&first));
        let egress = model::egress::Egress::new(vec!["any".parse().unwrap()]);
        sources.admit([10, 117, 0, 2].into(), &"bw-web-1-x".parse().unwrap(), &egress);
        file.write(&sources).unwrap();
        // However often: a number is given to another file once nobody has the first one open.
        for _ in 0..10 {
            file.write(&sources).unwrap();
            assert!(!file.is_still(&first));
        }
        assert_eq!(file.read().unwrap().sources, sources);
        let status = fs::metadata(&path).unwrap();
        assert_eq!((status.mode() & 0o7777, status.uid()), (0o640, 0));
        fs::write(&path, "{").unwrap();
        assert!(file.read().is_err());
        assert!(!file.is_still(&first));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
