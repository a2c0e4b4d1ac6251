//! What several policies say together: the highest wins out, all must agree in.

use model::trail::{Rule, Trail};

pub use model::trail::Advice;

use crate::rules::step;

/// How many ready instances the policies of a trail want together. What their schedules and those who know nothing
/// change about that goes to its steps.
pub(crate) fn need(trail: &mut Trail) -> u32 {
    let (highest, current) = (trail.highest(), trail.current);
    let asked = highest.map_or(current, |(ready, _)| ready);
    let mut need = asked;
    if trail.is_in_doubt() && (need < current || highest.is_none()) {
        need = current;
        trail.steps.push(step(Rule::NotKnown, asked, need));
    }
    let Some((min, max)) = trail.scheduled() else { return need };
    let within = need.clamp(min, max.max(min));
    if need > max {
        trail.steps.push(step(Rule::ScheduledMax { max }, need, within));
    } else if need < min {
        trail.steps.push(step(Rule::ScheduledMin { min }, need, within));
    }
    within
}

#[cfg(test)]
mod tests {
    use model::decision::Reason;
    use model::policies::PolicyKind;
    use model::trail::PolicyAdvice;

    use super::*;

    fn together(advice: &[Advice]) -> (u32, Vec<Reason>) {
        let policy = PolicyKind::TargetTracking;
        let advice = advice.iter().map(|one| PolicyAdvice { policy, advice: *one, went_by: None });
        let mut trail = Trail { current: 5, advice: advice.collect(), ..Trail::default() };
        (need(&mut trail), trail.reasons())
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
