//! A trace as the load of a scenario.

use std::fmt;
use std::path::Path;

use crate::time_factor::TimeFactor;
use crate::trace::Trace;

/// Longest name of a trace's load, in characters.
const MAX_NAME: usize = 60;

/// A trace, and how it is scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// What was recorded.
    pub trace: Trace,
    /// How high its busiest moment is to be. Without one, counts get [`PeakInstances::DEFAULT`],
    /// and rates stay as they are.
    pub peak: Option<PeakInstances>,
    /// What its intervals are multiplied by.
    pub factor: TimeFactor,
}

/// The busiest moment of a load, in multiples of what one instance serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeakInstances(f64);

impl PeakInstances {
    /// Ten instances' worth.
    pub const DEFAULT: Self = Self(10.0);
    /// The most there is, in instances.
    pub const MAX: f64 = 750.0;

    /// A peak; `None` unless it is above 0 and at most [`Self::MAX`].
    pub fn new(instances: f64) -> Option<Self> {
        (instances > 0.0 && instances <= Self::MAX).then_some(Self(instances))
    }

    /// The peak as a number of instances.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The fewest whole instances that serve it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 750")]
    pub fn whole(self) -> u32 {
        self.0.ceil() as u32
    }
}

impl Replay {
    /// The peak to scale to, if the trace is to be scaled at all.
    pub fn peak_in_force(&self) -> Option<PeakInstances> {
        self.peak.or(self.trace.intervals().map(|_| PeakInstances::DEFAULT))
    }

    /// The trace with its busiest moment as high as it is to be, where one instance serves so many
    /// requests per second.
    pub fn scaled(&self, instance_rps: f64) -> Trace {
        let trace = self.trace.clone();
        match self.peak_in_force() {
            None => trace,
            Some(peak) => trace.with_peak(peak.get() * instance_rps),
        }
    }
}

/// For the conditions of a run.
impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(intervals) = self.trace.intervals() {
            write!(f, "{intervals}, ")?;
        }
        match self.peak_in_force() {
            None => f.write_str("as recorded"),
            Some(PeakInstances(peak)) => write!(f, "scaled to a peak of {peak} instances' worth"),
        }
    }
}

/// What the load of a trace's file is called: its stem, other characters than `A-Z`, `a-z`, `0-9`,
/// `-` and `_` replaced by `-`. Names become names of files, folders and objects.
pub fn trace_name(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = stem.chars().map(plain).take(MAX_NAME).collect();
    if name.is_empty() { "trace".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::offered::{InstanceCapacity, OfferedLoad};
    use crate::scenario::Scenario;
    use crate::trace::{Gaps, IntervalOptions};

    const COUNTS: &str = "s,requests\n0,60\n60,120\n120,30\n";
    const RATES: &str = "time,rate\n0,10\n60,30\n120,0\n";

    fn rates(text: &str, peak: Option<f64>, factor: f64) -> Vec<f64> {
        let trace = Trace::parse("t.csv", text, IntervalOptions::default()).unwrap();
        let peak = peak.map(|peak| PeakInstances::new(peak).unwrap());
        let scenario = Scenario::of_trace(Path::new("t.csv"), "object-store", trace, peak);
        let short = scenario.shortened(TimeFactor::new(factor).unwrap());
        let offered = short.offered(InstanceCapacity::new(50.0)).unwrap();
        let OfferedLoad::Open(open) = offered else { panic!("a trace is an open load") };
        let moments = [0.0, 60.0].map(|s| Duration::from_secs_f64(s * factor));
        moments.iter().map(|at| open.curve.rate_at(*at)).collect()
    }

    #[test]
    fn counts_are_scaled_to_a_peak_in_instances_and_rates_only_when_asked() {
        assert_eq!(rates(COUNTS, None, 1.0), [250.0, 500.0]);
        assert_eq!(rates(COUNTS, Some(2.0), 0.1), [50.0, 100.0]);
        assert_eq!(rates(RATES, None, 0.5), [10.0, 30.0]);
        assert_eq!(rates(RATES, Some(3.0), 1.0), [50.0, 150.0]);
    }

    #[test]
    fn a_run_says_how_its_trace_was_divided_filled_and_scaled() {
        let said = |text: &str, gaps, peak| {
            let options = IntervalOptions { gaps, ..IntervalOptions::default() };
            let trace = Trace::parse("t.csv", text, options).unwrap();
            Replay { trace, peak, factor: TimeFactor::WHOLE }.to_string()
        };
        let two = PeakInstances::new(2.0);
        assert_eq!(
            said(COUNTS, None, None),
            "3 intervals of 1m, scaled to a peak of 10 instances' worth"
        );
        let holes = "s,requests\n0,6\n60,6\n240,6\n";
        assert_eq!(
            said(holes, Some(Gaps::Zero), two),
            "5 intervals of 1m, 2 of them filled with 0, scaled to a peak of 2 instances' worth"
        );
        assert_eq!(
            said(holes, Some(Gaps::Hold), two),
            "5 intervals of 1m, 2 of them filled with the count before, scaled to a peak of 2 \
             instances' worth"
        );
        assert_eq!(said(RATES, None, None), "as recorded");
        assert_eq!(said(RATES, None, two), "scaled to a peak of 2 instances' worth");
    }

    #[test]
    fn a_peak_is_above_0_and_bounded() {
        assert_eq!([0.0, -1.0, 751.0, f64::NAN].map(PeakInstances::new), [None; 4]);
        assert_eq!(PeakInstances::new(0.5).map(PeakInstances::get), Some(0.5));
    }

    #[test]
    fn what_lasts_too_long_or_comes_too_fast_is_refused_with_a_way_out() {
        let offered = |text: &str, capacity: f64| {
            let trace = Trace::parse("t.csv", text, IntervalOptions::default()).unwrap();
            Scenario::of_trace(Path::new("week.csv"), "object-store", trace, None)
                .offered(InstanceCapacity::new(capacity))
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        let week = "s,requests\n0,1\n604800,1\n";
        insta::assert_snapshot!(
            offered(week, 50.0).unwrap_err(),
            @"week lasts 1209600 s: use up to 86400 s (a day): give a time factor of 0.071428 or less"
        );
        let fast = "time,rate\n0,200000\n1,0\n";
        insta::assert_snapshot!(
            offered(fast, 50.0).unwrap_err(),
            @"scenario week comes to 200000 requests/s: use up to 100000"
        );
        assert_eq!(offered(COUNTS, 50.0), Ok(()));
    }

    #[test]
    fn a_load_is_called_as_its_file_in_plain_characters() {
        let name = |file: &str| trace_name(Path::new(file));
        assert_eq!(name("a/nasa_http_1995-07-03.csv"), "nasa_http_1995-07-03");
        assert_eq!(name("my trace/../ä (1).csv"), "---1-");
        assert_eq!(name("/"), "trace");
        assert_eq!(name(&"x".repeat(100)).len(), MAX_NAME);
    }
}
