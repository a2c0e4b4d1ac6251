//! The pipe by which HAProxy tells of each answer, at the end that reads: a line for each, and what it says.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use model::names::ServiceName;
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

/// What the pipe holds, where the kernel grants it: some 40,000 lines, so that a reader may be late by seconds. It has
/// 3,000 of its own accord.
const PIPE_BYTES: usize = 1 << 20;

/// What is read at once, and kept until the end of its last line comes.
const BUFFER_BYTES: usize = 64 * 1024;

/// What is read in one round at most, so that who reads does something else too.
const ROUND_BYTES: usize = PIPE_BYTES;

/// The class of an answer's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 2xx, and 101, by which a WebSocket begins.
    Success,
    /// 3xx.
    Redirection,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
}

/// An answer that a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whose it is.
    pub service: ServiceName,
    /// The class of its status.
    pub class: Class,
    /// From the request, whole, to the begin of the answer, in whole ms: what it waited for an instance and what
    /// the instance took.
    pub time_ms: u32,
}

impl Answer {
    /// Reads a line such as `first store 200 +12 --`: the attempt, the service, the status, the time in ms, and how it
    /// ended. `None` for one that tells of no answer: a request that is sent again, a client that left, a request for
    /// no service, or what HAProxy says of itself.
    fn read(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let mut word = || words.next();
        let (attempt, service, status, time, end) = (word()?, word()?, word()?, word()?, word()?);
        let failed = !end.starts_with('-');
        let class = match status.parse().ok()? {
            // Without an answer of the instance, `bellows.first` ends so what `bellows.last` sends again.
            502 if attempt == "first" && failed => return None,
            _ if end.starts_with(['C', 'c']) => return None,
            101 | 200..300 => Class::Success,
            300..400 => Class::Redirection,
            400..500 => Class::ClientError,
            500..600 => Class::ServerError,
            _ => return None,
        };
        let time_ms = time.trim_start_matches('+').parse().ok()?;
        Some(Self { service: service.parse().ok()?, class, time_ms })
    }
}

/// The end of the pipe that reads.
#[derive(Debug)]
pub struct AnswerPipe {
    path: PathBuf,
    pipe: File,
    buffer: Vec<u8>,
    /// So much of the buffer is the begin of a line.
    kept: usize,
}

