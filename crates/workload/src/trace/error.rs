//! What can be wrong with a trace, and where.

use csv::StringRecord;
use model::output::harmless;
use model::value::Invalid;

/// A year of minutes is 525,600 lines.
pub(super) const MAX_LINES: usize = 2_000_000;
/// More requests than this in an interval, or a second in a pace file, are a fault of the file.
pub(super) const MAX_COUNT: u32 = 1_000_000_000;
/// The headers, for errors.
const HEADERS: &str = "a column of times first and `requests` last, or `time,rate` for a pace file";
/// Why a trace cannot be used: the file, the line where there is one, what is wrong, and what to
/// use instead.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct TraceError {
    place: String,
    fault: Fault,
}

/// What is wrong.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the file is empty: use a header, {HEADERS}, and lines below it")]
    Empty,
    #[error("the header is `{0}`: use {HEADERS}")]
    Header(String),
    #[error("the first line is `{0}`: use a header above it, {HEADERS}")]
    NoHeader(String),
    #[error("the header is `{0}`: use a comma between columns, and a point in decimals")]
    Separator(String),
    #[error("the number of columns is {found}: use {allowed}, as in the header")]
    Columns { found: usize, allowed: usize },
    #[error("the number of lines below the header is {0}: use 2 to {MAX_LINES}")]
    Lines(usize),
    #[error(transparent)]
    Value(Invalid),
    #[error(
        "the count is empty: use a number from 0 to {MAX_COUNT}, or fill such holes with \
         gaps=zero or gaps=hold"
    )]
    EmptyCount,
    #[error(
        "the time is {step} after that of the line before, and an interval is {interval}: put \
         lines in between for the {missing} missing, or fill such holes with gaps=zero or gaps=hold"
    )]
    Hole { step: String, interval: String, missing: u64 },
    #[error(
        "the time is {step} after that of the line before, and an interval is {interval}: use \
         whole intervals"
    )]
    Uneven { step: String, interval: String },
    #[error("the time is {0}: use whole numbers with interval=, which count intervals")]
    NoIntervalNumber(f64),
    #[error(
        "this is a pace file, in which a rate holds until the next line: use gaps= and interval= \
         with a trace of counts"
    )]
    NoIntervals,
    #[error("every figure is 0: use a file with at least one above 0")]
    AllZero,
    #[error("{0}")]
    Unreadable(String),
}

/// A file's name and text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// A fault of the file as a whole.
    pub(super) fn refuse(self, fault: Fault) -> TraceError {
        TraceError { place: self.file.to_owned(), fault }
    }

    /// A fault of the line that the reader of CSV says begins at byte `start`.
    pub(super) fn refuse_line(self, start: u64, fault: Fault) -> TraceError {
        let place = format!("{}, line {}", self.file, self.line(start));
        TraceError { place, fault }
    }

    /// The line, from 1, as an editor counts: an LF, a CR LF or a CR alone ends one. To the reader
    /// of CSV a record starts where the one before it ended, at the LF of its CR LF or at a blank
    /// line.
    pub(super) fn line(self, start: u64) -> usize {
        let from_start = usize::try_from(start).ok().and_then(|start| self.text.get(start..));
        let record = from_start.unwrap_or_default().trim_start_matches(['\r', '\n']);
        let before = &self.text[..self.text.len() - record.len()];
        let count = |ending: &str| before.matches(ending).count();
        1 + count("\n") + count("\r") - count("\r\n")
    }
}

/// Where a record of a file begins, in bytes.
pub(super) fn start_of(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::byte)
}

/// A text of the file as an error shows it: a broken file can have a line of many megabytes.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", harmless(&text[..end])),
        None => harmless(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        let line = |text: &str, start: usize| Source { file: "", text }.line(start as u64);
        assert_eq!(line("a\nb\nc", 4), 3);
        assert_eq!(line("a\r\nb\r\nc", 6), 3);
        assert_eq!(line("a\rb\rc", 4), 3);
        // The reader says that a record begins at the LF before it, or at blank lines.
        assert_eq!(line("a\r\nb", 2), 2);
        assert_eq!(line("a\n\n\r\nb", 2), 4);
        assert_eq!(line("a\n\n", 2), 3);
        assert_eq!(line("", 0), 1);
    }
}
