//! `bellows status`: what runs and what the scaler thinks, as tables or as JSON.

mod table;
mod view;

use std::path::Path;

use command_line::terminal;
use host::deployments::{DeployedService, Deployments};
use host::deploys::Deploys;
use host::jobs::{Job, JobState, Jobs, KeptJob};
use host::lxc::{ContainerState, container_states};
use host::settings::Settings;
use host::units::UnitStatus;
use model::decision::Decision;
use model::instance::InstanceStatus;
use model::job::JobKind;
use model::names::{InstanceName, Slot};
use model::status::{HostStatus, MembershipStatus, ServiceStatus};
use model::tick::Tick;
use scaler_client::ScalerError;

use crate::clock::now;
use crate::doctor::require_root;
use crate::json::{self, FORMAT};
use crate::programs::{self, Programs};
use crate::scaler;
use view::{Decided, DeployState, Instance, Program, Service, Set, Source, View};

/// Prints the view on standard output.
pub(crate) async fn run(settings: &Settings, json: bool) -> anyhow::Result<()> {
    // Others do not see the marks of root's processes, by which the programs are found.
    require_root()?;
    let view = read(settings).await?;
    if json {
        return json::print(&view);
    }
    terminal::tell(table::render(&view))?;
    Ok(())
}

/// The view as programs are told of it.
///
/// # Errors
/// The caller is not root, or the host cannot be looked at.
pub(crate) async fn as_json(settings: &Settings) -> anyhow::Result<String> {
    require_root()?;
    Ok(serde_json::to_string_pretty(&read(settings).await?)?)
}

async fn read(settings: &Settings) -> anyhow::Result<View> {
    let programs = Programs::new(settings)?.list().await?.into_iter().map(program).collect();
    let at_ms = now().as_millis();
    let deploys = deploys(settings)?;
    Ok(match ask(settings).await {
        Ok((HostStatus { services, network }, membership)) => {
            let deployments = Deployments::new(&settings.paths.state);
            let deployed = deployments.load().map(|deployment| deployment.readable().services);
            let deployed = deployed.unwrap_or_default();
            let instances = services.iter().flat_map(|service| &service.instances).map(instance);
            View {
                format: FORMAT,
                at_ms,
                source: Source::Scaler,
                scaler_error: None,
                programs,
                membership: Some(membership),
                network: Some(network),
                instances: instances.collect(),
                services: services.iter().map(|status| service(status, &deployed)).collect(),
                deploys,
            }
        }
        Err(error) => View {
            format: FORMAT,
            at_ms,
            source: Source::Host,
            scaler_error: Some(error.to_string()),
            programs,
            membership: None,
            network: None,
            services: Vec::new(),
            deploys,
            instances: running(settings)?,
        },
    })
}

/// What the scaler tells.
async fn ask(settings: &Settings) -> Result<(HostStatus, MembershipStatus), ScalerError> {
    let scaler = scaler::client(settings)?;
    Ok((scaler.services().await?, scaler.membership().await?))
}

/// The last deploys of services, without those that ended well.
fn deploys(settings: &Settings) -> anyhow::Result<Vec<DeployState>> {
    let state = &settings.paths.state;
    let jobs = Jobs::new(state).list(now())?;
    let mut states = Vec::new();
    for service in Deploys::new(state).services()? {
        let is_deploy = |it: &&KeptJob| {
            it.job.service.as_ref() == Some(&service) && it.job.work.kind() == JobKind::Deploy
        };
        let Some(kept) = jobs.iter().find(is_deploy) else { continue };
        let Job { begun_at, stage, outcome, .. } = &kept.job;
        if outcome.as_ref().is_some_and(|outcome| outcome.is_well) {
            continue;
        }
        states.push(DeployState {
            folder: kept.job.folder().map(Path::to_owned).unwrap_or_default(),
            service,
            begun_at_ms: begun_at.as_millis(),
            stage: *stage,
            goes_on: kept.state == JobState::GoesOn,
            verdict: outcome.as_ref().map(|it| it.verdict.clone()),
        });
    }
    Ok(states)
}

