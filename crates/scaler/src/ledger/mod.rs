//! The ledger: from when to when instances were there, and what that costs. It is written as the loop sees them come and go, and
//! goes by what is there: what this process did not see is completed when it starts.

#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::Path;
use std::time::Duration;

use model::cost::CostPage;
use model::names::{InstanceName, ServiceName};
use model::time::Timestamp;
use policy::ledger::{Book, Entry, Price};

use crate::json_lines::JsonLines;
use writer::Writer;

/// Lines from which on what is old is summed up, and how many are left then: some 2 MB, here and on the disk.
const LINES_MAX: usize = 16_384;
const LINES_LEFT: usize = LINES_MAX / 2;

/// How often it is written that what is there was seen: what ends while this process is away is charged until then.
const SEEN_EVERY: Duration = Duration::from_secs(600);

/// The ledger, and its file.
#[derive(Debug)]
pub(crate) struct Ledger {
    book: Book,
    writer: Writer,
    lines: usize,
    /// When it was last written that what is there was seen.
    seen: Timestamp,
    /// Whether this process has looked.
    has_looked: bool,
}

impl Ledger {
    /// Opens the ledger at `path`, and reads what earlier processes wrote. A line that a crash cut short is passed over.
    ///
    /// # Errors
    /// The file cannot be read or made.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let (file, entries) = JsonLines::open::<Entry>(path, u64::MAX, usize::MAX)?;
        let mut book = Book::default();
        let lines = entries.len();
        entries.into_iter().for_each(|entry| book.take(entry));
        let seen = book.seen();
        Ok(Self { book, writer: Writer::start(file)?, lines, seen, has_looked: false })
    }

    /// Notes which instances are there.
    pub(crate) fn look<'a>(
        &mut self,
        there: impl Iterator<Item = &'a InstanceName>,
        price_of: impl Fn(&InstanceName) -> Price,
        now: Timestamp,
    ) {
        // What ended while nobody looked ended after it was seen last.
        let end = if self.has_looked { now } else { self.book.seen().min(now) };
        self.has_looked = true;
        let news = self.book.news(there, price_of, (end, now));
        news.into_iter().for_each(|entry| self.note(entry, now));
        self.book.saw(now);
        let is_due = now.since(self.seen) >= SEEN_EVERY && self.book.there().next().is_some();
        if is_due {
            self.note(Entry::Seen { at: now }, now);
        }
    }

    fn note(&mut self, entry: Entry, now: Timestamp) {
        self.book.take(entry.clone());
        self.lines += 1;
        self.seen = now;
        if self.lines > LINES_MAX {
            self.book.shrink(LINES_LEFT, now);
            self.write_anew();
        } else if self.writer.has_failed() {
            self.write_anew();
        } else {
            self.writer.add(entry);
        }
    }

    fn write_anew(&mut self) {
        let entries = self.book.entries();
        self.lines = entries.len();
        self.writer.replace(entries);
    }

    /// What the instances of the services that `sees` lets through ran and cost since a moment.
    pub(crate) fn page(
        &self,
        since: Timestamp,
        now: Timestamp,
        sees: impl Fn(&ServiceName) -> bool,
    ) -> CostPage {
        self.book.page(since, now, sees)
    }

    /// Writes that what is there was seen at this moment, and waits until all is in the file.
    pub(crate) fn end(&mut self) {
        let seen = self.book.seen();
        if seen > self.seen && self.book.there().next().is_some() {
            self.note(Entry::Seen { at: seen }, seen);
        }
        self.writer.flush();
    }
}
