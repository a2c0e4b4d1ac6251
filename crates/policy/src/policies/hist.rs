//! Hist: what was needed at this hour of earlier days.
//!
//! B. Urgaonkar, P. Shenoy, A. Chandra, P. Goyal and T. Wood, "Agile Dynamic Provisioning of
//! Multi-tier Internet Applications", ACM TAAS 3(1), 2008: for each hour of the day a histogram of
//! the load, of which a high percentile is provided for; added to it the mean of the recent
//! under-estimates, max(0, seen - predicted); and a reactive part for what was not foreseen. The
//! figures (730 entries an hour, the 90th percentile, 5 errors, 5% headroom) are those of
//! A. Ali-Eldin's implementation (`ahmedaley/Autoscalers`, `Histogram.py`), in which over-estimates
//! count too and lower the next prediction. Hours are of UTC. The paper itself was not at hand.

use std::collections::VecDeque;

use model::decision::Reason;
use model::policies::Hist;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::load_reader::{LoadReader, push_bounded};
use super::rounding;
use crate::advice::Advice;
use crate::input::PolicyInput;

/// What it remembers: 35 KB at the default figures, once each hour is full.
pub(super) type State = LoadReader<History>;

/// The instances that were needed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// By hour of the day. More than 65,535 count as that: a host holds 750.
    hours: Box<[VecDeque<u16>; 24]>,
    /// By how many the last predictions fell short.
    errors: VecDeque<u32>,
    predicted: Option<u32>,
}

const HOUR_MS: u64 = 3_600_000;

pub(super) fn advise(figures: &Hist, state: &mut State, input: &PolicyInput) -> Advice {
    let hour = usize::try_from(input.now.as_millis() / HOUR_MS % 24).unwrap_or(0);
    state.advise(figures.interval_ms, input, |history, load| step(figures, history, load, hour))
}

pub(super) fn went_by(_: &Hist, state: &State, input: &PolicyInput, _: Reason) -> Option<WentBy> {
    state.went_by(input)
}

/// Judges the last prediction, makes the next one, and takes the load into the history.
fn step(figures: &Hist, history: &mut History, load: f64, hour: usize) -> Advice {
    let needed = rounding::ceil(load);
    if let Some(predicted) = history.predicted {
        push_bounded(&mut history.errors, needed.saturating_sub(predicted), figures.errors);
    }
    let percentile = percentile(&history.hours[hour], figures.percentile);
    history.predicted = percentile.map(|known| known.saturating_add(mean(&history.errors)));

    let entry = u16::try_from(needed).unwrap_or(u16::MAX);
    push_bounded(&mut history.hours[hour], entry, figures.entries_per_hour);
    match history.predicted {
        Some(predicted) if predicted >= needed => Advice::ready(predicted, Reason::History),
        _ => {
            let enough = rounding::ceil(load * (100.0 + figures.headroom_percent) / 100.0);
            Advice::ready(enough, Reason::OfferedLoad)
        }
    }
}

/// The value below which this share of the entries lies; `None` without entries.
fn percentile(entries: &VecDeque<u16>, percent: u32) -> Option<u32> {
    let last = entries.len().checked_sub(1)?;
    let rank = (entries.len() * percent as usize / 100).min(last);
    let mut sorted: Vec<u16> = entries.iter().copied().collect();
    Some(u32::from(*sorted.select_nth_unstable(rank).1))
}

/// The mean, rounded up; 0 without values.
fn mean(values: &VecDeque<u32>) -> u32 {
    let sum: u64 = values.iter().map(|value| u64::from(*value)).sum();
    let mean = sum.div_ceil(values.len().max(1) as u64);
    u32::try_from(mean).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_day_is_met_as_it_comes_the_second_as_it_was() {
        let (hist, mut history) = (Hist::default(), History::default());
        assert_eq!(step(&hist, &mut history, 3.5, 9), Advice::ready(4, Reason::OfferedLoad));
        for load in [7.0, 2.0, 2.0, 2.0] {
            let _ = step(&hist, &mut history, load, 9);
        }
        history.errors.clear();
        // Of 4, 7, 2, 2, 2 the 90th percentile is the 7.
        assert_eq!(step(&hist, &mut history, 2.0, 9), Advice::ready(7, Reason::History));
        let other = step(&hist, &mut history, 2.0, 10);
        assert_eq!(other, Advice::ready(3, Reason::OfferedLoad), "an hour without a history");
    }

    #[test]
    fn what_was_not_foreseen_is_met_at_once_and_remembered_as_an_error() {
        let (hist, mut history) = (Hist::default(), History::default());
        for _ in 0..100 {
            let _ = step(&hist, &mut history, 2.0, 9);
        }
        // 12 were needed, 2 predicted: the error of 10 is a mean of 2 over 5 intervals.
        assert_eq!(step(&hist, &mut history, 12.0, 9), Advice::ready(13, Reason::OfferedLoad));
        assert_eq!(step(&hist, &mut history, 4.0, 9), Advice::ready(4, Reason::History));
        assert_eq!(mean(&history.errors), 2);
    }

    #[test]
    fn the_history_is_bounded() {
        let hist = Hist { entries_per_hour: 3, errors: 2, ..Hist::default() };
        let mut history = History::default();
        for load in 0..10_u32 {
            let _ = step(&hist, &mut history, f64::from(load), 0);
        }
        assert_eq!(history.hours[0], [7, 8, 9]);
        assert_eq!(history.errors.len(), 2);
    }
}
