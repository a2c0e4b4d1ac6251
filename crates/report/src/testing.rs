//! A small run for tests, `crates/run/tests/small`: ten seconds of load, 40 requests a second and 90 from second
//! 4 on, on one instance and, from 4.5 s on, two.

use std::path::Path;

use run::capacity::CapacityCurve;
use run::figures::{self, Assumptions};
use run::{PolicyTable, Run};

use crate::compared_run::ComparedRun;
use crate::page::Page;

pub(crate) fn run() -> Run {
    Run::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../run/tests/small"))).unwrap()
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

/// The page of the run.
pub(crate) fn page() -> Page {
    Page {
        run: run(),
        assumptions: assumptions(),
        comparison: None,
        repetitions: Vec::new(),
        notes: Vec::new(),
    }
}

/// The same beside another run, and with four repetitions.
pub(crate) fn compared_page() -> Page {
    let mut other = run();
    other.summary.run = "the other".to_owned();
    let figures = figures::measure(&other, &assumptions());
    let comparison = Some(ComparedRun::of(&run(), other, &assumptions()));
    Page { comparison, repetitions: vec![figures; 4], ..page() }
}

/// Three policies under two loads.
pub(crate) fn policies() -> PolicyTable {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/comparison/comparison.csv");
    PolicyTable::read(Path::new(file)).unwrap()
}
