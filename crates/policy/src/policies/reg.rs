//! Reg: reactive out, regression in.
//!
//! W. Iqbal, M. N. Dailey, D. Carrera and P. Janecek, "Adaptive resource provisioning for read
//! intensive multi-tier applications in the cloud", Future Generation Computer Systems 27(6),
//! 2011: a load above the fleet is met at once; below it, a polynomial of the second degree
//! through the needs of late says how many instances the next interval needs. The figures (60
//! readings, 5% out, 20% in) are those of A. Ali-Eldin's implementation
//! (`ahmedaley/Autoscalers`, `Regression.py`), which takes the polynomial's value at the present
//! reading; here it is that of the next one. The paper itself was not at hand.

use std::collections::VecDeque;

use model::decision::Reason;
use model::policies::Reg;
use model::trail::WentBy;

use super::load_reader::{LoadReader, push_bounded};
use super::rounding;
use crate::advice::Advice;
use crate::input::PolicyInput;

/// It remembers how many instances were needed, newest last.
pub(super) type State = LoadReader<VecDeque<f64>>;

pub(super) fn advise(figures: &Reg, state: &mut State, input: &PolicyInput) -> Advice {
    state
        .advise(figures.interval_ms, input, |needs, load| step(figures, needs, load, input.current))
}

pub(super) fn went_by(_: &Reg, state: &State, input: &PolicyInput, _: Reason) -> Option<WentBy> {
    state.went_by(input)
}

fn step(figures: &Reg, needs: &mut VecDeque<f64>, load: f64, current: u32) -> Advice {
    let needed = rounding::ceil(load);
    push_bounded(needs, f64::from(needed), figures.readings);
    if needed > current {
        let enough = rounding::ceil(load * (100.0 + figures.headroom_out_percent) / 100.0);
        return Advice::ready(enough, Reason::OfferedLoad);
    }
    let next = if needed < current { next_of_parabola(needs) } else { None };
    let foreseen = next.map_or(0, rounding::ceil);
    if foreseen == 0 {
        // Too few readings, or a parabola that falls below zero: it says nothing usable.
        return Advice::ready(current, Reason::InBand);
    }
    let share = (100.0 + figures.headroom_in_percent) / 100.0;
    let enough = rounding::ceil(f64::from(foreseen) * share).min(current);
    Advice::ready(enough, Reason::Forecast)
}

/// The next value of the parabola that fits equidistant values best by least squares; `None` for
/// fewer than three.
///
/// With the x counted from their middle, sums of odd powers vanish and the normal equations fall
/// apart into one for the slope and two for the rest.
fn next_of_parabola(values: &VecDeque<f64>) -> Option<f64> {
    if values.len() < 3 {
        return None;
    }
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let (mut s2, mut s4, mut y, mut xy, mut x2y) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let mut x = -middle;
    for value in values {
        s2 += x * x;
        s4 += x * x * x * x;
        y += value;
        xy += x * value;
        x2y += x * x * value;
        x += 1.0;
    }
    let determinant = count * s4 - s2 * s2;
    let constant = (y * s4 - x2y * s2) / determinant;
    let square = (count * x2y - s2 * y) / determinant;
    Some(constant + xy / s2 * x + square * x * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(values: &[f64]) -> Option<f64> {
        next_of_parabola(&values.iter().copied().collect())
    }

    #[test]
    fn parabolas_are_continued() {
        assert_eq!(next(&[1.0, 2.0]), None);
        assert!((next(&[4.0, 4.0, 4.0]).unwrap() - 4.0).abs() < 1e-9);
        assert!((next(&[0.0, 1.0, 4.0, 9.0, 16.0]).unwrap() - 25.0).abs() < 1e-9);
        // By hand for 1, 2, 2, 1, with x from -1.5 to 1.5: 2.125 - 0.5 x^2, which is -1 at 2.5.
        assert!((next(&[1.0, 2.0, 2.0, 1.0]).unwrap() + 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_load_above_the_fleet_is_met_at_once() {
        let advice = step(&Reg::default(), &mut VecDeque::new(), 9.8, 5);
        assert_eq!(advice, Advice::ready(11, Reason::OfferedLoad), "ceil(9.8 x 1.05)");
    }

    #[test]
    fn below_it_the_parabola_decides_with_headroom_and_never_asks_for_more() {
        let mut needs: VecDeque<f64> = [10.0, 9.0, 8.0, 7.0].into();
        // The next of 10, 9, 8, 7, 6 is 5, and a fifth more 6.
        let advice = step(&Reg::default(), &mut needs, 6.0, 10);
        assert_eq!(advice, Advice::ready(6, Reason::Forecast));
        let mut rising: VecDeque<f64> = [2.0, 3.0, 4.0, 5.0].into();
        let advice = step(&Reg::default(), &mut rising, 6.0, 7);
        assert_eq!(advice, Advice::ready(7, Reason::Forecast));
    }

    #[test]
    fn too_few_readings_change_nothing() {
        let advice = step(&Reg::default(), &mut VecDeque::new(), 1.0, 5);
        assert_eq!(advice, Advice::ready(5, Reason::InBand));
    }
}
