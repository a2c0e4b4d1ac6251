//! The kept output of one instance: a file of bounded size, of which the newest is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::names::InstanceName;
use model::output::{OutputLine, Stream};
use model::time::Timestamp;

/// What is kept of an instance at most: in the file that is written to, and in the one before it.
const PART_BYTES: u64 = 128 * 1024;

/// What files are named after their instance.
pub(super) const ENDING: &str = ".log";
const BEFORE: &str = ".log.1";

/// The file of an instance that runs.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Lines that are not written yet: a write for each took 16% of a core for short lines at the rate at
    /// which an instance may write.
    pending: Vec<u8>,
}

impl Log {
    /// Goes on with the file of an instance, or begins it.
    pub(super) fn open(folder: &Path, instance: &InstanceName) -> io::Result<Self> {
        let path = folder.join(format!("{instance}{ENDING}"));
        let file = append_to(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes, pending: Vec::new() })
    }

    /// Adds a line, which [`Self::flush`] writes.
    pub(super) fn add(&mut self, at: Timestamp, stream: Stream, text: &str) -> io::Result<()> {
        let letter = match stream {
            Stream::Stdout => 'o',
            Stream::Stderr => 'e',
        };
        let line = format!("{} {letter} {text}\n", at.as_millis());
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes + length > PART_BYTES {
            self.flush()?;
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = append_to(&self.path)?;
            self.bytes = 0;
        }
        self.pending.extend_from_slice(line.as_bytes());
        self.bytes += length;
        Ok(())
    }

    /// Writes what was added.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        // Its room is given back: an instance at rest has none.
        self.file.write_all(&std::mem::take(&mut self.pending))
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The newest lines of an instance, oldest first; none where nothing is kept.
pub(super) fn newest(folder: &Path, instance: &InstanceName, count: usize) -> Vec<OutputLine> {
    let mut lines = Vec::new();
    for ending in [BEFORE, ENDING] {
        let bytes = fs::read(folder.join(format!("{instance}{ending}"))).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let newest = text.lines().rev().take(count).filter_map(|line| parse(line, instance));
        let mut newest: Vec<_> = newest.collect();
        newest.reverse();
        lines.extend(newest);
    }
    lines.split_off(lines.len().saturating_sub(count))
}

fn parse(line: &str, instance: &InstanceName) -> Option<OutputLine> {
    let (at, rest) = line.split_once(' ')?;
    let (letter, text) = rest.split_once(' ')?;
    let stream = if letter == "o" { Stream::Stdout } else { Stream::Stderr };
    let at = Timestamp::from_millis(at.parse().ok()?);
    Some(OutputLine { at, instance: instance.clone(), stream, text: text.to_owned() })
}

/// Removes all that is kept of an instance.
pub(super) fn remove(folder: &Path, instance: &InstanceName) {
    for ending in [BEFORE, ENDING] {
        // What is left is bounded, and is tried again when the next instance ends.
        let _ = fs::remove_file(folder.join(format!("{instance}{ending}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_within_a_bound_and_read_back_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let instance = "bw-store-1-a".parse().unwrap();
        let mut log = Log::open(folder.path(), &instance).unwrap();
        for number in 0..40_000 {
            log.add(Timestamp::from_millis(number), Stream::Stdout, &format!("line {number}"))
                .unwrap();
        }
        log.flush().unwrap();
        let mut log = Log::open(folder.path(), &instance).unwrap();
        log.add(Timestamp::from_millis(40_000), Stream::Stderr, "a b").unwrap();
        log.flush().unwrap();
        let size = |ending: &str| {
            folder.path().join(format!("{instance}{ending}")).metadata().unwrap().len()
        };
        assert!(size(ENDING) <= PART_BYTES && size(BEFORE) <= PART_BYTES);
        let lines = newest(folder.path(), &instance, 5_000);
        assert_eq!(lines.len(), 5_000);
        let texts = [&lines[4_998].text, &lines[4_999].text];
        assert_eq!(texts, ["line 39999", "a b"]);
        assert_eq!(lines[4_999].stream, Stream::Stderr);
        assert!(lines.is_sorted_by_key(|line| line.at));
        remove(folder.path(), &instance);
        assert!(newest(folder.path(), &instance, 1).is_empty());
    }
}
