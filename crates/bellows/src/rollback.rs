//! `bellows rollback`: back to a version that is kept, whose template is there.

use anyhow::{Context as _, anyhow, ensure};
use host::command::HostRunner;
use host::deployments::{Deployment, DeploymentError, Deployments, Rollback};
use host::lxc::TemplateStore;
use host::settings::Settings;
use model::names::{ServiceName, TemplateName};
use model::version::Version;
use policy::slots;

use crate::clock::now;
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::operator;
use crate::programs::Programs;
use crate::scaler;
use crate::up::{egress, reaches, rollout, room};

/// Deploys a kept version of a service again, and waits until it serves or was given up.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    version: Option<Version>,
    with_revision: bool,
) -> anyhow::Result<()> {
    require_root()?;
    let _lock = operator::lock(settings)?;
    let deployments = Deployments::new(&settings.paths.state);
    let before = deployments.load()?;
    before.kept(service).map_err(BadInput::new)?;
    let serving = scaler::rollouts(settings).await.get(service).map(|rollout| rollout.serving());
    ensure!(serving.is_some(), "the scaler does not say which version serves: run `bellows up`");
    let version = match version {
        Some(version) => version,
        None => before.version_before(service, serving).map_err(BadInput::new)?,
    };
    let to = Rollback { service, version, revision: with_revision, serving };
    let next = before.rolled_back(to, now()).map_err(BadInput::new)?;
    check(settings, service, version, &before, &next)?;
    if needs_egress(&next)? {
        Programs::new(settings)?.egress(true).await?;
    }
    let text = deployments.settings_text();
    let next = next.noted(&before, (&text, &text), operator::who_calls(), now());
    deployments.deploy(&next)?;
    rollout::wait(settings, &next, &[service], cure).await?;
    deployments.deploy(&next.served([service]))?;
    println!(
        "{service} is version {version} again{}. The next `bellows up` deploys what services/{service}.toml says.",
        if with_revision { ", with all that its file said then" } else { "" }
    );
    Ok(())
}

/// What to do about a version that was gone back to and did not serve either.
fn cure(service: &ServiceName) -> String {
    format!(
        "Go back to another one that `bellows versions {service}` lists, or mend services/{service}.toml or its \
         image, and run `bellows up`"
    )
}

/// Refuses to go back to what cannot be launched, or does not go with this host and what else is deployed by now.
fn check(
    settings: &Settings,
    service: &ServiceName,
    version: Version,
    before: &Deployment,
    next: &Deployment,
) -> anyhow::Result<()> {
    let template = TemplateName::new(service, version);
    let templates = TemplateStore::new(settings, HostRunner).list()?;
    ensure!(
        templates.contains(&template),
        "the template of version {version} is gone: put services/{service}.toml back as it was, and run `bellows up`"
    );
    let services = next.deployed().map_err(|error| {
        let problem = match error {
            DeploymentError::Routes(problem) => anyhow!(problem),
            DeploymentError::Reaches(problem) => anyhow!(problem),
            other => anyhow!(other),
        };
        BadInput::new(
            problem.context(format!("version {version} of {service} does not go with the rest")),
        )
    })?;
    let specs: Vec<_> = services.iter().map(|deployed| &deployed.spec).collect();
    room::check(&specs, settings)?;
    egress::check(&specs, &settings.network)?;
    let lower_bounds = specs.iter().map(|spec| (&spec.name, spec.bounds.min()));
    slots::suffice(lower_bounds, settings.network.subnet.last_slot()).map_err(BadInput::new)?;
    let spec = specs.into_iter().find(|spec| spec.name == *service);
    let spec = spec.context("the service is deployed")?;
    let changed = reaches::changed_protocol(&before.deployed()?, spec);
    Ok(BadInput(changed.map(|problem| anyhow!(problem)).into_iter().collect()).or(())?)
}

fn needs_egress(deployment: &Deployment) -> anyhow::Result<bool> {
    Ok(deployment.deployed()?.iter().any(|deployed| !deployed.spec.egress.is_none()))
}
