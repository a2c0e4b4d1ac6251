//! An operator's hand on the number: it goes before the policies and their rules, and not before the bounds.

use model::decision::Decision;
use model::service::ServiceSpec;
use model::trail::{Rule, Trail};

use crate::decide::{Decided, DecisionState, decide, within};
use crate::input::PolicyInput;
use crate::rules::step;

/// Decides on the number that a service is `held` at, within its bounds.
///
/// The policies and their rules observe as ever, with the held number as the one decided on last. So patience,
/// stabilisation and cooldowns know what was needed meanwhile, and the first decision after the hold is the one that
/// they would have come to from that number. What they would have decided changes nothing, and counts as no change; the
/// trail has it.
/// What a policy asked for before the hold is of no use after it: it asks anew from the number that it finds.
///
/// A load that is not known, and a host without CPU time left, do not end it.
pub(crate) fn decide_held(
    spec: &ServiceSpec,
    state: &mut DecisionState,
    input: &PolicyInput,
    held: u32,
) -> Decided {
    let (mut changes, current) = (state.changes(), input.current);
    let unheld = decide(spec, state, input);
    let asked = match unheld.decision {
        Decision::Target { ready, .. } => ready,
        Decision::Hold { .. } => current,
    };
    let mut trail = unheld.trail.unwrap_or_else(|| Trail { current, ..Trail::default() });
    let own = trail.steps.len();
    trail.steps.push(step(Rule::Held, asked, held));
    let ready = within(held, input.bounds, &mut trail.steps);
    changes.note(current, ready, input.now);
    let changes = changes.until(input.now);
    state.take_over(changes, (current, ready), input.now);
    (trail.rose_at, trail.changed_at) = (changes.rise, changes.any);
    let reasons = trail.steps[own..].iter().map(|step| step.rule.reason()).collect();
    Decided { decision: Decision::Target { ready, reasons }, trail: Some(trail) }
}
