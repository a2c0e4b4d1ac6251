//! `bellows status`: what runs and what the scaler thinks, as tables or as JSON.

mod table;
mod view;

use anyhow::Context as _;
use host::deployments::{DeployedService, Deployments};
use host::lxc::{ContainerState, container_states};
use host::settings::Settings;
use host::units::UnitStatus;
use model::decision::Decision;
use model::instance::InstanceStatus;
use model::names::{InstanceName, Slot};
use model::status::{HostStatus, MembershipStatus, ServiceStatus};
use model::tick::Tick;
use scaler_client::ScalerError;

use crate::clock::now;
use crate::doctor::require_root;
use crate::programs::{self, Programs};
use crate::scaler;
use view::{Decided, Instance, Program, Service, Set, Source, View};

/// Prints the view on standard output.
pub(crate) async fn run(settings: &Settings, json: bool) -> anyhow::Result<()> {
    // Others do not see the marks of root's processes, by which the programs are found.
    require_root()?;
    let view = read(settings).await?;
    if json {
        let text = serde_json::to_string_pretty(&view);
        println!("{}", text.context("the status cannot be written as JSON")?);
    } else {
        print!("{}", table::render(&view));
    }
    Ok(())
}

async fn read(settings: &Settings) -> anyhow::Result<View> {
    let programs = Programs::new(settings)?.list().await?.into_iter().map(program).collect();
    let at_ms = now().as_millis();
    Ok(match ask(settings).await {
        Ok((HostStatus { services, network }, membership)) => {
            let deployments = Deployments::new(&settings.paths.state);
            let deployed = deployments.load().and_then(|deployment| deployment.deployed());
            let deployed = deployed.unwrap_or_default();
            let instances = services.iter().flat_map(|service| &service.instances).map(instance);
            View {
                at_ms,
                source: Source::Scaler,
                scaler_error: None,
                programs,
                membership: Some(membership),
                network: Some(network),
                instances: instances.collect(),
                services: services.iter().map(|status| service(status, &deployed)).collect(),
            }
        }
        Err(error) => View {
            at_ms,
            source: Source::Host,
            scaler_error: Some(error.to_string()),
            programs,
            membership: None,
            network: None,
            services: Vec::new(),
            instances: running(settings)?,
        },
    })
}

/// What the scaler tells.
async fn ask(settings: &Settings) -> Result<(HostStatus, MembershipStatus), ScalerError> {
    let scaler = scaler::client(settings)?;
    Ok((scaler.services().await?, scaler.membership().await?))
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
    let file = deployed.iter().map(|deployed| &deployed.spec).find(|s| s.name == status.name);
    let price_per_hour = file.and_then(|file| file.price_per_hour);
    let instances = u32::try_from(status.instances.len()).unwrap_or(u32::MAX);
    let policy_of_file = || Set { file_says: file.map(|file| file.policy.clone()) };
    let bounds_of_file = || Set { file_says: file.map(|file| file.bounds) };
    Service {
        policy_set: status.set.policy.is_some().then(policy_of_file),
        bounds_set: status.set.bounds.is_some().then(bounds_of_file),
        name: status.name.to_string(),
        route: status.route.clone(),
        reaches: status.reaches.clone(),
        policy: status.policy.clone(),
        policy_spec: status.policy_spec.clone(),
        min: status.bounds.min(),
        max: status.bounds.max(),
        rollout: status.rollout.clone(),
        last_failure: status.last_failure.clone(),
        price_per_hour,
        cost_per_hour: price_per_hour.map(|price| price * f64::from(instances)),
        offered_rps: status.tick.as_ref().and_then(|tick| tick.observation.offered_rps),
        decision: status.tick.as_ref().map(decided),
    }
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
            born_ms: name.birth().as_millis(),
            name: name.to_string(),
        })
    };
    Ok(containers.into_iter().filter_map(instance).collect())
}
