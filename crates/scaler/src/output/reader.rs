//! Reads what one instance writes, no faster than it may.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use host::lxc::OutputPipes;
use model::output::Stream;
use model::time::Timestamp;
use tokio::time::Instant;

use super::lines::Lines;
use super::log::Log;

/// What an instance may write in a second, and at once after a rest, in bytes. Who writes more waits for
/// nothing: what does not fit its pipe is left out there.
const BYTES_PER_SECOND: f64 = 65_536.0;
const BURST_BYTES: f64 = 262_144.0;

/// How long nothing is read when an instance has written more, or has an output closed.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// What the two are.
const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// What a look at the pipes came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// There is no more for now.
    Empty,
    /// There is more than it may write for now.
    TooMuch,
    /// Nobody has one of its outputs open, and yet it has not ended: its first process is about to open it,
    /// or has closed it.
    Closed,
    /// Every process of the instance has ended, and all has been read.
    Ended,
}

/// Both outputs of an instance, and what is kept of them.
#[derive(Debug)]
pub(super) struct Reader {
    pipes: OutputPipes,
    begun: [Lines; 2],
    ended: [bool; 2],
    log: Log,
    allowed: f64,
    allowed_at: Instant,
}

impl Reader {
    pub(super) fn new(pipes: OutputPipes, log: Log) -> Self {
        Self {
            pipes,
            begun: Default::default(),
            ended: [false; 2],
            log,
            allowed: BURST_BYTES,
            allowed_at: Instant::now(),
        }
    }

    /// Both pipes once more, to wait for.
    pub(super) fn clones(&self) -> io::Result<[File; 2]> {
        Ok([self.pipes.stdout.try_clone()?, self.pipes.stderr.try_clone()?])
    }

    /// Which of the two have ended.
    pub(super) const fn ended(&self) -> [bool; 2] {
        self.ended
    }

    /// Reads what there is.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(super) fn look(&mut self, at: Timestamp, now: Instant) -> io::Result<Look> {
        let rest = now.saturating_duration_since(self.allowed_at).as_secs_f64();
        self.allowed = (self.allowed + rest * BYTES_PER_SECOND).min(BURST_BYTES);
        self.allowed_at = now;
        let mut bytes = [0; 16_384];
        let mut closed = false;
        for number in 0..self.ended.len() {
            while !self.ended[number] {
                if self.allowed <= 0.0 {
                    return Ok(Look::TooMuch);
                }
                let mut pipe = [&self.pipes.stdout, &self.pipes.stderr][number];
                match pipe.read(&mut bytes) {
                    Ok(0) if !self.pipes.is_over() => {
                        closed = true;
                        break;
                    }
                    Ok(count) => self.take(number, &bytes[..count], at)?,
                    Err(_) => break,
                }
            }
        }
        Ok(match self.ended {
            [true, true] => Look::Ended,
            _ if closed => Look::Closed,
            _ => Look::Empty,
        })
    }

    /// Keeps what has come of one of both; nothing is its end.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(super) fn take(&mut self, number: usize, bytes: &[u8], at: Timestamp) -> io::Result<()> {
        // Some thousand bytes: exact in an f64.
        self.allowed -= f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let (log, mut kept) = (&mut self.log, Ok(()));
        let keep = |line: String| {
            let added = log.add(at, STREAMS[number], &line);
            kept = std::mem::replace(&mut kept, Ok(())).and(added);
        };
        if bytes.is_empty() {
            self.ended[number] = true;
            self.begun[number].end(keep);
        } else {
            self.begun[number].push(bytes, keep);
        }
        kept.and_then(|()| self.log.flush())
    }

    /// Removes the host's pipes of an instance that has ended.
    pub(super) fn remove_pipes(&self) {
        if let Err(error) = self.pipes.remove() {
            tracing::debug!(%error, "the pipes of an instance that ended stay");
        }
    }
}

#[cfg(test)]
mod tests {
    use host::lxc::OutputPipes;
    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;
    use std::io::Write as _;

    use super::super::log;
    use super::*;

    /// A reader, the ends that the instance writes to, and the folder of its log.
    fn reader() -> (Reader, [File; 2], tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let pipe = || {
            let (reader, writer) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
            (File::from(reader), File::from(writer))
        };
        let (stdout, stderr) = (pipe(), pipe());
        let pipes =
            OutputPipes::new(stdout.0, stderr.0, folder.path().into(), folder.path().join("x"));
        let log = Log::open(folder.path(), &"bw-store-1-a".parse().unwrap()).unwrap();
        (Reader::new(pipes, log), [stdout.1, stderr.1], folder)
    }

    #[tokio::test(start_paused = true)]
    async fn last_words_are_kept_with_their_stream_to_the_end_of_both() {
        let (mut reader, [mut stdout, mut stderr], folder) = reader();
        let at = Timestamp::from_millis(7);
        stdout.write_all(b"begun").unwrap();
        assert_eq!(reader.look(at, Instant::now()).unwrap(), Look::Empty);
        stdout.write_all(b", ended\nand not").unwrap();
        stderr.write_all(b"oops\n").unwrap();
        std::fs::create_dir(folder.path().join("x")).unwrap();
        drop((stdout, stderr));
        // Its first process may not have opened them yet.
        assert_eq!(reader.look(at, Instant::now()).unwrap(), Look::Closed);
        std::fs::remove_dir(folder.path().join("x")).unwrap();
        assert_eq!(reader.look(at, Instant::now()).unwrap(), Look::Ended);
        let lines = log::newest(folder.path(), &"bw-store-1-a".parse().unwrap(), 10);
        let lines: Vec<_> = lines.iter().map(|line| (line.stream, line.text.as_str())).collect();
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        assert_eq!(lines, [(out, "begun, ended"), (err, "oops"), (out, "and not")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_read_as_fast_as_it_may_come_and_no_faster() {
        let (mut reader, [mut stdout, _stderr], _folder) = reader();
        let (at, mut read) = (Timestamp::from_millis(7), 0);
        let line = [[b'x'; 99].as_slice(), b"\n"].concat();
        for _ in 0..60 {
            // The instance fills its pipe each time that it has room.
            while stdout.write(&line).is_ok_and(|written| written > 0) {
                read += line.len();
            }
            reader.look(at, Instant::now()).unwrap();
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        // In 6 s: the burst, 64 KiB for each second, what one read takes too much, and what is in the pipe.
        let most = 262_144 + 6 * 65_536 + 16_384 + 65_536;
        assert!((500_000..=most).contains(&read), "{read}");
        assert_eq!(reader.look(at, Instant::now()).unwrap(), Look::TooMuch);
    }
}
