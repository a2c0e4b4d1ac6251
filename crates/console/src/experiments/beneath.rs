//! Files that a program without rights left in a folder: opened beneath it and nowhere else, and not above a size.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// A folder that nobody vouches for.
#[derive(Debug, Clone)]
pub(super) struct Beneath(PathBuf);

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// There is none.
    #[error("is not there")]
    Missing,
    /// A link, a device or a folder has its name.
    #[error("is no file of this experiment: its name leads elsewhere")]
    Strange,
    /// It is larger than anything that a run writes.
    #[error("has {bytes} bytes, and {most} at most are read")]
    TooLarge {
        /// What it has.
        bytes: u64,
        /// What it may have.
        most: u64,
    },
    /// It is no text, or not the one that a run writes.
    #[error("is not what a run writes: {0}")]
    Spoilt(String),
    /// The disk refuses.
    #[error("cannot be read: {0}")]
    Refused(#[from] io::Error),
}

impl Beneath {
    pub(super) fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Opens a file, and says how long it is. Links are followed as long as they stay beneath the folder, as `latest` does.
    ///
    /// # Errors
    /// There is none, it is none, or it is longer than `most` bytes.
    pub(super) fn open(&self, path: &Path, most: u64) -> Result<(File, u64), Unread> {
        let folder = File::open(&self.0).map_err(missing)?;
        let how = OpenHow::new()
            // Whoever opens a pipe without this waits for somebody to write.
            .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let file = openat2(&folder, path, how).map_err(|error| match error {
            Errno::EXDEV | Errno::ELOOP | Errno::ENXIO => Unread::Strange,
            other => missing(other.into()),
        })?;
        let file = File::from(file);
        let metadata = file.metadata()?;
        match metadata.len() {
            _ if !metadata.is_file() => Err(Unread::Strange),
            bytes if bytes > most => Err(Unread::TooLarge { bytes, most }),
            bytes => Ok((file, bytes)),
        }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// As those of [`Beneath::open`], or it is no text.
    pub(super) fn text(&self, path: &Path, most: u64) -> Result<String, Unread> {
        let (file, bytes) = self.open(path, most)?;
        let mut text = String::new();
        match file.take(bytes).read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Unread::Spoilt("it is no text".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn missing(error: io::Error) -> Unread {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unread::Missing,
        _ => Unread::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn a_link_is_followed_beneath_the_folder_and_nowhere_else() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "hush").unwrap();
        let folder = outside.path().join("results");
        fs::create_dir_all(folder.join("ramp-1")).unwrap();
        fs::write(folder.join("ramp-1/a"), "own").unwrap();
        symlink("ramp-1", folder.join("latest")).unwrap();
        symlink("../secret", folder.join("ramp-1/out")).unwrap();
        symlink("../../secret", folder.join("ramp-1/further")).unwrap();
        symlink(outside.path(), folder.join("away")).unwrap();
        symlink("round", folder.join("round")).unwrap();
        symlink("/proc/self/root", folder.join("magic")).unwrap();
        let beneath = Beneath::new(&folder);
        let text = |path: &str| beneath.text(Path::new(path), 10);
        assert_eq!(text("latest/a").unwrap(), "own");
        for path in [
            "latest/further",
            "away/secret",
            "round/a",
            "magic/etc/passwd",
            "/etc/passwd",
            "../secret",
        ] {
            assert!(matches!(text(path), Err(Unread::Strange)), "{path}: {:?}", text(path));
        }
        // To the folder itself, in which there is no such file.
        assert!(matches!(text("latest/out"), Err(Unread::Missing)));
        assert!(matches!(Beneath::new("/nowhere").text(Path::new("a"), 1), Err(Unread::Missing)));
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read_and_nobody_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        mkfifo(&folder.path().join("pipe"), Mode::S_IRUSR).unwrap();
        fs::write(folder.path().join("bytes"), [0xff, 0xfe]).unwrap();
        // A file of a terabyte takes no room.
        let huge = fs::File::create(folder.path().join("huge")).unwrap();
        huge.set_len(1 << 40).unwrap();
        let beneath = Beneath::new(folder.path());
        let began = Instant::now();
        let text = |path: &str| beneath.text(Path::new(path), 10);
        assert!(matches!(text("folder"), Err(Unread::Strange)));
        assert!(matches!(text("pipe"), Err(Unread::Strange)));
        assert!(matches!(text("bytes"), Err(Unread::Spoilt(_))));
        assert!(matches!(text("huge"), Err(Unread::TooLarge { most: 10, .. })));
        assert!(matches!(text("folder/none"), Err(Unread::Missing)));
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
