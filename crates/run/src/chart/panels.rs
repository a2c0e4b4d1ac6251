//! What each panel of the chart shows: which series, in which form.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use crate::chart::axis::Axis;
use crate::series::{FleetStep, SecondRow};

/// A moment, in seconds, and a value at it.
pub type Point = (f64, Option<f64>);

/// A line or a filled area over time, ready for the page.
#[derive(Debug, Serialize)]
pub struct Curve {
    /// Its name in the legend.
    pub name: Cow<'static, str>,
    /// Its class in the style sheet.
    pub class: &'static str,
    /// Its path, as SVG has it.
    pub path: String,
}

impl Curve {
    /// The curve of that path.
    pub fn new(name: impl Into<Cow<'static, str>>, class: &'static str, path: String) -> Self {
        Self { name: name.into(), class, path }
    }
}

/// One of the pictures that share the time axis.
#[derive(Debug)]
pub struct Panel {
    /// What it shows, and the unit.
    pub title: &'static str,
    /// Its vertical axis.
    pub axis: Axis,
    /// What lies below the lines.
    pub areas: Vec<Curve>,
    /// The lines, the last on top.
    pub strokes: Vec<Curve>,
}

/// Requests per second: offered, served and failed.
pub fn requests(rows: &[SecondRow], time: &Axis, bottom: f64, top: f64) -> Panel {
    let per_point = rows_per_point(rows, time);
    let offered = means(rows, per_point, |r| r.due);
    let served = means(rows, per_point, |r| r.served);
    let failed = means(rows, per_point, |r| r.failed + r.dropped);
    let max = [&offered, &served, &failed].into_iter().flatten().filter_map(|p| p.1);
    let axis = Axis::from_zero(max.fold(0.0, f64::max), false, bottom, top);
    let line = |name, points: &[Point]| Curve::new(name, name, steps(points, time, &axis));
    let offered = below(&steps(&offered, time, &axis), bottom);
    Panel {
        title: "requests per second",
        areas: vec![Curve::new("offered", "offered", offered)],
        strokes: vec![line("served", &served), line("failed", &failed)],
        axis,
    }
}

/// Instances by phase, stacked, and the number decided for, on an axis that goes up to `reach` at
/// least.
pub fn instances(fleet: &[FleetStep], reach: u32, time: &Axis, bottom: f64, top: f64) -> Panel {
    type Pick = fn(&FleetStep) -> u32;
    let phases: [(&str, &str, Pick); 4] = [
        ("ready", "ready", |s| s.ready),
        ("starting", "starting", |s| s.starting),
        ("draining", "draining", |s| s.draining),
        ("failed", "failed-instances", |s| s.failed),
    ];
    let all = |s: &FleetStep| phases.iter().map(|(_, _, pick)| pick(s)).sum::<u32>();
    let max = fleet.iter().map(|s| all(s).max(s.decided.unwrap_or(0))).max().unwrap_or(0);
    let axis = Axis::from_zero(f64::from(max.max(reach)), true, bottom, top);
    let mut floor: Vec<u32> = vec![0; fleet.len()];
    let mut areas = Vec::new();
    for (name, class, pick) in phases {
        let ceiling: Vec<u32> = floor.iter().zip(fleet).map(|(f, s)| f + pick(s)).collect();
        // A phase in which there was never an instance is not in the legend either.
        if ceiling != floor || name == "ready" {
            let path = band(fleet, &floor, &ceiling, time, &axis);
            areas.push(Curve::new(name, class, path));
        }
        floor = ceiling;
    }
    let decided: Vec<Point> = fleet.iter().map(|s| (s.at_s, s.decided.map(f64::from))).collect();
    let strokes = vec![Curve::new("decided", "decided", steps(&decided, time, &axis))];
    Panel { title: "instances", axis, areas, strokes }
}

/// Percentiles of latency, on an axis that goes up to `reach` ms at least; logarithmic, for a queue
/// that forms is a hundred times the usual.
pub fn latency(rows: &[SecondRow], reach: f64, time: &Axis, bottom: f64, top: f64) -> Panel {
    let per_point = rows_per_point(rows, time);
    let p50 = maxima(rows, per_point, |r| r.p50_ms);
    let p95 = maxima(rows, per_point, |r| r.p95_ms);
    let p99 = maxima(rows, per_point, |r| r.p99_ms);
    let known = || [&p50, &p95, &p99].into_iter().flatten().filter_map(|p| p.1);
    let (min, max) = (known().fold(f64::INFINITY, f64::min), known().fold(reach, f64::max));
    let axis = if min.is_finite() && min > 0.0 {
        Axis::decades(min, max, bottom, top)
    } else {
        Axis::decades(1.0, 100.0, bottom, top)
    };
    let line = |name, points: &[Point]| Curve::new(name, name, steps(points, time, &axis));
    Panel {
        title: "latency, ms, from the moment a request was due (logarithmic)",
        areas: Vec::new(),
        strokes: vec![line("p50", &p50), line("p95", &p95), line("p99", &p99)],
        axis,
    }
}

/// How many rows share a point, so that there is no more than one point to a pixel of the axis.
pub fn rows_per_point(rows: &[SecondRow], time: &Axis) -> usize {
    rows.len().div_ceil(time.pixels()).max(1)
}

