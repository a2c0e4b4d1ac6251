//! How well the supply of instances follows the demand.
//!
//! Demand d(t) is the number of instances needed at the objective, supply s(t) the number of ready
//! ones, both over the same span of length T. Sources:
//!
//! - **ICAC 2013**: N. R. Herbst, S. Kounev, R. Reussner, "Elasticity in Cloud Computing: What It
//!   Is, and What It Is Not", the terms: matching supply and demand, too little and too much of it.
//! - **BUNGEE**: N. R. Herbst, S. Kounev, A. Weber, H. Groenda, "BUNGEE: An Elasticity Benchmark for
//!   Self-Adaptive IaaS Cloud Environments", SEAMS 2015: accuracy, timeshare, jitter.
//! - **Ready for Rain**: N. Herbst et al., "Ready for Rain? A View from SPEC Research on the Future
//!   of Cloud Metrics", SPEC-RG-2016-01: accuracy relative to the demand, instability, speedup.
//! - **ICPE 2017**: A. Ilyushkin et al., "An Experimental Performance Evaluation of Autoscaling
//!   Policies for Complex Workflows": the same for comparing policies, and hours as charged.
//! - **TSE 2019**: A. V. Papadopoulos et al., "Methodological Principles for Reproducible
//!   Performance Evaluation in Cloud Computing": report them side by side, over repetitions.

use crate::step_function::{Piece, Span, StepFunction, pieces};

/// How often the curves are looked at for [`Elasticity::instability_percent`]. The papers leave
/// the interval open; a second is that of a run's rows.
const SAMPLE_S: f64 = 1.0;
/// A share below this counts as this in [`Elasticity::speedup`]: a perfect figure would make
/// the speedup infinite, and say no more than "a thousandth".
const SPEEDUP_FLOOR_PERCENT: f64 = 0.1;

/// The figures of one supply against one demand. For all but the last two, 0 is perfect; jitter is
/// best near 0 and may be negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Elasticity {
    /// What lacks, relative to the demand: 100/T x sum of max(d - s, 0)/d x dt (Ready for Rain).
    ///
    /// Where d = 0 nothing can lack, and the time counts as 0.
    pub under_accuracy_percent: f64,
    /// What is too much, relative to the demand: 100/T x sum of max(s - d, 0)/d x dt (Ready for
    /// Rain). It has no upper limit: twice the instances needed, all the time, are 100%.
    ///
    /// The papers leave d = 0 undefined. Here the divisor is max(d, 1), one instance being the
    /// least that can be needed: three idle instances count as 300%, for as long as they idle.
    pub over_accuracy_percent: f64,
    /// Share of the time with too few instances: 100/T x sum of dt where s < d (BUNGEE).
    pub under_timeshare_percent: f64,
    /// Share of the time with too many instances: 100/T x sum of dt where s > d (BUNGEE). With
    /// d = 0, every ready instance is one too many.
    pub over_timeshare_percent: f64,
    /// Share of the seconds in which supply and demand do not move the same way (up, down, or not
    /// at all): 100/n x count of sgn(change of s) != sgn(change of d), over the n whole seconds of
    /// the span (Ready for Rain). A change followed a second late counts twice.
    pub instability_percent: f64,
    /// Changes of supply less changes of demand, per minute: (E_S - E_D)/T (BUNGEE). A change by
    /// three instances counts three. Above 0 the supply oscillates, below 0 it leaves changes out.
    pub jitter_per_minute: f64,
    /// How many times better than the same demand against a fleet that never changes, see
    /// [`fixed_fleet`]: the geometric mean of unscaled/own over both accuracies and both timeshares,
    /// equally weighted (Ready for Rain). Above 1 the scaling pays.
    pub speedup: f64,
}

impl Elasticity {
    /// The figures over a span; `None` when it has no length.
    pub fn measure(demand: &StepFunction, supply: &StepFunction, span: Span) -> Option<Self> {
        let total = span.seconds();
        if total <= 0.0 {
            return None;
        }
        let own = shares(demand, supply, span);
        let [under_accuracy, over_accuracy, under_timeshare, over_timeshare] = own;
        let unscaled = shares(demand, &fixed_fleet(demand, span), span);
        let changes = supply.changes(span) as f64 - demand.changes(span) as f64;
        Some(Self {
            under_accuracy_percent: under_accuracy,
            over_accuracy_percent: over_accuracy,
            under_timeshare_percent: under_timeshare,
            over_timeshare_percent: over_timeshare,
            instability_percent: instability_percent(demand, supply, span),
            jitter_per_minute: changes / (total / 60.0),
            speedup: speedup(own, unscaled),
        })
    }
}

