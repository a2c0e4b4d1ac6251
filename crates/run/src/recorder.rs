//! Counts and latencies of a run, in all and by second, in memory that does not grow with the
//! number of requests.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::series::SecondRow;
use crate::summary::{Latency, Percentiles, Requests};

/// Latencies are kept to three significant digits, in microseconds.
const DIGITS: u8 = 3;
/// A second's histogram is closed when its last request must have timed out, and this much later.
const GRACE: Duration = Duration::from_secs(2);

/// Everything that is measured of the requests.
#[derive(Debug)]
pub struct Recorder {
    warm_up: Duration,
    timeout: Duration,
    measured: Requests,
    warm_up_requests: Requests,
    failures: BTreeMap<String, u64>,
    latency: Histogram<u64>,
    lateness: Histogram<u64>,
    keeps_rows: bool,
    /// Seconds whose histogram is closed, then those still open.
    rows: Vec<SecondRow>,
    open: VecDeque<Histogram<u32>>,
}

impl Recorder {
    /// Requests due before `warm_up` are kept out of the figures; no outcome comes later than
    /// `timeout` after its request was due.
    pub fn new(warm_up: Duration, timeout: Duration) -> Self {
        Self {
            warm_up,
            timeout,
            measured: Requests::default(),
            warm_up_requests: Requests::default(),
            failures: BTreeMap::new(),
            latency: histogram(),
            lateness: histogram(),
            keeps_rows: true,
            rows: Vec::new(),
            open: VecDeque::new(),
        }
    }

    /// The same without rows: a fortnight of them would be a gigabyte of histograms and rows.
    #[must_use]
    pub fn without_rows(mut self) -> Self {
        self.keeps_rows = false;
        self
    }

    /// The generator took a request up that was due at `due`.
    pub fn taken_up(&mut self, due: Duration, at: Duration) {
        if due >= self.warm_up {
            record(&mut self.lateness, micros(at.saturating_sub(due)), 1);
        }
    }

    /// `many` requests due at `due` got the expected answer in time, at `done`.
    pub fn ok(&mut self, due: Duration, done: Duration, many: u64) {
        self.count(due, Requests { ok: many, ..Requests::default() });
        let latency = micros(done.saturating_sub(due));
        if due >= self.warm_up {
            record(&mut self.latency, latency, many);
        }
        if let Some(row) = self.row(second(done)) {
            row.served += many;
        }
        self.in_second(due, latency, many);
        self.close_before(done.saturating_sub(self.timeout + GRACE));
    }

    /// `many` requests due at `due` ended at `done` without the expected answer. `rejected` says
    /// that they were answered 429 or 503.
    pub fn failed(
        &mut self,
        due: Duration,
        done: Duration,
        cause: &str,
        rejected: bool,
        many: u64,
    ) {
        let rejected = if rejected { many } else { 0 };
        self.count(due, Requests { failed: many, rejected, ..Requests::default() });
        if due >= self.warm_up {
            *self.failures.entry(cause.to_owned()).or_default() += many;
        }
        self.close_before(done.saturating_sub(self.timeout + GRACE));
    }

    /// `many` requests were due at that moment and could not be sent.
    pub fn dropped(&mut self, due: Duration, many: u64) {
        self.count(due, Requests { dropped: many, ..Requests::default() });
    }

    /// Measured ok requests that took longer than `objective`.
    pub fn late(&self, objective: Duration) -> u64 {
        self.latency.len() - self.latency.count_between(0, micros(objective))
    }

    /// Counts of the measured requests so far.
    pub fn requests(&self) -> Requests {
        self.measured
    }

    /// Counts of the warm-up's requests so far.
    pub fn warm_up_requests(&self) -> Requests {
        self.warm_up_requests
    }

    /// Failures of measured requests by cause.
    pub fn failures(&self) -> &BTreeMap<String, u64> {
        &self.failures
    }

