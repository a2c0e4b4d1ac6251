//! A file of records, one JSON value a line, that outlives the process and is bounded.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use host::files::replace_file;
use serde::Serialize;
use serde::de::DeserializeOwned;

const MODE: u32 = 0o600;

/// The file, to which records are added.
#[derive(Debug)]
pub(crate) struct JsonLines {
    path: PathBuf,
    file: File,
    file_bytes: u64,
    /// The size at which the file is put aside and a new one begun. Two of them are kept.
    max_bytes: u64,
    /// Whether the file may end in a line that was cut short, which must not swallow the next one.
    torn: bool,
}

impl JsonLines {
    /// Opens the file at `path`, and reads the newest `newest` records that earlier processes wrote.
    /// A line that a crash cut short is passed over.
    ///
    /// # Errors
    /// The file cannot be read or made.
    pub(crate) fn open<T: DeserializeOwned>(
        path: &Path,
        max_bytes: u64,
        newest: usize,
    ) -> io::Result<(Self, VecDeque<T>)> {
        // Only the newest lines are parsed: all of two full files would take the best part of the
        // second within which a scaler that died is to be back.
        let mut lines = VecDeque::new();
        for part in [&aside(path), path] {
            protect(part)?;
            read_lines(&mut lines, part, newest)?;
        }
        // Each line is given back as it is parsed: beside all records they would be 5 MB more at the peak,
        // which the process keeps.
        let parsed = lines.into_iter().filter_map(|line| serde_json::from_slice(&line).ok());
        let records = parsed.collect();
        let file = append_to(path)?;
        let file_bytes = file.metadata()?.len();
        let opened = Self { path: path.to_owned(), file, file_bytes, max_bytes, torn: true };
        Ok((opened, records))
    }

    /// Adds a record.
    ///
    /// # Errors
    /// The file could not be written.
    pub(crate) fn add(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut line = if self.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        self.torn = true;
        self.file.write_all(&line)?;
        self.torn = false;
        self.file_bytes += line.len() as u64;
        if self.file_bytes >= self.max_bytes {
            std::fs::rename(&self.path, aside(&self.path))?;
            self.file = append_to(&self.path)?;
            self.file_bytes = 0;
        }
        Ok(())
    }
}

impl JsonLines {
    /// Puts these records in the place of all that is there, on the disk before it returns.
    ///
    /// # Errors
    /// They could not be written; what is there stays, and goes on to be added to.
    pub(crate) fn replace(&mut self, records: &[impl Serialize]) -> io::Result<()> {
        let mut text = Vec::new();
        for record in records {
            serde_json::to_writer(&mut text, record)?;
            text.push(b'\n');
        }
        let bytes = text.len() as u64;
        replace_file(&self.path, text, MODE)?;
        self.file = append_to(&self.path)?;
        (self.file_bytes, self.torn) = (bytes, false);
        Ok(())
    }
}

/// The record is told by the API, to whom it may tell it, and read by nobody else.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(MODE).open(path)
}

/// A file that an earlier release made could be read by anybody.
fn protect(path: &Path) -> io::Result<()> {
    match std::fs::set_permissions(path, Permissions::from_mode(MODE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Adds what is newest, and forgets what is oldest where there are `most` already.
pub(crate) fn push_bounded<T>(queue: &mut VecDeque<T>, newest: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(newest);
}

/// Where the file goes when it is full.
fn aside(path: &Path) -> PathBuf {
    path.with_extension("1.jsonl")
}

fn read_lines(lines: &mut VecDeque<Vec<u8>>, path: &Path, newest: usize) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).split(b'\n') {
        push_bounded(lines, line?, newest);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> (JsonLines, Vec<u64>) {
        let (file, records) = JsonLines::open(path, 1_000, 9).unwrap();
        (file, records.into())
    }

    #[test]
    fn records_outlive_the_process_and_a_line_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.jsonl");
        let (mut file, _) = open(&path);
        file.add(&1).unwrap();
        file.file.write_all(br#"{"sequence":2,"at_"#).unwrap();
        drop(file);
        let (mut file, records) = open(&path);
        assert_eq!(records, [1]);
        file.add(&2).unwrap();
        assert_eq!(open(&path).1, [1, 2]);
    }

    #[test]
    fn a_full_disk_costs_the_file_no_more_than_what_did_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.jsonl");
        let (mut file, _) = open(&path);
        file.add(&1).unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let good = std::mem::replace(&mut file.file, full);
        assert!(file.add(&2).is_err());
        file.file = good;
        file.file.write_all(br#"{"sequence":2,"at_"#).unwrap();
        file.add(&3).unwrap();
        assert_eq!(open(&path).1, [1, 3]);
    }

    #[test]
    fn a_full_file_is_put_aside_and_still_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.jsonl");
        drop(open(&path));
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let (mut file, _) = open(&path);
        file.add(&1).unwrap();
        file.file_bytes = 1_000;
        file.add(&2).unwrap();
        file.add(&3).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "3\n");
        for file in [aside(&path), path.clone()] {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, MODE);
        }
        assert_eq!(open(&path).1, [1, 2, 3]);
    }

    #[test]
    fn only_the_newest_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.jsonl");
        let (mut file, _) = open(&path);
        for number in 0..20 {
            file.add(&number).unwrap();
        }
        assert_eq!(open(&path).1, [11, 12, 13, 14, 15, 16, 17, 18, 19]);
    }
}
