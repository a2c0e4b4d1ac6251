//! From offered load to demand: how many instances a load needs at the objective.

use std::fmt;
use std::fs;
use std::path::Path;

use model::names::ServiceName;
use model::service::Capacity;

use crate::calibration::{CAPACITY_FILE, Calibration};
use crate::files::ReadError;
use crate::series::SecondRow;
use crate::step_function::StepFunction;

/// Rows that a second's rate is the median of, see [`CapacityCurve::demand`].
pub const DEFAULT_SMOOTHING_S: usize = 5;

/// For 1, 2, ... n instances, the highest rate that meets the objective. The demand is read from it
/// as BUNGEE does (Herbst et al., SEAMS 2015): measured, not assumed, where it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityCurve {
    shape: Shape,
    /// Where it comes from, for people.
    source: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// Every instance adds the same rate.
    Linear(f64),
    /// The rate of 1, 2, ... instances, rising.
    Measured(Vec<f64>),
}

/// Measured rates that make no curve.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CapacityError {
    /// A line of the file.
    #[error("line {line}: `{text}`: use `instances,requests_per_second`, {allowed}")]
    Line {
        /// Its number, the header being 1.
        line: usize,
        /// What it says.
        text: String,
        /// What it may say.
        allowed: &'static str,
    },
    /// A file without a measurement.
    #[error(
        "there is no measurement: use a header and one line `instances,requests_per_second` each"
    )]
    Empty,
}

impl CapacityCurve {
    /// Every instance serves this rate, in requests per second, which is above 0.
    pub const fn linear(requests_per_second: f64) -> Self {
        Self { shape: Shape::Linear(requests_per_second), source: None }
    }

    /// Reads measured rates: a header, then `instances,requests_per_second` for 1, 2, ... n
    /// instances in order.
    ///
    /// # Errors
    /// Names the line that is none, does not go on counting, or has a rate below the one before.
    pub fn parse(csv: &str) -> Result<Self, CapacityError> {
        let mut rates: Vec<f64> = Vec::new();
        for (i, text) in csv.lines().enumerate().skip(1).filter(|(_, l)| !l.trim().is_empty()) {
            let bad = |allowed| CapacityError::Line { line: i + 1, text: text.to_owned(), allowed };
            let two = text.split_once(',').ok_or_else(|| bad("two numbers"))?;
            let instances = two.0.trim().parse::<usize>().ok();
            if instances != Some(rates.len() + 1) {
                return Err(bad("instances counting 1, 2, 3 ..."));
            }
            let rate = two.1.trim().parse::<f64>().ok().filter(|r| r.is_finite() && *r > 0.0);
            let rate = rate.ok_or_else(|| bad("a rate above 0"))?;
            if rates.last().is_some_and(|before| rate < *before) {
                return Err(bad("a rate that is at least that of one instance less"));
            }
            rates.push(rate);
        }
        if rates.is_empty() {
            return Err(CapacityError::Empty);
        }
        Ok(Self { shape: Shape::Measured(rates), source: None })
    }

    /// Reads measured rates from a file, whose name the curve says of itself from then on.
    ///
    /// # Errors
    /// Names the file, and its line where that is at fault.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let csv = fs::read_to_string(path).map_err(ReadError::at(path, " cannot be read"))?;
        let curve = Self::parse(&csv).map_err(ReadError::at(path, " is no capacity curve"))?;
        Ok(Self { source: Some(path.display().to_string()), ..curve })
    }

    /// The curve that the calibration in `folder` measured; `None` when there is none, or it is
    /// that of another service.
    ///
    /// # Errors
    /// It is there and cannot be used.
    pub fn calibrated(folder: &Path, service: &str) -> Result<Option<Self>, ReadError> {
        let calibration = Calibration::read(folder)?;
        let of_service = calibration.is_some_and(|calibration| calibration.service == service);
        of_service.then(|| Self::read(&folder.join(CAPACITY_FILE))).transpose()
    }

    /// The curve that the calibration in `folder` measured of a service; where there is none, each
    /// instance serves what the service's file says, `said`. `None` where that says nothing either.
    ///
    /// # Errors
    /// The calibration is there and cannot be used.
    pub fn of_service(
        folder: &Path,
        service: &ServiceName,
        said: Capacity,
    ) -> Result<Option<Self>, ReadError> {
        let calibrated = Self::calibrated(folder, service.as_str())?;
        Ok(calibrated.or_else(|| said.requests_per_second.map(Self::linear)))
    }

    /// How many instances a rate needs: none for none, and beyond what was measured as many as the
    /// mean of the largest measured fleet asks for.
    pub fn needed(&self, requests_per_second: f64) -> u32 {
        if requests_per_second <= 0.0 {
            return 0;
        }
        match &self.shape {
            Shape::Linear(each) => ceil(requests_per_second / each),
            Shape::Measured(rates) => {
                let enough = rates.partition_point(|rate| *rate < requests_per_second);
                match rates.last() {
                    Some(most) if enough == rates.len() => {
                        ceil(requests_per_second * rates.len() as f64 / most)
                    }
                    _ => u32::try_from(enough + 1).unwrap_or(u32::MAX),
                }
            }
        }
    }

    /// The demand over a run, second by second. The rate of a second is the median of the
    /// `smoothing_s` seconds around it (odd; an even number counts as the next): random arrivals
    /// at an even rate differ from second to second (47 requests by 7), and no scaler should
    /// follow that. A median keeps steps where they are, and drops bursts shorter than half of it.
    pub fn demand(&self, rows: &[SecondRow], smoothing_s: usize) -> StepFunction {
        let half = smoothing_s / 2;
        let need = |i: usize| {
            let around = &rows[i.saturating_sub(half)..(i + half + 1).min(rows.len())];
            let mut due: Vec<u64> = around.iter().map(|r| r.due).collect();
            let middle = due.len() / 2;
            let (_, median, _) = due.select_nth_unstable(middle);
            self.needed(*median as f64)
        };
        let mut demand = StepFunction::constant(if rows.is_empty() { 0 } else { need(0) });
        for (i, row) in rows.iter().enumerate() {
            demand.step(f64::from(row.second), need(i));
        }
        demand
    }
}

