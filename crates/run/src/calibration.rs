//! What a calibration measured of a service and its host: the types of `calibration.json`, and the
//! two files that follow from it, `capacity.csv` and `host.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{ReadError, ResultsError, text_if_there};
use crate::numbers::moment;
use crate::summary::{Generator, Latency, Percentiles, Requests};

/// Share of the requests, in percent, that may lie outside the objective of a rate that is met.
pub const OBJECTIVE_OUTSIDE_PERCENT: f64 = 1.0;

/// The folder of the last whole calibration, in the folder of all results.
pub const FOLDER: &str = "calibration";
/// Of this folder: everything that was measured.
pub const JSON_FILE: &str = "calibration.json";
/// Of this folder: the capacity curve.
pub const CAPACITY_FILE: &str = "capacity.csv";
/// Of this folder: what the host is like, as the simulator reads it.
pub const HOST_FILE: &str = "host.toml";

/// `calibration.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The service that was calibrated.
    pub service: String,
    /// When it began, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// When it ended.
    pub finished_at_ms: u64,
    /// Everything that was to be measured has been.
    pub complete: bool,
    /// The largest fleet that was to be measured.
    pub instances: u32,
    /// Under which conditions, for people.
    pub conditions: BTreeMap<String, String>,
    /// The capacity of each fleet that was measured, in the order of their sizes.
    pub points: Vec<Point>,
    /// How long things take on the host.
    pub host: HostFigures,
    /// Every trial, in the order in which they were made.
    pub trials: Vec<Trial>,
}

/// What a fleet of a fixed size serves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Ready instances.
    pub instances: u32,
    /// The highest rate that met the objective twice, in requests per second.
    pub met_rps: Option<f64>,
    /// The lowest one that did not; unknown when none was found.
    pub missed_rps: Option<f64>,
    /// What keeps the rate from being higher.
    pub limited_by: LimitedBy,
}

/// What ended the search for a higher rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitedBy {
    /// The service: this is its capacity.
    Service,
    /// The generator: the service serves this much at least.
    Generator,
    /// The number of trials: the rate is nowhere near what was expected, or answers differ from
    /// trial to trial.
    Trials,
}

/// One load of a constant rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Ready instances.
    pub instances: u32,
    /// The rate, in requests per second.
    pub rate_rps: f64,
    /// Seconds that count, the warm-up left out.
    pub duration_s: f64,
    /// The load ended before its time, because the objective was missed by then.
    pub cut_short: bool,
    /// Requests that count.
    pub requests: Requests,
    /// Share of them outside the objective.
    pub outside_objective_percent: Option<f64>,
    /// Latency of the ok ones, from the moment each was due.
    pub latency_ms: Latency,
    /// The generator's own doing.
    pub generator: Generator,
    /// What follows.
    pub verdict: Verdict,
}

/// What a trial says of its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// None failed, and 99% were answered within the objective.
    Met,
    /// The service did not serve them so.
    Missed,
    /// They were not served so, and the generator was the bottleneck: nobody knows whose fault it
    /// was.
    Unclear,
}

/// How long things take on the host; what was not measured is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct HostFigures {
    /// From the plan of a clone until it is in rotation.
    pub clone: Times,
    /// From the plan of a drain until no new request goes to the instance.
    pub drain: Times,
    /// From the plan of a stop until nothing is left of the instance.
    pub stop: Times,
    /// A request to a fleet that is loaded as usual, from due to answered.
    pub service: Times,
    /// CPU time of the instances for each request, in milliseconds.
    pub cpu_ms_per_request: Option<f64>,
    /// Actions of the scaler that failed meanwhile.
    pub failed_actions: u64,
}

/// Measured times, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// How many were measured.
    pub count: u64,
    /// Their median and tail.
    pub ms: Percentiles,
}

