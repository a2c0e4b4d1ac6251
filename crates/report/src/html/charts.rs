//! The page's charts. Their paths lie on a plane of 4,000 by 1,000 units that stretches with the
//! page, and zoom is a part of that plane; marks and labels are placed in percent.

use serde::Serialize;

use crate::chart::{Area, Panel, Stroke};
use crate::html::Comparison;
use crate::panels::{self, Point, steps};
use crate::run::Run;
use crate::scale::{Axis, label};
use crate::series::RunSeries;
use crate::steps::StepFunction;
use crate::summary::OBJECTIVE_MS;

/// The plane's width: what a chart of a long run is reduced to.
pub(crate) const WIDTH: f64 = 4_000.0;
const HEIGHT: f64 = 1_000.0;

/// A chart, ready for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Chart {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    marks: Vec<Mark>,
    areas: Vec<Area>,
    strokes: Vec<Stroke>,
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
    width: f64,
    height: f64,
}

impl Charts {
    pub(crate) fn of(run: &Run, demand: Option<&StepFunction>, other: Option<&Comparison>) -> Self {
        let time = Axis::exactly(seconds(run), 0.0, WIDTH);
        let series = series(run);
        let charts = vec![
            chart("requests", "Requests", "per second", requests(&series, &time)),
            chart("instances", "Instances", "", instances(&series, demand, other, &time)),
            chart("latency", "Latency", "ms, logarithmic", latency(&series, other, &time)),
        ];
        let place = |s: f64| time.place(s);
        Self {
            charts,
            time_marks: time.marks().into_iter().map(|m| mark(m, place(m), WIDTH)).collect(),
            warm_up_end: (series.warm_up_s > 0.0).then(|| place(series.warm_up_s)),
            load_end: (series.load_end_s < seconds(run)).then(|| place(series.load_end_s)),
            width: WIDTH,
            height: HEIGHT,
        }
    }
}

/// How long the time axis is; a run that ended before it began has one, too.
pub(crate) fn seconds(run: &Run) -> f64 {
    run.end_s().max(run.rows.len() as f64).max(1.0)
}

fn series(run: &Run) -> RunSeries {
    RunSeries {
        title: run.summary.run.clone(),
        subtitle: String::new(),
        warm_up_s: run.summary.warm_up_s,
        load_end_s: run.load_end_s(),
        rows: run.rows.clone(),
        fleet: run.fleet(),
    }
}

/// A line of failures along the zero would look like one.
fn requests(series: &RunSeries, time: &Axis) -> Panel {
    let mut panel = panels::requests(series, time, HEIGHT, 0.0);
    if series.rows.iter().all(|r| r.failed + r.dropped == 0) {
        panel.strokes.retain(|s| s.name != "failed");
    }
    panel
}

fn instances(
    series: &RunSeries,
    demand: Option<&StepFunction>,
    other: Option<&Comparison>,
    time: &Axis,
) -> Panel {
    let supply = other.and_then(|o| o.run.supply());
    let highest =
        |f: &StepFunction| f.steps().iter().map(|s| s.1).max().unwrap_or(0).max(f.at(0.0));
    let reach = [demand, supply.as_ref()].into_iter().flatten().map(highest).max().unwrap_or(0);
    let mut panel = panels::instances(series, reach, time, HEIGHT, 0.0);
    let curve = |name, class, f: &StepFunction| {
        let first = (0.0, Some(f64::from(f.at(0.0))));
        // Of a longer run there is nothing to see beyond the axis.
        let seen = f.steps().iter().filter(|s| s.0 > 0.0 && s.0 <= time.high());
        let rest = seen.map(|s| (s.0, Some(f64::from(s.1))));
        let points: Vec<Point> = std::iter::once(first).chain(rest).collect();
        Stroke { name, class, path: steps(&points, time, &panel.axis) }
    };
    let needed = demand.map(|d| curve("needed", "needed", d));
    let compared = supply.map(|s| curve("ready, other run", "other", &s));
    panel.strokes.splice(0..0, needed.into_iter().chain(compared));
    panel
}

fn latency(series: &RunSeries, other: Option<&Comparison>, time: &Axis) -> Panel {
    let rows = other.map_or(&[][..], |o| &o.run.rows);
    let rows = &rows[..rows.len().min(series.rows.len())];
    let per_point = panels::rows_per_point(rows, time);
    let p99 = panels::maxima(rows, per_point, |r| r.p99_ms);
    let objective = OBJECTIVE_MS as f64;
    let reach = p99.iter().filter_map(|p| p.1).fold(objective, f64::max);
    let mut panel = panels::latency(series, reach, time, HEIGHT, 0.0);
    if other.is_some() {
        let path = steps(&p99, time, &panel.axis);
        panel.strokes.insert(0, Stroke { name: "p99, other run", class: "other", path });
    }
    let path = format!("M0 {}H{WIDTH}", panel.axis.place(objective));
    panel.strokes.push(Stroke { name: "objective", class: "objective", path });
    panel
}

fn chart(id: &'static str, title: &'static str, unit: &'static str, panel: Panel) -> Chart {
    let axis = panel.axis;
    let marks = axis.marks().into_iter().map(|m| {
        let place = axis.place(m);
        Mark { percent: 100.0 * (1.0 - place / HEIGHT), place, label: label(m) }
    });
    Chart { id, title, unit, marks: marks.collect(), areas: panel.areas, strokes: panel.strokes }
}

fn mark(value: f64, place: f64, length: f64) -> Mark {
    Mark { percent: 100.0 * place / length, place, label: label(value) }
}