fn program((name, status): (&'static str, UnitStatus)) -> Program {
    let state = match status {
        UnitStatus::Running { .. } => "running",
        UnitStatus::Unsupervised { .. } => "unsupervised",
        UnitStatus::Restarting => "restarting",
        UnitStatus::Stopped => "stopped",
    };
    Program { name, state, pid: programs::pid(status) }
}

/// A service as the scaler tells, beside what its file says where an operator set something else.
fn service(status: &ServiceStatus, deployed: &[DeployedService]) -> Service {
    let deployed = deployed.iter().find(|deployed| deployed.spec.name == status.name);
    let file = deployed.map(|deployed| &deployed.spec);
    let price_per_hour = file.and_then(|file| file.price_per_hour);
    let instances = u32::try_from(status.instances.len()).unwrap_or(u32::MAX);
    Service {
        policy_set: set(&status.set.policy, &status.policy_spec, file.map(|file| &file.policy)),
        bounds_set: set(&status.set.bounds, &status.bounds, file.map(|file| &file.bounds)),
        unreadable: deployed.map(|deployed| deployed.unreadable.clone()).unwrap_or_default(),
        name: status.name.to_string(),
        route: status.route.clone(),
        reaches: status.reaches.clone(),
        policy: status.policy.clone(),
        policy_spec: status.policy_spec.clone(),
        min: status.bounds.min(),
        max: status.bounds.max(),
        rollout: status.rollout.clone(),
        hold: status.hold,
        held_at: status.hold.map(|hold| hold.within(status.bounds).ready),
        last_failure: status.last_failure.clone(),
        price_per_hour,
        cost_per_hour: price_per_hour.map(|price| price * f64::from(instances)),
        offered_rps: status.tick.as_ref().and_then(|tick| tick.observation.offered_rps),
        decision: status.tick.as_ref().map(decided),
    }
}

/// What was set of something, beside what is in force and what the service's file says.
fn set<T: Clone + PartialEq>(set: &Option<T>, in_force: &T, of_file: Option<&T>) -> Option<Set<T>> {
    let waits = |set: &T| (set != in_force).then(|| set.clone());
    set.as_ref().map(|set| Set { file_says: of_file.cloned(), waits: waits(set) })
}

fn decided(tick: &Tick) -> Decided {
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    Decided {
        at_ms: tick.at.as_millis(),
        ready: tick.target(),
        reasons: reasons.clone(),
        blocked: tick.blocked.clone(),
    }
}

fn instance(status: &InstanceStatus) -> Instance {
    Instance {
        name: status.name.to_string(),
        slot: status.slot,
        address: Some(status.address),
        version: status.version,
        phase: status.phase.into(),
        to_be_removed: status.to_be_removed,
        born_ms: status.name.birth().as_millis(),
    }
}

/// The instances as LXC has them.
fn running(settings: &Settings) -> anyhow::Result<Vec<Instance>> {
    if !settings.paths.lxc.exists() {
        return Ok(Vec::new());
    }
    let containers = container_states(&settings.paths.lxc)?;
    let instance = |(name, state): (String, ContainerState)| {
        let name: InstanceName = name.parse().ok()?;
        let slot: Slot = name.slot();
        let phase = match state {
            ContainerState::Running => "running",
            ContainerState::Stopped => "stopped",
        };
        Some(Instance {
            address: settings.network.subnet.address(slot),
            slot,
            version: None,
            phase,
            to_be_removed: false,
            born_ms: name.birth().as_millis(),
            name: name.to_string(),
        })
    };
    Ok(containers.into_iter().filter_map(instance).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_and_is_not_in_force_waits() {
        let told = |in_force, file: Option<&u32>| {
            set(&Some(5), &in_force, file).map(|set| (set.file_says, set.waits))
        };
        assert_eq!(told(5, Some(&1)), Some((Some(1), None)));
        assert_eq!(told(1, Some(&1)), Some((Some(1), Some(5))));
        assert_eq!(told(1, None), Some((None, Some(5))));
        assert!(set(&None, &1, Some(&1)).is_none());
    }
}
