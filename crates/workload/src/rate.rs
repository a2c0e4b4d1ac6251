//! The offered rate over time, how many requests it amounts to, and when each of them is due.

use std::f64::consts::TAU;
use std::time::Duration;

/// How a rate moves within one segment. Rates are requests per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// A straight line; level when both ends are equal.
    Line {
        /// Rate at the start.
        from: f64,
        /// Rate at the end.
        to: f64,
    },
    /// `mean + amplitude * sin(2 pi t / period)`.
    Sine {
        /// Mean rate.
        mean: f64,
        /// Largest distance from the mean.
        amplitude: f64,
        /// Length of one wave.
        period: Duration,
    },
}

/// One stretch of the load with one shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Length of the segment, in seconds.
    length_s: f64,
    shape: Shape,
}

impl Segment {
    /// A segment of that length and shape.
    pub fn new(length: Duration, shape: Shape) -> Self {
        Self { length_s: length.as_secs_f64(), shape }
    }

    /// A segment of that length with the same rate throughout.
    pub fn level(length: Duration, rate: f64) -> Self {
        Self::new(length, Shape::Line { from: rate, to: rate })
    }

    /// The highest rate within the segment, at most.
    pub fn peak(&self) -> f64 {
        match self.shape {
            Shape::Line { from, to } => from.max(to),
            Shape::Sine { mean, amplitude, .. } => mean + amplitude,
        }
    }

    fn rate_at(&self, t: f64) -> f64 {
        match self.shape {
            Shape::Line { from, to } => from + (to - from) * t / self.length_s,
            Shape::Sine { mean, amplitude, period } => {
                mean + amplitude * (TAU * t / period.as_secs_f64()).sin()
            }
        }
    }

    /// Requests due in the first `t` seconds: the integral of the rate.
    fn count_until(&self, t: f64) -> f64 {
        match self.shape {
            Shape::Line { from, to } => from * t + (to - from) * t * t / (2.0 * self.length_s),
            Shape::Sine { mean, amplitude, period } => {
                let wave = TAU / period.as_secs_f64();
                mean * t + amplitude / wave * (1.0 - (wave * t).cos())
            }
        }
    }

    /// The inverse of [`Self::count_until`].
    fn time_of(&self, count: f64) -> f64 {
        match self.shape {
            Shape::Line { from, to } => {
                // The usual solution of the quadratic equation divides by the slope, which is 0 on a
                // level line. This form divides by a sum of rates, and is exact for level lines too.
                let slope = (to - from) / self.length_s;
                let root = (from * from + 2.0 * slope * count).max(0.0).sqrt();
                if from + root > 0.0 { 2.0 * count / (from + root) } else { 0.0 }
            }
            Shape::Sine { .. } => self.bisect(count),
        }
    }

    /// Halves the segment 60 times: a day is then known to less than a nanosecond.
    fn bisect(&self, count: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.length_s);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.count_until(middle) < count {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

/// The whole load of a scenario, in requests per second.
#[derive(Debug, Clone, PartialEq)]
pub struct RateCurve {
    pieces: Vec<Piece>,
    length_s: f64,
    total: f64,
}

/// A segment with what came before it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    segment: Segment,
    start_s: f64,
    count_before: f64,
}

impl RateCurve {
    /// A curve of segments that follow one another; empty ones are left out.
    pub fn new(segments: impl IntoIterator<Item = Segment>) -> Self {
        let (mut start_s, mut count_before, mut pieces) = (0.0, 0.0, Vec::new());
        for segment in segments.into_iter().filter(|s| s.length_s > 0.0) {
            pieces.push(Piece { segment, start_s, count_before });
            start_s += segment.length_s;
            count_before += segment.count_until(segment.length_s);
        }
        Self { pieces, length_s: start_s, total: count_before }
    }

    /// How long load is offered.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.length_s)
    }

