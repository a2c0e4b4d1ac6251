//! Loads that were recorded: traces of counts per interval, and pace files of rates.

use std::time::Duration;

use csv::{ReaderBuilder, StringRecord};

use crate::rate::{RateCurve, Segment, Shape};
use crate::scenario::TimeFactor;

/// A year of minutes is 525,600 lines.
const MAX_LINES: usize = 2_000_000;
/// More requests than this in an interval, or requests/s in a pace file, are a fault of the file.
const MAX_FIGURE: f64 = 1e9;
/// No load lasts longer than ten years, nor does a number of seconds name a later moment.
const MAX_SPAN_S: f64 = 315_360_000.0;
/// A count's unit, and so the name of a trace's last column.
const COUNT_COLUMN: &str = "requests";

/// Why a trace cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum TraceError {
    /// The header is not one of the two that are known.
    #[error(
        "{file}, line 1: the header is `{found}`: allowed is a column of times first and \
         `requests` last, or `time,rate`"
    )]
    Header {
        /// The file.
        file: String,
        /// What it says.
        found: String,
    },
    /// Not enough lines to know an interval from.
    #[error("{file}: the number of lines below the header is {lines}: allowed is 2 to {MAX_LINES}")]
    Lines {
        /// The file.
        file: String,
        /// How many there are, at least.
        lines: usize,
    },
    /// A value that is not allowed.
    #[error("{file}, line {line}: {column} is `{value}`: allowed is {allowed}")]
    Value {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column's name.
        column: String,
        /// What the file says.
        value: String,
        /// What it may say.
        allowed: String,
    },
    /// A line that is not one of a CSV file, or has too few or too many columns.
    #[error("{file}, line {line}: {reason}")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing to scale.
    #[error("{file}: every figure is 0: allowed is a trace with at least one above 0")]
    AllZero {
        /// The file.
        file: String,
    },
    /// The peak asked for is not one.
    #[error("a peak of {0} requests/s: allowed is above 0 to 100000000")]
    Peak(f64),
}

/// A recorded load: so many requests per second from each moment until the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The levels in order: how long each holds, in seconds, and its rate in requests/s.
    levels: Vec<(f64, f64)>,
    kind: TraceKind,
    began: Option<Duration>,
}

/// What a file of recorded load counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceKind {
    /// Requests per interval, of a system of another size: its height means little.
    Counts,
    /// Requests per second, as they are to be offered.
    Rates,
}

impl Trace {
    /// Parses and checks the text of a trace or of a pace file; see `loadgen/traces/README.md`.
    ///
    /// # Errors
    /// [`TraceError`] names the `file`, the line, the value and what is allowed.
    pub fn parse(file: &str, text: &str) -> Result<Self, TraceError> {
        let mut reader = ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().cloned().unwrap_or_default();
        let kind = kind(&header).ok_or_else(|| TraceError::Header {
            file: file.to_owned(),
            found: header.iter().collect::<Vec<_>>().join(","),
        })?;
        let mut points = Points { file, header: &header, kind, points: Vec::new(), began: None };
        for record in reader.records() {
            points.take(record)?;
        }
        points.finish()
    }

    /// What its figures count.
    pub fn kind(&self) -> TraceKind {
        self.kind
    }

    /// When its first interval began, since 1970 in its own zone, or in UTC when it names none;
    /// `None` where its times are plain seconds.
    pub fn began(&self) -> Option<Duration> {
        self.began
    }

    /// The highest rate, in requests per second.
    pub fn peak_rps(&self) -> f64 {
        self.levels.iter().map(|(_, rate)| *rate).fold(0.0, f64::max)
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.levels.iter().map(|(length_s, _)| length_s).sum())
    }

    /// The same shape with its highest rate at `peak_rps`.
    ///
    /// # Errors
    /// The peak is not above 0, or absurd.
    pub fn scaled_to(self, peak_rps: f64) -> Result<Self, TraceError> {
        if !(peak_rps > 0.0 && peak_rps <= 1e8) {
            return Err(TraceError::Peak(peak_rps));
        }
        Ok(self.with_peak(peak_rps))
    }

    /// The same shape with its highest rate at `peak_rps`, a number above 0.
    pub(crate) fn with_peak(mut self, peak_rps: f64) -> Self {
        let factor = peak_rps / self.peak_rps();
        self.levels.iter_mut().for_each(|(_, rate)| *rate *= factor);
        self
    }

    /// The load over time, squeezed by `factor`; the rates stay.
    pub fn curve(&self, factor: TimeFactor) -> RateCurve {
        RateCurve::new(self.levels.iter().map(|&(length_s, rate)| {
            let length = Duration::from_secs_f64(length_s * factor.get());
            Segment::new(length, Shape::Line { from: rate, to: rate })
        }))
    }
}

/// What a file with this header holds.
fn kind(header: &StringRecord) -> Option<TraceKind> {
    let last = header.len().checked_sub(1)?;
    if header.len() == 2 && &header[0] == "time" && &header[1] == "rate" {
        return Some(TraceKind::Rates);
    }
    (last > 0 && &header[last] == COUNT_COLUMN).then_some(TraceKind::Counts)
}

