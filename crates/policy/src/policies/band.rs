//! What `threshold`, `ratio` and `steps` share: a measure's mean over a window, held against an
//! upper and a lower bound, with a wait after each change.

use std::time::Duration;

use model::decision::Reason;
use model::policies::Measure;
use model::time::Timestamp;
use model::trail::WentBy;
use serde::{Deserialize, Serialize};

use super::measure;
use crate::advice::Advice;
use crate::input::PolicyInput;
use crate::window::MeanWindow;

/// The bounds, and how they are watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band {
    pub(super) measure: Measure,
    pub(super) upper_percent: f64,
    pub(super) lower_percent: f64,
    pub(super) window: Duration,
    pub(super) wait: Duration,
}

/// Where the mean lies, and by how many percentage points past the bound.
#[derive(Debug, Clone, Copy)]
pub(super) enum Past {
    Upper(f64),
    Lower(f64),
}

/// What a policy with a band remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    window: MeanWindow,
    /// What is asked for until the wait is over, and since when.
    asked: Option<(u32, Timestamp)>,
}

impl State {
    /// Others have set the number: the wait after a change goes on from there.
    pub(super) fn number_was_set(&mut self, ready: u32, now: Timestamp) {
        self.asked = Some((ready, now));
    }
}

impl Band {
    /// What `change` makes of the present number where the mean lies past a bound; the number
    /// itself otherwise. A change that the rules or bounds of the service hold back is asked for
    /// again and again, as long as the mean lies there.
    pub(super) fn advise(
        self,
        state: &mut State,
        input: &PolicyInput,
        change: impl Fn(Past, u32) -> u32,
    ) -> Advice {
        let (now, current) = (input.now, input.current);
        let Some(percent) = measure::percent(self.measure, input) else { return Advice::Unknown };
        if state.window.is_empty() {
            // The wait after a change goes on where another process or policy made it.
            state.asked = input.changed_at.map(|at| (current, at));
        }
        state.window.push(now, percent, self.window);
        let Some(mean) = state.window.mean_over(self.window, now) else {
            return Advice::ready(current, Reason::WindowFilling);
        };
        // A clock that was set back must not lengthen the wait: the change counts as made now.
        state.asked = state.asked.map(|(ready, at)| (ready, at.min(now)));
        if let Some((ready, at)) = state.asked
            && now.since(at) < self.wait
        {
            return Advice::ready(ready, Reason::Cooldown);
        }
        let (ready, reason) = if mean >= self.upper_percent {
            (change(Past::Upper(mean - self.upper_percent), current), Reason::AboveUpper)
        } else if mean <= self.lower_percent {
            (change(Past::Lower(self.lower_percent - mean), current), Reason::BelowLower)
        } else {
            (current, Reason::InBand)
        };
        state.asked = (ready != current).then_some((ready, now));
        Advice::ready(ready, reason)
    }

    /// The mean that is held against the bounds, of so much of the window as is known.
    pub(super) fn went_by(self, state: &State) -> Option<WentBy> {
        let Self { measure, lower_percent, upper_percent, .. } = self;
        let percent = state.window.mean()?;
        Some(WentBy::Share { measure, percent, lower_percent, upper_percent })
    }
}
