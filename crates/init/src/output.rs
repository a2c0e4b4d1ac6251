//! What the program writes, on its way to the host: by two pipes of the host's that stand in the
//! instance, one for each of its outputs. The program never waits for them: what does not fit is left
//! out, and counted.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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

/// How long the last line of an output waits for room. The scaler makes some at least once a second; a stop gives a
/// program 10 s unless its service's file says otherwise.
const LAST_LINE_WAITS_MS: u16 = 1_500;

/// Both outputs.
#[derive(Debug)]
pub(crate) struct Output {
    streams: [Stream; 2],
    /// Where a read puts what it takes.
    bytes: Box<[u8]>,
}

impl Output {
    /// The ways to the host. Where there are none, this process's own outputs.
    ///
    /// # Errors
    /// There are no such outputs either.
    pub(crate) fn open() -> io::Result<Self> {
        let stdout = way("stdout", io::stdout().as_fd())?;
        let stderr = way("stderr", io::stderr().as_fd())?;
        let streams = [stdout, stderr].map(Stream::new);
        Ok(Self { streams, bytes: vec![0; READ_BYTES].into() })
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

    /// Waits until there is something to carry, or one of these has something.
    pub(crate) fn wait<'a>(&'a self, others: impl Iterator<Item = BorrowedFd<'a>>) {
        let pipes = self.streams.iter().filter_map(|stream| stream.from.as_ref());
        let all = pipes.map(AsFd::as_fd).chain(others);
        let mut all: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // Whatever it says, all are looked at next.
        let _ = poll(&mut all, PollTimeout::NONE);
    }

    /// Carries what there is, up to a bound.
    pub(crate) fn carry(&mut self) {
        for stream in &mut self.streams {
            stream.carry(&mut self.bytes);
        }
    }

    /// Ends the lines that the program has begun, and tells what was left out of each output.
    pub(crate) fn end(&mut self) {
        for Stream { lines, to, .. } in &mut self.streams {
            lines.end(|piece| to.write(piece));
            if to.left_out > 0 {
                to.wait_for_room();
                to.tell_left_out();
            }
        }
    }

    /// Says the last thing, of this process's own, among what the program says of its troubles. A program that
    /// filled the pipe with its last breath leaves no room for it, so it waits for some.
    pub(crate) fn tell_last(&mut self, told: &str) {
        let [_, stderr] = &mut self.streams;
        stderr.to.wait_for_room();
        stderr.to.write(format!("bellows: {told}\n").as_bytes());
    }
}

fn way(name: &str, own: BorrowedFd<'_>) -> io::Result<File> {
    host_pipe(name).map_or_else(|| own.try_clone_to_owned().map(OwnedFd::into), Ok)
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
    fn new(to: File) -> Self {
        Self { from: None, lines: Lines::default(), to: Way { to, left_out: 0 } }
    }

    fn carry(&mut self, bytes: &mut [u8]) {
        let Some(from) = &mut self.from else { return };
        for _ in 0..READS {
            match from.read(bytes) {
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
#[derive(Debug)]
struct Way {
    to: File,
    /// Lines that did not fit since one last did.
    left_out: usize,
}

impl Way {
    /// Writes a piece whole, or leaves it out.
    fn write(&mut self, piece: &[u8]) {
        if self.left_out > 0 {
            self.tell_left_out();
        }
        if self.left_out > 0 || self.to.write_all(piece).is_err() {
            self.left_out += piece.iter().filter(|byte| **byte == b'\n').count();
        }
    }

    fn tell_left_out(&mut self) {
        let told = format!("bellows: {} lines were left out\n", self.left_out);
        if self.to.write_all(told.as_bytes()).is_ok() {
            self.left_out = 0;
        }
    }

    /// Waits until there is room for a piece. A pipe is ready once one of its pages is empty: with what was
    /// left out two pieces are to be written, and both together fit one.
    fn wait_for_room(&self) {
        let _ = poll(&mut [PollFd::new(self.to.as_fd(), PollFlags::POLLOUT)], LAST_LINE_WAITS_MS);
    }
}

#[cfg(test)]
mod tests {
    use std::io::PipeReader;
    use std::thread;

    use super::*;

    /// A way by a pipe of one page, which one piece of 4,095 bytes fills.
    fn narrow() -> (PipeReader, Way) {
        let (reader, writer) = pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let mut way = Way { to: OwnedFd::from(writer).into(), left_out: 0 };
        way.write(&[b'x'; 4095]);
        assert_eq!(way.left_out, 0);
        (reader, way)
    }

    fn take(reader: &mut PipeReader) {
        let mut filling = [0; 4095];
        reader.read_exact(&mut filling).unwrap();
        assert_eq!(filling, [b'x'; 4095]);
    }

    fn rest(mut reader: PipeReader, way: Way) -> String {
        drop(way);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_before_the_next_line_that_does() {
        let (mut reader, mut way) = narrow();
        way.write(b"2\n3\n");
        way.write(b"4\n");
        take(&mut reader);
        way.write(b"5\n");
        assert_eq!(rest(reader, way), "bellows: 3 lines were left out\n5\n");
    }

    #[test]
    fn the_last_line_waits_until_there_is_room() {
        let (mut reader, mut way) = narrow();
        way.write(b"lost\n");
        let writer = thread::spawn(move || {
            way.wait_for_room();
            way.write(b"last\n");
            way
        });
        take(&mut reader);
        let way = writer.join().unwrap();
        assert_eq!(rest(reader, way), "bellows: 1 lines were left out\nlast\n");
    }
}
