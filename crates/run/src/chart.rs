//! The chart of a run: requests, instances and latency over one time axis, as an SVG.

pub mod axis;
pub mod panels;

use std::borrow::Cow;

use serde::Serialize;
use tera::{Context, Tera};

use crate::series::RunSeries;

use axis::{Axis, Mark};
use panels::{Curve, Panel};

/// The page, in pixels.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 976.0;
/// The head of the page, and of each panel: title and legend.
const PAGE_HEAD: f64 = 78.0;
const PANEL_HEAD: f64 = 30.0;
/// A panel's plot, and the room below it.
const PLOT: f64 = 168.0;
const PANEL_GAP: f64 = 24.0;
const TEMPLATE: &str = include_str!("chart/chart.svg.tera");

#[derive(Serialize)]
struct PanelOnPage {
    title: &'static str,
    head: f64,
    top: f64,
    bottom: f64,
    marks: Vec<Mark>,
    areas: Vec<Curve>,
    strokes: Vec<Curve>,
    legend: Vec<LegendEntry>,
}

#[derive(Serialize)]
struct LegendEntry {
    x: f64,
    name: Cow<'static, str>,
    class: &'static str,
    is_area: bool,
}

/// Draws a panel of a run over a time axis, between the bottom and the top of its plot.
type Draw = fn(&RunSeries, &Axis, f64, f64) -> Panel;

/// Draws the chart of a run as an SVG document of 1,000 pixels' width.
///
/// # Errors
/// None that a run can cause: the error is the template's.
pub fn render(run: &RunSeries) -> tera::Result<String> {
    let seconds = run.rows.len() as f64;
    let time = Axis::exactly(seconds.max(run.load_end_s), LEFT, RIGHT);
    let mut top = PAGE_HEAD;
    let mut on_page = Vec::new();
    let draws: [Draw; 3] = [
        |run, time, bottom, top| panels::requests(&run.rows, time, bottom, top),
        |run, time, bottom, top| panels::instances(&run.fleet, 0, time, bottom, top),
        |run, time, bottom, top| panels::latency(&run.rows, 0.0, time, bottom, top),
    ];
    for draw in draws {
        let (head, plot_top) = (top, top + PANEL_HEAD);
        let bottom = plot_top + PLOT;
        on_page.push(placed(draw(run, &time, bottom, plot_top), head, plot_top, bottom));
        top = bottom + PANEL_GAP;
    }
    let mut context = Context::new();
    context.insert("title", &run.title);
    context.insert("subtitle", &run.subtitle);
    context.insert("panels", &on_page);
    context.insert("left", &LEFT);
    context.insert("right", &RIGHT);
    context.insert("time_marks", &time.marks());
    context.insert("warm_up_end", &(run.warm_up_s > 0.0).then(|| time.place(run.warm_up_s)));
    context.insert("load_end", &(run.load_end_s < seconds).then(|| time.place(run.load_end_s)));
    context.insert("first_top", &(PAGE_HEAD + PANEL_HEAD));
    context.insert("last_bottom", &(top - PANEL_GAP));
    context.insert("height", &(top + 24.0));
    Tera::one_off(TEMPLATE, &context, true)
}

fn placed(panel: Panel, head: f64, top: f64, bottom: f64) -> PanelOnPage {
    PanelOnPage {
        title: panel.title,
        head,
        top,
        bottom,
        marks: panel.axis.marks(),
        legend: legend(&panel),
        areas: panel.areas,
        strokes: panel.strokes,
    }
}

/// Lays the curves' names out from the right edge, as wide as they are.
fn legend(panel: &Panel) -> Vec<LegendEntry> {
    let areas = panel.areas.iter().map(|curve| (curve, true));
    let curves = areas.chain(panel.strokes.iter().map(|curve| (curve, false)));
    let mut x = RIGHT;
    let entry = |(curve, is_area): (&Curve, bool)| {
        // 6.6 pixels a letter at this size, and 38 for the key and the room around it.
        x -= 6.6 * curve.name.len() as f64 + 38.0;
        LegendEntry { x, name: curve.name.clone(), class: curve.class, is_area }
    };
    let mut laid: Vec<LegendEntry> = curves.rev().map(entry).collect();
    laid.reverse();
    laid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{FleetStep, SecondRow};

    fn run(seconds: u32) -> RunSeries {
        let row = |second: u32| SecondRow {
            second,
            due: 40,
            ok: 39,
            failed: 1,
            served: 39,
            p50_ms: (second != 2).then_some(5.0),
            p95_ms: (second != 2).then_some(20.0),
            p99_ms: (second != 2).then_some(90.0),
            ..SecondRow::default()
        };
        let step = |at_s: f64, ready: u32| FleetStep {
            at_s,
            ready,
            decided: Some(ready),
            ..FleetStep::default()
        };
        RunSeries {
            title: "a <ramp> & back".to_owned(),
            subtitle: "40 due".to_owned(),
            warm_up_s: 1.0,
            load_end_s: f64::from(seconds) - 1.0,
            rows: (0..seconds).map(row).collect(),
            fleet: vec![step(0.0, 1), step(2.5, 3)],
        }
    }

    #[test]
    fn every_series_is_drawn_and_named() {
        let svg = render(&run(5)).unwrap();
        for name in ["offered", "served", "failed", "ready", "decided", "p50", "p95", "p99"] {
            assert!(svg.contains(&format!(">{name}</text>")), "{name} is not in the legend");
        }
        for title in ["requests per second", "instances", "latency, ms"] {
            assert!(svg.contains(title), "{title} is no title");
        }
        assert!(svg.contains("warm-up") && svg.contains("load ends"));
    }

    #[test]
    fn a_title_cannot_break_the_document() {
        let svg = render(&run(5)).unwrap();
        assert!(svg.contains("a &lt;ramp&gt; &amp; back"));
        assert!(!svg.contains("<ramp>"));
    }

    #[test]
    fn the_smallest_runs_have_charts_without_impossible_numbers() {
        for seconds in [0, 1, 2] {
            let mut run = run(seconds.max(1));
            run.rows.truncate(seconds as usize);
            run.fleet.clear();
            let svg = render(&run).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn a_day_is_drawn_with_no_more_points_than_the_page_has() {
        let svg = render(&run(86_400)).unwrap();
        assert!(svg.len() < 200_000, "{} bytes", svg.len());
    }
}