/// Both accuracies and both timeshares over a span that has a length, in the order of
/// [`Elasticity`].
fn shares(demand: &StepFunction, supply: &StepFunction, span: Span) -> [f64; 4] {
    let pieces = pieces(demand, supply, span);
    let percent = |share: fn(&Piece) -> f64| {
        100.0 / span.seconds() * pieces.iter().map(|p| share(p) * p.seconds).sum::<f64>()
    };
    [
        percent(|p| p.of_demand(p.demand.saturating_sub(p.supply))),
        percent(|p| p.of_demand(p.supply.saturating_sub(p.demand))),
        percent(|p| f64::from(u8::from(p.supply < p.demand))),
        percent(|p| f64::from(u8::from(p.supply > p.demand))),
    ]
}

/// The geometric mean of unscaled/own over the four shares.
fn speedup(own: [f64; 4], unscaled: [f64; 4]) -> f64 {
    let logs = |shares: [f64; 4]| shares.map(|share| share.max(SPEEDUP_FLOOR_PERCENT).ln());
    let logs = logs(unscaled).into_iter().zip(logs(own)).map(|(n, a)| n - a);
    (logs.sum::<f64>() / 4.0).exp()
}

impl Piece {
    /// Instances as a share of the demand, which counts as 1 where it is 0.
    fn of_demand(&self, instances: u32) -> f64 {
        f64::from(instances) / f64::from(self.demand.max(1))
    }
}

/// The fleet to compare with when nothing scales: the mean demand, rounded up, which is what
/// someone who knows the load but cannot scale would run at the price of a perfect scaler. (A
/// fixed fleet at the lower bound is never too large, one at the upper bound never too small: with
/// a perfect share in it, the speedup would measure the floor.)
pub fn fixed_fleet(demand: &StepFunction, span: Span) -> StepFunction {
    let mean = demand.mean(span);
    // A mean of u32 values is a u32 value, rounded up.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    StepFunction::constant((mean - 1e-9).ceil().max(0.0) as u32)
}

