//! The release command: what is run before the program, in the one instance of a deploy that the host says so of, by a
//! pipe that stands in it. How the command ended goes back by the same pipe.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::program::Ended;

/// Where the host's pipe stands.
pub(crate) const PIPE: &str = "/dev/bellows/release";

/// How the release command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// So, by itself.
    Ended(Ended),
    /// So, after this process was asked to end.
    Stopped(Ended),
    /// It was not started.
    NotStarted,
}

impl Release {
    /// Whether the program may be started.
    pub(crate) fn is_well(self) -> bool {
        self == Self::Ended(Ended::Exited(0))
    }

    /// The word that the host reads: see `crates/host/src/lxc/release.rs`.
    fn word(self) -> String {
        match self {
            Self::Ended(Ended::Exited(0)) => "well".to_owned(),
            Self::Ended(Ended::Exited(status)) => format!("status {status}"),
            Self::Ended(Ended::Killed(signal)) => format!("signal {}", signal as i32),
            Self::Stopped(_) => "stopped".to_owned(),
            Self::NotStarted => "not started".to_owned(),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(ended) => write!(f, "the release command {ended}"),
            Self::Stopped(_) => f.write_str("the release command was stopped with its instance"),
            Self::NotStarted => f.write_str("the release command was not started"),
        }
    }
}

/// The pipe, where it is due. It is held to the end of this process: a pipe that nobody has open forgets what was
/// written to it, and at that moment no scaler may run.
#[derive(Debug)]
pub(crate) struct Due(File);

impl Due {
    /// The host's pipe; `None` where this instance is to run no release command. It is opened for reading as well, so
    /// that it can be written to while nobody reads.
    pub(crate) fn open(pipe: &Path) -> Option<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        options.open(pipe).ok().map(Self)
    }

    /// Tells the host how it ended.
    pub(crate) fn tell(&mut self, release: Release) {
        // Who filled the pipe from inside fooled nobody but its own service.
        let _ = self.0.write_all(format!("{}\n", release.word()).as_bytes());
    }
}
