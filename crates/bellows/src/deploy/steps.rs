//! The steps of a deploy, in their order.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use application::{Bounds, Chosen, Found, detect, read};
use command_line::terminal;
use host::build::{Application, Builds};
use host::command::HostRunner;
use host::deployments::{Deployment, Deployments, NewService};
use host::deploys::DeployFiles;
use host::id_map::IdMap;
use host::id_ranges::IdRanges;
use host::jobs::{DeployWords, Job, Work};
use host::lock::{Lock, SharedLock};
use host::lxc::{Image, ImageError, Recipe, TemplateStore};
use host::network::Network;
use host::rehearsal::Rehearsals;
use host::settings::Settings;
use host::trace;
use model::failure::Failure;
use model::job::Stage;
use model::names::{ServiceName, TemplateName};
use model::output::harmless;
use model::service::{Route, ServiceSpec};
use model::time::Timestamp;
use model::version::{Rollout, Version};
use tokio::time::{Instant, sleep};

use super::{health, owner};
use crate::clock::now;
use crate::job::Running;
use crate::operator;
use crate::programs::{Programs, needs_egress};
use crate::progress::{Outcome, Progress};
use crate::release;
use crate::scaler;
use crate::up::{answer, images, rollout, sweep, together};

/// Time between two tries to have an image there that somebody else makes.
const PAUSE: Duration = Duration::from_secs(1);

/// What the steps work on.
pub(super) struct Steps<'a> {
    settings: &'a Settings,
    files: &'a DeployFiles,
    running: &'a mut Running,
    words: DeployWords,
    service: ServiceName,
    progress: Progress,
}

/// What the image of an application is made of.
struct Source {
    found: Found,
    chosen: Chosen,
}