impl AnswerPipe {
    /// Opens the pipe at this path. What is in it is of a time that nobody knows, and is dropped.
    ///
    /// # Errors
    /// There is no pipe, it may not be read, or others than root may write to it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = O_NONBLOCK | O_NOFOLLOW;
        let pipe = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let status = pipe.metadata()?;
        if !status.file_type().is_fifo() || status.uid() != 0 || status.mode() & 0o022 != 0 {
            return Err(io::Error::other("it is no pipe that root alone writes to"));
        }
        // A smaller one serves too: it is full sooner when the reader is late.
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_BYTES);
        let mut own = Self { path: path.to_owned(), pipe, buffer: vec![0; BUFFER_BYTES], kept: 0 };
        own.read(|_| {})?;
        Ok(own)
    }

    /// Gives what has come to `each`, 1 MiB of it at most, and does not wait. Says whether the pipe is still the one that
    /// HAProxy has: if not, it is to be opened anew.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self, mut each: impl FnMut(Answer)) -> io::Result<bool> {
        let mut left = ROUND_BYTES;
        while left > 0 {
            let count = match self.pipe.read(&mut self.buffer[self.kept..]) {
                // Nobody writes now.
                Ok(0) => return Ok(self.is_in_place()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(count);
            self.take(self.kept + count, &mut each);
        }
        Ok(true)
    }

    /// Takes the lines of the buffer's first bytes, and keeps what is behind the last one.
    fn take(&mut self, filled: usize, each: &mut impl FnMut(Answer)) {
        let text = &self.buffer[..filled];
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n');
        lines.filter_map(Answer::read).for_each(each);
        self.buffer.copy_within(whole..filled, 0);
        self.kept = filled - whole;
        // No line of HAProxy's is so long.
        if self.kept == self.buffer.len() {
            self.kept = 0;
        }
    }

    fn is_in_place(&self) -> bool {
        let identity = |status: fs::Metadata| (status.dev(), status.ino());
        let named = fs::metadata(&self.path).ok().map(identity);
        named.is_some() && named == self.pipe.metadata().ok().map(identity)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    /// A pipe that somebody writes to who never waits.
    fn pipe() -> (tempfile::TempDir, PathBuf, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.pipe");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let mut options = OpenOptions::new();
        let writer = options.read(true).write(true).custom_flags(O_NONBLOCK).open(&path).unwrap();
        (folder, path, writer)
    }

    fn times(pipe: &mut AnswerPipe) -> Vec<u32> {
        let mut times = Vec::new();
        assert!(pipe.read(|answer| times.push(answer.time_ms)).unwrap());
        times
    }

    #[test]
    fn a_line_is_an_answer_if_a_client_got_it_of_a_service() {
        let read = |line: &str| {
            let answer = Answer::read(line.as_bytes())?;
            Some((answer.service.to_string(), answer.class, answer.time_ms))
        };
        let of = |class, time_ms| Some(("store".to_owned(), class, time_ms));
        assert_eq!(read("first store 200 +3 --"), of(Class::Success, 3));
        assert_eq!(read("last store 101 +3600000 --"), of(Class::Success, 3_600_000));
        assert_eq!(read("first store 304 +0 --"), of(Class::Redirection, 0));
        assert_eq!(read("first store 404 +1 --"), of(Class::ClientError, 1));
        // The instance's own, and HAProxy's.
        assert_eq!(read("first store 502 +1 --"), of(Class::ServerError, 1));
        assert_eq!(read("first store 503 10012 sQ"), of(Class::ServerError, 10_012));
        assert_eq!(read("last store 502 7 SH"), of(Class::ServerError, 7));
        for none in [
            "",
            "first store 502 +1 SH",
            "last store -1 5 CH",
            "last store 400 5 cR",
            "first bellows.no-route 404 +0 PR",
            "first store 200 -1 --",
            "first store 999 1 --",
            "first store",
            "Proxy bellows.first stopped (cumulated conns: FE: 3, BE: 0).",
            "first store 200 99999999999 --",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn what_was_there_before_is_dropped_and_lines_come_whole_however_they_are_cut() {
        let (_folder, path, mut writer) = pipe();
        writer.write_all(b"first store 200 +1 --\n").unwrap();
        let mut pipe = AnswerPipe::open(&path).unwrap();
        assert!(times(&mut pipe).is_empty());
        writer.write_all(b"first store 200 +2 --\nlast sto").unwrap();
        assert_eq!(times(&mut pipe), [2]);
        writer.write_all(b"re 200 +3 --\n\xff\n").unwrap();
        assert_eq!(times(&mut pipe), [3]);
        // More than the buffer without an end of a line is dropped, and what comes after it is read.
        writer.write_all(&[b'x'; BUFFER_BYTES + 100]).unwrap();
        writer.write_all(b"\nfirst store 200 +4 --\n").unwrap();
        assert_eq!(times(&mut pipe), [4]);
    }

    #[test]
    fn who_writes_to_a_full_pipe_does_not_wait_and_what_is_in_it_is_read() {
        let (_folder, path, mut writer) = pipe();
        let mut pipe = AnswerPipe::open(&path).unwrap();
        let line = b"first store 200 +1 --\n";
        let mut written = 0_usize;
        let error = loop {
            match writer.write(line) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(written > PIPE_BYTES / 2, "{written}");
        assert_eq!(times(&mut pipe).len(), written / line.len());
    }

    #[test]
    fn a_pipe_that_others_may_write_to_is_refused_and_one_that_was_replaced_is_noticed() {
        let (_folder, path, writer) = pipe();
        let mut pipe = AnswerPipe::open(&path).unwrap();
        drop(writer);
        assert!(pipe.read(|_| {}).unwrap(), "nobody writes now");
        fs::remove_file(&path).unwrap();
        assert!(!pipe.read(|_| {}).unwrap());
        fs::write(&path, "first store 200 +1 --\n").unwrap();
        assert!(AnswerPipe::open(&path).is_err(), "a file");
        fs::remove_file(&path).unwrap();
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
        assert!(AnswerPipe::open(&path).is_err(), "the group may write");
    }
}
