//! What one policy says at one turn, and what several say together.

use model::decision::Reason;
use serde::{Deserialize, Serialize};

/// What one policy says. It knows no bounds: those come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// This many ready instances.
    Ready {
        /// The number.
        ready: u32,
        /// Why.
        reason: Reason,
    },
    /// Whatever the others say, no fewer than `min` and no more than `max`.
    Within {
        /// The fewest ready instances.
        min: u32,
        /// The most ready instances.
        max: u32,
    },
    /// A figure that it needs is not known. It asks for nothing and agrees to nothing.
    Unknown,
    /// It is not set up, or has nothing to say at this hour. Others decide without it.
    Silent,
}

impl Advice {
    /// Advice of `ready` instances for `reason`.
    pub const fn ready(ready: u32, reason: Reason) -> Self {
        Self::Ready { ready, reason }
    }
}

/// The advice of several policies as one: the highest wins out, all must agree in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Combined {
    highest: Option<(u32, Reason)>,
    within: Option<(u32, u32)>,
    unknown: bool,
}

impl Combined {
    /// Takes one more policy's advice in. Of equal numbers, the reason heard first stays.
    pub(crate) fn add(&mut self, advice: Advice) {
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

    /// The lower bound of a schedule at this time; 0 where there is none.
    pub(crate) fn scheduled_min(&self) -> u32 {
        self.within.map_or(0, |(min, _)| min)
    }

    /// How many ready instances the policies want where `current` were decided last. Each reason
    /// goes to `reasons`, the main one first.
    pub(crate) fn need(self, current: u32, reasons: &mut Vec<Reason>) -> u32 {
        let mut need = match self.highest {
            Some((ready, reason)) => {
                reasons.push(reason);
                ready
            }
            None if self.unknown => current,
            None if self.within.is_some() => {
                reasons.push(Reason::Schedule);
                current
            }
            None => {
                reasons.push(Reason::NotSet);
                current
            }
        };
        if self.unknown && (need < current || self.highest.is_none()) {
            need = current;
            reasons.push(Reason::NotKnown);
        }
        let Some((min, max)) = self.within else { return need };
        if need > max {
            reasons.push(Reason::AtScheduledMax);
        } else if need < min {
            reasons.push(Reason::AtScheduledMin);
        }
        need.clamp(min, max.max(min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn together(advice: &[Advice]) -> (u32, Vec<Reason>) {
        let (mut combined, mut reasons) = (Combined::default(), Vec::new());
        for one in advice {
            combined.add(*one);
        }
        (combined.need(5, &mut reasons), reasons)
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