fn instability_percent(demand: &StepFunction, supply: &StepFunction, span: Span) -> f64 {
    let (mut samples, mut apart) = (0_u32, 0_u32);
    let mut from = span.from_s;
    while from + SAMPLE_S <= span.to_s + 1e-9 {
        let moves = |f: &StepFunction| f.at(from + SAMPLE_S).cmp(&f.at(from));
        samples += 1;
        apart += u32::from(moves(supply) != moves(demand));
        from = span.from_s + f64::from(samples) * SAMPLE_S;
    }
    if samples == 0 { 0.0 } else { 100.0 * f64::from(apart) / f64::from(samples) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN: Span = Span { from_s: 0.0, to_s: 10.0 };

    fn function(first: u32, steps: &[(f64, u32)]) -> StepFunction {
        let mut function = StepFunction::constant(first);
        steps.iter().for_each(|(at_s, value)| function.step(*at_s, *value));
        function
    }

    fn figures(demand: &StepFunction, supply: &StepFunction) -> [f64; 6] {
        let e = Elasticity::measure(demand, supply, TEN).unwrap();
        [
            e.under_accuracy_percent,
            e.over_accuracy_percent,
            e.under_timeshare_percent,
            e.over_timeshare_percent,
            e.instability_percent,
            e.jitter_per_minute,
        ]
    }

    fn assert_close(left: [f64; 6], right: [f64; 6]) {
        let close = left.iter().zip(&right).all(|(l, r)| (l - r).abs() < 1e-6);
        assert!(close, "{left:?} is not {right:?}");
    }

    #[test]
    fn a_supply_that_is_the_demand_is_perfect() {
        let demand = function(2, &[(4.0, 5), (7.0, 1)]);
        assert_close(figures(&demand, &demand), [0.0; 6]);
    }

    #[test]
    fn a_late_step_up_and_down_by_hand() {
        // Demand 2, then 4 during seconds 2 to 6, then 2; supply follows 1 s late.
        let demand = function(2, &[(2.0, 4), (6.0, 2)]);
        let supply = function(2, &[(3.0, 4), (7.0, 2)]);
        // One second of 2 of 4 lacking is 5% of 10 s; one second of 2 on top of 2 is 10%. Four of
        // ten seconds see one curve move and the other not. Both change by 4.
        assert_close(figures(&demand, &supply), [5.0, 10.0, 10.0, 10.0, 40.0, 0.0]);
    }

    #[test]
    fn no_demand_lacks_nothing_and_every_instance_is_too_many() {
        let (none, three) = (StepFunction::constant(0), StepFunction::constant(3));
        assert_close(figures(&none, &three), [0.0, 300.0, 0.0, 100.0, 0.0, 0.0]);
        assert_close(figures(&none, &none), [0.0; 6]);
        // Idle for half of the time, with one instance kept: half of 100%.
        let half = function(1, &[(5.0, 0)]);
        let one = StepFunction::constant(1);
        assert_close(figures(&half, &one), [0.0, 50.0, 0.0, 50.0, 10.0, -6.0]);
    }

    #[test]
    fn no_supply_lacks_everything() {
        let (three, none) = (StepFunction::constant(3), StepFunction::constant(0));
        assert_close(figures(&three, &none), [100.0, 0.0, 100.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_supply_that_oscillates_has_positive_jitter() {
        let demand = StepFunction::constant(2);
        let supply = function(2, &[(1.0, 3), (2.0, 2), (3.0, 3), (4.0, 2)]);
        // Four changes in 10 s are 24 a minute; two of ten seconds have one instance on top of 2.
        assert_close(figures(&demand, &supply), [0.0, 10.0, 0.0, 20.0, 40.0, 24.0]);
    }

    #[test]
    fn only_the_span_counts() {
        let demand = function(1, &[(5.0, 9), (6.0, 1)]);
        let span = Span { from_s: 6.0, to_s: 10.0 };
        let e = Elasticity::measure(&demand, &StepFunction::constant(1), span).unwrap();
        assert!(e.under_timeshare_percent.abs() < 1e-9);
        let empty = Span { from_s: 6.0, to_s: 6.0 };
        assert_eq!(Elasticity::measure(&demand, &StepFunction::constant(1), empty), None);
    }

    #[test]
    fn the_speedup_is_the_geometric_mean_of_four_ratios() {
        // 16, 4, 4 and 1 times better: the fourth root of 256 is 4.
        let (own, none) = ([1.0, 10.0, 5.0, 20.0], [16.0, 40.0, 20.0, 20.0]);
        assert!((speedup(own, none) - 4.0).abs() < 1e-9);
        assert!((speedup(none, own) - 0.25).abs() < 1e-9);
        // Perfect shares count as 0.1%: 10 times in each of the four.
        assert!((speedup([0.0; 4], [1.0; 4]) - 10.0).abs() < 1e-9);
        assert!((speedup(own, own) - 1.0).abs() < 1e-9);
        // A fixed fleet is as good as itself.
        let demand = function(1, &[(5.0, 3)]);
        let fixed = Elasticity::measure(&demand, &fixed_fleet(&demand, TEN), TEN).unwrap();
        assert!((fixed.speedup - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_fixed_fleet_is_the_mean_demand_rounded_up() {
        let demand = function(1, &[(5.0, 4)]);
        assert_eq!(fixed_fleet(&demand, TEN), StepFunction::constant(3));
        assert_eq!(fixed_fleet(&StepFunction::constant(4), TEN), StepFunction::constant(4));
    }

    proptest! {
        #[test]
        fn shares_are_shares(
            demand in prop::collection::vec((0.0..10.0, 0_u32..9), 0..20),
            supply in prop::collection::vec((0.0..10.0, 0_u32..9), 0..20),
        ) {
            let (demand, supply) = (function(1, &demand), function(1, &supply));
            let [under, over, under_time, over_time, instability, _] = figures(&demand, &supply);
            prop_assert!((0.0..=100.0 + 1e-9).contains(&under) && over >= 0.0);
            prop_assert!(under_time + over_time <= 100.0 + 1e-9);
            prop_assert!((0.0..=100.0).contains(&instability));
            prop_assert!(under <= under_time + 1e-9, "what lacks is at most all of the demand");
        }
    }
}
