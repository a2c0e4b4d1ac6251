//! Where an entry lies in its folder.

use std::fmt;

/// The kernel takes paths of up to 4,095 bytes, and the folder around the application has some of them.
const PATH_BYTES_MAX: usize = 1024;

/// What most file systems take.
const NAME_BYTES_MAX: usize = 255;

/// More folders in each other than this are nobody's, and whoever goes through them needs a file or a call for
/// each.
const NAMES_MAX: usize = 64;

/// The path of a file, folder or link below the application's folder: names joined by `/`, none of which is
/// empty, `.` or `..`. A folder comes before what it holds in the order of paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(String);

/// Why a text is no path of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Absolute, or with a name that is empty, `.` or `..`.
    #[error("it must name a file below the application's folder, without \"..\"")]
    NotBelow,
    /// Not UTF-8, or with a control character.
    #[error("its name must be UTF-8 without control characters: rename it")]
    Characters,
    /// Too long.
    #[error(
        "it is too long: use names of up to {NAME_BYTES_MAX} bytes, {PATH_BYTES_MAX} with their folders"
    )]
    TooLong,
    /// In too many folders.
    #[error("it lies too deep: use up to {NAMES_MAX} names, those of its folders and its own")]
    TooDeep,
}

impl EntryPath {
    /// Checks a path as an archive or a folder has it.
    ///
    /// # Errors
    /// [`PathError`] says what is wrong with it.
    pub fn new(path: &[u8]) -> Result<Self, PathError> {
        let text = std::str::from_utf8(path).map_err(|_| PathError::Characters)?;
        if text.chars().any(char::is_control) {
            return Err(PathError::Characters);
        }
        if text.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return Err(PathError::NotBelow);
        }
        if text.len() > PATH_BYTES_MAX || text.split('/').any(|name| name.len() > NAME_BYTES_MAX) {
            return Err(PathError::TooLong);
        }
        if text.split('/').count() > NAMES_MAX {
            return Err(PathError::TooDeep);
        }
        Ok(Self(text.to_owned()))
    }

    /// The path of what is called `name` in `folder`; `None` is the application's folder itself.
    ///
    /// # Errors
    /// [`PathError`] says what is wrong with it.
    pub fn within(folder: Option<&Self>, name: &[u8]) -> Result<Self, PathError> {
        if name.contains(&b'/') {
            return Err(PathError::NotBelow);
        }
        match folder {
            None => Self::new(name),
            Some(folder) => Self::new(&[folder.0.as_bytes(), b"/", name].concat()),
        }
    }

    /// The path as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder that holds it; `None` where that is the application's.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(folder, _)| Self(folder.to_owned()))
    }

    /// The first name: the path itself where the application's folder holds it.
    pub fn top(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_names_below_the_folder() {
        for good in ["a", ".a", "a/b", "..a/b..", "\u{E9} (1)/x"] {
            assert_eq!(EntryPath::new(good.as_bytes()).unwrap().as_str(), good);
        }
        for bad in ["", "/", "/a", "a/", "a//b", ".", "./a", "..", "../a", "a/../b", "a/.."] {
            assert_eq!(EntryPath::new(bad.as_bytes()), Err(PathError::NotBelow), "{bad:?}");
        }
        for bad in [b"a\0".as_slice(), b"\xff", b"a\nb", b"\x1b[2J"] {
            assert_eq!(EntryPath::new(bad), Err(PathError::Characters), "{bad:?}");
        }
        let (name, deep) = ("n".repeat(256), "d/".repeat(512) + "x");
        for long in [name, deep] {
            assert_eq!(EntryPath::new(long.as_bytes()), Err(PathError::TooLong));
        }
        let (deepest, too_deep) = ("d/".repeat(63) + "x", "d/".repeat(64) + "x");
        assert!(EntryPath::new(deepest.as_bytes()).is_ok());
        assert_eq!(EntryPath::new(too_deep.as_bytes()), Err(PathError::TooDeep));
    }

    #[test]
    fn a_name_in_a_folder_is_one_name() {
        let folder = EntryPath::new(b"a/b").unwrap();
        let file = EntryPath::within(Some(&folder), b"c").unwrap();
        assert_eq!((file.as_str(), file.name(), file.top()), ("a/b/c", "c", "a"));
        assert_eq!((file.parent(), folder.parent().unwrap().parent()), (Some(folder), None));
        assert_eq!(EntryPath::within(None, b"c/d"), Err(PathError::NotBelow));
    }

    #[test]
    fn a_folder_comes_before_what_it_holds() {
        let path = |text: &str| EntryPath::new(text.as_bytes()).unwrap();
        assert!(path("a") < path("a/b") && path("a") < path("a-b"));
    }
}
