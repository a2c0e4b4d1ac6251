//! The charts of a run. Their paths lie on a plane that stretches with the page, and zoom is a part
//! of that plane; marks and labels are placed in percent.

use run::Run;
use run::chart::axis::{self, Axis};
use run::chart::panels::{self, Curve, Panel, Point, steps};
use run::series::{FleetStep, SecondRow};
use run::step_function::StepFunction;
use serde::Serialize;

use crate::compared_run::ComparedRun;

/// The plane that a chart's paths lie on. A chart of a long run is reduced to one point for each
/// unit of the width.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Plane {
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Plane {
    /// For a screen: wide enough to zoom in.
    pub(crate) const SCREEN: Self = Self { width: 4_000.0, height: 1_000.0 };
    /// For paper: tenths of a millimetre of a chart of 170 by 36 mm.
    pub(crate) const PAPER: Self = Self { width: 1_700.0, height: 360.0 };
}

/// A chart, ready for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Chart {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    marks: Vec<Mark>,
    areas: Vec<Curve>,
    strokes: Vec<Curve>,
}

/// A mark of an axis and its place in percent of the plot, from the left or from the bottom.
#[derive(Debug, Serialize)]
pub(crate) struct Mark {
    percent: f64,
    /// The same on the plane.
    place: f64,
    label: String,
}

/// The charts of a run, over one time axis.
#[derive(Debug, Serialize)]
pub(crate) struct Charts {
    charts: Vec<Chart>,
    time_marks: Vec<Mark>,
    /// Where the warm-up ends, on the plane.
    warm_up_end: Option<f64>,
    /// Where the load ends.
    load_end: Option<f64>,
    plane: Plane,
}

impl Charts {
    pub(crate) fn of(
        run: &Run,
        demand: Option<&StepFunction>,
        other: Option<&ComparedRun>,
        plane: Plane,
    ) -> Self {
        let Plane { width, height } = plane;
        let time = Axis::exactly(seconds(run), 0.0, width);
        let charts = vec![
            ("requests", "Requests", "per second", requests(&run.rows, &time, height)),
            ("instances", "Instances", "", instances(&run.fleet(), demand, other, &time, height)),
            ("latency", "Latency", "ms, logarithmic", latency(run, other, &time, height)),
        ];
        let place = |s: f64| time.place(s);
        let (warm_up_s, load_end_s) = (run.summary.warm_up_s, run.load_end_s());
        Self {
            charts: charts
                .into_iter()
                .map(|(id, title, unit, panel)| chart(id, (title, unit), panel, height))
                .collect(),
            time_marks: marks(&time, |place| 100.0 * place / width),
            warm_up_end: (warm_up_s > 0.0).then(|| place(warm_up_s)),
            load_end: (load_end_s < seconds(run)).then(|| place(load_end_s)),
            plane,
        }
    }
}

/// How long the time axis is; a run that ended before it began has one, too.
pub(crate) fn seconds(run: &Run) -> f64 {
    run.end_s().max(run.rows.len() as f64).max(1.0)
}

/// A line of failures along the zero would look like one.
fn requests(rows: &[SecondRow], time: &Axis, height: f64) -> Panel {
    let mut panel = panels::requests(rows, time, height, 0.0);
    if rows.iter().all(|r| r.failed + r.dropped == 0) {
        panel.strokes.retain(|s| s.name != "failed");
    }
    panel
}

fn instances(
    fleet: &[FleetStep],
    demand: Option<&StepFunction>,
    other: Option<&ComparedRun>,
    time: &Axis,
    height: f64,
) -> Panel {
    let supply = other.and_then(|o| o.run.supply());
    let highest =
        |f: &StepFunction| f.steps().iter().map(|s| s.1).max().unwrap_or(0).max(f.at(0.0));
    let reach = [demand, supply.as_ref()].into_iter().flatten().map(highest).max().unwrap_or(0);
    let mut panel = panels::instances(fleet, reach, time, height, 0.0);
    let curve = |name: String, class, f: &StepFunction| {
        let first = (0.0, Some(f64::from(f.at(0.0))));
        // Of a longer run there is nothing to see beyond the axis.
        let seen = f.steps().iter().filter(|s| s.0 > 0.0 && s.0 <= time.high());
        let rest = seen.map(|s| (s.0, Some(f64::from(s.1))));
        let points: Vec<Point> = std::iter::once(first).chain(rest).collect();
        Curve::new(name, class, steps(&points, time, &panel.axis))
    };
    let needed = demand.map(|d| curve("needed".to_owned(), "needed", d));
    let name = |o: &ComparedRun| format!("ready, {}", o.role.name());
    let compared = supply.zip(other).map(|(s, o)| curve(name(o), "other", &s));
    panel.strokes.splice(0..0, needed.into_iter().chain(compared));
    panel
}

fn latency(run: &Run, other: Option<&ComparedRun>, time: &Axis, height: f64) -> Panel {
    let objective = run.summary.objective_ms as f64;
    let rows = other.map_or(&[][..], |o| &o.run.rows);
    let rows = &rows[..rows.len().min(run.rows.len())];
    let per_point = panels::rows_per_point(rows, time);
    let p99 = panels::maxima(rows, per_point, |r| r.p99_ms);
    let reach = p99.iter().filter_map(|p| p.1).fold(objective, f64::max);
    let mut panel = panels::latency(&run.rows, reach, time, height, 0.0);
    if let Some(other) = other {
        let path = steps(&p99, time, &panel.axis);
        let name = format!("p99, {}", other.role.name());
        panel.strokes.insert(0, Curve::new(name, "other", path));
    }
    let path = format!("M0 {:.1}H{}", panel.axis.place(objective), time.end());
    panel.strokes.push(Curve::new("objective", "objective", path));
    panel
}

fn chart(
    id: &'static str,
    (title, unit): (&'static str, &'static str),
    panel: Panel,
    height: f64,
) -> Chart {
    let marks = marks(&panel.axis, |place| 100.0 * (1.0 - place / height));
    Chart { id, title, unit, marks, areas: panel.areas, strokes: panel.strokes }
}

fn marks(axis: &Axis, percent: impl Fn(f64) -> f64) -> Vec<Mark> {
    let mark = |axis::Mark { place, label }| Mark { percent: percent(place), place, label };
    axis.marks().into_iter().map(mark).collect()
}