impl<'a> Steps<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        files: &'a DeployFiles,
        running: &'a mut Running,
        words: DeployWords,
    ) -> Self {
        let service = files.service().clone();
        Self { settings, files, running, words, service, progress: Progress::default() }
    }

    /// Takes all of them; says what serves then.
    ///
    /// # Errors
    /// With what went wrong. Whatever served before goes on to serve.
    pub(super) async fn take(mut self) -> anyhow::Result<String> {
        let made = self.make().await;
        let (spec, deployment) =
            made.with_context(|| format!("{} is not deployed", self.service))?;
        self.files.remove_source()?;
        self.enter(Stage::Rollout)?;
        let version = deployment.wanted(&spec.name).map(|wanted| wanted.version);
        let version = version.context("the service is deployed")?;
        let deployed = (&deployment, version);
        rollout(self.settings, &mut self.progress, &self.running.job, &spec, deployed).await?;
        Ok(serves(self.settings, &spec, version))
    }

    /// Makes the version, and has the scaler serve it.
    async fn make(&mut self) -> anyhow::Result<(ServiceSpec, Deployment)> {
        let images = images::lock(self.settings);
        let _making = SharedLock::share_within(&images, operator::PATIENCE).await?;
        self.enter(Stage::Image)?;
        let source = self.source()?;
        let image = self.image(&source).await?;
        self.health(&image).await?;
        let spec = self.spec()?;
        self.enter(Stage::Template)?;
        let deployment = self.template_and_record(&spec, &image).await?;
        Ok((spec, deployment))
    }

    fn enter(&mut self, stage: Stage) -> anyhow::Result<()> {
        self.running.job.work = Work::Deploy(self.words.clone());
        self.running.enter(stage)
    }

    fn spec(&self) -> anyhow::Result<ServiceSpec> {
        let place = format!("the file of {}", self.service);
        Ok(config_file::from_toml(place, &self.words.file)?)
    }

    /// What was laid out when the deploy was asked for.
    fn source(&self) -> anyhow::Result<Source> {
        let found = read(&self.files.source(), Bounds { entries: usize::MAX, bytes: u64::MAX })?;
        let chosen = detect(&found, self.words.command.as_deref())?;
        Ok(Source { found, chosen })
    }

    /// Has the image there, and before it what it stands on.
    async fn image(&mut self, Source { found, chosen }: &Source) -> anyhow::Result<Image> {
        let spec = self.spec()?;
        let service = &self.service;
        let recipe = release::recipe(&spec.image, self.settings)?;
        give_ids(self.settings, &spec).await?;
        let folder = images::folder(self.settings);
        let mut base = None;
        let made = async {
            base = Some(ensure(&recipe, &folder).await?);
            Ok(Outcome::Unchanged)
        };
        self.progress.step("userland", made).await?;
        let base = base.context("the userland is there")?;
        let builds = Builds::new(self.settings, HostRunner);
        let application = Application { service, found, chosen, base: &base, recipe: &recipe };
        let build = builds
            .build_application(&application, |line| terminal::note(format_args!("  | {line}")));
        Ok(trace::step("image", build).await?)
    }

    /// Looks for how an instance shows that it can serve, where the file does not say.
    async fn health(&mut self, image: &Image) -> anyhow::Result<()> {
        if self.words.says_health {
            return Ok(());
        }
        self.enter(Stage::Health)?;
        let spec = self.spec()?;
        let patience = spec.launch_timeout(self.settings.scaler.launch_timeout);
        let rehearsals = Rehearsals::new(self.settings, HostRunner);
        let found = rehearsals.find_health(&spec, image, patience, |_| ());
        let found = trace::step("health", found).await?;
        terminal::note(format_args!("  {}", health::told(&found, spec.instance.port)));
        self.words.file = health::said(&self.words.file, &found);
        Ok(())
    }

    /// Makes the template, and has the scaler serve it.
    async fn template_and_record(
        &mut self,
        spec: &ServiceSpec,
        image: &Image,
    ) -> anyhow::Result<Deployment> {
        let _lock: Lock = operator::lock_within(self.settings).await?;
        let templates = TemplateStore::new(self.settings, HostRunner);
        let template = trace::step("template", templates.ensure(spec, image)).await?;
        let deployments = Deployments::new(&self.settings.paths.state);
        let before = deployments.load()?;
        owner::check(&before, &spec.name, &self.words.folder, self.words.replaces)?;
        let next = self.next(&before, &template).await;
        let what = self.words.folder.display().to_string();
        together::check(self.settings, (&spec.name, &what), &before, &next)?;
        open_ways(self.settings, &before, spec).await?;
        deployments.deploy(&next)?;
        Ok(next)
    }

    /// What is deployed then.
    async fn next(&self, before: &Deployment, template: &TemplateName) -> Deployment {
        let DeployWords { folder, file, .. } = &self.words;
        let version = template.version();
        let (again, serving) = was_given_up(self.settings, &self.service, version).await;
        let new = NewService { name: &self.service, file, version, serving, again };
        let next = before.clone().with_folder(&new, folder, self.settings.versions_kept, now());
        next.noted(before, ("", ""), self.running.job.who.clone(), now())
    }
}

/// Gives a service its ids, which is done for one at a time: later steps find them.
pub(super) async fn give_ids(settings: &Settings, spec: &ServiceSpec) -> anyhow::Result<()> {
    let _lock = operator::lock_within(settings).await?;
    let ranges = IdRanges::new(settings);
    ranges.ensure_builds()?;
    let range = ranges.ensure(spec)?;
    IdMap::of_host(&settings.paths.state, range).ensure()?;
    images::close(settings)?;
    Ok(())
}

/// Whether this version of a service was given up when it was deployed last, and which one serves.
pub(super) async fn was_given_up(
    settings: &Settings,
    service: &ServiceName,
    version: Version,
) -> (bool, Option<Version>) {
    let rollout = scaler::rollouts(settings).await.remove(service);
    let again = matches!(&rollout, Some(Rollout::GivenUp { next, .. }) if next.version == version);
    (again, rollout.as_ref().map(Rollout::serving))
}

/// Opens the way of others to a service that takes connections, and the way out where it has one.
pub(super) async fn open_ways(
    settings: &Settings,
    before: &Deployment,
    spec: &ServiceSpec,
) -> anyhow::Result<()> {
    let deployed = before.readable().services;
    let others = deployed.iter().map(|deployed| &deployed.spec).filter(|it| it.name != spec.name);
    Network::new(settings, HostRunner).serving(others.chain([spec])).ensure().await?;
    if !spec.egress.is_none() || needs_egress(settings) {
        Programs::new(settings)?.egress(true).await?;
    }
    Ok(())
}

