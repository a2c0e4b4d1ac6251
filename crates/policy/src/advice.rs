//! What several policies say together: the highest wins out, all must agree in.

use model::decision::Reason;
use model::trail::{PolicyAdvice, Rule, Steps};

pub use model::trail::Advice;

use crate::rules::step;

/// The advice of several policies as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Combined {
    highest: Option<(u32, Reason)>,
    within: Option<(u32, u32)>,
    unknown: bool,
}

impl Combined {
    /// What these policies said together. Of equal numbers, the reason heard first stays.
    pub(crate) fn of(advice: &[PolicyAdvice]) -> Self {
        let mut combined = Self::default();
        advice.iter().for_each(|one| combined.add(one.advice));
        combined
    }

    fn add(&mut self, advice: Advice) {
        match advice {
            Advice::Ready { ready, reason } => {
                if self.highest.is_none_or(|(highest, _)| ready > highest) {
                    self.highest = Some((ready, reason));
                }
            }
            Advice::Within { min, max } => {
                let (low, high) = self.within.unwrap_or((min, max));
                self.within = Some((low.max(min), high.max(max)));
            }
            Advice::Unknown => self.unknown = true,
            Advice::Silent => {}
        }
    }

    /// The highest number that a policy asks for.
    pub(crate) fn highest(&self) -> Option<u32> {
        self.highest.map(|(ready, _)| ready)
    }

    /// The bounds of schedules at this time, of several the highest of either.
    pub(crate) const fn within(&self) -> Option<(u32, u32)> {
        self.within
    }

    /// The lower bound of a schedule at this time; 0 where there is none.
    pub(crate) fn scheduled_min(&self) -> u32 {
        self.within.map_or(0, |(min, _)| min)
    }

    /// Whether a policy does not know a figure that it needs.
    pub(crate) const fn is_in_doubt(&self) -> bool {
        self.unknown
    }

    /// Why the number before all rules is what it is; `None` where it is kept for want of a figure, which a rule says.
    pub(crate) fn main_reason(&self) -> Option<Reason> {
        match self.highest {
            Some((_, reason)) => Some(reason),
            None if self.unknown => None,
            None if self.within.is_some() => Some(Reason::Schedule),
            None => Some(Reason::NotSet),
        }
    }

    /// How many ready instances the policies want where `current` were decided last. What schedules and those who
    /// know nothing change about that goes to `steps`.
    pub(crate) fn need(&self, current: u32, steps: &mut Steps) -> u32 {
        let asked = self.highest().unwrap_or(current);
        let mut need = asked;
        if self.unknown && (need < current || self.highest.is_none()) {
            need = current;
            steps.push(step(Rule::NotKnown, asked, need));
        }
        let Some((min, max)) = self.within else { return need };
        let within = need.clamp(min, max.max(min));
        if need > max {
            steps.push(step(Rule::ScheduledMax { max }, need, within));
        } else if need < min {
            steps.push(step(Rule::ScheduledMin { min }, need, within));
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use model::policies::PolicyKind;

    use super::*;

    fn together(advice: &[Advice]) -> (u32, Vec<Reason>) {
        let policy = PolicyKind::TargetTracking;
        let advice = advice.iter().map(|one| PolicyAdvice { policy, advice: *one, went_by: None });
        let combined = Combined::of(&advice.collect::<Vec<_>>());
        let mut steps = Steps::new();
        let need = combined.need(5, &mut steps);
        let reasons = steps.iter().map(|step| step.rule.reason());
        (need, combined.main_reason().into_iter().chain(reasons).collect())
    }

    const THREE: Advice = Advice::ready(3, Reason::OfferedLoad);
    const NINE: Advice = Advice::ready(9, Reason::Forecast);

    #[test]
    fn the_highest_wins_and_names_its_reason() {
        assert_eq!(together(&[THREE, NINE]), (9, vec![Reason::Forecast]));
        assert_eq!(together(&[THREE]), (3, vec![Reason::OfferedLoad]));
    }

    #[test]
    fn who_does_not_know_agrees_to_no_scale_in_and_stops_no_scale_out() {
        let kept = (5, vec![Reason::OfferedLoad, Reason::NotKnown]);
        assert_eq!(together(&[THREE, Advice::Unknown]), kept);
        assert_eq!(together(&[Advice::Unknown, NINE]), (9, vec![Reason::Forecast]));
        assert_eq!(together(&[Advice::Unknown]), (5, vec![Reason::NotKnown]));
    }

    #[test]
    fn who_is_silent_leaves_the_others_to_decide() {
        assert_eq!(together(&[Advice::Silent, THREE]), (3, vec![Reason::OfferedLoad]));
        assert_eq!(together(&[Advice::Silent]), (5, vec![Reason::NotSet]));
    }

    #[test]
    fn a_schedule_bounds_what_the_others_say_and_alone_keeps_what_is() {
        let schedule = |min, max| Advice::Within { min, max };
        let below = (4, vec![Reason::OfferedLoad, Reason::AtScheduledMin]);
        assert_eq!(together(&[THREE, schedule(4, 8)]), below);
        let above = (8, vec![Reason::Forecast, Reason::AtScheduledMax]);
        assert_eq!(together(&[NINE, schedule(4, 8)]), above);
        assert_eq!(together(&[schedule(4, 8)]), (5, vec![Reason::Schedule]));
        let both = (6, vec![Reason::Schedule, Reason::AtScheduledMin]);
        assert_eq!(together(&[schedule(6, 7), schedule(1, 2)]), both, "the highest wins");
    }
}
