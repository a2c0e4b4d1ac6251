//! What came of a turn.

use model::action::{Action, Blocked};
use model::decision::Decision;
use model::tick::Tick;
use model::version::Rollout;
use serde::Serialize;

/// What a turn decided and planned: what is the same where it is decided again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// How many ready instances, and why.
    pub decision: Decision,
    /// Which version serves, and how far the change to the wanted one has come.
    pub rollout: Option<Rollout>,
    /// What is done.
    pub plan: Vec<Action>,
    /// What was wanted and could not be planned.
    pub blocked: Vec<Blocked>,
}

impl Outcome {
    /// That of a turn.
    pub fn of(tick: &Tick) -> Self {
        Self {
            decision: tick.decision.clone(),
            rollout: tick.rollout.clone(),
            plan: tick.plan.clone(),
            blocked: tick.blocked.clone(),
        }
    }
}
