//! Folders that are made for a test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use application::{Bounds, Found, read};
use tempfile::TempDir;

/// A folder with these files; a path that ends with a slash is a folder.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(folder.path(), path, content.as_bytes());
    }
    folder
}

/// Writes one of them.
pub(crate) fn write(folder: &Path, path: &str, content: &[u8]) -> PathBuf {
    let place = folder.join(path);
    if path.ends_with('/') {
        fs::create_dir_all(&place).unwrap();
    } else {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, content).unwrap();
    }
    place
}

/// Lets a file be run.
pub(crate) fn allow_to_run(place: &Path) {
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn found(folder: &Path) -> Found {
    read(folder, Bounds::default()).unwrap()
}

/// The paths that go along.
pub(crate) fn paths(found: &Found) -> Vec<&str> {
    found.contents.iter().map(|(path, _)| path.as_str()).collect()
}