impl Times {
    /// Median and 99th percentile of these times, both of them measured values.
    pub fn of(mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let place = (ms.len() * percent).div_ceil(100).checked_sub(1)?;
            ms.get(place).copied()
        };
        Self { count: ms.len() as u64, ms: Percentiles { p50: rank(50), p99: rank(99) } }
    }
}

impl Calibration {
    /// The last calibration that is in `folder`; `None` when there is none.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, ReadError> {
        let path = folder.join(JSON_FILE);
        let refused = " is not what a calibration writes: calibrate again (`./just calibrate`)";
        let text = text_if_there(&path, " cannot be read")?;
        let calibration = text.map(|text| serde_json::from_str(&text)).transpose();
        calibration.map_err(ReadError::at::<serde_json::Error>(&path, refused))
    }

    /// Writes the three files, each of them whole or not at all; `capacity.csv` is left out when
    /// there is no curve.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ResultsError> {
        let path = folder.join(JSON_FILE);
        let json = serde_json::to_string_pretty(self).map_err(ResultsError::at(&path))?;
        fs::create_dir_all(folder).map_err(ResultsError::at(folder))?;
        if let Some(rates) = self.rates() {
            replace(folder, CAPACITY_FILE, &capacity_csv(&rates))?;
        }
        replace(folder, HOST_FILE, &self.host_toml())?;
        replace(folder, JSON_FILE, &(json + "\n"))
    }

    /// The capacity of 1, 2, ... instances in requests per second, as far as the service limited
    /// it: between measured fleets in a straight line, and never below that of a smaller fleet.
    /// Nothing without that of one instance.
    pub fn rates(&self) -> Option<Vec<f64>> {
        let known = |point: &Point| match point.limited_by {
            LimitedBy::Service => Some((point.instances, point.met_rps?)),
            LimitedBy::Generator | LimitedBy::Trials => None,
        };
        let mut rates: Vec<f64> = Vec::new();
        for (instances, rate) in self.points.iter().filter_map(known) {
            let below = rates.last().copied();
            let rate = rate.max(below.unwrap_or_default());
            let steps = instances.checked_sub(u32::try_from(rates.len()).ok()?)?;
            let Some(below) = below else {
                if steps != 1 {
                    return None;
                }
                rates.push(rate);
                continue;
            };
            let share = |step| f64::from(step) / f64::from(steps);
            rates.extend((1..=steps).map(|step| below + (rate - below) * share(step)));
        }
        (!rates.is_empty()).then_some(rates)
    }

    /// `host.toml`: what was measured; each key that is left out has the simulator's own value.
    fn host_toml(&self) -> String {
        let HostFigures { clone, drain, stop, service, cpu_ms_per_request, .. } = self.host;
        let mut text = format!(
            "# What this host is like, measured by a calibration of {} that began {}.\n",
            self.service,
            moment(self.started_at_ms),
        );
        for (name, value) in &self.conditions {
            text += &format!("# {name}: {value}\n");
        }
        let spreads = [
            ("clone", clone, "from the plan until it is in rotation"),
            ("drain", drain, "from the plan until no new request goes to it"),
            ("stop", stop, "from the plan until nothing is left of it"),
            ("service", service, "a request to a fleet that is loaded as usual"),
        ];
        for (key, times, meaning) in spreads {
            let Percentiles { p50: Some(median), p99: Some(p99) } = times.ms else { continue };
            // Actions are timed in whole milliseconds, and none of them takes no time.
            let (median, p99) = (micros(median.max(0.1)), micros(p99.max(0.1)));
            // Writing into a string cannot fail.
            let _ = writeln!(
                text,
                "\n# {meaning}; {} of them\n{key} = {{ median_ms = {median}, p99_ms = {p99} }}",
                times.count
            );
        }
        if let Some(ms) = cpu_ms_per_request {
            let ms = micros(ms);
            let _ = writeln!(text, "\n# CPU time of the instances\ncpu_ms_per_request = {ms}");
        }
        text
    }
}

