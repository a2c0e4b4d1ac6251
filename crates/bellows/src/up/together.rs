//! Whether a service goes with this host and with what else is deployed.

use anyhow::{Context as _, anyhow};
use host::deployments::{Deployment, DeploymentError};
use host::settings::Settings;
use model::names::ServiceName;
use model::service::check_mounts;
use policy::slots;

use super::{egress, reaches, room};
use crate::error::BadInput;

/// Refuses a deployment `next` in which one service, told as `what`, does not go with this host, or with the others,
/// which are as they were `before`.
///
/// # Errors
/// [`BadInput`], or that something cannot be looked at.
pub(crate) fn check(
    settings: &Settings,
    (service, what): (&ServiceName, &str),
    before: &Deployment,
    next: &Deployment,
) -> anyhow::Result<()> {
    let services = next.deployed().map_err(|error| {
        let problem = match error {
            DeploymentError::Routes(problem) => anyhow!(problem),
            DeploymentError::Reaches(problem) => anyhow!(problem),
            other => anyhow!(other),
        };
        BadInput::new(problem.context(format!("{what} does not go with the rest")))
    })?;
    let specs: Vec<_> = services.iter().map(|deployed| &deployed.spec).collect();
    let mounts = check_mounts(&specs).into_iter().filter(|it| it.services.contains(service));
    BadInput(mounts.map(Into::into).collect()).or(())?;
    room::check_sums(&specs, settings)?;
    let lower_bounds = specs.iter().map(|spec| (&spec.name, spec.bounds.min()));
    slots::suffice(lower_bounds, settings.network.subnet.last_slot()).map_err(BadInput::new)?;
    let spec = specs.into_iter().find(|spec| spec.name == *service);
    let spec = spec.context("the service is deployed")?;
    room::check_size(spec, settings)?;
    egress::check(&[spec], &settings.network)?;
    let changed = reaches::changed_protocol(&before.deployed()?, spec);
    Ok(BadInput(changed.map(|problem| anyhow!(problem)).into_iter().collect()).or(())?)
}
