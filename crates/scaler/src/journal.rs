//! The record of ticks: the newest in memory for the API, all of late in a file that outlives the
//! process.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use model::names::ServiceName;
use model::tick::Tick;

/// Ticks in memory: some 10 MB, and more than an hour in which a service changes twice a second.
const TICKS_IN_MEMORY: usize = 10_000;

/// Size at which the file is put aside and a new one begun. Two of them are kept.
const FILE_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Ticks that changed something, or wanted to and could not, in the order they were taken.
#[derive(Debug)]
pub(crate) struct Journal {
    ticks: VecDeque<Tick>,
    last_by_service: BTreeMap<ServiceName, Tick>,
    next_sequence: u64,
    path: PathBuf,
    file: File,
    file_bytes: u64,
    /// Whether the file may end in a line that was cut short, which must not swallow the next one.
    torn: bool,
}

impl Journal {
    /// Opens the record at `path` and reads what earlier processes wrote. A line that a crash cut
    /// short is passed over.
    ///
    /// # Errors
    /// The file cannot be read or made.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Only the newest lines are parsed: all of two full files would take the best part of the
        // second within which a scaler that died is to be back.
        let mut lines = VecDeque::new();
        for part in [&aside(path), path] {
            read_lines(&mut lines, part)?;
        }
        let ticks = parse(lines);
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            next_sequence: ticks.back().map_or(1, |tick| tick.sequence + 1),
            last_by_service: BTreeMap::new(),
            ticks,
            path: path.to_owned(),
            file_bytes: file.metadata()?.len(),
            file,
            torn: true,
        })
    }

    /// Keeps `tick` if it is worth it, and gives it its sequence number then.
    ///
    /// # Errors
    /// The file could not be written. The tick is kept in memory all the same.
    pub(crate) fn offer(&mut self, mut tick: Tick) -> io::Result<()> {
        let last = self.last_by_service.get(&tick.service);
        if !tick.is_worth_keeping(last) {
            return Ok(());
        }
        tick.sequence = self.next_sequence;
        self.next_sequence += 1;
        self.last_by_service.insert(tick.service.clone(), tick.clone());
        let written = self.write(&tick);
        push_bounded(&mut self.ticks, tick);
        written
    }

    /// At most `limit` ticks with a sequence number above `since`, oldest first.
    pub(crate) fn since(&self, since: u64, limit: usize) -> Vec<Tick> {
        let first = self.ticks.partition_point(|tick| tick.sequence <= since);
        self.ticks.range(first..).take(limit).cloned().collect()
    }

    fn write(&mut self, tick: &Tick) -> io::Result<()> {
        let mut line = if self.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, tick)?;
        line.push(b'\n');
        self.torn = true;
        self.file.write_all(&line)?;
        self.torn = false;
        self.file_bytes += line.len() as u64;
        if self.file_bytes >= FILE_MAX_BYTES {
            std::fs::rename(&self.path, aside(&self.path))?;
            self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            self.file_bytes = 0;
        }
        Ok(())
    }
}

/// Where the file goes when it is full.
fn aside(path: &Path) -> PathBuf {
    path.with_extension("1.jsonl")
}

fn read_lines(lines: &mut VecDeque<Vec<u8>>, path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).split(b'\n') {
        push_bounded(lines, line?);
    }
    Ok(())
}

/// The ticks in these lines, as far as their sequence numbers rise.
fn parse(lines: VecDeque<Vec<u8>>) -> VecDeque<Tick> {
    let mut ticks: VecDeque<Tick> = VecDeque::new();
    for line in lines {
        if let Ok(tick) = serde_json::from_slice::<Tick>(&line)
            && ticks.back().is_none_or(|last| last.sequence < tick.sequence)
        {
            ticks.push_back(tick);
        }
    }
    ticks
}

/// Adds what is newest, and forgets what is oldest where there are as many as fit in memory.
fn push_bounded<T>(queue: &mut VecDeque<T>, newest: T) {
    if queue.len() == TICKS_IN_MEMORY {
        queue.pop_front();
    }
    queue.push_back(newest);
}

#[cfg(test)]
mod tests {
    use model::decision::{Decision, Reason};
    use model::tick::Observation;
    use model::time::Timestamp;

    use super::*;

    fn tick(ready: u32) -> Tick {
        let decision = Decision::Target { ready, reasons: vec![Reason::OfferedLoad] };
        Tick {
            sequence: 0,
            at: Timestamp::from_millis(5),
            service: "store".parse().unwrap(),
            observation: Observation::default(),
            rollout: None,
            decision,
            plan: vec![],
            blocked: vec![],
            done: vec![],
        }
    }

    fn sequences(journal: &Journal, since: u64, limit: usize) -> Vec<u64> {
        journal.since(since, limit).iter().map(|tick| tick.sequence).collect()
    }

    #[test]
    fn a_tick_like_the_last_one_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("ticks.jsonl")).unwrap();
        for ready in [1, 1, 2, 2, 3] {
            journal.offer(tick(ready)).unwrap();
        }
        assert_eq!(sequences(&journal, 0, 9), [1, 2, 3]);
        assert_eq!(sequences(&journal, 1, 1), [2]);
        assert_eq!(sequences(&journal, 3, 9), [0; 0]);
    }

    #[test]
    fn the_record_outlives_the_process_and_a_line_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.offer(tick(1)).unwrap();
        journal.file.write_all(br#"{"sequence":2,"at_"#).unwrap();
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        journal.offer(tick(2)).unwrap();
        drop(journal);
        assert_eq!(sequences(&Journal::open(&path).unwrap(), 0, 9), [1, 2]);
    }

    #[test]
    fn a_full_disk_costs_the_file_no_more_than_what_did_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.offer(tick(1)).unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let good = std::mem::replace(&mut journal.file, full);
        assert!(journal.offer(tick(2)).is_err());
        journal.file = good;
        journal.file.write_all(br#"{"sequence":2,"at_"#).unwrap();
        journal.offer(tick(3)).unwrap();
        assert_eq!(sequences(&journal, 0, 9), [1, 2, 3]);
        assert_eq!(sequences(&Journal::open(&path).unwrap(), 0, 9), [1, 3]);
    }

    #[test]
    fn the_newest_ten_thousand_are_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("ticks.jsonl")).unwrap();
        for ready in 0..10_003 {
            journal.offer(tick(ready)).unwrap();
        }
        let kept = sequences(&journal, 0, 20_000);
        assert_eq!((kept.len(), kept[0]), (10_000, 4));
    }

    #[test]
    fn a_full_file_is_put_aside_and_still_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.offer(tick(1)).unwrap();
        journal.file_bytes = FILE_MAX_BYTES;
        journal.offer(tick(2)).unwrap();
        journal.offer(tick(3)).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 1000);
        drop(journal);
        assert_eq!(sequences(&Journal::open(&path).unwrap(), 0, 9), [1, 2, 3]);
    }
}
