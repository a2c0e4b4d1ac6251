//! The release command of an instance: a third pipe of the host's stands in it, as `/dev/bellows/release`, which says
//! to our init that the command is due, and brings back how it ended.
//!
//! As long as the pipe stands in the host's folder nobody knows how the command ended: so a scaler that comes after
//! another goes on to wait. A file would do too, and an instance could fill the host's run folder with it.
//!
//! What was said stays in the pipe until that is gone, and where the command ended well the pipe gets another name instead,
//! for as long as the instance is there: a scaler may end at any moment, and the one after it must not run the command again.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::names::InstanceName;
use nix::fcntl::OFlag;
use rustix::pipe::{SpliceFlags, tee};

use crate::files::{FileError, file_error, remove_file};

/// The pipe in an instance's folder.
pub(super) const NAME: &str = "release";

/// Its name once the command has ended well.
const WELL: &str = "released";

/// The longest word that our init says.
const WORD_BYTES: usize = 64;

/// How far an instance is with its release command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It runs none, or how it ended was told before.
    None,
    /// It has not ended.
    UnderWay,
    /// It ended so, which is told once.
    Ended(ReleaseStatus),
}

/// How a release command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseStatus {
    /// With status 0.
    Well,
    /// With another status.
    Status(u8),
    /// By a signal.
    Signal(u8),
    /// It was not started.
    NotStarted,
    /// The instance was asked to end.
    Stopped,
    /// The instance is gone, or said something else.
    Unknown,
}

impl ReleaseStatus {
    /// What the init of an instance says: see `crates/init/src/release.rs`. The command runs as the same user, and may
    /// write anything.
    fn parse(word: &[u8]) -> Self {
        let number = |text: &str| text.parse().ok();
        let Some(word) = std::str::from_utf8(word).ok().and_then(|word| word.strip_suffix('\n'))
        else {
            return Self::Unknown;
        };
        match word.split_once(' ') {
            None if word == "well" => Self::Well,
            None if word == "stopped" => Self::Stopped,
            Some(("not", "started")) => Self::NotStarted,
            Some(("status", status)) => number(status).map_or(Self::Unknown, Self::Status),
            Some(("signal", signal)) => number(signal).map_or(Self::Unknown, Self::Signal),
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("ended well"),
            Self::Status(status) => write!(f, "ended with status {status}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Self::NotStarted => f.write_str("could not be started"),
            Self::Stopped => f.write_str("was stopped with its instance"),
            Self::Unknown => f.write_str("ended with its instance, nobody knows how"),
        }
    }
}

/// The pipes that are open: an instance that ends takes its folder along, and what it said is wanted afterwards.
#[derive(Debug, Default)]
pub(super) struct Releases(Mutex<BTreeMap<InstanceName, File>>);

impl Releases {
    /// An instance is about to be launched that has this folder of pipes, with one for its release command.
    pub(super) fn begin(&self, instance: &InstanceName, folder: &Path) -> Result<(), FileError> {
        if let Some(pipe) = open(folder)? {
            self.open().insert(instance.clone(), pipe);
        }
        Ok(())
    }

    /// Nobody asks for an instance any more.
    pub(super) fn forget(&self, instance: &InstanceName) {
        self.open().remove(instance);
    }

