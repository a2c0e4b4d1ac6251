//! Which files tell what an application is. They are few and short, and are kept as they are read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::error::ReadError;
use super::walk::Seen;
use crate::path::EntryPath;

/// The largest that is read, in bytes: requirements with their hashes have some 100 KiB.
const MAX_BYTES: u64 = 1 << 20;

/// What all of them have together, in bytes: they are kept in memory, and any number of files may be called so.
const ALL_BYTES_MAX: u64 = 8 << 20;

/// Whether the file at `path` is one of them.
pub(super) fn tells(path: &EntryPath) -> bool {
    let (name, folders) = (path.name(), path.as_str().matches('/').count());
    match folders {
        0 => {
            matches!(
                name,
                "Procfile" | "pyproject.toml" | "app.py" | "main.py" | "wsgi.py" | "asgi.py"
            ) || is_requirements(name)
        }
        1 => {
            let is_of_app = path.top() == "app" && matches!(name, "__init__.py" | "main.py");
            let is_of_requirements = path.top() == "requirements" && has_extension(name, "txt");
            matches!(name, "wsgi.py" | "asgi.py") || is_of_app || is_of_requirements
        }
        _ => false,
    }
}

/// `requirements.txt` and what it may read beside, by `-r` or `-c`.
fn is_requirements(name: &str) -> bool {
    let is_named = ["requirements", "constraints"].iter().any(|kind| name.contains(kind));
    is_named && has_extension(name, "txt")
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// Reads a text, and leaves the file at its start. Other encodings than UTF-8 are of Python's comments and
/// strings alone, and these say nothing here.
pub(super) fn read(file: &mut File, place: &Path) -> Result<String, ReadError> {
    let mut bytes = Vec::new();
    let unread = |source| ReadError::unread(place, source);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ReadError::LongText { path: place.to_owned(), max_bytes: MAX_BYTES });
    }
    file.seek(SeekFrom::Start(0)).map_err(unread)?;
    Ok(String::from_utf8_lossy(&bytes).trim_start_matches('\u{FEFF}').to_owned())
}

/// Refuses more than is to be kept in memory, before any of it is read.
pub(super) fn check_bytes(seen: &BTreeMap<EntryPath, Seen>) -> Result<(), ReadError> {
    let sizes = seen.iter().filter_map(|(path, seen)| match seen {
        Seen::File(file) if tells(path) => Some((path, file.size)),
        Seen::File(_) | Seen::Folder | Seen::Link(_) => None,
    });
    let bytes = sizes.clone().map(|(_, size)| size).sum::<u64>();
    match sizes.max_by_key(|(_, size)| *size) {
        Some((path, size)) if size <= MAX_BYTES && bytes > ALL_BYTES_MAX => {
            Err(ReadError::LongTexts { path: path.clone(), max_bytes: ALL_BYTES_MAX })
        }
        // One that is too long by itself is told when it is read.
        _ => Ok(()),
    }
}
