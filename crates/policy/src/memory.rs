//! What a service's loop keeps when its process ends: what it promised and learnt.

use model::time::Timestamp;
use model::version::{Rollout, Wanted};
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;

/// What one service's loop promised and learnt. It is written whenever it changes. A loop without
/// it is right as well, only impatient: cooldowns and waits begin anew, and a version that was
/// given up is tried again.
///
/// Stabilisation and patience are not in it, for they need no memory to be kept: while less than
/// their time is known, fewer instances are never decided on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Which version serves, and how far the change to the wanted one has come; `None` before the
    /// first turn.
    pub rollout: Option<Rollout>,
    /// How many ready instances were decided on last.
    pub decided: Option<u32>,
    /// Since when cooldowns count.
    pub changes: LastChanges,
    /// The wait after launches that failed.
    pub launches: Backoff,
    /// The wait after trials of a version that failed.
    pub trials: Backoff,
    /// The last deploy whose release command ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<Wanted>,
}

/// What is kept of a rollout. A watch is kept as the trial that it is part of: who comes after begins it anew,
/// since what it would have to compare is not kept, and the release that knew no watch reads it.
pub(crate) fn kept(rollout: Rollout) -> Rollout {
    match rollout {
        Rollout::Watching { version, next, since } => Rollout::Proving { version, next, since },
        other => other,
    }
}

impl Memory {
    /// The same after the clock was set: what counts from an old time counts from `now`.
    #[must_use]
    pub fn dated_anew(mut self, now: Timestamp) -> Self {
        if let Some(Rollout::Proving { since, .. }) = &mut self.rollout {
            *since = now;
        }
        let LastChanges { rise, any } = &mut self.changes;
        for at in [rise, any] {
            *at = at.map(|_| now);
        }
        self
    }
}

/// When the number decided on changed last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastChanges {
    /// When it rose.
    #[serde(rename = "rise_at_ms")]
    pub rise: Option<Timestamp>,
    /// When it changed either way.
    #[serde(rename = "any_at_ms")]
    pub any: Option<Timestamp>,
}

impl LastChanges {
    /// Takes note of a decision at `now`.
    pub fn note(&mut self, before: u32, after: u32, now: Timestamp) {
        if after != before {
            self.any = Some(now);
        }
        if after > before {
            self.rise = Some(now);
        }
    }

    /// The same under a clock that may have been set back, which must not lengthen a wait: what
    /// lies ahead of `now` counts as made now.
    #[must_use]
    pub fn until(self, now: Timestamp) -> Self {
        let before_now = |at: Option<Timestamp>| at.map(|at| at.min(now));
        Self { rise: before_now(self.rise), any: before_now(self.any) }
    }
}

#[cfg(test)]
mod tests {
    use model::version::Version;

    use super::*;
    use crate::testing::{seconds, wanted};

    #[test]
    fn a_memory_reads_as_it_was_written_and_what_another_release_adds_is_passed_over() {
        let mut launches = Backoff::default();
        launches.record(true, seconds(3));
        let next = wanted(Version::new(2));
        let rollout = Some(Rollout::Proving { version: Version::new(1), next, since: seconds(1) });
        let changes = LastChanges { rise: None, any: Some(seconds(2)) };
        let memory = Memory { rollout, decided: Some(3), changes, launches, ..Memory::default() };
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
        let newer = text.replacen('{', r#"{"capacity_rps":48.5,"#, 1);
        assert_eq!(serde_json::from_str::<Memory>(&newer).unwrap(), memory);
        assert_eq!(serde_json::from_str::<Memory>("{}").unwrap(), Memory::default());
    }

    #[test]
    fn a_watch_is_kept_in_words_that_the_release_before_reads_and_begins_anew() {
        let (version, next) = (Version::new(1), wanted(Version::new(2)));
        let since = seconds(1);
        let kept = kept(Rollout::Watching { version, next, since });
        assert_eq!(kept, Rollout::Proving { version, next, since });
        let text = serde_json::to_string(&kept).unwrap();
        // As that release wrote it.
        let earlier = r#"{"state":"proving","version":"00000001","next":{"version":"00000002","deployed_at_ms":1000000},"since_ms":1001000}"#;
        assert_eq!(text, earlier);
        let given_up = Rollout::GivenUp { version, next, reason: "12 of its 24".to_owned() };
        assert_eq!(super::kept(given_up.clone()), given_up);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_a_change_count_as_made_now() {
        let changes = LastChanges { rise: Some(seconds(5)), any: Some(seconds(9)) };
        let until = LastChanges { rise: Some(seconds(5)), any: Some(seconds(7)) };
        assert_eq!(changes.until(seconds(7)), until);
    }
}
