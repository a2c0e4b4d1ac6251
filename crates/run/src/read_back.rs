//! A run's folder, read back.

use std::fs;
use std::path::Path;

use model::tick::Tick;
use serde::de::DeserializeOwned;

use crate::files::ReadError;
use crate::series::{self, FleetStep, LONGEST_WITH_ROWS, RowsError, SecondRow};
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

/// What goes behind the name of a file that is not there: its folder holds no run.
pub(crate) const UNREAD: &str =
    " cannot be read: name the folder of a finished run, such as results/latest";

impl Run {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// Names the file, and the line where there is one.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let text = |path: &Path| fs::read_to_string(path).map_err(ReadError::at(path, UNREAD));
        let path = folder.join("summary.json");
        let summary = from_json(&text(&path)?, &path, None)?;
        let series = folder.join("series.csv");
        let rows = if is_long(&summary) && !series.exists() { Vec::new() } else { rows(&series)? };
        let path = folder.join("ticks.jsonl");
        let ticks = text(&path)?;
        let ticks = (1..).zip(ticks.lines()).map(|(line, json)| from_json(json, &path, Some(line)));
        Ok(Self { summary, rows, ticks: ticks.collect::<Result<_, _>>()? })
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
        fleet.extend(self.ticks.iter().map(|tick| {
            FleetStep::new(self.seconds_of(tick), tick.observation.phases, tick.target())
        }));
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

/// Reads the JSON of a file, or of one of its lines.
pub(crate) fn from_json<T: DeserializeOwned>(
    json: &str,
    path: &Path,
    line: Option<usize>,
) -> Result<T, ReadError> {
    serde_json::from_str(json).map_err(|error| {
        let line = line.unwrap_or_else(|| error.line());
        ReadError::at(path, &format!(", line {line}: this is not what a run writes"))(error)
    })
}

fn rows(path: &Path) -> Result<Vec<SecondRow>, ReadError> {
    let text = fs::read_to_string(path).map_err(ReadError::at(path, UNREAD))?;
    series::rows_of(text.as_bytes()).map_err(|error| match error {
        RowsError::Second { line, .. } => ReadError::at(path, &format!(", line {line}"))(error),
        RowsError::Table(error) => ReadError::at(path, ": this is not what a run writes")(error),
    })
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
