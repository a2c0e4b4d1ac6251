//! The files that command lines name.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// A trace of two million lines with dates is half of this.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// A file or folder that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system says no.
    #[error("{path} cannot be read")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is too large.
    #[error("{path} is too large: allowed is up to {MAX_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// There is no scenario of that name.
    #[error(
        "there is no scenario `{name}`: allowed is {known}, or a file whose name ends in .toml"
    )]
    UnknownScenario {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// Reads a text that fits into memory.
///
/// # Errors
/// [`FileError`] names the file.
pub fn read(path: &Path) -> Result<String, FileError> {
    let unread = |source| FileError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    // Devices and pipes do not tell their size beforehand.
    let file = File::open(path).map_err(unread)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

/// The files of a folder whose names end in `.extension`, in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, FileError> {
    let unread = |source| FileError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The file of the scenario that a word means: a path that ends in `.toml`, or a name in the folder
/// of scenarios.
///
/// # Errors
/// [`FileError::UnknownScenario`] lists the names there are.
pub fn of_scenario(word: &str, folder: &Path) -> Result<PathBuf, FileError> {
    if word.ends_with(".toml") {
        return Ok(PathBuf::from(word));
    }
    let all = with_extension(folder, "toml")?;
    match all.iter().find(|path| stem(path) == word) {
        Some(path) => Ok(path.clone()),
        None => {
            let known: Vec<&str> = all.iter().map(|path| stem(path)).collect();
            Err(FileError::UnknownScenario { name: word.to_owned(), known: known.join(", ") })
        }
    }
}

/// A file's name without folder and extension; nothing where it is not UTF-8.
pub fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        insta::assert_snapshot!(error, @"/dev/zero is too large: allowed is up to 134217728 bytes");
    }

    #[test]
    fn a_scenario_is_a_path_or_a_name_and_an_unknown_name_lists_the_others() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["spike.toml", "ramp.toml", "notes.md"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let of = |word| of_scenario(word, folder.path());
        assert_eq!(of("ramp").unwrap(), folder.path().join("ramp.toml"));
        assert_eq!(of("./mine.toml").unwrap(), Path::new("./mine.toml"));
        insta::assert_snapshot!(
            of("rmap").unwrap_err(),
            @"there is no scenario `rmap`: allowed is ramp, spike, or a file whose name ends in .toml"
        );
        let nowhere = of_scenario("ramp", Path::new("/nowhere")).unwrap_err();
        assert_eq!(nowhere.to_string(), "/nowhere cannot be read");
    }
}
