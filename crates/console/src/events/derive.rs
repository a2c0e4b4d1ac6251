//! From one turn to the next.

use std::collections::BTreeMap;

use model::action::{ActionKind, Blocked, Done};
use model::bounds::Bounds;
use model::decision::{Decision, Reason};
use model::feed::ServiceFeed;
use model::names::ServiceName;
use model::tick::Tick;
use model::version::Rollout;

use super::{Event, Happened};

/// What the turns and services told so far were, as far as events follow from a difference to it.
#[derive(Debug, Default)]
pub struct Derived {
    turns: BTreeMap<ServiceName, Last>,
    settings: BTreeMap<ServiceName, (Bounds, String)>,
}

#[derive(Debug, Default, Clone)]
struct Last {
    target: Option<u32>,
    limits: Vec<Reason>,
    blocked: Vec<Blocked>,
    rollout: Option<Rollout>,
}

impl Derived {
    /// What happened at this turn. The first of a service is compared with nothing: what it finds began before.
    pub fn tick(&mut self, tick: &Tick) -> Vec<Event> {
        let last = self.turns.get(&tick.service);
        let now = Last {
            // A turn that holds changes no target.
            target: tick.target().or(last.and_then(|last| last.target)),
            limits: limits(tick),
            blocked: tick.blocked.clone(),
            rollout: tick.rollout.clone(),
        };
        let mut happened = last.map(|last| differences(last, &now, tick)).unwrap_or_default();
        happened.extend(tick.done.iter().filter_map(done));
        let ended = tick.ended.iter().map(|it| Happened::Ended { instance: it.instance.clone() });
        happened.extend(ended);
        self.turns.insert(tick.service.clone(), now);
        let event = |happened| Event { at: tick.at, service: Some(tick.service.clone()), happened };
        happened.into_iter().map(event).collect()
    }

    /// What was set of a service since it was told last.
    pub fn service(&mut self, feed: &ServiceFeed) -> Option<Event> {
        let status = &feed.status;
        let now = (status.bounds, status.policy.clone());
        let before = self.settings.insert(status.name.clone(), now.clone());
        let is_set = before.is_some_and(|before| before != now);
        is_set.then(|| Event {
            at: feed.at,
            service: Some(status.name.clone()),
            happened: Happened::Set { bounds: now.0, policy: now.1 },
        })
    }
}

fn differences(last: &Last, now: &Last, tick: &Tick) -> Vec<Happened> {
    let mut happened = Vec::new();
    if let (Some(from), Some(to)) = (last.target, now.target)
        && from != to
    {
        happened.push(Happened::Target { from, to, reasons: reasons(tick).to_vec() });
    }
    if let Some(rollout) = now.rollout.as_ref().filter(|_| last.rollout != now.rollout) {
        happened.push(Happened::Rollout { rollout: rollout.clone() });
    }
    let began = missing(&now.limits, &last.limits);
    happened.extend(began.map(|reason| Happened::LimitBegan { reason }));
    let ended = missing(&last.limits, &now.limits);
    happened.extend(ended.map(|reason| Happened::LimitEnded { reason }));
    let began = missing(&now.blocked, &last.blocked);
    happened.extend(began.map(|reason| Happened::BlockedBegan { reason }));
    let ended = missing(&last.blocked, &now.blocked);
    happened.extend(ended.map(|reason| Happened::BlockedEnded { reason }));
    happened
}

/// Those of the first that are not among the second.
fn missing<T: Copy + PartialEq>(of: &[T], but: &[T]) -> impl Iterator<Item = T> {
    of.iter().filter(|it| !but.contains(it)).copied().collect::<Vec<_>>().into_iter()
}

fn done(done: &Done) -> Option<Happened> {
    let instance = done.instance.clone();
    if let Some(error) = &done.error {
        return Some(Happened::Failed { action: done.kind, instance, error: error.clone() });
    }
    match done.kind {
        ActionKind::Clone | ActionKind::Admit => {
            let took = done.finished_at.since(done.planned_at).as_millis();
            let took_ms = u64::try_from(took).unwrap_or(u64::MAX);
            Some(Happened::Started { instance, took_ms, steps: done.steps.clone() })
        }
        ActionKind::Stop => Some(Happened::Removed { instance, killed: false }),
        ActionKind::Kill => Some(Happened::Removed { instance, killed: true }),
        // It shows in its end: the stop.
        ActionKind::Drain => None,
    }
}

/// The reasons of a decision.
pub(crate) fn reasons(tick: &Tick) -> &[Reason] {
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    reasons
}

/// The reasons that last, and that somebody would be told of.
fn limits(tick: &Tick) -> Vec<Reason> {
    let is_limit = |reason: &Reason| {
        matches!(reason, Reason::AtMax | Reason::HostSaturated | Reason::NotKnown | Reason::NoData)
    };
    reasons(tick).iter().copied().filter(is_limit).collect()
}
