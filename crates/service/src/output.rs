//! What a server writes, where it is an instance: to the host's pipes, which are read as long as the
//! scaler runs and never waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::{dup2_stderr, dup2_stdout};

/// Where the host's pipes stand in an instance.
const FOLDER: &str = "/dev/bellows";

/// Puts the host's pipes in the place of this process's outputs, if it is an instance. The first thing
/// that such a program does.
///
/// # Errors
/// When the operating system does not do it.
pub fn take_over() -> io::Result<()> {
    if let Some(pipe) = open("stdout") {
        dup2_stdout(pipe)?;
    }
    if let Some(pipe) = open("stderr") {
        dup2_stderr(pipe)?;
    }
    Ok(())
}

/// Opened for reading as well, so that it can be written to while nobody reads; and so that nothing
/// waits while it is full.
fn open(name: &str) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options.open(Path::new(FOLDER).join(name)).ok()
}

/// Standard error, of which what does not fit is left out.
#[derive(Debug)]
pub(crate) struct Lossy(io::Stderr);

impl Lossy {
    pub(crate) fn new() -> Self {
        Self(io::stderr())
    }
}

impl Write for Lossy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An error would be said on the very output that has no room.
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
