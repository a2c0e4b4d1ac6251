//! The intervals of a trace of counts: how long one is, and what stands for those that are missing.

use std::fmt;
use std::time::Duration;

use super::error::{Fault, Source, TraceError};
use super::options::{Gaps, IntervalLength, IntervalOptions};
use super::table::{Row, Table};
use super::time::{self, Meaning};

/// A rate that holds for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) length: Duration,
    /// In requests/s.
    pub(super) rate: f64,
}

/// Times may be off by an interval's thousandth, as those are that were rounded.
const TOLERANCE: u128 = 1_000;

/// How a trace is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// How many there are, filled ones included.
    pub count: u64,
    /// How long one is.
    pub length: Duration,
    /// What stands for the missing ones, and how many they are. `None` when nothing was said about
    /// gaps: then none was missing.
    pub filled: Option<(Gaps, u64)>,
}

/// For the conditions of a run.
impl fmt::Display for Intervals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} intervals of {}", self.count, time::length(self.length))?;
        match self.filled {
            None => Ok(()),
            Some((Gaps::Zero, filled)) => write!(f, ", {filled} of them filled with 0"),
            Some((Gaps::Hold, filled)) => {
                write!(f, ", {filled} of them filled with the count before")
            }
        }
    }
}

/// The levels of a trace of counts.
pub(super) fn levels(
    source: Source,
    mut table: Table,
    options: IntervalOptions,
) -> Result<(Vec<Level>, Intervals), TraceError> {
    if let (Some(length), Meaning::FromStart) = (options.length, table.first.meaning) {
        count_intervals(source, &mut table.rows, length)?;
    }
    let rows = &table.rows;
    let grid = Grid::of(source, rows, options);
    let mut filling = Filling::new(grid.interval, options.gaps);
    for (index, row) in rows.iter().enumerate() {
        if row.figure.is_none() && options.gaps.is_none() {
            return Err(source.refuse_line(row.start, Fault::EmptyCount));
        }
        let Some(next) = rows.get(index + 1) else {
            filling.add(row.figure, grid.interval);
            break;
        };
        let step = next.at - row.at;
        let missing = grid.missing(step).map_err(|fault| source.refuse_line(next.start, fault))?;
        if missing == 0 {
            filling.add(row.figure, step);
        } else {
            filling.add(row.figure, grid.interval);
            filling.fill(missing, step - grid.interval);
        }
    }
    Ok(filling.finish())
}

/// Makes times of numbers that count intervals.
fn count_intervals(
    source: Source,
    rows: &mut [Row],
    length: IntervalLength,
) -> Result<(), TraceError> {
    for row in rows {
        let number = u32::try_from(row.at.as_secs()).ok().filter(|_| row.at.subsec_nanos() == 0);
        let at = number.and_then(|number| length.get().checked_mul(number));
        row.at = at.ok_or_else(|| {
            source.refuse_line(row.start, Fault::NoIntervalNumber(row.at.as_secs_f64()))
        })?;
    }
    Ok(())
}

/// The distance of lines that follow one another.
struct Grid<'a> {
    source: Source<'a>,
    interval: Duration,
    /// The two lines that it was taken from; `None` when it was said.
    shortest: Option<&'a [Row]>,
    are_gaps_filled: bool,
}

impl<'a> Grid<'a> {
    fn of(source: Source<'a>, rows: &'a [Row], options: IntervalOptions) -> Self {
        let step = |pair: &[Row]| pair[1].at - pair[0].at;
        let said = options.length.map(IntervalLength::get);
        let shortest = rows.windows(2).min_by_key(|pair| step(pair)).filter(|_| said.is_none());
        let interval = said.or(shortest.map(step)).unwrap_or_default();
        Self { source, interval, shortest, are_gaps_filled: options.gaps.is_some() }
    }

    /// How many intervals are missing between lines that are so far apart.
    fn missing(&self, step: Duration) -> Result<u64, Fault> {
        let (step_ns, interval_ns) = (step.as_nanos(), self.interval.as_nanos());
        let intervals = (step_ns + interval_ns / 2) / interval_ns;
        let is_off = step_ns.abs_diff(intervals * interval_ns) * TOLERANCE > interval_ns;
        let missing = intervals.checked_sub(1).and_then(|missing| u64::try_from(missing).ok());
        match missing {
            Some(missing) if !is_off && (missing == 0 || self.are_gaps_filled) => Ok(missing),
            Some(missing) if !is_off => {
                Err(Fault::Hole { step: time::length(step), interval: self.to_string(), missing })
            }
            _ => Err(Fault::Uneven { step: time::length(step), interval: self.to_string() }),
        }
    }
}

/// For errors.
impl fmt::Display for Grid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, as ", time::length(self.interval))?;
        match self.shortest {
            Some([from, to]) => {
                let [from, to] = [from, to].map(|row| self.source.line(row.start));
                write!(f, "from line {from} to line {to}")
            }
            _ => f.write_str("interval= says"),
        }
    }
}

/// The levels so far.
struct Filling {
    interval: Duration,
    gaps: Option<Gaps>,
    levels: Vec<Level>,
    count: u64,
    filled: u64,
    /// The rate of the last count, in requests/s; 0 before the first.
    last_rate: f64,
}

impl Filling {
    fn new(interval: Duration, gaps: Option<Gaps>) -> Self {
        Self { interval, gaps, levels: Vec::new(), count: 0, filled: 0, last_rate: 0.0 }
    }

    /// Adds an interval of that length; an empty count is a missing one.
    fn add(&mut self, count: Option<f64>, length: Duration) {
        let Some(count) = count else { return self.fill(1, length) };
        self.last_rate = count / length.as_secs_f64();
        self.levels.push(Level { length, rate: self.last_rate });
        self.count += 1;
    }

    /// Adds missing intervals, which are so long together.
    fn fill(&mut self, missing: u64, length: Duration) {
        let rate = match self.gaps {
            Some(Gaps::Hold) => self.last_rate,
            Some(Gaps::Zero) | None => 0.0,
        };
        self.levels.push(Level { length, rate });
        self.count += missing;
        self.filled += missing;
    }

    fn finish(self) -> (Vec<Level>, Intervals) {
        let filled = self.gaps.map(|gaps| (gaps, self.filled));
        (self.levels, Intervals { count: self.count, length: self.interval, filled })
    }
}
