//! A small run for tests, `tests/small`: ten seconds of load, 40 requests a second and 90 from second
//! 4 on, on one instance and, from 4.5 s on, two.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Run;
use crate::calibration::{Calibration, HostFigures, LimitedBy, Point, Times};
use crate::capacity::CapacityCurve;
use crate::figures::Assumptions;
use crate::summary::Percentiles;

pub(crate) fn run() -> Run {
    Run::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/small"))).unwrap()
}

/// 50 requests a second for an instance, and half a unit of money for an hour.
pub(crate) fn assumptions() -> Assumptions {
    let prices = "currency = \"EUR\"\n[[types]]\nname = \"test\"\nbilling = \"started_hour\"\n\
                  price_per_hour = 0.5\n";
    Assumptions {
        capacity: Some(CapacityCurve::linear(50.0)),
        prices: Some(config_file::from_toml("prices.toml", prices).unwrap()),
        ..Assumptions::default()
    }
}

pub(crate) fn point(instances: u32, met_rps: f64, limited_by: LimitedBy) -> Point {
    Point { instances, met_rps: Some(met_rps), missed_rps: Some(met_rps * 1.02), limited_by }
}

/// A calibration of the object store with these capacities.
pub(crate) fn calibration_of(points: Vec<Point>) -> Calibration {
    let times = |p50, p99| Times { count: 35, ms: Percentiles { p50, p99 } };
    let host = HostFigures {
        clone: times(Some(41.0), Some(97.0)),
        drain: times(Some(0.0), Some(4.0)),
        service: times(Some(0.61), Some(3.25)),
        cpu_ms_per_request: Some(0.21),
        ..HostFigures::default()
    };
    Calibration {
        service: "object-store".to_owned(),
        started_at_ms: 1_700_000_000_000,
        finished_at_ms: 1_700_000_500_000,
        complete: true,
        instances: 3,
        conditions: BTreeMap::from([("requests".to_owned(), "as in ramp".to_owned())]),
        points,
        host,
        trials: Vec::new(),
    }
}