    /// Latency of the measured ok requests.
    pub fn latency(&self) -> Latency {
        let at = |q| quantile_ms(&self.latency, q);
        Latency { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }

    /// How late the generator took the measured requests up.
    pub fn lateness(&self) -> Percentiles {
        let at = |q| quantile_ms(&self.lateness, q);
        Percentiles { p50: at(0.5), p99: at(0.99) }
    }

    /// One row a second; those of instances are unknown here. A recording that goes on after the
    /// last request has rows up to its end, `end_s` seconds from the start of the load.
    pub fn rows(&self, end_s: f64) -> Vec<SecondRow> {
        let mut rows = self.rows.clone();
        let closed = rows.len() - self.open.len();
        for (row, latency) in rows[closed..].iter_mut().zip(&self.open) {
            set_latency(row, latency);
        }
        if self.keeps_rows {
            let next = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let missing = (next..).take_while(|second| f64::from(*second) < end_s);
            rows.extend(missing.map(|second| SecondRow { second, ..SecondRow::default() }));
        }
        rows
    }

    /// Counts requests that were due at that moment, by what became of them.
    fn count(&mut self, at: Duration, more: Requests) {
        let Requests { ok, failed, dropped, rejected, .. } = more;
        let due = ok + failed + dropped;
        let all = if at < self.warm_up { &mut self.warm_up_requests } else { &mut self.measured };
        all.due += due;
        all.ok += ok;
        all.failed += failed;
        all.dropped += dropped;
        all.rejected += rejected;
        if let Some(row) = self.row(second(at)) {
            row.due += due;
            row.ok += ok;
            row.failed += failed;
            row.dropped += dropped;
            row.rejected += rejected;
        }
    }

    fn row(&mut self, second: u32) -> Option<&mut SecondRow> {
        if !self.keeps_rows {
            return None;
        }
        let index = second as usize;
        for next in self.rows.len()..=index {
            let second = u32::try_from(next).unwrap_or(u32::MAX);
            self.rows.push(SecondRow { second, ..SecondRow::default() });
            self.open.push_back(histogram());
        }
        self.rows.get_mut(index)
    }

    fn in_second(&mut self, due: Duration, latency: u64, many: u64) {
        let closed = self.rows.len() - self.open.len();
        let place = (second(due) as usize).checked_sub(closed);
        if let Some(open) = place.and_then(|p| self.open.get_mut(p)) {
            record(open, latency, many);
        }
    }

    fn close_before(&mut self, moment: Duration) {
        while !self.open.is_empty() && self.rows.len() - self.open.len() < second(moment) as usize {
            let index = self.rows.len() - self.open.len();
            if let Some(latency) = self.open.pop_front() {
                set_latency(&mut self.rows[index], &latency);
            }
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

/// Records a value `many` times; the histogram grows to hold it, or takes it for the largest it can
/// hold.
fn record<C: hdrhistogram::Counter>(histogram: &mut Histogram<C>, micros: u64, many: u64) {
    // A row's counters end at 4 billion, a day and a half of the fastest load there is.
    let Some(many) = C::from_u64(many) else { return };
    if histogram.record_n(micros, many).is_err() {
        histogram.saturating_record_n(micros, many);
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
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn ok(recorder: &mut Recorder, due: u64, latency: u64) {
        recorder.taken_up(ms(due), ms(due + 1));
        recorder.ok(ms(due), ms(due + latency), 1);
    }

    #[test]
    fn latency_counts_from_due_and_only_of_what_was_ok() {
        let mut recorder = Recorder::new(ms(1_000), ms(5_000));
        ok(&mut recorder, 500, 4_000);
        ok(&mut recorder, 1_000, 20);
        recorder.failed(ms(1_100), ms(6_100), "timeout", false, 1);
        recorder.failed(ms(1_200), ms(1_201), "status_503", true, 1);
        recorder.dropped(ms(1_300), 1);
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
            ok(&mut recorder, due, latency);
        }
        recorder.failed(ms(1_000), ms(6_000), "timeout", false, 1);
        assert_eq!([250, 500, 900].map(|objective| recorder.late(ms(objective))), [2, 1, 0]);
    }

    #[test]
    fn a_second_knows_what_was_due_in_it_and_what_was_served_in_it() {
        let mut recorder = Recorder::new(ms(0), ms(5_000));
        ok(&mut recorder, 900, 1_500);
        let rows = recorder.rows(0.0);
        let row = |second: usize| (rows[second].due, rows[second].ok, rows[second].served);
        assert_eq!([row(0), row(1), row(2)], [(1, 1, 0), (0, 0, 0), (0, 0, 1)]);
        assert!((rows[0].p99_ms.unwrap() - 1_500.0).abs() < 2.0);
        assert_eq!(rows[2].p99_ms, None);
    }

    #[test]
    fn many_at_once_count_as_so_many() {
        let mut recorder = Recorder::new(ms(0), ms(5_000)).without_rows();
        recorder.ok(ms(0), ms(10), 90);
        recorder.ok(ms(0), ms(400), 10);
        assert_eq!(recorder.late(ms(250)), 10);
        assert!((recorder.latency().p50.unwrap() - 10.0).abs() < 0.1);
        assert_eq!(recorder.rows(0.0), []);
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
                    0 => recorder.dropped(ms(*due), 1),
                    1 => recorder.failed(ms(*due), ms(*due + 1_000), "timeout", false, 1),
                    _ => ok(&mut recorder, *due, 5),
                }
            }
            let (a, b) = (recorder.requests(), recorder.warm_up_requests());
            prop_assert_eq!(a.due + b.due, kinds.len() as u64);
            prop_assert_eq!(a.ok + a.failed + a.dropped, a.due);
            let rows = recorder.rows(0.0);
            prop_assert!(rows.iter().all(|r| r.ok + r.failed + r.dropped == r.due));
            prop_assert_eq!(rows.iter().map(|r| r.due).sum::<u64>(), kinds.len() as u64);
            prop_assert_eq!(rows.iter().map(|r| r.served).sum::<u64>(), a.ok + b.ok);
        }
    }
}
