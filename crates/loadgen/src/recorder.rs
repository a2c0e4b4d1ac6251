//! Counts and latencies of a run, in all and by second, in memory that does not grow with the
//! number of requests.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hdrhistogram::Histogram;
use report::SecondRow;
use report::summary::{Latency, OBJECTIVE_MS, Percentiles, Requests};

use crate::outcome::Outcome;

/// Latencies are kept to three significant digits, in microseconds.
const DIGITS: u8 = 3;
/// A second's histogram is closed when its last request must have timed out, and this much later.
const GRACE: Duration = Duration::from_secs(2);

/// Everything that is measured of the requests.
#[derive(Debug)]
pub(crate) struct Recorder {
    warm_up: Duration,
    timeout: Duration,
    measured: Requests,
    warm_up_requests: Requests,
    failures: BTreeMap<String, u64>,
    latency: Histogram<u64>,
    lateness: Histogram<u64>,
    /// Seconds whose histogram is closed, then those still open.
    rows: Vec<SecondRow>,
    open: VecDeque<Histogram<u32>>,
}

/// What became of a due request, for the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Ok,
    Failed,
    Rejected,
    Dropped,
}

impl Recorder {
    /// Requests due before `warm_up` are kept out of the figures; no outcome comes later than
    /// `timeout` after its request was due.
    pub(crate) fn new(warm_up: Duration, timeout: Duration) -> Self {
        Self {
            warm_up,
            timeout,
            measured: Requests::default(),
            warm_up_requests: Requests::default(),
            failures: BTreeMap::new(),
            latency: histogram(),
            lateness: histogram(),
            rows: Vec::new(),
            open: VecDeque::new(),
        }
    }

    /// A request was sent, and ended like this.
    pub(crate) fn finished(&mut self, outcome: &Outcome) {
        let fate = match outcome.answer.result {
            Ok(()) => Fate::Ok,
            Err(failure) if failure.is_rejection() => Fate::Rejected,
            Err(_) => Fate::Failed,
        };
        self.count(outcome.due, fate);
        if fate == Fate::Ok {
            self.row(second(outcome.done)).served += 1;
        }
        let latency = micros(outcome.done.saturating_sub(outcome.due));
        if fate == Fate::Ok {
            self.in_second(outcome.due, latency);
        }
        if outcome.due >= self.warm_up {
            record(&mut self.lateness, micros(outcome.taken_up.saturating_sub(outcome.due)));
            match outcome.answer.result {
                Ok(()) => record(&mut self.latency, latency),
                Err(failure) => *self.failures.entry(failure.to_string()).or_default() += 1,
            }
        }
        self.close_before(outcome.done.saturating_sub(self.timeout + GRACE));
    }

    /// A request was due at that moment and could not be sent.
    pub(crate) fn dropped(&mut self, due: Duration) {
        self.count(due, Fate::Dropped);
    }

    /// Counts of the measured requests so far.
    pub(crate) fn requests(&self) -> Requests {
        self.measured
    }

    /// Counts of the warm-up's requests so far.
    pub(crate) fn warm_up_requests(&self) -> Requests {
        self.warm_up_requests
    }

    /// Failures of measured requests by cause.
    pub(crate) fn failures(&self) -> &BTreeMap<String, u64> {
        &self.failures
    }