    /// How far an instance is that has this folder of pipes; `is_gone` says whether it has ended.
    pub(super) fn look(
        &self,
        instance: &InstanceName,
        folder: &Path,
        is_gone: impl Fn() -> bool,
    ) -> Result<Release, FileError> {
        let mut pipes = self.open();
        if !pipes.contains_key(instance)
            && let Some(pipe) = open(folder)?
        {
            pipes.insert(instance.clone(), pipe);
        }
        let Some(pipe) = pipes.get(instance) else { return Ok(Release::None) };
        // In this order: what it said with its last breath is there once it is gone.
        let is_gone = is_gone();
        let mut word = [0; WORD_BYTES];
        let ended = match peek(pipe, &mut word) {
            Ok(count) if count > 0 => ReleaseStatus::parse(&word[..count]),
            _ if is_gone => ReleaseStatus::Unknown,
            _ => return Ok(Release::UnderWay),
        };
        pipes.remove(instance);
        let pipe = folder.join(NAME);
        match ended {
            ReleaseStatus::Well => rename(&pipe, &folder.join(WELL))?,
            _ => drop(remove_file(&pipe)?),
        }
        Ok(Release::Ended(ended))
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<InstanceName, File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an instance that has this folder of pipes ran a release command which ended well, and somebody was told.
pub(super) fn has_ended_well(folder: &Path) -> bool {
    folder.join(WELL).exists()
}

/// Reads what stands in a pipe, and leaves it there.
fn peek(pipe: &File, word: &mut [u8]) -> io::Result<usize> {
    let (mut copy, writer) = io::pipe()?;
    let count = tee(pipe, &writer, word.len(), SpliceFlags::NONBLOCK)?;
    copy.read(&mut word[..count])
}

/// Gives a pipe another name, unless it has gone with its instance.
fn rename(pipe: &Path, other: &Path) -> Result<(), FileError> {
    match std::fs::rename(pipe, other) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(file_error("rename", pipe)(error))
        }
        _ => Ok(()),
    }
}

/// Opens the pipe in a folder; `None` where there is none. It is opened for writing as well, so that it has no end
/// before the instance is gone.
fn open(folder: &Path) -> Result<Option<File>, FileError> {
    let pipe = folder.join(NAME);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    match options.open(&pipe) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("open", &pipe)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn what_an_init_says_is_one_of_a_few_words() {
        for (word, status) in [
            ("well\n", ReleaseStatus::Well),
            ("status 3\n", ReleaseStatus::Status(3)),
            ("signal 9\n", ReleaseStatus::Signal(9)),
            ("not started\n", ReleaseStatus::NotStarted),
            ("stopped\n", ReleaseStatus::Stopped),
        ] {
            assert_eq!(ReleaseStatus::parse(word.as_bytes()), status);
        }
        for word in ["", "well", "well\nwell\n", "status 300\n", "status \u{1b}[2J\n", "\u{0}"] {
            assert_eq!(ReleaseStatus::parse(word.as_bytes()), ReleaseStatus::Unknown, "{word:?}");
        }
    }

    #[test]
    fn an_end_is_told_once_also_to_who_comes_after_and_when_the_instance_is_gone() {
        let instance: InstanceName = "bw-store-1-a".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (folder, releases) = (folder.path(), Releases::default());
        let look =
            |releases: &Releases, is_gone| releases.look(&instance, folder, || is_gone).unwrap();
        assert_eq!(look(&releases, true), Release::None);
        let begin = || {
            mkfifo(&folder.join(NAME), Mode::S_IRWXU).unwrap();
            releases.begin(&instance, folder).unwrap();
        };
        begin();
        assert_eq!(look(&releases, false), Release::UnderWay);
        let after = Releases::default();
        assert_eq!(look(&after, false), Release::UnderWay);
        open(folder).unwrap().unwrap().write_all(b"status 2\n").unwrap();
        assert_eq!(look(&after, false), Release::Ended(ReleaseStatus::Status(2)));
        assert_eq!(look(&after, false), Release::None);
        releases.forget(&instance);
        begin();
        assert_eq!(look(&releases, true), Release::Ended(ReleaseStatus::Unknown));
        assert_eq!(look(&releases, true), Release::None);
    }

    #[test]
    fn an_end_outlasts_whoever_waited_for_it() {
        let instance: InstanceName = "bw-store-1-a".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        mkfifo(&folder.join(NAME), Mode::S_IRWXU).unwrap();
        let mut init = open(folder).unwrap().unwrap();
        let first = Releases::default();
        first.begin(&instance, folder).unwrap();
        assert_eq!(first.look(&instance, folder, || false).unwrap(), Release::UnderWay);
        drop(first);
        init.write_all(b"well\n").unwrap();
        // Who ends between the reading and the rest leaves it as it was.
        let mut word = [0; WORD_BYTES];
        let second = open(folder).unwrap().unwrap();
        assert_eq!(peek(&second, &mut word).unwrap(), 5);
        assert!(!has_ended_well(folder));
        drop(second);
        let ended = Release::Ended(ReleaseStatus::Well);
        assert_eq!(Releases::default().look(&instance, folder, || false).unwrap(), ended);
        assert!(has_ended_well(folder), "also once it was told");
        let told = Releases::default().look(&instance, folder, || false).unwrap();
        assert_eq!(told, Release::None);
    }
}