/// The lines of a file, judged one by one.
struct Points<'a> {
    file: &'a str,
    header: &'a StringRecord,
    kind: TraceKind,
    /// Each moment, in seconds, and its figure.
    points: Vec<(f64, f64)>,
    began: Option<Duration>,
}

impl Points<'_> {
    fn take(&mut self, record: Result<StringRecord, csv::Error>) -> Result<(), TraceError> {
        let record = record.map_err(|error| TraceError::Line {
            file: self.file.to_owned(),
            line: error.position().map_or(0, csv::Position::line),
            reason: line_fault(&error),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        if self.points.len() == MAX_LINES {
            return Err(TraceError::Lines { file: self.file.to_owned(), lines: MAX_LINES + 1 });
        }
        let (at, is_date) = moment(&record[0]).ok_or_else(|| {
            let allowed = "seconds from 0 to 315360000, or a date and a time from 1970 on such as \
                           1995-07-03 00:01:00";
            self.refuse(line, 0, &record, allowed)
        })?;
        let last = record.len() - 1;
        let figure = plain_number(&record[last], MAX_FIGURE)
            .ok_or_else(|| self.refuse(line, last, &record, "a number from 0 to 1000000000"))?;
        self.check_order(line, at, &record)?;
        if is_date && self.points.is_empty() {
            self.began = Some(Duration::from_secs_f64(at));
        }
        self.points.push((at, figure));
        Ok(())
    }

    /// Times rise; those of a trace by the same interval each.
    fn check_order(&self, line: u64, at: f64, record: &StringRecord) -> Result<(), TraceError> {
        let (Some(&(first, _)), Some(&(before, _))) = (self.points.first(), self.points.last())
        else {
            return Ok(());
        };
        if at <= before {
            return Err(self.refuse(line, 0, record, "a time after that of the line before"));
        }
        if at - first > MAX_SPAN_S {
            return Err(self.refuse(line, 0, record, "up to ten years after the first line"));
        }
        let Some(&(second, _)) = self.points.get(1) else { return Ok(()) };
        let (interval, step) = (second - first, at - before);
        let even = (step - interval).abs() <= interval * 1e-6;
        if self.kind == TraceKind::Counts && !even {
            let allowed = format!(
                "{interval} s after the line before, like the first two, and it is {step} s: fill \
                 gaps with lines of 0"
            );
            return Err(self.refuse(line, 0, record, &allowed));
        }
        Ok(())
    }

    fn finish(self) -> Result<Trace, TraceError> {
        let Self { file, kind, points, began, .. } = self;
        if points.len() < 2 {
            return Err(TraceError::Lines { file: file.to_owned(), lines: points.len() });
        }
        let mut levels: Vec<_> =
            points.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[0].1)).collect();
        if let (TraceKind::Counts, Some(&(interval, _)), Some(&(_, count))) =
            (kind, levels.first(), points.last())
        {
            levels.push((interval, count));
            levels.iter_mut().for_each(|(length_s, figure)| *figure /= *length_s);
        }
        if levels.iter().all(|(_, rate)| *rate <= 0.0) {
            return Err(TraceError::AllZero { file: file.to_owned() });
        }
        Ok(Trace { levels, kind, began })
    }

    fn refuse(&self, line: u64, column: usize, record: &StringRecord, allowed: &str) -> TraceError {
        TraceError::Value {
            file: self.file.to_owned(),
            line,
            column: self.header[column].to_owned(),
            value: record[column].to_owned(),
            allowed: allowed.to_owned(),
        }
    }
}

fn line_fault(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns: allowed is {expected_len}, as in the header")
        }
        _ => "not a line of a CSV file in UTF-8".to_owned(),
    }
}

/// A moment in seconds, and whether it was a date: then the seconds count from 1970.
fn moment(text: &str) -> Option<(f64, bool)> {
    if let Some(seconds) = plain_number(text, MAX_SPAN_S) {
        return Some((seconds, false));
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    let since = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0));
    Duration::try_from(since).ok().map(|span| (span.as_secs_f64(), true))
}

