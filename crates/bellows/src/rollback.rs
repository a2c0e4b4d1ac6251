//! `bellows rollback`: back to a version that is kept, whose template is there.

use anyhow::{Context as _, anyhow, ensure};
use host::command::HostRunner;
use host::deployments::{Deployment, Deployments, Rollback};
use host::lxc::TemplateStore;
use host::settings::Settings;
use model::names::{ServiceName, TemplateName};
use model::version::Version;

use crate::clock::now;
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::operator;
use crate::programs::Programs;
use crate::scaler;
use crate::up::{reaches, rollout};

/// Deploys a kept version of a service again, and waits until it serves or was given up.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    version: Option<Version>,
    with_settings: bool,
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
    let to = Rollback { service, version, settings: with_settings, serving };
    let next = before.rolled_back(to, now()).map_err(BadInput::new)?;
    check(settings, service, version, &before, &next)?;
    if with_settings && needs_egress(&next)? {
        Programs::new(settings)?.egress(true).await?;
    }
    let text = deployments.settings_text();
    let next = next.noted(&before, (&text, &text), operator::who_calls(), now());
    deployments.deploy(&next)?;
    rollout::wait(settings, &next).await?;
    println!(
        "{service} is version {version} again{}. The next `bellows up` deploys what services/{service}.toml says.",
        if with_settings { ", with the settings that it had then" } else { "" }
    );
    Ok(())
}

/// Refuses to go back to what cannot be launched, or does not go with what else is deployed by now.
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
        let error = anyhow!(error)
            .context(format!("version {version} of {service} does not go with the rest"));
        BadInput::new(error)
    })?;
    let spec = services.iter().map(|deployed| &deployed.spec).find(|spec| spec.name == *service);
    let spec = spec.context("the service is deployed")?;
    let changed = reaches::changed_protocol(&before.deployed()?, spec);
    Ok(BadInput(changed.map(|problem| anyhow!(problem)).into_iter().collect()).or(())?)
}

fn needs_egress(deployment: &Deployment) -> anyhow::Result<bool> {
    Ok(deployment.deployed()?.iter().any(|deployed| !deployed.spec.egress.is_none()))
}
