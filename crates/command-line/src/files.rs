//! The files that command lines name.

use std::path::{Path, PathBuf};

use config_file::ConfigError;
use model::output::harmless;

/// A word of a command line that leads to no file that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file or folder cannot be read, or holds what it may not.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no file of that name.
    #[error(
        "there is no {kind} `{}`: use {known}, or a file whose name ends in .toml",
        harmless(name)
    )]
    Unknown {
        /// What the word should name: `scenario`, `policy`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// The files of a folder whose names end in `.extension`, in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, ConfigError> {
    let unread = |cause| ConfigError::Read { path: folder.to_owned(), cause };
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
/// [`FileError::Unknown`] lists the names there are.
pub fn of_scenario(word: &str, folder: &Path) -> Result<PathBuf, FileError> {
    if word.ends_with(".toml") {
        return Ok(PathBuf::from(word));
    }
    named("scenario", word, with_extension(folder, "toml")?, Vec::new())
}

/// The file of that name; `others` are the words that mean no file.
pub(crate) fn named(
    kind: &'static str,
    name: &str,
    mut files: Vec<PathBuf>,
    others: Vec<&str>,
) -> Result<PathBuf, FileError> {
    if let Some(found) = files.iter().position(|path| stem(path) == name) {
        return Ok(files.swap_remove(found));
    }
    let known: Vec<&str> = others.into_iter().chain(files.iter().map(|path| stem(path))).collect();
    Err(FileError::Unknown { kind, name: name.to_owned(), known: known.join(", ") })
}

/// A file's name without folder and extension; empty when that is not UTF-8.
pub fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            @"there is no scenario `rmap`: use ramp, spike, or a file whose name ends in .toml"
        );
        let nowhere = of_scenario("ramp", Path::new("/nowhere")).unwrap_err();
        assert!(
            nowhere.to_string().starts_with("/nowhere cannot be read: No such file"),
            "{nowhere}"
        );
    }
}
