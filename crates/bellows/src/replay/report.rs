//! What comes of a replay, as `--json` shows it.

use std::collections::BTreeSet;

use model::decision::Decision;
use model::names::ServiceName;
use model::time::Timestamp;
use policy::recording::{Decided, End, Outcome, Step};
use serde::Serialize;

/// The version of this form. Keys may be added to it; one that changes makes another version.
const FORMAT: u32 = 1;

/// What comes of a replay.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    format: u32,
    /// The service.
    pub(super) service: Option<ServiceName>,
    /// The releases that recorded it.
    pub(super) releases: BTreeSet<String>,
    /// Turns.
    pub(super) turns: u64,
    /// How often the loop began within it, the first time among them.
    pub(super) starts: u64,
    /// The moments of the first and the last turn.
    #[serde(rename = "first_at_ms")]
    pub(super) first_at: Timestamp,
    #[serde(rename = "last_at_ms")]
    pub(super) last_at: Timestamp,
    /// The policies that decided then, in their order.
    pub(super) policies: Vec<String>,
    /// The policy that decides now; `None` for those.
    pub(super) policy: Option<String>,
    /// How many turns come out otherwise.
    pub(super) turns_that_differ: u64,
    /// The first of them, where the same policy decides.
    pub(super) first_difference: Option<Difference>,
    /// The turns at which what was decided, or what another policy asks for, becomes another number.
    pub(super) changes: Vec<Change>,
    /// Why the recording ended before whoever took it had enough.
    pub(super) ended: Option<End>,
}

/// A turn that comes out otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    /// Where it stands in the file.
    pub(super) line: usize,
    #[serde(rename = "at_ms")]
    pub(super) at: Timestamp,
    pub(super) recorded: Outcome,
    pub(super) now: Outcome,
}

/// A turn at which a number changes.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Change {
    #[serde(rename = "at_ms")]
    pub(super) at: Timestamp,
    pub(super) offered_rps: Option<f64>,
    pub(super) ready: u32,
    pub(super) recorded: Decision,
    pub(super) now: Decision,
}

impl Report {
    /// That of a replay with this policy, of which nothing was decided yet.
    pub(super) const fn of(policy: Option<String>) -> Self {
        Self {
            format: FORMAT,
            service: None,
            releases: BTreeSet::new(),
            turns: 0,
            starts: 0,
            first_at: Timestamp::from_millis(0),
            last_at: Timestamp::from_millis(0),
            policies: Vec::new(),
            policy,
            turns_that_differ: 0,
            first_difference: None,
            changes: Vec::new(),
            ended: None,
        }
    }

    /// Takes what came of a line.
    pub(super) fn add(&mut self, line: usize, step: Step) {
        self.ended = None;
        match step {
            Step::Begins(header) => {
                self.service = Some(header.service);
                self.releases.insert(header.release);
            }
            Step::Starts => self.starts += 1,
            Step::Decided(decided) => self.decided(line, *decided),
            Step::Ends(end) => self.ended = Some(end),
        }
    }

    fn decided(&mut self, line: usize, decided: Decided) {
        let (now, at) = (decided.now(), decided.tick.at);
        let Decided { policy, recorded, tick } = decided;
        if self.turns == 0 {
            self.first_at = at;
        }
        self.turns += 1;
        self.last_at = at;
        let policy = policy.to_string();
        if self.policies.last() != Some(&policy) {
            self.policies.push(policy);
        }
        if self.policy.is_some() {
            let differs = number(&recorded.decision) != number(&now.decision);
            self.turns_that_differ += u64::from(differs);
            let change = Change {
                at,
                offered_rps: tick.observation.offered_rps,
                ready: tick.observation.phases.ready,
                recorded: recorded.decision,
                now: now.decision,
            };
            if self.changes.last().is_none_or(|last| numbers(last) != numbers(&change)) {
                self.changes.push(change);
            }
        } else if recorded != now {
            self.turns_that_differ += 1;
            let difference = || Difference { line, at, recorded, now };
            self.first_difference.get_or_insert_with(difference);
        }
    }
}

/// How many are decided on; `None` for a decision to hold.
const fn number(decision: &Decision) -> Option<u32> {
    match decision {
        Decision::Target { ready, .. } => Some(*ready),
        Decision::Hold { .. } => None,
    }
}

const fn numbers(change: &Change) -> [Option<u32>; 2] {
    [number(&change.recorded), number(&change.now)]
}
