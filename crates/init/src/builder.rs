//! Who waits for this run, where it is the build of an image: whoever started it holds a pipe open for as long as it
//! lives. At the end of the pipe this process ends, and the kernel ends all others of the container with it.
//!
//! LXC asked the kernel to kill this process with LXC's own, which dies with the builder. Where there is AppArmor the
//! kernel forgets that when a program is started in a profile, as this one is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::prctl::set_dumpable;

/// Where the pipe stands in a build. An instance has none.
pub(crate) const PIPE: &str = "/dev/bellows/builder";

/// The builder, if this is a build.
#[derive(Debug)]
pub(crate) struct Builder {
    pipe: Option<File>,
}

impl Builder {
    /// The one that holds the pipe at this path. What is built could write into the memory of this process, which runs
    /// as the same user, and have it go on: it cannot from here on.
    ///
    /// # Errors
    /// The pipe is there and cannot be opened.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        match options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { pipe: None }),
            opened => {
                let pipe = Some(opened?);
                set_dumpable(false)?;
                Ok(Self { pipe })
            }
        }
    }

    /// Whether it has ended, so that nobody waits any more.
    pub(crate) fn is_gone(&mut self) -> bool {
        // While it is there a read would have to wait.
        self.pipe.as_mut().is_some_and(|pipe| matches!(pipe.read(&mut [0]), Ok(0)))
    }

    /// Becomes readable at its end, if it was there when it was last asked for.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn a_builder_is_there_for_as_long_as_it_holds_the_pipe_and_without_one_nobody_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("builder");
        assert!(!Builder::at(&path).unwrap().is_gone());
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        // It ended before this one began.
        assert!(Builder::at(&path).unwrap().is_gone());
        let held = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut builder = Builder::at(&path).unwrap();
        assert!(!builder.is_gone());
        let ready = |builder: &Builder, timeout| {
            let fd = PollFd::new(builder.as_fd().unwrap(), PollFlags::POLLIN);
            poll(&mut [fd], timeout).unwrap()
        };
        assert_eq!(ready(&builder, PollTimeout::ZERO), 0);
        drop(held);
        assert_eq!(ready(&builder, PollTimeout::from(5_000_u16)), 1);
        assert!(builder.is_gone());
    }
}
