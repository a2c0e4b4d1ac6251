//! What the program writes, on its way to the host: by two pipes of the host's that stand in the
//! instance, one for each of its outputs. The program never waits for them: what does not fit is left
//! out, and counted.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::lines::Lines;

/// Where the host's pipes stand.
const FOLDER: &str = "/dev/bellows";

/// How much is read at once: as much as a pipe holds.
const READ_BYTES: usize = 65_536;

/// How many reads follow each other before signals are looked at.
const READS: usize = 16;

/// Both outputs.
#[derive(Debug)]
pub(crate) struct Output {
    streams: [Stream; 2],
}

impl Output {
    /// The ways to the host. Where there are none, this process's own outputs.
    pub(crate) fn open() -> Self {
        let [stdout, stderr] = ["stdout", "stderr"].map(host_pipe);
        let stdout = stdout.map_or_else(|| Box::new(io::stdout()) as Box<dyn Write>, boxed);
        let stderr = stderr.map_or_else(|| Box::new(io::stderr()) as Box<dyn Write>, boxed);
        Self { streams: [stdout, stderr].map(Stream::new) }
    }

    /// The ends of pipes for the program to write to.
    pub(crate) fn pipes(&mut self) -> io::Result<[PipeWriter; 2]> {
        let (stdout, stderr) = (pipe()?, pipe()?);
        for (stream, reader) in self.streams.iter_mut().zip([stdout.0, stderr.0]) {
            fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            stream.from = Some(reader);
        }
        Ok([stdout.1, stderr.1])
    }

    /// Waits until there is something to carry, or `signals` has one.
    pub(crate) fn wait(&self, signals: BorrowedFd<'_>) {
        let pipes = self.streams.iter().filter_map(|stream| stream.from.as_ref());
        let all = pipes.map(AsFd::as_fd).chain([signals]);
        let mut all: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // Whatever it says, both are looked at next.
        let _ = poll(&mut all, PollTimeout::NONE);
    }

    /// Carries what there is, up to a bound.
    pub(crate) fn carry(&mut self) {
        self.streams.iter_mut().for_each(Stream::carry);
    }

    /// Ends the lines that the program has begun.
    pub(crate) fn end(&mut self) {
        for stream in &mut self.streams {
            let Stream { lines, to, .. } = stream;
            lines.end(|piece| to.write(piece));
        }
    }

    /// Says something of this process's own, among what the program says of its troubles.
    pub(crate) fn tell(&mut self, told: &str) {
        let [_, stderr] = &mut self.streams;
        stderr.to.write(format!("bellows: {told}\n").as_bytes());
    }
}

fn boxed(file: File) -> Box<dyn Write> {
    Box::new(file)
}

/// Opened for reading as well, so that it can be written to while nobody reads: the scaler is started
/// anew now and then, and finds what was written meanwhile.
fn host_pipe(name: &str) -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    options.open(Path::new(FOLDER).join(name)).ok()
}

/// One output.
#[derive(Debug)]
struct Stream {
    /// What the program writes to; `None` once nobody writes to it any more.
    from: Option<PipeReader>,
    lines: Lines,
    to: Way,
}

impl Stream {
    fn new(to: Box<dyn Write>) -> Self {
        Self { from: None, lines: Lines::default(), to: Way { to, left_out: 0 } }
    }

    fn carry(&mut self) {
        let Some(from) = &mut self.from else { return };
        let mut bytes = vec![0; READ_BYTES];
        for _ in 0..READS {
            match from.read(&mut bytes) {
                Ok(0) => {
                    self.from = None;
                    return;
                }
                Ok(count) => self.lines.push(&bytes[..count], |piece| self.to.write(piece)),
                // There is no more for now.
                Err(_) => return,
            }
        }
    }
}

/// The way to the host.
struct Way {
    to: Box<dyn Write>,
    /// Lines that did not fit since one last did.
    left_out: usize,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way").field("left_out", &self.left_out).finish_non_exhaustive()
    }
}

impl Way {
    /// Writes a piece whole, or leaves it out.
    fn write(&mut self, piece: &[u8]) {
        if self.left_out > 0 {
            let told = format!("bellows: {} lines were left out\n", self.left_out);
            if self.to.write_all(told.as_bytes()).is_ok() {
                self.left_out = 0;
            }
        }
        if self.left_out > 0 || self.to.write_all(piece).and_then(|()| self.to.flush()).is_err() {
            self.left_out += piece.iter().filter(|byte| **byte == b'\n').count();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes so many pieces, and no more until it is given room.
    #[derive(Clone, Default)]
    struct Narrow(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (room, taken) = &mut *self.0.lock().unwrap();
            *room = room.checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
            taken.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_before_the_next_line_that_does() {
        let narrow = Narrow::default();
        let mut way = Way { to: Box::new(narrow.clone()), left_out: 0 };
        narrow.0.lock().unwrap().0 = 1;
        way.write(b"1\n");
        way.write(b"2\n3\n");
        way.write(b"4\n");
        narrow.0.lock().unwrap().0 = 2;
        way.write(b"5\n");
        let taken = narrow.0.lock().unwrap().1.clone();
        assert_eq!(String::from_utf8(taken).unwrap(), "1\nbellows: 3 lines were left out\n5\n");
    }
}
