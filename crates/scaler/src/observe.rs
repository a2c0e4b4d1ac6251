//! From what the host and the load balancer say to what the policy sees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use host::haproxy::{Counters, Increase, ServerState, ServerStatus, ServiceStats, Stats};
use host::lxc::ContainerState;
use policy::fleet::{Container, Rotation, Sighting};
use policy::load::Sample;
use policy::names::{InstanceName, ServiceName, Slot, TemplateName};
use policy::plan::ActionKind;

/// What was seen of a service's slots, and what is wanted and being done there.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// Every instance on the host.
    pub(crate) containers: &'a BTreeMap<InstanceName, host::lxc::Container>,
    /// Actions that have been started and not finished.
    pub(crate) under_way: &'a BTreeMap<InstanceName, ActionKind>,
    /// The load balancer's figures.
    pub(crate) stats: &'a Stats,
    /// Slots that have drained.
    pub(crate) drained: &'a BTreeSet<(ServiceName, Slot)>,
}

impl View<'_> {
    /// Every instance of `service`, those included that are being cloned and do not show yet.
    /// `wanted` says what a slot whose server is down is there for.
    pub(crate) fn sightings(
        &self,
        service: &ServiceName,
        template: &TemplateName,
        wanted: impl Fn(Slot) -> ServerState,
    ) -> Vec<Sighting> {
        let names: BTreeSet<_> = self.containers.keys().chain(self.under_way.keys()).collect();
        let own = names.into_iter().filter(|name| name.service() == service);
        own.map(|name| self.sighting(name, template, wanted(name.slot()))).collect()
    }

    fn sighting(
        &self,
        name: &InstanceName,
        template: &TemplateName,
        wanted: ServerState,
    ) -> Sighting {
        let slot = name.slot();
        let seen = self.containers.get(name);
        let figures = self.stats.services.get(name.service()).and_then(|s| s.servers.get(&slot));
        Sighting {
            name: name.clone(),
            container: match seen {
                None => Container::Absent,
                Some(seen) if seen.state == ContainerState::Stopped => Container::Stopped,
                Some(_) => Container::Running,
            },
            rotation: figures.map_or(Rotation::Out, |figures| rotation(figures.status, wanted)),
            in_flight: figures.and_then(|figures| narrow(figures.in_flight? + figures.queued?)),
            drained: self.drained.contains(&(name.service().clone(), slot)),
            outdated: seen.and_then(|seen| seen.template.as_ref()).is_some_and(|t| t != template),
            under_way: self.under_way.get(name).copied(),
        }
    }
}

/// What a server's status says of its slot.
fn rotation(status: ServerStatus, wanted: ServerState) -> Rotation {
    match (status, wanted) {
        (ServerStatus::Maint, _) => Rotation::Out,
        (ServerStatus::Drain, _) | (ServerStatus::Down, ServerState::Drain) => Rotation::Drain,
        (ServerStatus::Down, _) => Rotation::In { healthy: false },
        (ServerStatus::Up | ServerStatus::Nolb | ServerStatus::NoCheck, _) => {
            Rotation::In { healthy: true }
        }
    }
}

/// What the load balancer counted for `service`; nothing where a figure is missing or absurd.
pub(crate) fn sample(service: &ServiceName, stats: &Stats, increase: &Increase) -> Option<Sample> {
    let figures: &ServiceStats = stats.services.get(service)?;
    let counted: &Counters = increase.services.get(service)?;
    if increase.elapsed == Duration::ZERO {
        return None;
    }
    let (queued, held) = (figures.queued?, figures.in_flight?);
    let served = [counted.success?, counted.redirection?, counted.client_error?];
    Some(Sample {
        elapsed: increase.elapsed,
        arrivals: counted.sessions?,
        served: served.iter().sum(),
        rejected: counted.server_error?,
        queued: narrow(queued)?,
        in_flight: narrow(held.saturating_sub(queued))?,
    })
}

fn narrow(figure: u64) -> Option<u32> {
    u32::try_from(figure).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_down_is_what_it_was_wanted_for() {
        let down = |wanted| rotation(ServerStatus::Down, wanted);
        assert_eq!(down(ServerState::Ready), Rotation::In { healthy: false });
        assert_eq!(down(ServerState::Drain), Rotation::Drain);
        assert_eq!(rotation(ServerStatus::Maint, ServerState::Ready), Rotation::Out);
    }
}
