//! The files of an experiment that are passed on as they are, and how large each may be: an hour of waves has 30 MiB of
//! turns, and a report with them in it less.

/// A file of a run, or of the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultFile {
    /// The figures of a run.
    Summary,
    /// A run second by second.
    Series,
    /// The turns of the scaler in a run.
    Ticks,
    /// The picture of a run.
    Chart,
    /// The report of the experiment, a page of its own.
    Report,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

impl ResultFile {
    /// Those of a run.
    pub(crate) const OF_RUN: [Self; 4] = [Self::Summary, Self::Series, Self::Ticks, Self::Chart];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary.json",
            Self::Series => "series.csv",
            Self::Ticks => "ticks.jsonl",
            Self::Chart => "chart.svg",
            Self::Report => "report.html",
        }
    }

    /// What it is made of.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Summary => "application/json",
            Self::Series => "text/csv; charset=utf-8",
            Self::Ticks => "application/x-ndjson",
            Self::Chart => "image/svg+xml",
            Self::Report => "text/html; charset=utf-8",
        }
    }

    /// Its size at most, in bytes.
    pub(crate) const fn most(self) -> u64 {
        match self {
            Self::Summary => 64 * KIB,
            Self::Series => 4 * MIB,
            Self::Chart => 8 * MIB,
            Self::Ticks | Self::Report => 64 * MIB,
        }
    }
}
