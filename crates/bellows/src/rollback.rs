//! `bellows rollback`: back to a version that is kept, whose template is there.

use anyhow::{Context as _, ensure};
use command_line::terminal;
use host::command::HostRunner;
use host::deployments::{Deployment, Deployments, GoingBack, Origin, Rollback};
use host::lxc::TemplateStore;
use host::settings::Settings;
use model::access::Who;
use model::job::Stage;
use model::names::{ServiceName, TemplateName};
use model::version::{Rollout, Version};

use crate::clock::now;
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::job::Running;
use crate::operator;
use crate::programs::Programs;
use crate::progress::Progress;
use crate::scaler;
use crate::up::{answer, rollout, together};

/// Deploys a kept version of a service again, and waits until it serves or was given up.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    version: Option<Version>,
    with_revision: bool,
) -> anyhow::Result<()> {
    require_root()?;
    let _lock = operator::lock(settings).await?;
    let who = operator::who_calls();
    terminal::print_line(go_back(settings, service, version, with_revision, who).await?);
    Ok(())
}

/// The same for a job; gives what serves then.
pub(crate) async fn carry_out(
    settings: &Settings,
    running: &mut Running,
    version: Option<Version>,
    with_revision: bool,
) -> anyhow::Result<String> {
    let service = running.service()?;
    let _lock = operator::lock_within(settings).await?;
    running.enter(Stage::Rollout)?;
    go_back(settings, &service, version, with_revision, running.job.who.clone()).await
}

/// Goes back, with the operators' lock.
async fn go_back(
    settings: &Settings,
    service: &ServiceName,
    version: Option<Version>,
    with_revision: bool,
    who: Who,
) -> anyhow::Result<String> {
    let deployments = Deployments::new(&settings.paths.state);
    let before = deployments.load()?;
    before.kept(service).map_err(BadInput::new)?;
    let rollout = scaler::rollouts(settings).await.remove(service);
    let rollout =
        rollout.context("the scaler does not say which version serves: run `bellows up`")?;
    let wanted = before.wanted(service);
    let given_up = matches!(&rollout, Rollout::GivenUp { next, .. } if Some(*next) == wanted);
    let begun = before.going_back(service).filter(|_| !given_up);
    let serving = Some(rollout.serving());
    let to =
        |version, again| Rollback { service, version, revision: with_revision, serving, again };
    let next = match Step::after(begun, version, with_revision) {
        Step::GoOn => before,
        Step::BeginAgain(version) => begin(settings, to(version, true), &before, who).await?,
        Step::Begin(Some(version)) => begin(settings, to(version, given_up), &before, who).await?,
        Step::Begin(None) => {
            let version = before.version_before(service, serving).map_err(BadInput::new)?;
            begin(settings, to(version, given_up), &before, who).await?
        }
    };
    finish(settings, service, next).await
}

/// What is done where a rollback may have been cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is waited for, as it was begun.
    GoOn,
    /// It had begun without what the version's file said beside, which is asked for now.
    BeginAgain(Version),
    /// Another one begins: to this version, or to the one before.
    Begin(Option<Version>),
}

impl Step {
    fn after(begun: Option<GoingBack>, asked: Option<Version>, with_revision: bool) -> Self {
        match begun.filter(|begun| asked.is_none_or(|asked| asked == begun.version)) {
            None => Self::Begin(asked),
            Some(begun) if with_revision && !begun.revision => Self::BeginAgain(begun.version),
            Some(_) => Self::GoOn,
        }
    }
}

/// Deploys the version to go back to.
async fn begin(
    settings: &Settings,
    to: Rollback<'_>,
    before: &Deployment,
    who: Who,
) -> anyhow::Result<Deployment> {
    let next = before.rolled_back(to, now()).map_err(BadInput::new)?;
    check(settings, to.service, to.version, before, &next)?;
    if needs_egress(&next) {
        Programs::new(settings)?.egress(true).await?;
    }
    let deployments = Deployments::new(&settings.paths.state);
    let text = deployments.settings_text();
    let next = next.noted(before, (&text, &text), who, now());
    deployments.deploy(&next)?;
    Ok(next)
}

/// Waits until what was gone back to serves and has answered, and remembers that it did.
async fn finish(
    settings: &Settings,
    service: &ServiceName,
    next: Deployment,
) -> anyhow::Result<String> {
    let with_revision = next.going_back(service).is_some_and(|begun| begun.revision);
    rollout::wait(settings, &next, &[service], cure).await?;
    let services = next.readable().services;
    let deployed = services.iter().find(|deployed| deployed.spec.name == *service);
    let deployed = deployed.context("the service is deployed")?;
    let programs = Programs::new(settings)?;
    answer::wait(&[&deployed.spec], settings, &programs, &mut Progress::default()).await?;
    let version = deployed.wanted.version;
    let next = next.served([service]);
    Deployments::new(&settings.paths.state).deploy(&next)?;
    Ok(format!(
        "{service} is version {version} again{}. {}",
        if with_revision { ", with all that its file said then" } else { "" },
        next_deploy(&next, service)
    ))
}

/// What deploys another version.
fn next_deploy(deployment: &Deployment, service: &ServiceName) -> String {
    match deployment.origin(service) {
        Some(Origin::Api) => "The next deploy by the API deploys what is sent then.".to_owned(),
        Some(Origin::Folder(folder)) => {
            format!("`bellows deploy {}` deploys what is in that folder.", folder.display())
        }
        None => format!("The next `bellows up` deploys what services/{service}.toml says."),
    }
}

/// What to do about a version that was gone back to and did not serve either.
fn cure(service: &ServiceName) -> String {
    format!(
        "Go back to another one that `bellows versions {service}` lists, or mend {service} and deploy it again"
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
    let what = format!("version {version} of {service}");
    together::check(settings, (service, &what), before, next)
}

fn needs_egress(deployment: &Deployment) -> bool {
    deployment.readable().services.iter().any(|deployed| !deployed.spec.egress.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_that_was_cut_off_goes_on_unless_more_is_asked_for() {
        let [first, second] = [1, 2].map(Version::new);
        let begun = |revision| Some(GoingBack { version: first, revision });
        for (begun, asked, with_revision, step) in [
            (None, None, true, Step::Begin(None)),
            (None, Some(second), false, Step::Begin(Some(second))),
            (begun(false), None, false, Step::GoOn),
            (begun(false), Some(first), false, Step::GoOn),
            (begun(true), None, true, Step::GoOn),
            (begun(true), None, false, Step::GoOn),
            (begun(false), None, true, Step::BeginAgain(first)),
            (begun(false), Some(first), true, Step::BeginAgain(first)),
            (begun(false), Some(second), true, Step::Begin(Some(second))),
        ] {
            let after = Step::after(begun, asked, with_revision);
            assert_eq!(after, step, "{begun:?}, {asked:?}, {with_revision}");
        }
    }
}
