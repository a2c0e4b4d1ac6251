//! What cannot be is not computed with: whoever wrote the results could make the console count for hours, or fill its memory.

use model::instance::PhaseCounts;
use model::tick::Tick;
use run::summary::{Requests, Summary};

/// A load lasts a day at most, and its fleet has an hour to settle.
const LONGEST_S: f64 = 90_000.0;

/// As many requests as 100,000 a second come to in a day, and some.
const REQUESTS: u64 = 10_000_000_000;

/// Instances in one phase: a host has 1,021 slots.
const INSTANCES: u32 = 10_000;

/// Turns of a run that are kept since they changed something: an hour of waves has some 27,000.
const TURNS: usize = 50_000;

/// Actions of a run: each is looked for among those that are not over yet.
const ACTIONS: usize = 20_000;

/// Whether a run can have had these figures.
///
/// # Errors
/// Which it cannot have had.
pub(super) fn check_summary(summary: &Summary) -> Result<(), String> {
    let spans = [
        ("duration_s", Some(summary.duration_s)),
        ("warm_up_s", Some(summary.warm_up_s)),
        ("settle_s", Some(summary.settle_s)),
        ("instances.over_s", summary.instances.over_s),
    ];
    for (key, value) in spans {
        if value.is_some_and(|value| !(0.0..=LONGEST_S).contains(&value)) {
            return Err(format!("{key} is no time that a run takes"));
        }
    }
    for (key, requests) in [("requests", summary.requests), ("warm_up", summary.warm_up)] {
        let Requests { due, ok, failed, dropped, rejected } = requests;
        if [due, ok, failed, dropped, rejected].into_iter().any(|count| count > REQUESTS) {
            return Err(format!("{key} has more than a load can come to"));
        }
    }
    Ok(())
}

/// The turns of a run, of which each is checked as it comes.
#[derive(Debug, Default)]
pub(super) struct Turns {
    count: usize,
    actions: usize,
}

impl Turns {
    /// Whether a run can have had this turn beside the others.
    ///
    /// # Errors
    /// Why it cannot.
    pub(super) fn check(&mut self, tick: &Tick) -> Result<(), String> {
        let PhaseCounts { starting, ready, draining, failed } = tick.observation.phases;
        if [starting, ready, draining, failed].into_iter().any(|count| count > INSTANCES) {
            return Err("there are more instances than a host has".to_owned());
        }
        self.count += 1;
        self.actions += tick.plan.len() + tick.done.len();
        if self.count > TURNS || self.actions > ACTIONS {
            return Err(format!("there are more than {TURNS} turns or {ACTIONS} actions"));
        }
        Ok(())
    }
}

/// Whether there can have been so many instances in a second.
///
/// # Errors
/// There are more than a host has.
pub(super) fn check_rows(rows: &[run::SecondRow]) -> Result<(), String> {
    let is_one = |row: &run::SecondRow| {
        let counts = [row.ready, row.starting, row.draining, row.failed_instances];
        counts.into_iter().flatten().all(|count| count <= INSTANCES) && row.due <= REQUESTS
    };
    let strange = rows.iter().find(|row| !is_one(row));
    strange.map_or(Ok(()), |row| Err(format!("second {} cannot have been", row.second)))
}
