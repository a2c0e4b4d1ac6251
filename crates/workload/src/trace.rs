//! Loads that were recorded: traces of counts per interval, and pace files of rates.

mod error;
mod intervals;
mod options;
mod table;
mod time;

use std::time::Duration;

pub use error::TraceError;
pub use intervals::Intervals;
pub use options::{Gaps, IntervalLength, IntervalOptionError, IntervalOptions};

use self::error::{Fault, Source};
use self::intervals::Level;
use self::table::{Row, TraceKind};
use self::time::Meaning;
use crate::rate::{RateCurve, Segment};
use crate::time_factor::TimeFactor;

/// A recorded load: so many requests per second from each moment until the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    levels: Vec<Level>,
    intervals: Option<Intervals>,
    began: Option<Duration>,
}

impl Trace {
    /// Parses and checks the text of a trace or of a pace file; see `loadgen/traces/README.md`.
    ///
    /// # Errors
    /// [`TraceError`] names the `file`, the line, the value and what to use instead.
    pub fn parse(file: &str, text: &str, options: IntervalOptions) -> Result<Self, TraceError> {
        let source = Source { file, text };
        let table = table::read(source)?;
        let first = table.first;
        let (levels, intervals) = match table.kind {
            TraceKind::Counts => {
                let (levels, intervals) = intervals::levels(source, table, options)?;
                (levels, Some(intervals))
            }
            TraceKind::Rates if options != IntervalOptions::default() => {
                return Err(source.refuse(Fault::NoIntervals));
            }
            TraceKind::Rates => (pace(first.meaning, &table.rows), None),
        };
        if levels.iter().all(|level| level.rate <= 0.0) {
            return Err(source.refuse(Fault::AllZero));
        }
        let began = (first.meaning != Meaning::FromStart).then_some(first.clock);
        Ok(Self { levels, intervals, began })
    }

    /// How a trace of counts is divided; `None` of a pace file, whose rates are to be offered as
    /// they are.
    pub fn intervals(&self) -> Option<Intervals> {
        self.intervals
    }

    /// What clocks showed when it began, since 1970: those of its own zone, or of UTC when it names
    /// none. `None` when its times count from the start.
    pub fn began(&self) -> Option<Duration> {
        self.began
    }

    /// The highest rate, in requests per second.
    pub fn peak_rps(&self) -> f64 {
        self.levels.iter().map(|level| level.rate).fold(0.0, f64::max)
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        self.levels.iter().map(|level| level.length).sum()
    }

    /// The same shape with its highest rate at `peak_rps`, a number above 0.
    #[must_use]
    pub fn with_peak(mut self, peak_rps: f64) -> Self {
        let factor = peak_rps / self.peak_rps();
        self.levels.iter_mut().for_each(|level| level.rate *= factor);
        self
    }

    /// The load over time, squeezed by `factor`; the rates stay.
    pub fn curve(&self, factor: TimeFactor) -> RateCurve {
        let squeezed = |level: &Level| level.length.mul_f64(factor.get());
        RateCurve::new(self.levels.iter().map(|level| Segment::level(squeezed(level), level.rate)))
    }
}

