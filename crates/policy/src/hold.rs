//! An operator's hand on the number: it goes before the policies and their rules, and not before the bounds.

use model::decision::{Decision, Reason};
use model::service::ServiceSpec;

use crate::decide::{DecisionState, decide};
use crate::input::PolicyInput;

/// Decides on the number that a service is `held` at, within its bounds.
///
/// The policies and their rules observe as ever, with the held number as the one decided on last. So patience,
/// stabilisation and cooldowns know what was needed meanwhile, and the first decision after the hold is the one that
/// they would have come to from that number. What they would have decided changes nothing, and counts as no change.
/// What a policy asked for before the hold is of no use after it: it asks anew from the number that it finds.
///
/// A load that is not known, and a host without CPU time left, do not end it.
pub(crate) fn decide_held(
    spec: &ServiceSpec,
    state: &mut DecisionState,
    input: &PolicyInput,
    held: u32,
) -> Decision {
    let mut changes = state.changes();
    let _unheld = decide(spec, state, input);
    let ready = held.clamp(input.bounds.min(), input.bounds.max());
    changes.note(input.current, ready, input.now);
    state.take_over(changes.until(input.now), (input.current, ready), input.now);
    let clamp = match ready {
        _ if ready < held => Some(Reason::AtMax),
        _ if ready > held => Some(Reason::AtMin),
        _ => None,
    };
    let reasons = [Reason::Held].into_iter().chain(clamp).collect();
    Decision::Target { ready, reasons }
}
