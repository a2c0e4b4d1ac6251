//! The actions that have been started and have not ended, and how many launches there may be beside
//! them.

use std::collections::BTreeMap;
use std::time::Duration;

use host::deployments::DeployedService;
use model::action::{Action, ActionKind};
use model::names::{InstanceName, ServiceName, Slot};
use model::version::Version;
use tokio::time::Instant;

use crate::services::Deployed;

/// A clone takes some 40 ms, and half a second where eight are made at once. One that takes longer
/// than this hangs, and holds up the launches of its own service only.
const HANGS_AFTER: Duration = Duration::from_secs(2);

/// An action that has been started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    pub(crate) kind: ActionKind,
    /// The version of its instance.
    pub(crate) version: Option<Version>,
    at: Instant,
}

/// The actions under way, by the instance that each is on.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    actions: BTreeMap<InstanceName, Started>,
    /// How many clones have begun, and how many there were when one of each service began last.
    begun: u64,
    last_begun: BTreeMap<ServiceName, u64>,
}

impl UnderWay {
    /// An action begins.
    pub(crate) fn begin(&mut self, action: &Action) {
        if action.kind == ActionKind::Clone {
            self.begun += 1;
            self.last_begun.insert(action.instance.service().clone(), self.begun);
        }
        let started = Started { kind: action.kind, version: action.version, at: Instant::now() };
        self.actions.insert(action.instance.clone(), started);
    }

    /// The services in the order in which they take their turns: the one that launched last comes last,
    /// so that no service that asks for many keeps another waiting for longer than a clone takes.
    pub(crate) fn in_turn<'a>(&self, services: &'a Deployed) -> Vec<&'a DeployedService> {
        let mut all: Vec<&DeployedService> = services.values().map(AsRef::as_ref).collect();
        all.sort_by_key(|deployed| self.last_begun.get(&deployed.spec.name));
        all
    }

    /// The action on an instance has ended.
    pub(crate) fn end(&mut self, instance: &InstanceName) {
        self.actions.remove(instance);
    }

    /// The action on an instance.
    pub(crate) fn on(&self, instance: &InstanceName) -> Option<&Started> {
        self.actions.get(instance)
    }

    /// The instances with an action.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &InstanceName> {
        self.actions.keys()
    }

    /// The slots of the instances with an action.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.instances().map(InstanceName::slot)
    }

    /// The clones that are being made. A launch whose instance runs only waits for it to get
    /// healthy, which costs the host nothing.
    pub(crate) fn clones(
        &self,
        is_running: impl Fn(&InstanceName) -> bool,
        parallel: usize,
    ) -> Clones {
        let mut clones = Clones { parallel, in_time: 0, by_service: BTreeMap::new() };
        for (instance, started) in &self.actions {
            if started.kind == ActionKind::Clone && !is_running(instance) {
                clones.in_time += usize::from(started.at.elapsed() < HANGS_AFTER);
                *clones.by_service.entry(instance.service().clone()).or_default() += 1;
            }
        }
        clones
    }
}

/// The clones that are being made.
#[derive(Debug)]
pub(crate) struct Clones {
    /// How many the host makes at a time.
    parallel: usize,
    /// How many do not hang.
    in_time: usize,
    by_service: BTreeMap<ServiceName, usize>,
}

impl Clones {
    /// How many more of a service may begin: as many as the host takes beside those that do not
    /// hang, and no service has more than that of its own.
    pub(crate) fn left(&self, service: &ServiceName) -> usize {
        let own = self.by_service.get(service).copied().unwrap_or_default();
        self.parallel.saturating_sub(own.max(self.in_time))
    }

    /// One more begins.
    pub(crate) fn begin(&mut self, service: &ServiceName) {
        self.in_time += 1;
        *self.by_service.entry(service.clone()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InstanceName {
        text.parse().unwrap()
    }

    fn service(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    fn cloning(names: &[&str]) -> UnderWay {
        let mut under_way = UnderWay::default();
        for instance in names {
            under_way.begin(&Action::new(ActionKind::Clone, name(instance), None));
        }
        under_way
    }

    #[tokio::test(start_paused = true)]
    async fn clones_that_hang_hold_up_their_own_service_only() {
        let under_way = cloning(&["bw-a-1-x", "bw-a-2-x", "bw-a-3-x", "bw-a-4-x"]);
        let left = || {
            let clones = under_way.clones(|_| false, 4);
            (clones.left(&service("a")), clones.left(&service("b")))
        };
        assert_eq!(left(), (0, 0));
        tokio::time::advance(HANGS_AFTER).await;
        assert_eq!(left(), (0, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_runs_and_is_not_healthy_yet_holds_up_no_launch() {
        let under_way = cloning(&["bw-a-1-x", "bw-a-2-x"]);
        let clones = under_way.clones(|instance| instance.slot().get() == 1, 4);
        assert_eq!(clones.left(&service("a")), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_begins_in_a_turn_counts_in_the_same_turn() {
        let mut clones = UnderWay::default().clones(|_| false, 4);
        for _ in 0..3 {
            clones.begin(&service("a"));
        }
        assert_eq!((clones.left(&service("a")), clones.left(&service("b"))), (1, 1));
    }
}