    /// Latency of the measured ok requests.
    pub(crate) fn latency(&self) -> Latency {
        let at = |q| quantile_ms(&self.latency, q);
        Latency { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }

    /// Measured ok requests that took longer than the objective allows.
    pub(crate) fn late(&self) -> u64 {
        let objective = micros(Duration::from_millis(OBJECTIVE_MS));
        self.latency.len() - self.latency.count_between(0, objective)
    }

    /// How late the generator took the measured requests up.
    pub(crate) fn lateness(&self) -> Percentiles {
        let at = |q| quantile_ms(&self.lateness, q);
        Percentiles { p50: at(0.5), p99: at(0.99) }
    }

    /// One row a second; those of instances are unknown here.
    pub(crate) fn rows(&self) -> Vec<SecondRow> {
        let mut rows = self.rows.clone();
        let closed = rows.len() - self.open.len();
        for (row, latency) in rows[closed..].iter_mut().zip(&self.open) {
            set_latency(row, latency);
        }
        rows
    }

    fn count(&mut self, due: Duration, fate: Fate) {
        let all = if due < self.warm_up { &mut self.warm_up_requests } else { &mut self.measured };
        all.due += 1;
        all.ok += u64::from(fate == Fate::Ok);
        all.failed += u64::from(matches!(fate, Fate::Failed | Fate::Rejected));
        all.rejected += u64::from(fate == Fate::Rejected);
        all.dropped += u64::from(fate == Fate::Dropped);
        let row = self.row(second(due));
        row.due += 1;
        row.ok += u64::from(fate == Fate::Ok);
        row.failed += u64::from(matches!(fate, Fate::Failed | Fate::Rejected));
        row.rejected += u64::from(fate == Fate::Rejected);
        row.dropped += u64::from(fate == Fate::Dropped);
    }

    fn row(&mut self, second: u32) -> &mut SecondRow {
        let index = second as usize;
        for next in self.rows.len()..=index {
            let second = u32::try_from(next).unwrap_or(u32::MAX);
            self.rows.push(SecondRow { second, ..SecondRow::default() });
            self.open.push_back(histogram());
        }
        &mut self.rows[index]
    }

    fn in_second(&mut self, due: Duration, latency: u64) {
        let closed = self.rows.len() - self.open.len();
        let place = (second(due) as usize).checked_sub(closed);
        if let Some(open) = place.and_then(|p| self.open.get_mut(p)) {
            record(open, latency);
        }
    }

    fn close_before(&mut self, moment: Duration) {
        while !self.open.is_empty() && self.rows.len() - self.open.len() < second(moment) as usize {
            self.close_first();
        }
    }

    fn close_first(&mut self) {
        let index = self.rows.len() - self.open.len();
        if let Some(latency) = self.open.pop_front() {
            set_latency(&mut self.rows[index], &latency);
        }
    }
}

fn set_latency(row: &mut SecondRow, latency: &Histogram<u32>) {
    row.p50_ms = quantile_ms(latency, 0.5);
    row.p95_ms = quantile_ms(latency, 0.95);
    row.p99_ms = quantile_ms(latency, 0.99);
}

/// A histogram that grows as it must.
fn histogram<C: hdrhistogram::Counter>() -> Histogram<C> {
    let mut histogram = Histogram::new_with_bounds(1, 1_000_000, DIGITS)
        .expect("three digits from 1 us to 1 s are bounds that hdrhistogram takes");
    histogram.auto(true);
    histogram
}

/// Records a value; the histogram grows to hold it, or takes it for the largest it can hold.
fn record<C: hdrhistogram::Counter>(histogram: &mut Histogram<C>, micros: u64) {
    if histogram.record(micros).is_err() {
        histogram.saturating_record(micros);
    }
}

#[allow(clippy::cast_precision_loss)] // Microseconds of a day are far below 2^53.
fn quantile_ms<C: hdrhistogram::Counter>(histogram: &Histogram<C>, q: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(q) as f64 / 1_000.0)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn second(at: Duration) -> u32 {
    u32::try_from(at.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::{Answer, Failure};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn outcome(due: u64, latency: u64, result: Result<(), Failure>) -> Outcome {
        let answer = Answer { result, slot: None };
        Outcome { due: ms(due), taken_up: ms(due + 1), done: ms(due + latency), answer }
    }

    #[test]
    fn latency_counts_from_due_and_only_of_what_was_ok() {
        let mut recorder = Recorder::new(ms(1_000), ms(5_000));
        recorder.finished(&outcome(500, 4_000, Ok(())));
        recorder.finished(&outcome(1_000, 20, Ok(())));
        recorder.finished(&outcome(1_100, 5_000, Err(Failure::Timeout)));
        let busy = Failure::Status(StatusCode::SERVICE_UNAVAILABLE);
        recorder.finished(&outcome(1_200, 1, Err(busy)));
        recorder.dropped(ms(1_300));
        let expected = Requests { due: 4, ok: 1, failed: 2, dropped: 1, rejected: 1 };
        assert_eq!(recorder.requests(), expected);
        assert_eq!(recorder.warm_up_requests(), Requests { due: 1, ok: 1, ..Requests::default() });
        assert!((recorder.latency().max.unwrap() - 20.0).abs() < 0.1);
        assert!((recorder.lateness().p99.unwrap() - 1.0).abs() < 0.01);
        let failures: Vec<_> = recorder.failures().iter().collect();
        assert_eq!(failures, [(&"status_503".to_owned(), &1), (&"timeout".to_owned(), &1)]);
    }

    #[test]
    fn late_is_what_was_ok_but_past_the_objective() {
        let mut recorder = Recorder::new(ms(1_000), ms(5_000));
        for (due, latency) in [(500, 900), (1_000, 249), (1_000, 250), (1_000, 252), (1_000, 900)] {
            recorder.finished(&outcome(due, latency, Ok(())));
        }
        recorder.finished(&outcome(1_000, 5_000, Err(Failure::Timeout)));
        assert_eq!(recorder.late(), 2);
    }

    #[test]
    fn a_second_knows_what_was_due_in_it_and_what_was_served_in_it() {
        let mut recorder = Recorder::new(ms(0), ms(5_000));
        recorder.finished(&outcome(900, 1_500, Ok(())));
        let rows = recorder.rows();
        let row = |second: usize| (rows[second].due, rows[second].ok, rows[second].served);
        assert_eq!([row(0), row(1), row(2)], [(1, 1, 0), (0, 0, 0), (0, 0, 1)]);
        assert!((rows[0].p99_ms.unwrap() - 1_500.0).abs() < 2.0);
        assert_eq!(rows[2].p99_ms, None);
    }

    #[test]
    fn nothing_measured_is_unknown_and_not_zero() {
        let recorder = Recorder::new(ms(0), ms(1));
        assert_eq!(recorder.latency(), Latency::default());
        assert_eq!(recorder.lateness(), Percentiles::default());
    }

    proptest! {
        #[test]
        fn every_due_request_is_counted_once(kinds in prop::collection::vec((0_u64..60_000, 0..4), 0..300)) {
            let mut recorder = Recorder::new(ms(10_000), ms(1_000));
            for (due, kind) in &kinds {
                match kind {
                    0 => recorder.dropped(ms(*due)),
                    1 => recorder.finished(&outcome(*due, 1_000, Err(Failure::Timeout))),
                    _ => recorder.finished(&outcome(*due, 5, Ok(()))),
                }
            }
            let (a, b) = (recorder.requests(), recorder.warm_up_requests());
            prop_assert_eq!(a.due + b.due, kinds.len() as u64);
            prop_assert_eq!(a.ok + a.failed + a.dropped, a.due);
            let rows = recorder.rows();
            prop_assert!(rows.iter().all(|r| r.ok + r.failed + r.dropped == r.due));
            prop_assert_eq!(rows.iter().map(|r| r.due).sum::<u64>(), kinds.len() as u64);
            prop_assert_eq!(rows.iter().map(|r| r.served).sum::<u64>(), a.ok + b.ok);
        }
    }
}
