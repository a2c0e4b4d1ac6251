//! Instances that die, give no sign of life or do not get ready, and are replaced again and again.

use std::collections::VecDeque;
use std::time::Duration;

use model::action::{ActionKind, Done};
use model::tick::Tick;
use model::time::Timestamp;
use model::version::{Rollout, Version};

use super::sign::{Evidence, Sign, TURN_MAX_S};

/// So many instances within [`SPAN`] are no accident: four launches that fail together are one cause, and a fifth
/// comes when what replaces them fails too.
const BEGINS_WITH: usize = 5;

/// The span that they lie in, and after which without another one it is over. Launches that fail wait 30 s at the
/// longest, so that one which fails again and again has 20 in it.
const SPAN: Duration = Duration::from_mins(10);

/// What is remembered of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Replacement {
    /// When the last ones were lost, at most [`BEGINS_WITH`].
    lost: VecDeque<Timestamp>,
    /// For how long none was, as far as is known.
    quiet: Duration,
    /// The turn before.
    last: Option<Timestamp>,
}

impl Replacement {
    /// Takes in a turn.
    pub(super) fn tick(&mut self, tick: &Tick) -> Sign {
        let passed = self.last.replace(tick.at).map_or(Duration::ZERO, |last| tick.at.since(last));
        // Between two turns that are further apart nothing is known.
        if passed <= Duration::from_secs(TURN_MAX_S) {
            self.quiet = self.quiet.saturating_add(passed);
        }
        for _ in 0..lost(tick) {
            self.lost.push_back(tick.at);
            self.quiet = Duration::ZERO;
        }
        while self.lost.len() > BEGINS_WITH {
            self.lost.pop_front();
        }
        if self.quiet >= SPAN {
            self.lost.clear();
            return Sign::Absent;
        }
        let oldest = self.lost.front().filter(|_| self.lost.len() == BEGINS_WITH);
        match oldest {
            Some(oldest) if tick.at.since(*oldest) < SPAN => {
                Sign::Present(Evidence::RepeatedReplacement)
            }
            _ => Sign::Unclear,
        }
    }
}

/// How many instances were lost at this turn, of the version that serves: those of one that is tried or watched belong
/// to its deploy.
fn lost(tick: &Tick) -> usize {
    let counts = |version: Option<Version>| match (&tick.rollout, version) {
        (Some(rollout), Some(version)) => is_serving(rollout, version),
        _ => true,
    };
    let done = tick.done.iter().filter(|done| is_loss(done) && counts(done.version)).count();
    let ended = tick.ended.iter().filter(|ended| counts(ended.version)).count();
    done + ended
}

fn is_serving(rollout: &Rollout, version: Version) -> bool {
    rollout.serving() == version && !rollout.is_first()
}

/// Whether an action says that its instance gave no sign of life, or did not get ready.
fn is_loss(done: &Done) -> bool {
    match done.kind {
        ActionKind::Kill => done.error.is_none(),
        ActionKind::Clone | ActionKind::Admit => done.error.is_some(),
        ActionKind::Drain | ActionKind::Stop => false,
    }
}

#[cfg(test)]
mod tests {
    use model::instance::Ended;
    use model::version::Wanted;

    use super::*;
    use crate::samples;

    const PRESENT: Sign = Sign::Present(Evidence::RepeatedReplacement);

    fn turn(second: u64) -> Tick {
        samples::tick("store", second * 1000)
    }

    /// A turn that tells of an instance that died.
    fn death(second: u64, version: Option<u32>) -> Tick {
        let instance = "bw-store-1-a".parse().unwrap();
        let ended = Ended { instance, version: version.map(Version::new), last_lines: vec![] };
        Tick { ended: vec![ended], ..turn(second) }
    }

    fn done(kind: ActionKind, error: Option<&str>) -> Tick {
        let done = Done {
            kind,
            instance: "bw-store-1-a".parse().unwrap(),
            slot: model::names::Slot::try_from(1).unwrap(),
            version: None,
            planned_at: Timestamp::default(),
            finished_at: Timestamp::default(),
            error: error.map(str::to_owned),
            last_lines: vec![],
            release: None,
            steps: Vec::new(),
        };
        Tick { done: vec![done], ..turn(1) }
    }

    /// What is seen at the end of these seconds, in which nothing is lost.
    fn quiet(state: &mut Replacement, seconds: std::ops::RangeInclusive<u64>) -> Sign {
        seconds.map(|second| state.tick(&turn(second))).last().unwrap()
    }

    #[test]
    fn five_in_ten_minutes_are_too_many_and_ten_minutes_without_are_the_end() {
        let mut state = Replacement::default();
        for second in [0, 100, 200, 300] {
            assert_eq!(state.tick(&death(second, None)), Sign::Unclear);
        }
        assert_eq!(state.tick(&death(599, None)), PRESENT);
        assert_eq!(state.tick(&turn(601)), Sign::Unclear, "the first is too long ago");
        assert_eq!(quiet(&mut state, 602..=1_198), Sign::Unclear);
        assert_eq!(state.tick(&turn(1_199)), Sign::Absent);
        assert_eq!(state.tick(&death(1_300, None)), Sign::Unclear);
    }

    #[test]
    fn a_time_of_which_nothing_is_known_does_not_end_it() {
        let mut state = Replacement::default();
        assert_eq!((0..5).map(|second| state.tick(&death(second, None))).last().unwrap(), PRESENT);
        assert_eq!(state.tick(&turn(4_000)), Sign::Unclear);
        assert_eq!(quiet(&mut state, 4_001..=4_599), Sign::Unclear);
        assert_eq!(state.tick(&turn(4_600)), Sign::Absent);
    }

    #[test]
    fn one_now_and_then_is_nothing() {
        let mut state = Replacement::default();
        let any = (0..100).any(|number| state.tick(&death(number * 160, None)) == PRESENT);
        assert!(!any);
    }

    #[test]
    fn what_a_plan_removes_is_not_lost() {
        use ActionKind::{Admit, Clone, Drain, Kill, Stop};
        let kinds = [Clone, Admit, Drain, Stop, Kill];
        let well = kinds.map(|kind| lost(&done(kind, None)));
        let failed = kinds.map(|kind| lost(&done(kind, Some("no answer"))));
        assert_eq!((well, failed), ([0, 0, 0, 0, 1], [1, 1, 0, 0, 0]));
    }

    #[test]
    fn what_dies_of_a_version_that_is_tried_belongs_to_its_deploy() {
        let next = Wanted { version: Version::new(2), deployed_at: Timestamp::default() };
        let (version, since) = (Version::new(1), Timestamp::default());
        let of = |rollout: &Rollout, version| {
            lost(&Tick { rollout: Some(rollout.clone()), ..death(1, Some(version)) })
        };
        let proving = Rollout::Proving { version, next, since };
        assert_eq!((of(&proving, 1), of(&proving, 2)), (1, 0));
        let watching = Rollout::Watching { version, next, since };
        assert_eq!((of(&watching, 1), of(&watching, 2)), (1, 0));
        let first = Rollout::Proving { version: next.version, next, since };
        assert_eq!(of(&first, 2), 0);
        assert_eq!(of(&Rollout::Serving { version: next.version }, 2), 1);
    }
}
