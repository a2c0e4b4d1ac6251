//! How many ready instances a service should have, and why.

use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::load::OfferedLoad;
use crate::patience::NeedHistory;
use crate::spec::{PolicySpec, ServiceSpec};
use crate::time::Timestamp;

/// What a service should have, always with the reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[must_use]
pub enum Decision {
    /// This many ready instances, outdated ones not counted twice.
    Target {
        /// The number, within the bounds.
        ready: u32,
        /// What led to it, the main reason first, then each clamp that changed it.
        reasons: Vec<Reason>,
    },
    /// Change nothing.
    Hold {
        /// Why nothing may be changed.
        reasons: Vec<Reason>,
    },
}

/// A code for why a decision is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The mean rate of arrivals asks for it.
    OfferedLoad,
    /// Arrivals of the last tenths of a second ask for more than their mean does.
    Burst,
    /// Requests that wait ask for more than the arrivals do.
    Backlog,
    /// Fewer would do, but not for long enough yet.
    Patience,
    /// Fewer would do, but the lower bound forbids it.
    AtMin,
    /// More are needed, but the upper bound forbids it.
    AtMax,
    /// The load is not known.
    NoData,
}

/// Decides from the load offered up to `now`. `current` is what was decided last (at the start, what
/// serves or is about to): it is kept while nobody knows how long a lower need has held.
///
/// Up at once, down with patience: the number falls only to the highest need of the last
/// `scale_in.patience`, and never while that record has a break.
pub fn decide(
    spec: &ServiceSpec,
    bounds: Bounds,
    load: Option<OfferedLoad>,
    needs: &mut NeedHistory,
    current: u32,
    now: Timestamp,
) -> Decision {
    let Some(load) = load else {
        needs.interrupt();
        return Decision::Hold { reasons: vec![Reason::NoData] };
    };
    let need = |rps: f64| match &spec.policy {
        PolicySpec::TargetTracking(policy) => policy.needed(rps, spec.capacity),
    };
    let needed = need(load.total_rps());
    let mut reasons = vec![main_reason(&load, needed, need)];

    let patience = spec.scale_in.patience;
    needs.push(now, needed, patience);
    let patient = needs.highest_over(patience, now).unwrap_or_else(|| needed.max(current));
    if patient > needed {
        reasons.push(Reason::Patience);
    }

    let ready = patient.clamp(bounds.min(), bounds.max());
    if ready < patient {
        reasons.push(Reason::AtMax);
    } else if ready > patient {
        reasons.push(Reason::AtMin);
    }
    Decision::Target { ready, reasons }
}

/// The least unusual part of the load that explains the need.
fn main_reason(load: &OfferedLoad, needed: u32, need: impl Fn(f64) -> u32) -> Reason {
    if need(load.mean_rps) >= needed {
        Reason::OfferedLoad
    } else if need(load.mean_rps.max(load.burst_rps)) >= needed {
        Reason::Burst
    } else {
        Reason::Backlog
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{seconds, store};

    fn rps(mean_rps: f64) -> Option<OfferedLoad> {
        Some(OfferedLoad { mean_rps, burst_rps: 0.0, backlog_rps: 0.0 })
    }

    fn target(ready: u32, reasons: &[Reason]) -> Decision {
        Decision::Target { ready, reasons: reasons.to_vec() }
    }

    #[test]
    fn more_is_decided_at_once_and_fewer_after_the_patience() {
        let (spec, mut needs) = (store(), NeedHistory::default());
        let mut at = |second, load, current| {
            decide(&spec, spec.bounds, rps(load), &mut needs, current, seconds(second))
        };
        assert_eq!(at(0, 120.0, 1), target(3, &[Reason::OfferedLoad]));
        assert_eq!(at(1, 40.0, 3), target(3, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(10, 40.0, 3), target(3, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(11, 40.0, 3), target(1, &[Reason::OfferedLoad]));
    }

    #[test]
    fn missing_data_holds_and_starts_the_patience_anew() {
        let (spec, mut needs) = (store(), NeedHistory::default());
        let mut at = |second, load: Option<OfferedLoad>| {
            decide(&spec, spec.bounds, load, &mut needs, 5, seconds(second))
        };
        assert_eq!(at(0, rps(0.0)), target(5, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(9, None), Decision::Hold { reasons: vec![Reason::NoData] });
        assert_eq!(at(11, rps(0.0)), target(5, &[Reason::OfferedLoad, Reason::Patience]));
        assert_eq!(at(21, rps(0.0)), target(1, &[Reason::OfferedLoad, Reason::AtMin]));
    }

    #[test]
    fn the_bounds_clamp_and_say_so() {
        let (spec, mut needs) = (store(), NeedHistory::default());
        let decision = decide(&spec, spec.bounds, rps(9e9), &mut needs, 1, seconds(0));
        assert_eq!(decision, target(10, &[Reason::OfferedLoad, Reason::AtMax]));
    }

    #[test]
    fn the_reason_names_what_tipped_the_balance() {
        let (spec, mut needs) = (store(), NeedHistory::default());
        let mut of = |burst_rps, backlog_rps| {
            let load = OfferedLoad { mean_rps: 40.0, burst_rps, backlog_rps };
            match decide(&spec, spec.bounds, Some(load), &mut needs, 1, seconds(0)) {
                Decision::Target { reasons, .. } => reasons[0],
                Decision::Hold { .. } => unreachable!("there is data"),
            }
        };
        assert_eq!(of(0.0, 0.0), Reason::OfferedLoad);
        assert_eq!(of(50.0, 0.0), Reason::Burst);
        assert_eq!(of(0.0, 1.0), Reason::Backlog);
    }
}