impl fmt::Display for CapacityCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Linear(each) => write!(f, "{each} requests/s an instance"),
            Shape::Measured(rates) => {
                let rates: Vec<String> = rates.iter().map(f64::to_string).collect();
                let source = self.source.iter().map(|source| format!(" ({source})"));
                let source: String = source.collect();
                let rates = rates.join(", ");
                write!(f, "measured{source}, {rates} requests/s with 1, 2, ... instances")
            }
        }
    }
}

/// Rounds up; a rate that is n times an instance's but for an error of the last digits needs n.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates.
fn ceil(instances: f64) -> u32 {
    (instances - 1e-9).ceil() as u32
}

#[cfg(test)]
mod tests {
    use model::service::ServiceSpec;

    use super::*;
    use crate::calibration::LimitedBy;
    use crate::testing::{calibration_of, point};

    fn rows(due: &[u64]) -> Vec<SecondRow> {
        let row =
            |(second, due): (u32, &u64)| SecondRow { second, due: *due, ..SecondRow::default() };
        (0..).zip(due).map(row).collect()
    }

    #[test]
    fn a_linear_curve_needs_an_instance_for_each_rate_begun() {
        let curve = CapacityCurve::linear(50.0);
        assert_eq!([0.0, 0.1, 50.0, 50.1, 500.0].map(|r| curve.needed(r)), [0, 1, 1, 2, 10]);
    }

    #[test]
    fn a_measured_curve_says_what_was_measured_and_goes_on_at_its_mean() {
        let curve =
            CapacityCurve::parse("instances,requests_per_second\n1,50\n2,90\n3,120\n").unwrap();
        let rates = [0.0, 50.0, 51.0, 90.0, 120.0, 121.0, 161.0];
        assert_eq!(rates.map(|r| curve.needed(r)), [0, 1, 2, 2, 3, 4, 5]);
    }

    #[test]
    fn a_calibrated_curve_says_its_file_and_is_that_of_its_service_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let of = |service| CapacityCurve::calibrated(folder, service);
        assert_eq!(of("object-store").unwrap(), None);
        let points = vec![point(1, 45.0, LimitedBy::Service), point(2, 95.0, LimitedBy::Service)];
        calibration_of(points).write(folder).unwrap();
        assert_eq!(of("matmul").unwrap(), None);
        let service = config_file::from_toml::<ServiceSpec>(
            "object-store.toml",
            include_str!("../../../services/object-store.toml"),
        );
        let service = service.unwrap();
        let said = service.requests().unwrap().capacity;
        let of_service =
            |folder, said| CapacityCurve::of_service(folder, &service.name, said).unwrap();
        assert_eq!(of_service(folder, said), of("object-store").unwrap());
        let linear = said.requests_per_second.map(CapacityCurve::linear);
        assert!(linear.is_some());
        let nowhere = Path::new("/nowhere");
        assert_eq!(of_service(nowhere, said), linear);
        assert_eq!(of_service(nowhere, Capacity { requests_per_second: None, ..said }), None);
        let said = of("object-store").unwrap().unwrap().to_string();
        let said = said.replace(&folder.display().to_string(), "FOLDER");
        insta::assert_snapshot!(said, @"measured (FOLDER/capacity.csv), 45, 95 requests/s with 1, 2, ... instances");
        fs::write(folder.join(CAPACITY_FILE), "h\n1,x\n").unwrap();
        let error = of("object-store").unwrap_err().to_string();
        assert!(error.ends_with("capacity.csv is no capacity curve"), "{error}");
    }

    #[test]
    fn a_broken_curve_is_refused_with_its_line() {
        let error = |csv| CapacityCurve::parse(csv).unwrap_err().to_string();
        insta::assert_snapshot!(
            ["", "h\n1 50", "h\n2,50", "h\n1,x", "h\n1,-5", "h\n1,50\n2,40"].map(error).join("\n"),
            @r"
        there is no measurement: use a header and one line `instances,requests_per_second` each
        line 2: `1 50`: use `instances,requests_per_second`, two numbers
        line 2: `2,50`: use `instances,requests_per_second`, instances counting 1, 2, 3 ...
        line 2: `1,x`: use `instances,requests_per_second`, a rate above 0
        line 2: `1,-5`: use `instances,requests_per_second`, a rate above 0
        line 3: `2,40`: use `instances,requests_per_second`, a rate that is at least that of one instance less
        "
        );
    }

    #[test]
    fn a_step_of_the_load_is_a_step_of_the_demand_at_the_same_moment() {
        let curve = CapacityCurve::linear(50.0);
        let demand = curve.demand(&rows(&[40, 40, 40, 40, 340, 340, 340, 340, 0, 0, 0, 0]), 5);
        assert_eq!(demand.steps(), [(4.0, 7), (8.0, 0)]);
    }

    #[test]
    fn the_noise_of_random_arrivals_is_no_demand() {
        let curve = CapacityCurve::linear(50.0);
        let noisy = rows(&[44, 51, 43, 46, 53, 45, 44, 52, 46]);
        assert_eq!(curve.demand(&noisy, 5), StepFunction::constant(1));
        assert!(curve.demand(&noisy, 1).steps().len() > 4);
    }
}