/// Waits until a version that a job deployed serves and has answered, and remembers that it did.
pub(super) async fn rollout(
    settings: &Settings,
    progress: &mut Progress,
    job: &Job,
    spec: &ServiceSpec,
    (deployment, version): (&Deployment, Version),
) -> anyhow::Result<()> {
    let service = &spec.name;
    let of_service = [service];
    let rolled_out = rollout::wait(settings, deployment, &of_service, cure);
    trace::step("rollout", rolled_out).await?;
    let answered = answer::wait_alone(&[spec], settings, progress).await;
    if let Err(error) = answered {
        let failure = last_failure(settings, service, job.begun_at).await;
        let told = format!("{service} is deployed as version {version}, and does not serve");
        return Err(anyhow!("{told}: {}", not_serving(&error, failure.as_ref())));
    }
    let _lock = operator::lock_within(settings).await?;
    let deployments = Deployments::new(&settings.paths.state);
    let now = deployments.load()?;
    // Somebody may have deployed another one meanwhile.
    let now = match now.wanted(service) == deployment.wanted(service) {
        true => now.served([service]),
        false => now,
    };
    deployments.deploy(&now)?;
    let unused = sweep::remove_unused(settings, &now);
    let removed = progress.step("old versions", unused).await;
    removed
        .with_context(|| format!("{service} serves as version {version}, and something old stays"))
}

/// Has the image of a recipe there, and waits for who else makes it.
pub(super) async fn ensure(recipe: &Recipe, images: &Path) -> anyhow::Result<Image> {
    let started = Instant::now();
    loop {
        match recipe.ensure(&HostRunner, images).await {
            Err(ImageError::UnderWay { .. }) if started.elapsed() < operator::PATIENCE => {
                sleep(PAUSE).await;
            }
            made => return Ok(made?),
        }
    }
}

/// What went wrong last with an instance of a service since then, as far as the scaler knows.
async fn last_failure(
    settings: &Settings,
    service: &ServiceName,
    since: Timestamp,
) -> Option<Failure> {
    let status = scaler::client(settings).ok()?.service(service.as_str()).await.ok()?;
    status.last_failure.filter(|failure| failure.at >= since)
}

/// Why nobody answers: what failed with the last instance rather than that there is none, with what it wrote.
fn not_serving(error: &anyhow::Error, failure: Option<&Failure>) -> String {
    let Some(Failure { problem, last_lines, .. }) = failure else { return format!("{error:#}") };
    let lines = last_lines.iter().map(|line| format!("\n    {}", harmless(line)));
    format!("{problem}. Mend it and deploy it again{}", lines.collect::<String>())
}

/// What to do about a version that was gone back from.
fn cure(_: &ServiceName) -> String {
    "Mend the application, and deploy it again".to_owned()
}

/// What serves, and where it is asked.
pub(super) fn serves(settings: &Settings, spec: &ServiceSpec, version: Version) -> String {
    let name = &spec.name;
    match spec.route() {
        None => format!("{name} serves as version {version}, for services that reach it"),
        Some(Route { host, path_prefix, .. }) => {
            let url = format!("http://{}{path_prefix}", settings.listen.services);
            let host = host.as_ref().map(|host| format!(" (Host: {host})")).unwrap_or_default();
            format!("{name} serves as version {version} at {url}{host}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_first_version_does_not_serve_is_what_failed_and_what_it_wrote() {
        let error = anyhow!("the route /shop got no good answer: HAProxy answered 503");
        assert_eq!(not_serving(&error, None), error.to_string());
        let failure = Failure {
            at: Timestamp::from_millis(1),
            instance: "bw-shop-1-a".parse().unwrap(),
            problem: "its launch failed: it listens on 127.0.0.1:8000 alone".to_owned(),
            last_lines: vec!["no DATABASE_URL\u{1b}".to_owned()],
        };
        let told = not_serving(&error, Some(&failure));
        assert_eq!(
            told,
            "its launch failed: it listens on 127.0.0.1:8000 alone. Mend it and deploy it again\n    no DATABASE_URL\\u{1b}"
        );
    }
}