/// Means over as many rows as share a pixel, each from the start of its time.
pub fn means(rows: &[SecondRow], per_point: usize, pick: impl Fn(&SecondRow) -> u64) -> Vec<Point> {
    let each = |rows: &[SecondRow]| {
        let sum = rows.iter().map(&pick).sum::<u64>();
        (start(rows), Some(sum as f64 / rows.len() as f64))
    };
    rows.chunks(per_point).map(each).collect()
}

/// The same with maxima, which is what a latency must not lose.
pub fn maxima(
    rows: &[SecondRow],
    per_point: usize,
    pick: impl Fn(&SecondRow) -> Option<f64>,
) -> Vec<Point> {
    let each = |rows: &[SecondRow]| {
        let max = rows.iter().filter_map(&pick).reduce(f64::max);
        (start(rows), max)
    };
    rows.chunks(per_point).map(each).collect()
}

fn start(rows: &[SecondRow]) -> f64 {
    rows.first().map_or(0.0, |r| f64::from(r.second))
}

/// The area below a line without gaps.
fn below(line: &str, bottom: f64) -> String {
    let x = |point: &str| point.split(' ').next().map(str::to_owned);
    let mut points = line.split(['M', 'L']).filter(|p| !p.is_empty());
    let Some(first) = points.next().and_then(x) else { return String::new() };
    let last = points.next_back().and_then(x).unwrap_or_else(|| first.clone());
    format!("{line}L{last} {bottom:.1}L{first} {bottom:.1}Z")
}

/// Level lines from each point to the next one's moment; the last goes on to the end.
pub fn steps(points: &[Point], time: &Axis, axis: &Axis) -> String {
    let mut path = String::new();
    let mut pen_is_down = false;
    for (i, (at, value)) in points.iter().enumerate() {
        if let Some(value) = value {
            let next = points.get(i + 1).map_or(time.end(), |p| time.place(p.0));
            let y = axis.place(*value);
            push(&mut path, if pen_is_down { 'L' } else { 'M' }, time.place(*at), y);
            push(&mut path, 'L', next, y);
        }
        pen_is_down = value.is_some();
    }
    path
}

/// The area between two step functions.
fn band(fleet: &[FleetStep], floor: &[u32], ceiling: &[u32], time: &Axis, axis: &Axis) -> String {
    let points = |values: &[u32]| -> Vec<Point> {
        fleet.iter().zip(values).map(|(s, v)| (s.at_s, Some(f64::from(*v)))).collect()
    };
    let upper = steps(&points(ceiling), time, axis);
    let lower = steps(&points(floor), time, axis);
    if upper.is_empty() {
        return upper;
    }
    // The lower edge is walked backwards: its points are the same, in reverse.
    let back: Vec<&str> = lower.split(['M', 'L']).filter(|p| !p.is_empty()).rev().collect();
    format!("{upper}L{}Z", back.join("L"))
}

fn push(path: &mut String, command: char, x: f64, y: f64) {
    // Writing into a string cannot fail.
    let _ = write!(path, "{command}{x:.1} {y:.1}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes() -> (Axis, Axis) {
        (Axis::exactly(10.0, 0.0, 100.0), Axis::from_zero(10.0, true, 100.0, 0.0))
    }

    #[test]
    fn an_unknown_value_leaves_a_gap() {
        let (time, axis) = axes();
        let points = [(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0)), (3.0, Some(3.0))];
        assert_eq!(
            steps(&points, &time, &axis),
            "M0.0 90.0L10.0 90.0M20.0 80.0L30.0 80.0L30.0 70.0L100.0 70.0"
        );
    }

    #[test]
    fn the_area_below_a_line_reaches_the_bottom() {
        let (time, axis) = axes();
        let line = steps(&[(0.0, Some(1.0)), (2.0, Some(2.0))], &time, &axis);
        assert_eq!(
            below(&line, 100.0),
            "M0.0 90.0L20.0 90.0L20.0 80.0L100.0 80.0L100.0 100.0L0.0 100.0Z"
        );
        assert_eq!(below("", 100.0), "");
    }

    #[test]
    fn a_step_holds_until_the_next_one() {
        let (time, axis) = axes();
        let points = [(0.0, Some(1.0)), (5.0, Some(2.0))];
        assert_eq!(steps(&points, &time, &axis), "M0.0 90.0L50.0 90.0L50.0 80.0L100.0 80.0");
    }

    #[test]
    fn a_band_is_closed_along_the_values_below_it() {
        let (time, axis) = axes();
        let step = |at_s| FleetStep { at_s, ..FleetStep::default() };
        let path = band(&[step(0.0), step(5.0)], &[0, 1], &[1, 3], &time, &axis);
        assert_eq!(
            path,
            "M0.0 90.0L50.0 90.0L50.0 70.0L100.0 70.0L100.0 90.0L50.0 90.0L50.0 100.0L0.0 100.0Z"
        );
    }

    #[test]
    fn a_long_run_keeps_its_worst_latency() {
        let row = |second: u32| SecondRow {
            second,
            p99_ms: Some(if second == 777 { 900.0 } else { 5.0 }),
            ..SecondRow::default()
        };
        let rows: Vec<SecondRow> = (0..5_000).map(row).collect();
        let time = Axis::exactly(5_000.0, 0.0, 912.0);
        let points = maxima(&rows, rows_per_point(&rows, &time), |r| r.p99_ms);
        assert!(points.len() <= 912);
        assert_eq!(points.iter().filter(|p| p.1 == Some(900.0)).count(), 1);
    }
}
