//! How alike two runs of the same load are: a real one and its simulation, above all.

use run::Run;
use run::step_function::{Span, pieces};

/// A simulation is believable when the fleets are within one instance of each other for this share
/// of the time, in percent.
pub(crate) const WITHIN_ONE_WANTED_PERCENT: f64 = 95.0;
/// And when its 95th percentile of latency differs from the real one by no more than this.
pub(crate) const P95_WANTED_PERCENT: f64 = 25.0;

/// A run beside the one that it is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Agreement {
    /// Share of the time of the load in which the numbers of ready instances differ by one at most;
    /// unknown where no scaler was asked.
    pub(crate) within_one_percent: Option<f64>,
    /// The same for numbers that do not differ.
    pub(crate) same_percent: Option<f64>,
    /// The 95th percentile of latency less that of the reference, in percent of the reference's.
    pub p95_off_percent: Option<f64>,
    /// The same for instance-seconds.
    pub(crate) instance_seconds_off_percent: Option<f64>,
}

impl Agreement {
    /// Holds a run against a reference, over the load that both had, warm-ups included.
    pub(crate) fn of(run: &Run, reference: &Run) -> Self {
        let span = Span { from_s: 0.0, to_s: run.load_end_s().min(reference.load_end_s()) };
        let latency = |r: &Run| r.summary.latency_ms.p95;
        let seconds = |r: &Run| r.summary.instances.seconds;
        Self {
            within_one_percent: share(run, reference, span, 1),
            same_percent: share(run, reference, span, 0),
            p95_off_percent: off(latency(run), latency(reference)),
            instance_seconds_off_percent: off(seconds(run), seconds(reference)),
        }
    }

    /// The figures by key, as they are written in JSON.
    pub(crate) fn by_key(&self) -> [(&'static str, Option<f64>); 4] {
        [
            ("agreement.within_one_percent", self.within_one_percent),
            ("agreement.same_percent", self.same_percent),
            ("agreement.p95_off_percent", self.p95_off_percent),
            ("agreement.instance_seconds_off_percent", self.instance_seconds_off_percent),
        ]
    }
}

/// The share of a span in which the fleets differ by `most` at most.
fn share(run: &Run, reference: &Run, span: Span, most: u32) -> Option<f64> {
    let (own, other) = (run.supply()?, reference.supply()?);
    let close =
        pieces(&own, &other, span).into_iter().filter(|p| p.demand.abs_diff(p.supply) <= most);
    let seconds: f64 = close.map(|p| p.seconds).sum();
    (span.seconds() > 0.0).then(|| 100.0 * seconds / span.seconds())
}

fn off(value: Option<f64>, reference: Option<f64>) -> Option<f64> {
    let (value, reference) = value.zip(reference)?;
    (reference > 0.0).then(|| 100.0 * (value - reference) / reference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// The run of `testing`, with so many instances from second 4 on.
    fn run(ready: u32) -> Run {
        let mut run = testing::run();
        run.ticks.clear();
        run.rows.iter_mut().filter(|r| r.second >= 4).for_each(|r| r.ready = Some(ready));
        run
    }

    fn near(value: Option<f64>, expected: f64) {
        assert!(value.is_some_and(|v| (v - expected).abs() < 1e-9), "{value:?}, not {expected}");
    }

    #[test]
    fn a_run_agrees_with_itself() {
        let agreement = Agreement::of(&run(2), &run(2));
        near(agreement.within_one_percent, 100.0);
        near(agreement.same_percent, 100.0);
        near(agreement.p95_off_percent, 0.0);
        near(agreement.instance_seconds_off_percent, 0.0);
    }

    #[test]
    fn one_instance_more_is_close_and_two_are_not() {
        // Six of the ten seconds of the load differ.
        let one_more = Agreement::of(&run(3), &run(2));
        near(one_more.within_one_percent, 100.0);
        near(one_more.same_percent, 40.0);
        near(Agreement::of(&run(4), &run(2)).within_one_percent, 40.0);
        near(Agreement::of(&run(2), &run(4)).within_one_percent, 40.0);
    }

    #[test]
    fn latency_is_off_by_a_share_of_the_reference() {
        let (mut slow, reference) = (run(2), run(2));
        slow.summary.latency_ms.p95 = Some(25.0);
        near(Agreement::of(&slow, &reference).p95_off_percent, 25.0);
        near(Agreement::of(&reference, &slow).p95_off_percent, -20.0);
    }

    #[test]
    fn only_the_load_that_both_had_is_compared() {
        let (mut short, other) = (run(2), run(9));
        short.summary.duration_s = 4.0;
        near(Agreement::of(&short, &other).same_percent, 100.0);
    }

    #[test]
    fn what_is_not_known_does_not_agree() {
        let mut unknown = run(2);
        unknown.rows.iter_mut().for_each(|r| r.ready = None);
        unknown.summary.latency_ms.p95 = None;
        let agreement = Agreement::of(&unknown, &run(2));
        assert_eq!(agreement.within_one_percent, None);
        assert_eq!(agreement.p95_off_percent, None);
    }
}
