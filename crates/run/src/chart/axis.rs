//! Axes: from values to places on the page, with round numbers at their marks.

use serde::Serialize;

/// About so many marks on a linear axis.
const MARKS: f64 = 5.0;

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Spread {
    Linear { step: f64 },
    Logarithmic,
}

/// An axis: values from `low` to `high` lie between two places on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    spread: Spread,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// A mark of an axis.
#[derive(Debug, Serialize)]
pub struct Mark {
    /// Where it lies.
    pub place: f64,
    /// The value, with no more digits than it takes.
    pub label: String,
}

impl Axis {
    /// A linear axis from 0 to the first mark that reaches `max`; `whole` allows only marks at
    /// whole numbers.
    pub fn from_zero(max: f64, whole: bool, from: f64, to: f64) -> Self {
        let step = round_step(max, whole);
        let high = (max / step).ceil().max(1.0) * step;
        Self { spread: Spread::Linear { step }, low: 0.0, high, from, to }
    }

    /// A linear axis of exactly that length, starting at 0.
    pub fn exactly(length: f64, from: f64, to: f64) -> Self {
        let high = if length > 0.0 { length } else { 1.0 };
        Self { spread: Spread::Linear { step: round_step(high, false) }, low: 0.0, high, from, to }
    }

    /// A logarithmic axis over whole decades that hold all of `min` to `max`, both above 0.
    pub fn decades(min: f64, max: f64, from: f64, to: f64) -> Self {
        let low = min.log10().floor();
        let high = max.log10().ceil().max(low + 1.0);
        let (low, high) = (10_f64.powf(low), 10_f64.powf(high));
        Self { spread: Spread::Logarithmic, low, high, from, to }
    }

    /// Where a value lies; values beyond the axis lie at its end.
    pub fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = match self.spread {
            Spread::Linear { .. } => (value - self.low) / (self.high - self.low),
            Spread::Logarithmic => (value / self.low).log10() / (self.high / self.low).log10(),
        };
        self.from + share * (self.to - self.from)
    }

    /// The largest value that has a place of its own.
    pub const fn high(&self) -> f64 {
        self.high
    }

    /// The place where the axis ends.
    pub const fn end(&self) -> f64 {
        self.to
    }

    /// How many whole pixels the axis is long.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A page is a few thousand.
    pub fn pixels(&self) -> usize {
        (self.to - self.from).abs().max(1.0) as usize
    }

    /// What to mark: about five round numbers.
    pub fn marks(&self) -> Vec<Mark> {
        let mark = |value| Mark { place: self.place(value), label: label(value) };
        self.marked().into_iter().map(mark).collect()
    }

    /// The values to mark.
    fn marked(&self) -> Vec<f64> {
        let mut marks = Vec::new();
        match self.spread {
            Spread::Linear { step } => {
                let mut count = 0.0;
                while count * step <= self.high * 1.000_001 {
                    marks.push(count * step);
                    count += 1.0;
                }
            }
            Spread::Logarithmic => {
                let mut mark = self.low;
                while mark <= self.high * 1.000_001 {
                    marks.push(mark);
                    mark *= 10.0;
                }
            }
        }
        marks
    }
}

/// The step among 1, 2, 5 and their tenfolds that makes about [`MARKS`] marks up to `max`.
fn round_step(max: f64, whole: bool) -> f64 {
    if max <= 0.0 {
        return 1.0;
    }
    let rough = max / MARKS;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|s| *s >= rough * 0.999);
    let step = step.unwrap_or(10.0 * decade);
    if whole { step.max(1.0) } else { step }
}

fn label(value: f64) -> String {
    if value >= 1.0 || value == 0.0 { format!("{value:.0}") } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_are_round_numbers() {
        let marks = |max, whole| Axis::from_zero(max, whole, 0.0, 1.0).marked();
        assert_eq!(marks(380.0, false), [0.0, 100.0, 200.0, 300.0, 400.0]);
        assert_eq!(marks(10.0, true), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(marks(2.0, true), [0.0, 1.0, 2.0]);
        assert_eq!(marks(0.0, true), [0.0, 1.0]);
    }

    #[test]
    fn a_logarithmic_axis_has_a_mark_for_each_decade() {
        let axis = Axis::decades(3.0, 450.0, 100.0, 0.0);
        assert_eq!(axis.marked(), [1.0, 10.0, 100.0, 1000.0]);
        assert!((axis.place(1.0) - 100.0).abs() < 1e-9);
        assert!((axis.place(1000.0) - 0.0).abs() < 1e-9);
        assert!((axis.place(0.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn labels_are_short() {
        let labels: Vec<String> = [0.0, 0.1, 1.0, 20.0, 1000.0].map(label).into();
        assert_eq!(labels, ["0", "0.1", "1", "20", "1000"]);
    }

    proptest! {
        #[test]
        fn every_value_lies_on_the_page(max in 0.0..1e6, share in 0.0..1.0) {
            let axis = Axis::from_zero(max, false, 200.0, 20.0);
            prop_assert!((20.0..=200.0).contains(&axis.place(max * share)));
            prop_assert!((2..=12).contains(&axis.marks().len()));
        }
    }
}
