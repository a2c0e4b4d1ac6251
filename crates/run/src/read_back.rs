//! A run's folder, read back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::tick::Tick;

use crate::series::{self, FleetStep, LONGEST_WITH_ROWS, SecondRow};
use crate::step_function::{Span, StepFunction};
use crate::summary::Summary;

/// A finished run: what its folder holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// `summary.json`.
    pub summary: Summary,
    /// `series.csv`: one row a second, in order; none of a load longer than [`LONGEST_WITH_ROWS`].
    pub rows: Vec<SecondRow>,
    /// `ticks.jsonl`: the kept ticks of the service, in order; none when no scaler was asked.
    pub ticks: Vec<Tick>,
}

/// A folder that holds no run.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// A file cannot be read.
    #[error("{path} cannot be read: name the folder of a finished run, such as results/latest")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what a run writes.
    #[error("{path}, line {line}: this is not what a run writes")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// A row of `series.csv` is not the next second.
    #[error("{path}, line {line}: second = {second}: allowed is {allowed}, one row a second")]
    Second {
        /// The file.
        path: PathBuf,
        /// The line, the header being 1.
        line: usize,
        /// What it says.
        second: u32,
        /// What it must say.
        allowed: usize,
    },
    /// The same for `series.csv`; the error names the line.
    #[error("{path}: this is not what a run writes")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
}

impl Run {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// Names the file, and the line where there is one.
    pub fn read(folder: &Path) -> Result<Self, RunFolderError> {
        let text = |name: &str| {
            let path = folder.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => Ok((path, text)),
                Err(source) => Err(RunFolderError::Read { path, source }),
            }
        };
        let (path, json) = text("summary.json")?;
        let summary = serde_json::from_str(&json).map_err(|source| RunFolderError::Line {
            path,
            line: source.line() as u64,
            source,
        })?;
        let series = folder.join("series.csv");
        let rows = if is_long(&summary) && !series.exists() { Vec::new() } else { rows(&series)? };
        let (path, jsonl) = text("ticks.jsonl")?;
        let tick = |(line, json): (u64, &str)| {
            let path = path.clone();
            serde_json::from_str(json).map_err(|source| RunFolderError::Line { path, line, source })
        };
        let ticks = (1..).zip(jsonl.lines()).map(tick).collect::<Result<_, _>>()?;
        Ok(Self { summary, rows, ticks })
    }

    /// The service that got the load, when a scaler was asked.
    pub fn service(&self) -> Option<&str> {
        let said = self.summary.conditions.get("service").map(String::as_str);
        said.or_else(|| self.ticks.first().map(|t| t.service.as_str()))
    }

    /// Whether it took place in virtual time.
    pub fn is_simulated(&self) -> bool {
        self.summary.conditions.contains_key("simulated")
    }

    /// When the load ended, in seconds since its start.
    pub fn load_end_s(&self) -> f64 {
        self.summary.warm_up_s + self.summary.duration_s
    }

    /// When the recording ended.
    pub fn end_s(&self) -> f64 {
        self.load_end_s() + self.summary.settle_s
    }

    /// The time that figures count: the load without its warm-up. The settling after it is left
    /// out, for its length depends on the policy.
    pub fn counted(&self) -> Span {
        Span { from_s: self.summary.warm_up_s, to_s: self.load_end_s() }
    }

    /// The moment of a tick, in seconds since the start of the load.
    pub fn seconds_of(&self, tick: &Tick) -> f64 {
        (tick.at.as_millis() as f64 - self.summary.started_at_ms as f64) / 1_000.0
    }

    /// The fleet as a step function: as it was in the first second, then from tick to tick. Without
    /// ticks, from second to second.
    pub fn fleet(&self) -> Vec<FleetStep> {
        let mut fleet: Vec<FleetStep> = Vec::with_capacity(self.ticks.len() + 1);
        let of_rows = self.rows.iter().filter_map(of_row);
        if self.ticks.is_empty() {
            return of_rows.collect();
        }
        let ticks = self.ticks.iter().map(|tick| {
            let p = tick.observation.phases;
            FleetStep {
                at_s: self.seconds_of(tick),
                ready: p.ready,
                starting: p.starting,
                draining: p.draining,
                failed: p.failed,
                decided: tick.target(),
            }
        });
        fleet.extend(ticks);
        // What a row says holds at its end. A tick within the first second is the best that is
        // known of the time before it.
        let first = fleet.first().copied().unwrap_or_default();
        let before = self.rows.iter().take_while(|r| f64::from(r.second) + 1.0 < first.at_s);
        let before = before.take(1).find_map(of_row).unwrap_or(first);
        fleet.insert(0, FleetStep { at_s: 0.0, ..before });
        fleet
    }

    /// Ready instances over time; `None` when no scaler was asked.
    pub fn supply(&self) -> Option<StepFunction> {
        series::supply(&self.fleet())
    }
}

/// Whether a run's load is too long to be kept second by second.
fn is_long(summary: &Summary) -> bool {
    summary.warm_up_s + summary.duration_s > LONGEST_WITH_ROWS.as_secs_f64()
}

/// Reads `series.csv`. Charts and demand count its rows as seconds.
fn rows(path: &Path) -> Result<Vec<SecondRow>, RunFolderError> {
    let path = path.to_owned();
    let csv = fs::read_to_string(&path)
        .map_err(|source| RunFolderError::Read { path: path.clone(), source })?;
    let rows: Result<Vec<SecondRow>, _> =
        csv::Reader::from_reader(csv.as_bytes()).deserialize().collect();
    let rows = rows.map_err(|source| RunFolderError::Csv { path: path.clone(), source })?;
    let wrong = rows.iter().enumerate().find(|(i, row)| row.second as usize != *i);
    match wrong {
        Some((i, row)) => {
            Err(RunFolderError::Second { path, line: i + 2, second: row.second, allowed: i })
        }
        None => Ok(rows),
    }
}

fn of_row(row: &SecondRow) -> Option<FleetStep> {
    Some(FleetStep {
        at_s: f64::from(row.second),
        ready: row.ready?,
        starting: row.starting?,
        draining: row.draining?,
        failed: row.failed_instances?,
        decided: row.decided,
    })
}
