//! What the page's script reads: the series behind the charts, as JSON within the page.

use run::Run;
use run::chart::axis::Axis;
use run::chart::panels::{maxima, means, rows_per_point};
use run::series::FleetStep;
use run::step_function::StepFunction;
use serde::Serialize;

use crate::page::charts::{Plane, seconds};
use crate::page::decisions::DecisionLog;

/// The data of a run's charts.
#[derive(Debug, Serialize)]
struct Data {
    /// Length of the time axis in seconds, and of the plane that the paths lie on.
    end: f64,
    width: f64,
    /// Seconds that a row stands for.
    row_seconds: usize,
    offered: Vec<Option<f64>>,
    served: Vec<Option<f64>>,
    failed: Vec<Option<f64>>,
    p50: Vec<Option<f64>>,
    p95: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    fleet: Vec<FleetStep>,
    /// Moments and the demand from then on.
    needed: Vec<(f64, u32)>,
    /// The moments of the log's lines.
    ticks: Vec<f64>,
}

/// The data as JSON that may stand within a `script` element: without `<`, `>` and `&`, which JSON
/// needs nowhere but in strings.
pub(crate) fn json(run: &Run, demand: Option<&StepFunction>, log: &DecisionLog) -> String {
    let width = Plane::SCREEN.width;
    let time = Axis::exactly(seconds(run), 0.0, width);
    let per_point = rows_per_point(&run.rows, &time);
    let values = |points: Vec<(f64, Option<f64>)>| points.into_iter().map(|p| p.1).collect();
    let needed = demand.map(|d| {
        let later = d.steps().iter().copied().filter(|s| s.0 > 0.0);
        std::iter::once((0.0, d.at(0.0))).chain(later).collect()
    });
    let data = Data {
        end: seconds(run),
        width,
        row_seconds: per_point,
        offered: values(means(&run.rows, per_point, |r| r.due)),
        served: values(means(&run.rows, per_point, |r| r.served)),
        failed: values(means(&run.rows, per_point, |r| r.failed + r.dropped)),
        p50: values(maxima(&run.rows, per_point, |r| r.p50_ms)),
        p95: values(maxima(&run.rows, per_point, |r| r.p95_ms)),
        p99: values(maxima(&run.rows, per_point, |r| r.p99_ms)),
        fleet: run.fleet(),
        needed: needed.unwrap_or_default(),
        ticks: log.lines().iter().map(|l| l.at_s).collect(),
    };
    // Numbers and fixed keys alone: there is nothing in it that JSON could refuse.
    let json = serde_json::to_string(&data).unwrap_or_else(|_| "null".to_owned());
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