/// A number of digits and at most one point: no sign, no exponent, no `inf`.
fn plain_number(text: &str, max: f64) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|value| plain && *value <= max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Trace, TraceError> {
        Trace::parse("t.csv", text)
    }

    fn rates(trace: &Trace, moments: &[u64]) -> Vec<f64> {
        let curve = trace.curve(TimeFactor::WHOLE);
        moments.iter().map(|s| curve.rate_at(Duration::from_secs(*s))).collect()
    }

    #[test]
    fn counts_per_interval_become_rates() {
        let trace = parse("minute,host,requests\n0,a,60\n60,a,120\n120,b,0\n").unwrap();
        assert_eq!(rates(&trace, &[0, 59, 60, 120, 179, 180]), [1.0, 1.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(trace.curve(TimeFactor::WHOLE).duration(), Duration::from_secs(180));
        assert_eq!(trace.began(), None);
    }

    #[test]
    fn a_peak_scales_the_height_and_a_factor_the_time() {
        let trace = parse("s,requests\n0,1\n1,4\n").unwrap().scaled_to(500.0).unwrap();
        assert_eq!(rates(&trace, &[0, 1]), [125.0, 500.0]);
        let half = trace.curve(TimeFactor::new(0.5).unwrap());
        assert_eq!(half.duration(), Duration::from_secs(1));
        assert!((half.total() - 312.5).abs() < 1e-9);
    }

    #[test]
    fn dates_are_read_in_the_usual_spellings() {
        for [one, two] in [
            ["1995-07-03 00:00:00", "1995-07-03 00:01:00"],
            ["1995-07-03T00:00", "1995-07-03T00:01"],
            ["1995-07-03T00:00:00-04:00", "1995-07-03T00:01:00-04:00"],
        ] {
            let trace = parse(&format!("timestamp,requests\n{one},60\n{two},0\n")).unwrap();
            assert_eq!(trace.began(), Some(Duration::from_secs(804_729_600)));
            assert_eq!(rates(&trace, &[0, 60]), [1.0, 0.0]);
        }
    }

    #[test]
    fn a_pace_file_holds_each_rate_until_the_next_line() {
        let trace = parse("time,rate\n0,10\n5,30\n8,0\n").unwrap();
        assert_eq!(rates(&trace, &[0, 4, 5, 7, 8]), [10.0, 10.0, 30.0, 30.0, 0.0]);
        assert_eq!(trace.kind(), TraceKind::Rates);
    }

    #[test]
    fn what_is_broken_is_named_with_its_line_and_what_is_allowed() {
        let cases = [
            "",
            "second,requests\n",
            "second,requests\n0,1\n",
            "second,count\n0,1\n1,1\n",
            "requests\n1\n2\n",
            "second,requests\n0,1\n1,2\n3,4\n",
            "second,requests\n0,1\n1,2\n1,4\n",
            "second,requests\n0,1\n1,-2\n",
            "second,requests\n0,1\n1,many\n",
            "second,requests\n0,1\n1,\n",
            "second,requests\n0,1\n1,1e300\n",
            "second,requests\n0,1\n1,9999999999\n",
            "second,requests\ninf,1\n1,1\n",
            "second,requests\nyesterday,1\n1,1\n",
            "second,requests\n0,1\n1,2,3\n",
            "second,requests\n0,0\n1,0\n",
        ];
        let messages: Vec<_> = cases.map(|text| parse(text).unwrap_err().to_string()).into();
        insta::assert_snapshot!(messages.join("\n"), @r"
        t.csv, line 1: the header is ``: allowed is a column of times first and `requests` last, or `time,rate`
        t.csv: the number of lines below the header is 0: allowed is 2 to 2000000
        t.csv: the number of lines below the header is 1: allowed is 2 to 2000000
        t.csv, line 1: the header is `second,count`: allowed is a column of times first and `requests` last, or `time,rate`
        t.csv, line 1: the header is `requests`: allowed is a column of times first and `requests` last, or `time,rate`
        t.csv, line 4: second is `3`: allowed is 1 s after the line before, like the first two, and it is 2 s: fill gaps with lines of 0
        t.csv, line 4: second is `1`: allowed is a time after that of the line before
        t.csv, line 3: requests is `-2`: allowed is a number from 0 to 1000000000
        t.csv, line 3: requests is `many`: allowed is a number from 0 to 1000000000
        t.csv, line 3: requests is ``: allowed is a number from 0 to 1000000000
        t.csv, line 3: requests is `1e300`: allowed is a number from 0 to 1000000000
        t.csv, line 3: requests is `9999999999`: allowed is a number from 0 to 1000000000
        t.csv, line 2: second is `inf`: allowed is seconds from 0 to 315360000, or a date and a time from 1970 on such as 1995-07-03 00:01:00
        t.csv, line 2: second is `yesterday`: allowed is seconds from 0 to 315360000, or a date and a time from 1970 on such as 1995-07-03 00:01:00
        t.csv, line 3: 3 columns: allowed is 2, as in the header
        t.csv: every figure is 0: allowed is a trace with at least one above 0
        ");
        let zero = parse("s,requests\n0,1\n1,1\n").unwrap().scaled_to(0.0).unwrap_err();
        insta::assert_snapshot!(zero, @"a peak of 0 requests/s: allowed is above 0 to 100000000");
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "(second,requests|time,rate|a,b)\n([0-9.,:T \n-]{0,60})") {
            let _ = parse(&text);
        }

        #[test]
        fn every_request_of_a_trace_is_offered(
            counts in prop::collection::vec(0_u32..10_000, 2..50), interval in 1_u32..4_000
        ) {
            prop_assume!(counts.iter().any(|n| *n > 0));
            let line = |(i, n): (u32, &u32)| format!("{},{n}\n", i * interval);
            let text: String = (0..).zip(&counts).map(line).collect();
            let trace = parse(&format!("s,requests\n{text}")).unwrap();
            let total: f64 = counts.iter().copied().map(f64::from).sum();
            prop_assert!((trace.curve(TimeFactor::WHOLE).total() - total).abs() < 1e-6 * total);
        }
    }
}
