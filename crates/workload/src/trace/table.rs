//! The lines of a file: its header, and below it a time and a figure in each line.

use std::time::Duration;

use csv::{ReaderBuilder, StringRecord, Trim};
use model::value::Invalid;

use super::error::{Fault, MAX_COUNT, MAX_LINES, Source, TraceError, shown, start_of};
use super::time::{Meaning, SPELLINGS, TEN_YEARS, Time, is_plain};

const COUNTS: &str = "a number from 0 to 1000000000";

/// What a file of recorded load holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TraceKind {
    /// Requests per interval, of a system of another size: its height means little.
    Counts,
    /// Requests per second, as they are to be offered: a pace file.
    Rates,
}

/// A file's lines, whose times rise.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) kind: TraceKind,
    /// The time of the first line.
    pub(super) first: Time,
    /// Two or more.
    pub(super) rows: Vec<Row>,
}

/// A line.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it begins in the file, in bytes.
    pub(super) start: u64,
    /// Since the start, or since 1970.
    pub(super) at: Duration,
    /// `None` when a count is left empty.
    pub(super) figure: Option<f64>,
}

/// Reads all lines.
pub(super) fn read(source: Source) -> Result<Table, TraceError> {
    if source.text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err(source.refuse(Fault::Empty));
    }
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        // The number of columns is checked here, for an error like the others.
        .flexible(true)
        .from_reader(source.text.as_bytes());
    let unreadable = |error: csv::Error| source.refuse(Fault::Unreadable(error.to_string()));
    let header = reader.headers().map_err(unreadable)?.clone();
    let kind = kind(&header).map_err(|fault| source.refuse_line(start_of(&header), fault))?;
    let mut lines = Lines { header: &header, kind, first: None, rows: Vec::new() };
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        lines.take(&record).map_err(|fault| source.refuse_line(start_of(&record), fault))?;
    }
    match lines {
        Lines { kind, first: Some(first), rows, .. } if rows.len() >= 2 => {
            Ok(Table { kind, first, rows })
        }
        Lines { rows, .. } => Err(source.refuse(Fault::Lines(rows.len()))),
    }
}

/// What a file with this header holds.
fn kind(header: &StringRecord) -> Result<TraceKind, Fault> {
    let names: Vec<String> = header.iter().map(str::to_lowercase).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let whole = || shown(&header.iter().collect::<Vec<_>>().join(","));
    match names.as_slice() {
        ["time", "rate"] => Ok(TraceKind::Rates),
        [_, .., "requests"] => Ok(TraceKind::Counts),
        [one] if one.contains([';', '\t', '|']) => Err(Fault::Separator(whole())),
        [first, ..] if Time::parse(first).is_some() => Err(Fault::NoHeader(whole())),
        _ => Err(Fault::Header(whole())),
    }
}

/// The lines so far, checked one by one.
struct Lines<'a> {
    header: &'a StringRecord,
    kind: TraceKind,
    first: Option<Time>,
    rows: Vec<Row>,
}

impl Lines<'_> {
    fn take(&mut self, record: &StringRecord) -> Result<(), Fault> {
        let columns = self.header.len();
        if record.len() != columns {
            return Err(Fault::Columns { found: record.len(), allowed: columns });
        }
        if self.rows.len() == MAX_LINES {
            return Err(Fault::Lines(MAX_LINES + 1));
        }
        let at = self.time(&record[0]).map_err(|allowed| self.value(record, 0, allowed))?;
        let last = columns - 1;
        let figure =
            self.figure(&record[last]).map_err(|allowed| self.value(record, last, allowed))?;
        self.rows.push(Row { start: start_of(record), at, figure });
        Ok(())
    }

    /// The time of the next line, or what is allowed there.
    fn time(&mut self, text: &str) -> Result<Duration, &'static str> {
        let time = Time::parse(text).ok_or(SPELLINGS)?;
        let first = *self.first.get_or_insert(time);
        if time.meaning != first.meaning {
            return Err("a time written like that of the first line");
        }
        if self.rows.last().is_some_and(|before| time.at <= before.at) {
            return Err(match time.meaning {
                Meaning::Local => {
                    "a time after that of the line before; where clocks were set back, times need \
                     an offset such as +02:00"
                }
                Meaning::FromStart | Meaning::Moment => "a time after that of the line before",
            });
        }
        if time.at - first.at > TEN_YEARS {
            return Err("a time up to ten years after that of the first line");
        }
        Ok(time.at)
    }

    fn figure(&self, text: &str) -> Result<Option<f64>, &'static str> {
        if text.is_empty() && self.kind == TraceKind::Counts {
            return Ok(None);
        }
        let number = text.parse().ok().filter(|_| is_plain(text));
        number.filter(|number| *number <= f64::from(MAX_COUNT)).map(Some).ok_or(COUNTS)
    }

    fn value(&self, record: &StringRecord, column: usize, allowed: &'static str) -> Fault {
        let value = format!("`{}`", shown(&record[column]));
        Fault::Value(Invalid::new(shown(&self.header[column]), value, allowed))
    }
}
