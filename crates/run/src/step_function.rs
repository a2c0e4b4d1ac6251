//! Whole numbers over time that change in steps: instances needed, instances there.

/// Seconds from one moment of a run to a later one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The first moment, in seconds since the start of the load.
    pub from_s: f64,
    /// The moment after the last.
    pub to_s: f64,
}

impl Span {
    /// How long it is, in seconds; 0 when the end does not come after the start.
    pub fn seconds(self) -> f64 {
        (self.to_s - self.from_s).max(0.0)
    }
}

/// A whole number at every moment: the first value holds from ever, the last one for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct StepFunction {
    first: u32,
    /// Moments in order, each with the value from then on, which differs from the one before.
    steps: Vec<(f64, u32)>,
}

/// A piece of time in which two step functions keep their values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// How long it is.
    pub seconds: f64,
    /// The value of the first function.
    pub demand: u32,
    /// The value of the second one.
    pub supply: u32,
}

impl StepFunction {
    /// The same value at every moment.
    pub const fn constant(value: u32) -> Self {
        Self { first: value, steps: Vec::new() }
    }

    /// From `at_s` seconds on, the value is this one. A moment before that of the last step counts
    /// as that moment: the clock of the record was set back.
    pub fn step(&mut self, at_s: f64, value: u32) {
        let (last_s, last) = self.steps.last().copied().unwrap_or((f64::NEG_INFINITY, self.first));
        if value == last {
            return;
        }
        if at_s > last_s {
            self.steps.push((at_s, value));
            return;
        }
        self.steps.pop();
        if value != self.steps.last().map_or(self.first, |s| s.1) {
            self.steps.push((last_s, value));
        }
    }

    /// The value at a moment.
    pub fn at(&self, at_s: f64) -> u32 {
        let after = self.steps.partition_point(|s| s.0 <= at_s);
        after.checked_sub(1).map_or(self.first, |i| self.steps[i].1)
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[(f64, u32)] {
        &self.steps
    }

    /// By how much the value changes within a span, ups and downs added up.
    pub fn changes(&self, span: Span) -> u64 {
        let mut value = self.at(span.from_s);
        let mut changes = 0;
        for (_, next) in self.steps.iter().filter(|s| s.0 > span.from_s && s.0 <= span.to_s) {
            changes += u64::from(value.abs_diff(*next));
            value = *next;
        }
        changes
    }

    /// The mean over a span, each value weighted by the time it holds; that of the first moment
    /// for an empty span.
    pub fn mean(&self, span: Span) -> f64 {
        let sum: f64 =
            pieces(self, self, span).iter().map(|p| p.seconds * f64::from(p.demand)).sum();
        if span.seconds() > 0.0 { sum / span.seconds() } else { f64::from(self.at(span.from_s)) }
    }
}

/// A span cut wherever one of the two changes.
pub fn pieces(demand: &StepFunction, supply: &StepFunction, span: Span) -> Vec<Piece> {
    let within = |s: &&(f64, u32)| s.0 > span.from_s && s.0 < span.to_s;
    let mut cuts: Vec<f64> =
        demand.steps.iter().chain(&supply.steps).filter(within).map(|s| s.0).collect();
    cuts.sort_by(f64::total_cmp);
    cuts.push(span.to_s);
    let mut from_s = span.from_s;
    let mut pieces = Vec::with_capacity(cuts.len());
    for cut in cuts {
        let seconds = cut - from_s;
        if seconds > 0.0 {
            let (demand, supply) = (demand.at(from_s), supply.at(from_s));
            pieces.push(Piece { seconds, demand, supply });
            from_s = cut;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn function(first: u32, steps: &[(f64, u32)]) -> StepFunction {
        let mut function = StepFunction::constant(first);
        steps.iter().for_each(|(at_s, value)| function.step(*at_s, *value));
        function
    }

    #[test]
    fn a_value_holds_from_its_step_on() {
        let f = function(1, &[(2.0, 3), (4.0, 3), (5.0, 2)]);
        assert_eq!([0.0, 1.9, 2.0, 4.5, 5.0, 99.0].map(|t| f.at(t)), [1, 1, 3, 3, 2, 2]);
        assert_eq!(f.steps().len(), 2);
    }

    #[test]
    fn a_clock_set_back_does_not_break_the_order() {
        let f = function(1, &[(5.0, 3), (4.0, 2), (4.5, 1)]);
        assert_eq!(f.steps(), []);
        assert_eq!(function(1, &[(5.0, 3), (4.0, 2)]).steps(), [(5.0, 2)]);
    }

    #[test]
    fn changes_count_every_instance_within_the_span() {
        let f = function(1, &[(1.0, 4), (3.0, 2), (9.0, 8)]);
        assert_eq!(f.changes(Span { from_s: 0.0, to_s: 5.0 }), 3 + 2);
        assert_eq!(f.changes(Span { from_s: 1.0, to_s: 5.0 }), 2);
    }

    #[test]
    fn a_mean_weighs_by_time() {
        let f = function(1, &[(2.0, 4)]);
        assert!((f.mean(Span { from_s: 0.0, to_s: 3.0 }) - 2.0).abs() < 1e-12);
        assert!((f.mean(Span { from_s: 2.0, to_s: 2.0 }) - 4.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn pieces_fill_the_span(
            demand in prop::collection::vec((-5.0..50.0, 0_u32..9), 0..20),
            supply in prop::collection::vec((-5.0..50.0, 0_u32..9), 0..20),
            from_s in 0.0..20.0,
            length in 0.0..40.0,
        ) {
            let span = Span { from_s, to_s: from_s + length };
            let pieces = pieces(&function(1, &demand), &function(1, &supply), span);
            let sum: f64 = pieces.iter().map(|p| p.seconds).sum();
            prop_assert!((sum - span.seconds()).abs() < 1e-6);
        }
    }
}