fn capacity_csv(rates: &[f64]) -> String {
    let mut csv = "instances,requests_per_second\n".to_owned();
    for (instances, rate) in (1..).zip(rates) {
        let instances: u32 = instances;
        csv += &format!("{instances},{rate:.1}\n");
    }
    csv
}

/// Milliseconds to the microsecond: what lies behind is noise.
fn micros(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// The file is written beside its place and renamed into it.
fn replace(folder: &Path, name: &str, text: &str) -> Result<(), ResultsError> {
    let path = folder.join(name);
    let readable_by_all = fs::Permissions::from_mode(0o644);
    let written = tempfile::Builder::new().permissions(readable_by_all).tempfile_in(folder);
    written
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.persist(&path)?;
            Ok(())
        })
        .map_err(ResultsError::at(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::CapacityCurve;
    use crate::testing::{calibration_of, point};

    #[test]
    fn between_measured_fleets_the_curve_is_a_straight_line() {
        use LimitedBy::Service;
        let points =
            vec![point(1, 45.0, Service), point(2, 95.0, Service), point(5, 245.0, Service)];
        assert_eq!(calibration_of(points).rates(), Some(vec![45.0, 95.0, 145.0, 195.0, 245.0]));
    }

    #[test]
    fn what_the_generator_limited_is_no_capacity() {
        use LimitedBy::{Generator, Service};
        let points =
            vec![point(1, 45.0, Service), point(2, 60.0, Generator), point(3, 145.0, Service)];
        assert_eq!(calibration_of(points).rates(), Some(vec![45.0, 95.0, 145.0]));
        assert_eq!(calibration_of(vec![point(1, 45.0, Generator)]).rates(), None);
        let without_one = vec![point(1, 45.0, Generator), point(2, 95.0, Service)];
        assert_eq!(calibration_of(without_one).rates(), None);
    }

    #[test]
    fn a_larger_fleet_serves_no_less_than_a_smaller_one() {
        use LimitedBy::Service;
        let points = vec![point(1, 45.0, Service), point(2, 44.0, Service)];
        assert_eq!(calibration_of(points).rates(), Some(vec![45.0, 45.0]));
    }

    #[test]
    fn what_is_written_is_read_back_and_the_curve_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("calibration");
        assert_eq!(Calibration::read(&folder).unwrap(), None);
        let written = calibration_of(vec![point(1, 45.26, LimitedBy::Service)]);
        written.write(&folder).unwrap();
        assert_eq!(Calibration::read(&folder).unwrap(), Some(written));
        let curve = fs::read_to_string(folder.join(CAPACITY_FILE)).unwrap();
        assert_eq!(curve, "instances,requests_per_second\n1,45.3\n");
        assert_eq!(CapacityCurve::parse(&curve).unwrap().needed(45.3), 1);
    }

    #[test]
    fn the_hosts_file_says_what_was_measured_and_how() {
        insta::assert_snapshot!(calibration_of(Vec::new()).host_toml(), @r"
        # What this host is like, measured by a calibration of object-store that began 2023-11-14 22:13:20 UTC.
        # requests: as in ramp

        # from the plan until it is in rotation; 35 of them
        clone = { median_ms = 41, p99_ms = 97 }

        # from the plan until no new request goes to it; 35 of them
        drain = { median_ms = 0.1, p99_ms = 4 }

        # a request to a fleet that is loaded as usual; 35 of them
        service = { median_ms = 0.61, p99_ms = 3.25 }

        # CPU time of the instances
        cpu_ms_per_request = 0.21
        ");
    }

    #[test]
    fn percentiles_are_measured_values() {
        let times = Times::of((1..=200).rev().map(f64::from).collect());
        assert_eq!(times.ms, Percentiles { p50: Some(100.0), p99: Some(198.0) });
        assert_eq!(Times::of(Vec::new()), Times::default());
    }
}
