//! What the research baselines share: the offered load's mean over an interval, read once in it.

use std::collections::VecDeque;
use std::time::Duration;

use model::policies::Measure;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::measure;
use super::timer::Paced;
use crate::advice::Advice;
use crate::input::PolicyInput;
use crate::window::MeanWindow;

/// Reads the mean of the offered load, in instances, once an interval, and keeps what the policy
/// remembers beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadReader<Memory> {
    load: MeanWindow,
    paced: Paced,
    memory: Memory,
}

impl<Memory> LoadReader<Memory> {
    /// Others have set the number: what was advised before is not repeated.
    pub(super) fn ask_anew(&mut self) {
        self.paced.ask_anew();
    }

    /// The advice that `form` makes of the mean where an interval has begun, that of before
    /// otherwise.
    pub(super) fn advise(
        &mut self,
        interval_ms: u64,
        input: &PolicyInput,
        form: impl FnOnce(&mut Memory, f64) -> Advice,
    ) -> Advice {
        let Some(load) = measure::load(Measure::Offered, input) else { return Advice::Unknown };
        let interval = Duration::from_millis(interval_ms);
        self.load.push(input.now, load, interval);
        let mean = self.load.mean().unwrap_or(load);
        self.paced.advise(interval, input.now, || form(&mut self.memory, mean))
    }

    /// The mean of the offered load, and what one instance serves of it.
    pub(super) fn went_by(&self, input: &PolicyInput) -> Option<WentBy> {
        let per_instance = input.rate_of_an_instance()?;
        let value = self.load.mean()? * per_instance;
        Some(WentBy::Load { measure: Measure::Offered, value, per_instance })
    }
}

/// Adds what is newest, and forgets what is oldest where there are more than `most`.
pub(super) fn push_bounded<T>(queue: &mut VecDeque<T>, newest: T, most: usize) {
    queue.push_back(newest);
    while queue.len() > most {
        queue.pop_front();
    }
}
