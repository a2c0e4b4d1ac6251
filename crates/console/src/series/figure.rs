//! One figure over a span: what was known of it there, and nothing for what was not.

/// The known values of a figure over a span: how many, their mean, and the largest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figure {
    count: u32,
    sum: f64,
    max: f64,
}

impl Figure {
    /// The figure over one turn.
    pub fn of(value: Option<f64>) -> Self {
        // What is no number would make every mean that it comes into none either.
        match value.filter(|value| value.is_finite()) {
            Some(value) => Self { count: 1, sum: value, max: value },
            None => Self::default(),
        }
    }

    /// So many values with this mean and maximum.
    pub fn from_parts(count: u32, mean: f64, max: f64) -> Self {
        Self { count, sum: mean * f64::from(count), max }
    }

    /// Takes in what is known of another span. The mean weighs each value once, wherever it comes from.
    pub fn merge(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        self.max = if self.count == 0 { other.max } else { self.max.max(other.max) };
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
    }

    /// How many values are known.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The mean of what is known; `None` where nothing is.
    pub fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }

    /// What a rate per second sums up to over a span of so many seconds, as far as it is known: each value is of a second,
    /// and of those of which there are two, since something changed in them, both are of a part of it.
    pub fn sum_over(self, seconds: u64) -> Option<f64> {
        let most = u32::try_from(seconds).unwrap_or(u32::MAX);
        Some(self.mean()? * f64::from(self.count.min(most)))
    }

    /// The largest known value; `None` where nothing is known.
    pub fn max(self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn over(values: &[Option<f64>]) -> Figure {
        let mut all = Figure::default();
        values.iter().for_each(|value| all.merge(Figure::of(*value)));
        all
    }

    #[test]
    fn a_mean_weighs_what_is_known_and_is_not_known_where_nothing_is() {
        let figure = over(&[Some(4.0), None, Some(-8.0), Some(f64::NAN)]);
        assert_eq!((figure.count(), figure.mean(), figure.max()), (2, Some(-2.0), Some(4.0)));
        assert_eq!((over(&[None]).mean(), over(&[]).max()), (None, None));
        assert_eq!(over(&[Some(-3.0)]).max(), Some(-3.0));
    }

    #[test]
    fn a_rate_sums_up_over_what_is_known_of_a_span_and_never_over_more_than_the_span() {
        let figure = over(&[Some(4.0), None, Some(8.0)]);
        assert_eq!((figure.sum_over(60), figure.sum_over(1)), (Some(12.0), Some(6.0)));
        assert_eq!(over(&[None]).sum_over(60), None);
    }

    proptest! {
        #[test]
        fn spans_merge_to_what_all_their_values_give_however_they_are_cut(
            values in prop::collection::vec(prop::option::of(-1e6_f64..1e6), 0..40), cut in 0_usize..40
        ) {
            let (first, second) = values.split_at(cut.min(values.len()));
            let mut merged = over(first);
            merged.merge(over(second));
            let all = over(&values);
            prop_assert_eq!((merged.count(), merged.max()), (all.count(), all.max()));
            let apart = merged.mean().zip(all.mean()).map_or(0.0, |(a, b)| (a - b).abs());
            prop_assert!(apart < 1e-6);
        }
    }
}