/// The levels of a pace file: silence from its start to its first line, then each rate until the
/// next line. Dates name no start, so such a file starts with its first line.
fn pace(meaning: Meaning, rows: &[Row]) -> Vec<Level> {
    let silence = match (meaning, rows) {
        (Meaning::FromStart, [first, ..]) => Some(Level { length: first.at, rate: 0.0 }),
        _ => None,
    };
    let rates = rows.windows(2).map(|pair| Level {
        length: pair[1].at - pair[0].at,
        // Only a count may be left empty.
        rate: pair[0].figure.unwrap_or_default(),
    });
    silence.into_iter().chain(rates).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: IntervalOptions = IntervalOptions { length: None, gaps: None };

    fn parse(text: &str) -> Result<Trace, TraceError> {
        Trace::parse("t.csv", text, PLAIN)
    }

    fn with_gaps(text: &str, gaps: Gaps) -> Result<Trace, TraceError> {
        Trace::parse("t.csv", text, IntervalOptions { gaps: Some(gaps), ..PLAIN })
    }

    fn with_interval(text: &str, length: &str) -> Result<Trace, TraceError> {
        let length = Some(length.parse().unwrap());
        Trace::parse("t.csv", text, IntervalOptions { length, ..PLAIN })
    }

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
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
        let length = Duration::from_secs(60);
        assert_eq!(trace.intervals(), Some(Intervals { count: 3, length, filled: None }));
    }

    #[test]
    fn a_peak_scales_the_height_and_a_factor_the_time() {
        let trace = parse("s,requests\n0,1\n1,4\n").unwrap().with_peak(500.0);
        assert_eq!(rates(&trace, &[0, 1]), [125.0, 500.0]);
        let half = trace.curve(TimeFactor::new(0.5).unwrap());
        assert_eq!(half.duration(), Duration::from_secs(1));
        assert!((half.total() - 312.5).abs() < 1e-9);
    }

    #[test]
    fn times_of_every_spelling_are_the_same_trace() {
        for [one, two] in [
            ["1995-07-03 00:00:00", "1995-07-03 00:01:00"],
            ["1995-07-03T00:00", "1995-07-03T00:01"],
            ["1995-07-03T00:00:00-04:00", "1995-07-03T00:01:00-04:00"],
            ["1995-07-03T00:00:00Z", "1995-07-03T00:01:00Z"],
            ["1995-07-03 00:00:00 UTC", "1995-07-03 00:01:00 UTC"],
            ["804729600", "804729660"],
            ["804729600.5", "804729660.5"],
            ["804729600000", "804729660000"],
        ] {
            let trace = parse(&format!("timestamp,requests\n{one},60\n{two},0\n")).unwrap();
            assert_eq!(trace.began().unwrap().as_secs(), 804_729_600, "{one}");
            assert_eq!(rates(&trace, &[0, 60]), [1.0, 0.0], "{one}");
            assert_eq!(trace.duration(), Duration::from_secs(120), "{one}");
        }
    }

    #[test]
    fn the_same_instant_with_another_offset_is_refused() {
        let text = "time,requests\n2024-01-01T12:00:00+00:00,1\n2024-01-01T13:00:00+01:00,1\n\
                    2024-01-01T14:00:00+01:00,1\n";
        insta::assert_snapshot!(
            refusal(text),
            @"t.csv, line 3: time is `2024-01-01T13:00:00+01:00`: use a time after that of the line before"
        );
    }

    #[test]
    fn the_end_of_summer_time_is_one_hour_after_another_when_times_have_offsets() {
        let hours = ["02:00:00+02:00,1", "02:00:00+01:00,2", "03:00:00+01:00,3"];
        let lines = hours.map(|hour| format!("2024-10-27T{hour}\n")).concat();
        let trace = parse(&format!("time,requests\n{lines}")).unwrap();
        assert_eq!(trace.duration(), Duration::from_secs(3 * 3_600));
        let half = "time,requests\n2024-10-27T02:30+02:00,1\n2024-10-27T02:00+01:00,1\n";
        assert_eq!(parse(half).unwrap().duration(), Duration::from_secs(3_600));
        let without = "time,requests\n2024-10-27 02:00,1\n2024-10-27 02:00,1\n";
        insta::assert_snapshot!(
            refusal(without),
            @"t.csv, line 3: time is `2024-10-27 02:00`: use a time after that of the line before; where clocks were set back, times need an offset such as +02:00"
        );
    }

    #[test]
    fn an_error_names_the_line_that_an_editor_shows() {
        let line = |text: &str| refusal(text).split(": ").next().unwrap().to_owned();
        assert_eq!(line("s,requests\r\n0,1\r\n1,-2\r\n"), "t.csv, line 3");
        assert_eq!(line("s,requests\n0,1\n\n\n1,-2\n"), "t.csv, line 5");
        assert_eq!(line("\r\n\r\ns,requests\r\n\r\n0,1\r\n1,2,3\r\n"), "t.csv, line 6");
        assert_eq!(line("\n\ns,count\n0,1\n"), "t.csv, line 3");
        assert_eq!(
            line("s,note,requests\n0,\"two\nlines\",1\n1,\"two\nlines\",x\n"),
            "t.csv, line 4"
        );
        assert_eq!(line("\u{feff}s,requests\n0,1\nx,1\n"), "t.csv, line 3");
        assert_eq!(line("s,requests\r\n0,1\r\n1,1\r\n\r\n4,1\r\n"), "t.csv, line 5");
        assert_eq!(line("s,requests\r0,1\r1,-2\r"), "t.csv, line 3");
    }

    #[test]
    fn a_pace_file_holds_each_rate_until_the_next_line() {
        let trace = parse("time,rate\n0,10\n5,30\n8,0\n").unwrap();
        assert_eq!(rates(&trace, &[0, 4, 5, 7, 8]), [10.0, 10.0, 30.0, 30.0, 0.0]);
        assert_eq!((trace.intervals(), trace.began()), (None, None));
    }

    #[test]
    fn a_pace_file_is_silent_until_its_first_line() {
        let trace = parse("time,rate\n10,50\n20,0\n").unwrap();
        assert_eq!(rates(&trace, &[0, 9, 10, 19, 20]), [0.0, 0.0, 50.0, 50.0, 0.0]);
        assert_eq!(trace.duration(), Duration::from_secs(20));
        // A date is no distance from a start.
        let dated = parse("time,rate\n2024-01-01T00:00Z,50\n2024-01-01T00:01Z,0\n").unwrap();
        assert_eq!(dated.duration(), Duration::from_secs(60));
    }

    const HOLES: &str = "s,requests\n0,60\n60,120\n240,30\n300,60\n";

    #[test]
    fn a_trace_with_holes_is_refused_with_both_ways_to_fill_them() {
        insta::assert_snapshot!(
            refusal(HOLES),
            @"t.csv, line 4: the time is 3m after that of the line before, and an interval is 1m, as from line 2 to line 3: put lines in between for the 2 missing, or fill such holes with gaps=zero or gaps=hold"
        );
        insta::assert_snapshot!(
            refusal("s,requests\n0,60\n60,\n120,30\n"),
            @"t.csv, line 3: the count is empty: use a number from 0 to 1000000000, or fill such holes with gaps=zero or gaps=hold"
        );
        insta::assert_snapshot!(
            refusal("s,requests\n0,60\n60,1\n150,30\n"),
            @"t.csv, line 4: the time is 1m 30s after that of the line before, and an interval is 1m, as from line 2 to line 3: use whole intervals"
        );
    }

    #[test]
    fn holes_are_filled_with_zero_or_with_the_count_before() {
        let moments = [0, 60, 120, 239, 240, 300];
        let zero = with_gaps(HOLES, Gaps::Zero).unwrap();
        assert_eq!(rates(&zero, &moments), [1.0, 2.0, 0.0, 0.0, 0.5, 1.0]);
        let hold = with_gaps(HOLES, Gaps::Hold).unwrap();
        assert_eq!(rates(&hold, &moments), [1.0, 2.0, 2.0, 2.0, 0.5, 1.0]);
        for (trace, gaps) in [(zero, Gaps::Zero), (hold, Gaps::Hold)] {
            let length = Duration::from_secs(60);
            let filled = Some((gaps, 2));
            assert_eq!(trace.intervals(), Some(Intervals { count: 6, length, filled }));
            assert_eq!(trace.duration(), Duration::from_secs(360));
        }
    }

    #[test]
    fn an_empty_count_is_a_hole_wherever_it_stands() {
        let text = "s,requests\n0,\n60,120\n120,\n240,30\n300,\n";
        let moments = [0, 60, 120, 180, 240, 300];
        let zero = with_gaps(text, Gaps::Zero).unwrap();
        assert_eq!(rates(&zero, &moments), [0.0, 2.0, 0.0, 0.0, 0.5, 0.0]);
        let hold = with_gaps(text, Gaps::Hold).unwrap();
        // Before the first count there is none to hold.
        assert_eq!(rates(&hold, &moments), [0.0, 2.0, 2.0, 2.0, 0.5, 0.5]);
        assert_eq!(hold.intervals().unwrap().filled, Some((Gaps::Hold, 4)));
    }

    #[test]
    fn a_trace_without_holes_has_none_filled() {
        let trace = with_gaps("s,requests\n0,1\n60,2\n", Gaps::Zero).unwrap();
        assert_eq!(trace.intervals().unwrap().filled, Some((Gaps::Zero, 0)));
    }

    #[test]
    fn an_interval_says_what_a_line_is_where_lines_count_intervals() {
        let hours = "hour,requests\n0,3600\n1,7200\n2,0\n";
        let trace = with_interval(hours, "1h").unwrap();
        assert_eq!(rates(&trace, &[0, 3_599, 3_600, 7_200]), [1.0, 1.0, 2.0, 0.0]);
        assert_eq!(trace.duration(), Duration::from_secs(3 * 3_600));
        let missing = with_interval("hour,requests\n1,1\n2,1\n4,1\n", "1h").unwrap_err();
        insta::assert_snapshot!(
            missing,
            @"t.csv, line 4: the time is 2h after that of the line before, and an interval is 1h, as interval= says: put lines in between for the 1 missing, or fill such holes with gaps=zero or gaps=hold"
        );
        let half = with_interval("hour,requests\n0,1\n0.5,1\n", "1h").unwrap_err();
        insta::assert_snapshot!(
            half,
            @"t.csv, line 3: the time is 0.5: use whole numbers with interval=, which count intervals"
        );
    }

    #[test]
    fn an_interval_says_how_long_lines_last_of_which_no_two_are_neighbours() {
        let text = "time,requests\n2024-01-01T00:00Z,60\n2024-01-01T00:03Z,60\n\
                    2024-01-01T00:06Z,60\n";
        let options =
            IntervalOptions { length: Some("1m".parse().unwrap()), gaps: Some(Gaps::Zero) };
        let trace = Trace::parse("t.csv", text, options).unwrap();
        assert_eq!(rates(&trace, &[0, 60, 179, 180, 360, 419]), [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(trace.intervals().unwrap().filled, Some((Gaps::Zero, 4)));
        insta::assert_snapshot!(
            with_interval(text, "2m").unwrap_err(),
            @"t.csv, line 3: the time is 3m after that of the line before, and an interval is 2m, as interval= says: use whole intervals"
        );
    }

    #[test]
    fn a_pace_file_has_neither_gaps_nor_intervals() {
        let text = "time,rate\n0,10\n5,0\n";
        let told = "t.csv: this is a pace file, in which a rate holds until the next line: use gaps= \
                    and interval= with a trace of counts";
        assert_eq!(with_gaps(text, Gaps::Zero).unwrap_err().to_string(), told);
        assert_eq!(with_interval(text, "1h").unwrap_err().to_string(), told);
    }

    #[test]
    fn usual_exports_are_read() {
        for text in [
            "\u{feff}time,requests\n0,60\n60,120\n",
            "\"time\",\"requests\"\n\"0\",\"60\"\n\"60\",\"120\"\n",
            "Time, Requests\n0, 60\n60, 120\n",
            "time,requests\r\n0,60\r\n60,120\r\n\r\n",
            "time,requests\n0,60.0\n60.0,120.00",
            "time,requests\n2024-01-01 00:00:00.000,60\n2024-01-01 00:01:00.000,120\n",
            "time,requests\n1704067200000,60\n1704067260000,120\n",
            "time,status,requests\n0,,60\n60,,120\n",
            // Rounded by less than a thousandth of an interval.
            "time,requests\n0,60\n60.01,120\n120,0\n",
        ] {
            let trace = parse(text).unwrap();
            let rates = rates(&trace, &[0, 61]);
            assert!((rates[0] - 1.0).abs() < 1e-3 && (rates[1] - 2.0).abs() < 1e-3, "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_named_with_its_line_and_what_to_use() {
        let cases = [
            "",
            " \r\n\n",
            "second,requests\n",
            "second,requests\n0,1\n",
            "second,count\n0,1\n1,1\n",
            "requests\n1\n2\n",
            "0,12\n1,14\n",
            "2024-01-01 00:00:00,12\n2024-01-01 00:01:00,14\n",
            "time;requests\n0;1\n1;2\n",
            "time\trequests\n0\t1\n1\t2\n",
            "second,requests\n0,1\n1,2\n1,4\n",
            "second,requests\n0,1\n2,2\n1,4\n",
            "second,requests\n0,1\n1,-2\n",
            "second,requests\n0,1\n1,many\n",
            "second,requests\n0,1\n1,\"1,204\"\n",
            "second,requests\n0,1\n1,1e300\n",
            "second,requests\n0,1\n1,9999999999\n",
            "time,rate\n0,1\n1,\n",
            "second,requests\ninf,1\n1,1\n",
            "second,requests\nyesterday,1\n1,1\n",
            "second,requests\n0,1\n2024-01-01 00:00:00,1\n",
            "second,requests\n2024-01-01T00:00Z,1\n2034-01-01T00:00Z,1\n",
            "second,requests\n0,1\n1,2,3\n",
            "second,requests\n0,1\n1\n",
            "second,requests\n0,0\n1,0\n",
        ];
        insta::assert_snapshot!(cases.map(refusal).join("\n"), @r"
        t.csv: the file is empty: use a header, a column of times first and `requests` last, or `time,rate` for a pace file, and lines below it
        t.csv: the file is empty: use a header, a column of times first and `requests` last, or `time,rate` for a pace file, and lines below it
        t.csv: the number of lines below the header is 0: use 2 to 2000000
        t.csv: the number of lines below the header is 1: use 2 to 2000000
        t.csv, line 1: the header is `second,count`: use a column of times first and `requests` last, or `time,rate` for a pace file
        t.csv, line 1: the header is `requests`: use a column of times first and `requests` last, or `time,rate` for a pace file
        t.csv, line 1: the first line is `0,12`: use a header above it, a column of times first and `requests` last, or `time,rate` for a pace file
        t.csv, line 1: the first line is `2024-01-01 00:00:00,12`: use a header above it, a column of times first and `requests` last, or `time,rate` for a pace file
        t.csv, line 1: the header is `time;requests`: use a comma between columns, and a point in decimals
        t.csv, line 1: the header is `time	requests`: use a comma between columns, and a point in decimals
        t.csv, line 4: second is `1`: use a time after that of the line before
        t.csv, line 4: second is `1`: use a time after that of the line before
        t.csv, line 3: requests is `-2`: use a number from 0 to 1000000000
        t.csv, line 3: requests is `many`: use a number from 0 to 1000000000
        t.csv, line 3: requests is `1,204`: use a number from 0 to 1000000000
        t.csv, line 3: requests is `1e300`: use a number from 0 to 1000000000
        t.csv, line 3: requests is `9999999999`: use a number from 0 to 1000000000
        t.csv, line 3: rate is ``: use a number from 0 to 1000000000
        t.csv, line 2: second is `inf`: use seconds from the start, seconds or milliseconds since 1970, or a date and time such as 1995-07-03 00:01:00 or 1995-07-03T00:01:00Z
        t.csv, line 2: second is `yesterday`: use seconds from the start, seconds or milliseconds since 1970, or a date and time such as 1995-07-03 00:01:00 or 1995-07-03T00:01:00Z
        t.csv, line 3: second is `2024-01-01 00:00:00`: use a time written like that of the first line
        t.csv, line 3: second is `2034-01-01T00:00Z`: use a time up to ten years after that of the first line
        t.csv, line 3: the number of columns is 3: use 2, as in the header
        t.csv, line 3: the number of columns is 1: use 2, as in the header
        t.csv: every figure is 0: use a file with at least one above 0
        ");
    }

    #[test]
    fn an_error_shows_no_more_than_the_start_of_a_long_value() {
        let names = "minute,".repeat(100_000);
        assert!(refusal(&format!("{names}total\n")).len() < 300);
        let open_quote = format!("s,requests\n0,1\n1,\"{}", "2,3\n".repeat(100_000));
        assert!(refusal(&open_quote).len() < 300);
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(
            text in "(second,requests|time,rate|a,b)[\n\r]{1,2}([0-9.,:TZ \"\r\n-]{0,60})",
            gaps in prop::option::of(Just(Gaps::Hold)), hourly: bool,
        ) {
            let length = hourly.then(|| "1h".parse().unwrap());
            let _ = Trace::parse("t.csv", &text, IntervalOptions { length, gaps });
        }

        #[test]
        fn every_request_of_a_trace_is_offered(
            counts in prop::collection::vec(prop::option::weighted(0.8, 0_u32..10_000), 2..50),
            interval in 1_u32..4_000,
        ) {
            let known: Vec<u32> = counts.iter().flatten().copied().collect();
            prop_assume!(known.len() > 1 && known.iter().any(|n| *n > 0));
            let line = |(i, n): (u32, &Option<u32>)| n.map(|n| format!("{i},{n}\n"));
            let text: String = (0..).zip(&counts).filter_map(line).collect();
            let options = IntervalOptions {
                length: Some(format!("{interval}s").parse().unwrap()),
                gaps: Some(Gaps::Zero),
            };
            let trace = Trace::parse("t.csv", &format!("s,requests\n{text}"), options).unwrap();
            let total: f64 = known.iter().copied().map(f64::from).sum();
            prop_assert!((trace.curve(TimeFactor::WHOLE).total() - total).abs() < 1e-6 * total);
        }
    }
}
