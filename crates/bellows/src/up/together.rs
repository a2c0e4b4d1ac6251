//! Whether a service goes with this host and with what else is deployed.

use anyhow::{Context as _, anyhow};
use host::deployments::{DeployedService, Deployment, DeploymentError, Readable};
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
    let services = services(service, before, next).map_err(|error| {
        let problem = match error {
            DeploymentError::Routes(problem) => anyhow!(problem),
            DeploymentError::Reaches(problem) => anyhow!(problem),
            DeploymentError::OfFolder { problem, .. } => anyhow!(problem),
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
    let changed = reaches::changed_protocol(&before.readable().services, spec);
    Ok(BadInput(changed.map(|problem| anyhow!(problem)).into_iter().collect()).or(())?)
}

/// The services of `next`. One that cannot be used, and could not be `before`, holds up no other.
fn services(
    service: &ServiceName,
    before: &Deployment,
    next: &Deployment,
) -> Result<Vec<DeployedService>, DeploymentError> {
    let known = before.readable().problems;
    if known.is_empty() {
        return next.deployed();
    }
    let Readable { services, problems } = next.readable();
    let mut new =
        problems.into_iter().filter(|(name, _)| name == service || !known.contains_key(name));
    new.next().map_or(Ok(services), |(_, problem)| Err(problem))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use host::deployments::NewService;
    use model::time::Timestamp;
    use model::version::Version;

    use super::*;

    const STORE: &str = include_str!("../../../../services/object-store.toml");

    fn named(name: &str, prefix: &str) -> String {
        STORE.replacen("name = \"object-store\"", &format!("name = {name:?}"), 1).replacen(
            "path_prefix = \"/\"",
            &format!("path_prefix = {prefix:?}"),
            1,
        )
    }

    fn with(before: &Deployment, name: &str, file: &str) -> Deployment {
        let name = name.parse().unwrap();
        let version = Version::new(1);
        let new = NewService { name: &name, file, version, serving: None, again: false };
        before.clone().with_folder(&new, Path::new("/srv/a"), 3, Timestamp::from_millis(1))
    }

    #[test]
    fn a_service_is_held_up_by_none_that_could_not_be_used_before() {
        let bad = with(&Deployment::default(), "bad", "colour = 1");
        let (good, twin): (ServiceName, ServiceName) =
            ("good".parse().unwrap(), "twin".parse().unwrap());
        let next = with(&bad, "good", &named("good", "/good"));
        let names = |next| services(&good, &bad, next).unwrap().into_iter().map(|it| it.spec.name);
        assert!(names(&next).eq([good.clone()]));
        let same_route = with(&next, "twin", &named("twin", "/good"));
        let error = services(&twin, &next, &same_route).unwrap_err().to_string();
        assert!(error.contains("the route is /good"), "{error}");
    }
}
