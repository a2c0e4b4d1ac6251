//! The chart of a comparison: what each policy cost, and what its clients got.

use run::PolicyTable;
use run::chart::axis::{Axis, Mark};
use serde::Serialize;

/// The plane, in units that the page stretches evenly. A letter of a name is as wide as
/// [`LETTER`] of them.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 520.0;
const LETTER: f64 = 7.6;
const LINE: f64 = 16.0;
/// From the middle of a point to its name.
const GAP: f64 = 9.0;
/// Shares below this lie at the bottom of the logarithmic axis, in percent.
const LEAST_PERCENT: f64 = 0.001;

/// The chart, ready for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Scatter {
    width: f64,
    height: f64,
    /// Marks of the cost in instance-seconds, in percent of the reference's.
    x_marks: Vec<Mark>,
    /// Marks of the share outside the objective, in percent.
    y_marks: Vec<Mark>,
    points: Vec<Point>,
}

/// A policy: its point, and the middle of the left edge of its name.
#[derive(Debug, Serialize)]
struct Point {
    policy: String,
    is_reference: bool,
    x: f64,
    y: f64,
    name_x: f64,
    name_y: f64,
    /// The end of a line that leads from the point to its name, where that lies further off.
    leader: Option<(f64, f64)>,
}

/// A rectangle that is taken.
#[derive(Debug, Clone, Copy)]
struct Taken {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Scatter {
    /// Policies of which one of the two figures is not known are not drawn.
    pub(crate) fn of(table: &PolicyTable) -> Self {
        let known: Vec<(&str, f64, f64)> = table
            .standings()
            .iter()
            .filter_map(|s| Some((s.policy.as_str(), 100.0 * s.cost_ratio?, s.outside_percent?)))
            .collect();
        let dearest = known.iter().map(|k| k.1).fold(100.0, f64::max);
        let x_axis = Axis::from_zero(dearest, false, 0.0, WIDTH);
        let y_axis = Axis::decades(LEAST_PERCENT, 100.0, HEIGHT, 0.0);
        let place = |k: &(&str, f64, f64)| (x_axis.place(k.1), y_axis.place(k.2));
        let mut taken: Vec<Taken> = known.iter().map(place).map(of_point).collect();
        let mut points = Vec::new();
        for k in &known {
            let (x, y) = place(k);
            let (name_x, name_y) = free_place(x, y, k.0.chars().count() as f64, &taken);
            taken.push(of_name(name_x, name_y, k.0.chars().count() as f64));
            points.push(Point {
                policy: k.0.to_owned(),
                is_reference: k.0 == table.reference(),
                x,
                y,
                name_x,
                name_y,
                leader: leader((x, y), of_name(name_x, name_y, k.0.chars().count() as f64)),
            });
        }
        // The reference is drawn last: no other point covers it.
        points.sort_by_key(|p| p.is_reference);
        let mut y_marks = y_axis.marks();
        if let Some(least) = y_marks.first_mut() {
            least.label = format!("\u{2264} {}", least.label);
        }
        Self { width: WIDTH, height: HEIGHT, x_marks: x_axis.marks(), y_marks, points }
    }
}

/// Where a name has room beside its point: to the right, to the left, above, below, and further off;
/// the first place where there is none.
fn free_place(x: f64, y: f64, letters: f64, taken: &[Taken]) -> (f64, f64) {
    let width = letters * LETTER;
    let (left, middle, right) = (x - GAP - width, x - width / 2.0, x + GAP);
    let row = |dy: f64| (y + dy).clamp(LINE / 2.0, HEIGHT - LINE / 2.0);
    let mut places = vec![(right, row(0.0)), (left, row(0.0))];
    for n in 1..=9 {
        let (above, below) = (row(-LINE * f64::from(n)), row(LINE * f64::from(n)));
        for x in [right, left, middle] {
            places.extend([(x, above), (x, below)]);
        }
    }
    let fits = |place: &(f64, f64)| {
        let name = of_name(place.0, place.1, letters);
        let inside = name.left >= 0.0 && name.right <= WIDTH && name.top >= 0.0;
        inside && name.bottom <= HEIGHT && !taken.iter().any(|t| t.overlaps(name))
    };
    let first = places[0];
    places.into_iter().find(fits).unwrap_or(first)
}

/// From a point to the nearest place at the edge of its name, unless that is close by.
fn leader((x, y): (f64, f64), name: Taken) -> Option<(f64, f64)> {
    let (to_x, to_y) = (x.clamp(name.left, name.right), y.clamp(name.top, name.bottom));
    let is_far = (to_x - x).hypot(to_y - y) > 1.5 * GAP;
    // The middle of the line of letters, when it leads to a side.
    let to_y = if to_x == x { to_y } else { f64::midpoint(name.top, name.bottom) };
    is_far.then_some((to_x, to_y))
}

impl Taken {
    fn overlaps(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

fn of_point((x, y): (f64, f64)) -> Taken {
    Taken { left: x - 6.0, right: x + 6.0, top: y - 6.0, bottom: y + 6.0 }
}

fn of_name(x: f64, y: f64, letters: f64) -> Taken {
    let half = LINE / 2.0;
    Taken { left: x, right: x + letters * LETTER, top: y - half, bottom: y + half }
}

#[cfg(test)]
mod tests {
    use super::*;
    use run::policy_comparison::{PolicyRow, PolicyTable};

    fn rows(count: u32) -> Vec<PolicyRow> {
        let row = |n: u32| PolicyRow {
            load: "ramp".to_owned(),
            policy: format!("policy-{n}"),
            outside_objective_percent: Some(20.0 + f64::from(n % 4)),
            instance_seconds: Some(100.0 + f64::from(n % 3)),
            ..PolicyRow::default()
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn names_do_not_cover_each_other() {
        let chart = Scatter::of(&PolicyTable::of(rows(10)).unwrap());
        let names: Vec<Taken> = chart
            .points
            .iter()
            .map(|p| of_name(p.name_x, p.name_y, p.policy.len() as f64))
            .collect();
        for (i, name) in names.iter().enumerate() {
            assert!(names[..i].iter().all(|n| !n.overlaps(*name)), "{:?}", chart.points[i]);
        }
    }

    #[test]
    fn a_policy_without_a_failure_lies_at_the_bottom() {
        let mut rows = rows(2);
        rows[1].outside_objective_percent = Some(0.0);
        let chart = Scatter::of(&PolicyTable::of(rows).unwrap());
        let best = chart.points.iter().find(|p| p.policy == "policy-1").unwrap();
        assert!((best.y - HEIGHT).abs() < 1e-9);
        assert_eq!(chart.y_marks[0].label, "\u{2264} 0.001");
    }

    #[test]
    fn what_is_not_known_is_not_drawn() {
        let mut rows = rows(2);
        rows[0].instance_seconds = None;
        assert_eq!(Scatter::of(&PolicyTable::of(rows).unwrap()).points.len(), 0);
    }
}