    /// How many requests are due in all, as an expectation.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The rate at a moment, in requests per second; 0 outside the load.
    pub fn rate_at(&self, at: Duration) -> f64 {
        let t = at.as_secs_f64();
        let index = self.pieces.partition_point(|p| p.start_s <= t);
        match index.checked_sub(1).map(|i| &self.pieces[i]) {
            Some(piece) if t < self.length_s => piece.segment.rate_at(t - piece.start_s),
            _ => 0.0,
        }
    }

    /// How many requests are due before that moment, as an expectation.
    pub fn count_until(&self, at: Duration) -> f64 {
        let t = at.as_secs_f64().min(self.length_s);
        let index = self.pieces.partition_point(|p| p.start_s <= t);
        index.checked_sub(1).map_or(0.0, |i| {
            let piece = &self.pieces[i];
            piece.count_before + piece.segment.count_until(t - piece.start_s)
        })
    }

    /// When the expected number of requests reaches `count`; `None` past the end of the load.
    pub fn due_at(&self, count: f64) -> Option<Duration> {
        if !(0.0..self.total).contains(&count) {
            return None;
        }
        let index = self.pieces.partition_point(|p| p.count_before <= count);
        let piece = &self.pieces[index.checked_sub(1)?];
        let within = piece.segment.time_of(count - piece.count_before);
        Some(Duration::from_secs_f64(piece.start_s + within.min(piece.segment.length_s)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    fn any_segment() -> impl Strategy<Value = Segment> {
        let line = (0.1..100.0, 0.0..1000.0, 0.0..1000.0)
            .prop_map(|(l, from, to)| Segment::new(seconds(l), Shape::Line { from, to }));
        let sine = (0.1..100.0, 0.1..1000.0, 0.0..=1.0, 0.5..200.0).prop_map(|(l, mean, a, p)| {
            let shape = Shape::Sine { mean, amplitude: mean * a, period: seconds(p) };
            Segment::new(seconds(l), shape)
        });
        prop_oneof![line, sine]
    }

    proptest! {
        #[test]
        fn due_times_invert_the_count(segments in prop::collection::vec(any_segment(), 1..6),
                                      share in 0.0..0.999) {
            let curve = RateCurve::new(segments);
            prop_assume!(curve.total() > 1.0);
            let count = curve.total() * share;
            let due = curve.due_at(count).unwrap();
            // Counting what is due up to that moment gives the count back, to a part in a million.
            let back = curve.count_until(due);
            prop_assert!((back - count).abs() < 1e-4 * curve.total().max(1.0), "{back} {count}");
        }

        #[test]
        fn due_times_never_go_back(segments in prop::collection::vec(any_segment(), 1..6)) {
            let curve = RateCurve::new(segments);
            let dues: Vec<Duration> = (0..1000)
                .filter_map(|i| curve.due_at(curve.total() * f64::from(i) / 1000.0))
                .collect();
            prop_assert!(dues.is_sorted());
            prop_assert!(dues.iter().all(|d| *d <= curve.duration()));
        }
    }

    #[test]
    fn a_ramp_offers_its_mean_rate_times_its_length() {
        let ramp = Segment::new(seconds(10.0), Shape::Line { from: 0.0, to: 100.0 });
        let curve = RateCurve::new([ramp]);
        assert!((curve.total() - 500.0).abs() < 1e-9);
        // Half of the requests come after 10 s / sqrt(2).
        assert!((curve.due_at(250.0).unwrap().as_secs_f64() - 7.071).abs() < 1e-3);
        assert!((curve.rate_at(seconds(5.0)) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_due_outside_the_load() {
        let curve =
            RateCurve::new([Segment::new(seconds(1.0), Shape::Line { from: 5.0, to: 5.0 })]);
        assert_eq!(curve.due_at(5.0), None);
        assert_eq!(curve.due_at(f64::NAN), None);
        assert!(curve.rate_at(seconds(1.0)).abs() < f64::EPSILON);
        assert_eq!(RateCurve::new([]).due_at(0.0), None);
    }
}
