//! The rules per direction that stand between what the policies need and what is decided:
//! patience, cooldown and the largest step.

use std::time::Duration;

use model::service::Rules;
use model::time::Timestamp;
use model::trail::{Held, Rule, Step, Steps};
use serde::{Deserialize, Serialize};

use crate::memory::LastChanges;
use crate::patience::NeedHistory;

/// What the rules remember from turn to turn.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleState {
    /// Needs, for the highest of late.
    needs: NeedHistory,
    /// The distance of each need to the highest number there is, for the lowest of late.
    mirrored: NeedHistory,
    /// When the number decided on changed last.
    pub(crate) changes: LastChanges,
}

impl RuleState {
    /// Nothing is known of the need at this turn: patience starts anew.
    pub fn interrupt(&mut self) {
        self.needs.interrupt();
        self.mirrored.interrupt();
    }

    /// The number that the rules let through at `now`, where `need` is needed and `current` was
    /// decided last. Each rule that changed it goes to `steps`.
    pub fn apply(
        &mut self,
        out: Rules,
        inward: Rules,
        (need, current): (u32, u32),
        now: Timestamp,
        steps: &mut Steps,
    ) -> u32 {
        let patient = self.patient(out.patience, inward.patience, (need, current), now);
        if patient != need {
            let rule = self.patience_rule((out.patience, inward.patience), patient > need, now);
            steps.push(step(rule, need, patient));
        }
        self.changes = self.changes.until(now);
        let (rules, since) =
            if patient > current { (out, self.changes.rise) } else { (inward, self.changes.any) };
        if let Some(since) = since.filter(|at| now.since(*at) < rules.cooldown)
            && patient != current
        {
            let rule = Rule::Cooldown { since, cooldown_ms: millis(rules.cooldown) };
            steps.push(step(rule, patient, current));
            return current;
        }
        let largest = rules.largest_step.map_or(u32::MAX, |step| step.from(current));
        if patient.abs_diff(current) > largest {
            let next = if patient > current { current + largest } else { current - largest };
            steps.push(step(Rule::StepLimit { largest }, patient, next));
            return next;
        }
        patient
    }

    /// The need, held back to the lowest of late on the way out and the highest on the way in.
    fn patient(
        &mut self,
        out: Duration,
        inward: Duration,
        (need, current): (u32, u32),
        now: Timestamp,
    ) -> u32 {
        self.needs.push(now, need, inward);
        let highest = self.needs.highest_over(inward, now).unwrap_or(need.max(current));
        let lowest = if out.is_zero() {
            need
        } else {
            self.mirrored.push(now, u32::MAX - need, out);
            let mirrored = self.mirrored.highest_over(out, now);
            mirrored.map_or(need.min(current), |distance| u32::MAX - distance)
        };
        if current < lowest { lowest } else { current.min(highest) }
    }

    /// What the patience on the way out and that on the way in hold back at `now` of a need that was applied.
    pub(crate) fn held(
        &self,
        (out, inward): (Duration, Duration),
        need: u32,
        now: Timestamp,
    ) -> [Option<Held>; 2] {
        let held = |needs: &NeedHistory, patience: Duration, need: u32| {
            let at = needs.highest_over(patience, now);
            let holds = !patience.is_zero() && at != Some(need);
            let since = needs.holds_since(patience, now).unwrap_or(now);
            holds.then_some(Held { at, since })
        };
        let out = held(&self.mirrored, out, u32::MAX - need);
        let out = out.map(|held| Held { at: held.at.map(|distance| u32::MAX - distance), ..held });
        [out, held(&self.needs, inward, need)]
    }

    /// The patience that let through another number than the need, a higher one or a lower one.
    fn patience_rule(
        &self,
        (out, inward): (Duration, Duration),
        is_higher: bool,
        now: Timestamp,
    ) -> Rule {
        let (needs, patience) =
            if is_higher { (&self.needs, inward) } else { (&self.mirrored, out) };
        let since = needs.holds_since(patience, now).unwrap_or(now);
        Rule::Patience { since, patience_ms: millis(patience) }
    }
}

/// A rule that changes the number.
pub(crate) const fn step(rule: Rule, from: u32, to: u32) -> Step {
    Step { rule, from, to }
}

/// A span in whole milliseconds, in which files give it.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use model::service::LargestStep;

    use super::*;
    use crate::testing::seconds;

    const NONE: Rules =
        Rules { patience: Duration::ZERO, cooldown: Duration::ZERO, largest_step: None };

    /// Follows needs, one a second, from `current` on.
    fn follow(out: Rules, inward: Rules, current: u32, needs: &[u32]) -> Vec<u32> {
        let (mut state, mut current) = (RuleState::default(), current);
        let mut decided = Vec::new();
        for (second, need) in (0..).zip(needs) {
            let (now, mut steps) = (seconds(second), Steps::new());
            let next = state.apply(out, inward, (*need, current), now, &mut steps);
            assert_eq!(next == *need, steps.is_empty(), "{steps:?}");
            state.changes.note(current, next, now);
            current = next;
            decided.push(current);
        }
        decided
    }

    #[test]
    fn without_rules_the_need_is_done() {
        assert_eq!(follow(NONE, NONE, 3, &[9, 0, 4]), [9, 0, 4]);
    }

    #[test]
    fn patience_does_the_least_that_was_asked_for_without_a_break() {
        let two = Rules { patience: Duration::from_secs(2), ..NONE };
        assert_eq!(follow(NONE, two, 5, &[3, 1, 2, 1, 1]), [5, 5, 3, 2, 2]);
        assert_eq!(follow(two, NONE, 1, &[3, 5, 4, 5, 5]), [1, 1, 3, 4, 4]);
    }

    #[test]
    fn cooldown_spaces_rises_and_keeps_falls_away_from_any_change() {
        let three = Rules { cooldown: Duration::from_secs(3), ..NONE };
        assert_eq!(follow(three, NONE, 1, &[2, 3, 3, 3, 4]), [2, 2, 2, 3, 3]);
        assert_eq!(follow(NONE, three, 1, &[4, 2, 2, 2, 1]), [4, 4, 4, 2, 2]);
        assert_eq!(follow(three, NONE, 4, &[1, 6]), [1, 6], "a fall delays no rise");
    }

    #[test]
    fn a_clock_set_back_lengthens_no_cooldown() {
        let three = Rules { cooldown: Duration::from_secs(3), ..NONE };
        let (mut state, mut steps) = (RuleState::default(), Steps::new());
        state.changes.note(1, 2, seconds(1000));
        let mut at = |second| state.apply(three, NONE, (9, 2), seconds(second), &mut steps);
        assert_eq!((at(0), at(2), at(3)), (2, 2, 9));
    }

    #[test]
    fn the_largest_step_is_the_larger_of_count_and_percent_and_one_at_least() {
        let step = |count, percent| LargestStep { count, percent };
        assert_eq!(step(Some(4), Some(100)).from(3), 4);
        assert_eq!(step(Some(4), Some(100)).from(6), 6);
        assert_eq!(step(None, Some(10)).from(0), 1);
        let limited = Rules { largest_step: Some(step(Some(2), None)), ..NONE };
        assert_eq!(follow(limited, limited, 1, &[9, 9, 1]), [3, 5, 3]);
    }
}
