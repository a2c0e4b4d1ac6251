//! The steps of `up`, in their order. Each makes sure of one thing and says whether it had to.

use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use command_line::terminal;
use host::accounts::{CONSOLE, EGRESS, OPERATORS};
use host::command::HostRunner;
use host::deployments::{
    DeployedService, Deployment, DeploymentError, Deployments, NewService, Origin,
};
use host::haproxy::{Backends, Haproxy};
use host::id_map::IdMap;
use host::id_ranges::IdRanges;
use host::lxc::{Recipe, TemplateStore, close_shared_folders};
use host::network::Network;
use host::releases::Releases;
use host::settings::Settings;
use model::names::{ServiceName, TemplateName};
use model::service::ServiceSpec;
use model::version::Rollout;

use crate::clock::now;
use crate::deployed;
use crate::error::BadInput;
use crate::operator::who_calls;
use crate::programs::Programs;
use crate::progress::{Outcome, Progress};
use crate::release::{self, RECIPES};
use crate::scaler;
use crate::tree::{self, ServiceFile, Tree};
use crate::up::{answer, images, rollout, sweep};

/// What the steps work on.
pub(super) struct Steps<'a> {
    tree: &'a Tree,
    /// How the image of each service is made, in the services' order.
    recipes: Vec<Recipe>,
    settings: &'a Settings,
    deployments: Deployments,
    templates: TemplateStore<HostRunner>,
    programs: &'a Programs,
}

impl<'a> Steps<'a> {
    /// The steps by which the release in force is to serve the tree, with these programs.
    pub(super) fn new(tree: &'a Tree, programs: &'a Programs) -> anyhow::Result<Self> {
        let settings = &tree.settings;
        let release = Releases::new(&settings.paths.state).current();
        let deployments = Deployments::new(&settings.paths.state);
        Ok(Self {
            tree,
            recipes: recipes(tree, &release)?,
            settings,
            templates: TemplateStore::new(settings, HostRunner),
            programs,
            deployments,
        })
    }

    /// Takes all steps up to what runs; gives what is deployed then.
    pub(super) async fn take(&self, progress: &mut Progress) -> anyhow::Result<Deployment> {
        progress.step("accounts", accounts()).await?;
        progress.step("id ranges", async { self.id_ranges() }).await?;
        progress.step("network", self.network()).await?;
        progress.step("images", async { images::close(self.settings) }).await?;
        let mut templates = Vec::new();
        for (service, recipe) in self.tree.services.iter().zip(&self.recipes) {
            progress.step("template", self.template(service, recipe, &mut templates)).await?;
        }
        progress.step("haproxy", self.haproxy()).await?;
        progress.step("egress", self.programs.egress(self.tree.needs_egress())).await?;
        let mut deployment = Deployment::default();
        progress.step("deployment", self.deployment(&templates, &mut deployment)).await?;
        progress.step("scaler", self.programs.scaler()).await?;
        progress.step("console", self.console()).await?;
        Ok(deployment)
    }

    /// It is a program that is kept running however it does, so it is asked whether it answers.
    async fn console(&self) -> anyhow::Result<Outcome> {
        let outcome = self.programs.console(self.settings).await?;
        if let Err(error) = answer::console(self.settings.listen.api).await {
            let logs = self.programs.last_lines().await;
            bail!("{error:#}. Look at these last lines of the logs:\n{logs}")
        }
        Ok(outcome)
    }

    fn id_ranges(&self) -> anyhow::Result<Outcome> {
        let ranges = IdRanges::new(self.settings);
        let mut added = Vec::new();
        for ServiceFile { spec, .. } in &self.tree.services {
            let range = ranges.ensure(spec)?;
            if IdMap::of_host(&self.settings.paths.state, range).ensure()? {
                added.push(format!("{} to {}", range.first, range.first + (range.count - 1)));
            }
        }
        self.close_shared_folders(&ranges)?;
        Ok(Outcome::changed_if(!added.is_empty(), format!("root may map {}", added.join(", "))))
    }

    /// Closes what instances of these services share, and of those that are deployed: an instance of an earlier
    /// version may have other users than one of the next.
    fn close_shared_folders(&self, ranges: &IdRanges) -> anyhow::Result<()> {
        let roots = ranges.given()?.values().map(|range| range.first).collect();
        let deployed = self.deployed();
        let kept = deployed.iter().flat_map(|deployed| deployed.versions.values());
        let instances = self.tree.services.iter().map(|file| &file.spec.instance).chain(kept);
        Ok(close_shared_folders(&self.settings.paths.state, &roots, instances)?)
    }

    /// What is deployed until the deployment of this `up`; nothing where that cannot be read.
    fn deployed(&self) -> Vec<DeployedService> {
        let deployed = self.deployments.load().map(|deployment| deployment.readable().services);
        deployed.unwrap_or_default()
    }

    /// What stays of a deployment that cannot be read as a whole; what is lost is told.
    fn salvaged(&self) -> Deployment {
        let Some((deployment, lost)) = self.deployments.salvaged() else {
            terminal::note(
                "  what was deployed before cannot be read: deploy again what has no file in services/",
            );
            return Deployment::default();
        };
        for (service, folder) in lost {
            let origin = Origin::of(&folder);
            terminal::note(format_args!(
                "  what was deployed of {service} {origin} cannot be read: deploy it again"
            ));
        }
        deployment
    }

    async fn network(&self) -> anyhow::Result<Outcome> {
        let network = &self.settings.network;
        // Ports of services that are deployed stay open until the next time: this one may yet fail.
        let deployed = self.deployed();
        let services = self.tree.services.iter().map(|file| &file.spec);
        let services = services.chain(deployed.iter().map(|deployed| &deployed.spec));
        let made = Network::new(self.settings, HostRunner).serving(services).ensure().await?;
        Ok(Outcome::changed_if(made, format!("bridge {} with {}", network.bridge, network.subnet)))
    }

    /// Makes the image and the template of a service, and notes the template's name.
    async fn template(
        &self,
        service: &ServiceFile,
        recipe: &Recipe,
        templates: &mut Vec<TemplateName>,
    ) -> anyhow::Result<Outcome> {
        let image = recipe.ensure(&HostRunner, &images::folder(self.settings)).await?;
        let before = self.templates.list()?;
        let name = self.templates.ensure(&service.spec, &image).await?;
        let outcome = Outcome::changed_if(!before.contains(&name), format!("made {name}"));
        templates.push(name);
        Ok(outcome)
    }

    /// Deploys the services, which the scaler notices at its next tick. The settings it reads at its
    /// start only, so it is ended before they change: were `up` ended in between, the next one would
    /// find the settings as they should be, and a scaler that never read them. They come last, so that
    /// the same end would lose no note of what they changed.
    async fn deployment(
        &self,
        templates: &[TemplateName],
        deployment: &mut Deployment,
    ) -> anyhow::Result<Outcome> {
        deployed::link(self.settings)?;
        let rollouts = scaler::rollouts(self.settings).await;
        let mut changes = Vec::new();
        let settings_before = self.deployments.settings_text();
        if !self.deployments.settings_are(&self.tree.settings_text) {
            self.programs.stop_scaler().await?;
            changes.push("settings".to_owned());
        }
        let services = self.tree.services.iter().zip(templates).map(|(service, template)| {
            let (name, version) = (&service.spec.name, template.version());
            let rollout = rollouts.get(name);
            let given_up = matches!(
                rollout, Some(Rollout::GivenUp { next, .. }) if next.version == version
            );
            let serving = rollout.map(Rollout::serving);
            NewService { name, file: &service.text, version, serving, again: given_up }
        });
        let before = match self.deployments.load() {
            // One that this release cannot read is replaced, as its message says.
            Err(DeploymentError::Form { .. }) => self.salvaged(),
            read => read?,
        };
        refuse_taken(self.tree, &before)?;
        let services: Vec<_> = services.collect();
        let settings = (settings_before.as_str(), self.tree.settings_text.as_str());
        let next = before.followed_by(&services, self.settings.versions_kept, now());
        *deployment = next.noted(&before, settings, who_calls(), now());
        changes.extend(deployment.changes(&before));
        self.deployments.deploy(deployment)?;
        self.deployments.deploy_settings(&self.tree.settings_text)?;
        Ok(Outcome::changed_if(!changes.is_empty(), changes.join(", ")))
    }

    /// Waits until all that is deployed serves, and has answered.
    ///
    /// # Errors
    /// A version was given up, or nobody answers.
    pub(super) async fn try_out(
        &self,
        deployment: &Deployment,
        progress: &mut Progress,
    ) -> anyhow::Result<()> {
        progress.step("versions", self.trials(deployment)).await?;
        let old = sweep::remove_unused(self.settings, deployment);
        progress.step("old versions", old).await?;
        answer::wait(&self.tree.specs(), self.settings, self.programs, progress).await
    }

    /// Waits until every service of the tree serves as it was deployed, or was given up.
    /// What was deployed from folders has a job of its own to wait for it.
    async fn trials(&self, deployment: &Deployment) -> anyhow::Result<Outcome> {
        let services: Vec<_> = self.tree.names().collect();
        rollout::wait(self.settings, deployment, &services, cure).await
    }

    /// Remembers what has served of the tree, so that it can be gone back to: all of it where this `up` ended well, and else what does not suffer from what failed.
    pub(super) async fn served(
        &self,
        deployment: Deployment,
        ended_well: bool,
    ) -> anyhow::Result<()> {
        let mut services: Vec<_> = self.tree.names().collect();
        if !ended_well {
            services = rollout::serving(self.settings, &deployment, services).await;
        }
        self.deployments.deploy(&deployment.served(services))?;
        Ok(())
    }

    /// HAProxy starts with no services: the scaler, which knows the slots, brings them in. It comes
    /// before the records, by which the next `up` would tell that the ports moved, were this one
    /// ended in between.
    async fn haproxy(&self) -> anyhow::Result<Outcome> {
        let ports_moved = deployed::settings(self.settings)
            .is_some_and(|deployed| balanced(&deployed) != balanced(self.settings));
        if ports_moved {
            // It would write the file that HAProxy is about to read, with the ports of before.
            self.programs.stop_scaler().await?;
            // It may have the one that is to be HAProxy's.
            self.programs.stop_console().await?;
        }
        let settings = host::haproxy::HaproxySettings::of_host(self.settings)?;
        let file_is_there = settings.config_file.as_path().exists();
        if !file_is_there || ports_moved {
            let haproxy = Haproxy::new(settings)?;
            haproxy.follow_certificate().await?;
            haproxy.prepare(&Backends::default()).await?;
        }
        self.programs.haproxy().await
    }
}

/// Refuses a tree with a service that is deployed from a folder, be it one that cannot be used, which the tree does
/// not know.
fn refuse_taken(tree: &Tree, before: &Deployment) -> Result<(), BadInput> {
    let taken = before.folders().filter(|(name, _)| tree.names().any(|own| own == *name));
    let problem = |(name, folder): (&ServiceName, &Path)| tree::taken(name, Origin::of(folder));
    BadInput(taken.map(problem).collect()).or(())
}

/// What to do about a version that did not come to serve.
fn cure(service: &ServiceName) -> String {
    format!("Mend services/{service}.toml or its image, and run `bellows up` again")
}

/// Where HAProxy listens.
fn balanced(settings: &Settings) -> [Option<SocketAddrV4>; 3] {
    let tls = settings.tls.as_ref().map(|tls| tls.listen);
    [Some(settings.listen.services), Some(settings.listen.statistics), tls]
}

/// The group of the operators and the users of the console and of the way out.
async fn accounts() -> anyhow::Result<Outcome> {
    let made = host::accounts::ensure(&HostRunner).await?;
    Ok(Outcome::changed_if(made, format!("group {OPERATORS}, users {CONSOLE} and {EGRESS}")))
}

/// Has each service's own program check the configuration that its instances will be given, and sees that the
/// programs are there which make its image.
pub(super) async fn check_applications(tree: &Tree) -> anyhow::Result<()> {
    let recipes = recipes(tree, &release::programs_folder()?)?;
    let mut problems = BadInput::default();
    for (ServiceFile { spec, .. }, recipe) in tree.services.iter().zip(&recipes) {
        let made = recipe.check_needs(&images::folder(&tree.settings));
        let checked = recipe.check(&HostRunner, &spec.application).await;
        let place = || format!("services/{}.toml", spec.name);
        let results = [made, checked].map(|result| result.with_context(place));
        problems.0.extend(results.into_iter().filter_map(Result::err));
    }
    Ok(problems.or(())?)
}

/// Reads the recipe of each service's image: the tree's own, or else that of this release, and so for what the
/// image stands on. `programs` is the folder of the programs that go into images.
fn recipes(tree: &Tree, programs: &Path) -> anyhow::Result<Vec<Recipe>> {
    let mut recipes = Vec::new();
    let mut problems = BadInput::default();
    let folders = [tree.root.clone(), release::programs_folder()?].map(|root| root.join(RECIPES));
    for ServiceFile { spec: ServiceSpec { name, image, .. }, .. } in &tree.services {
        match Recipe::load(image, &folders, programs) {
            Ok(recipe) => recipes.push(recipe),
            Err(error) => problems.0.push(anyhow!(error).context(format!(
                "service {name}: no image can be made of `{image}`: use the name of a recipe in rootfs/"
            ))),
        }
    }
    Ok(problems.or(recipes)?)
}

#[cfg(test)]
mod tests {
    use host::deployments::{Past, by_api};
    use model::version::Version;

    use super::*;
    use crate::deployed::OfFolder;

    const STORE: &str = include_str!("../../../../services/object-store.toml");

    /// A tree with the object store, on a host of these settings, beside a service that is deployed from a folder.
    fn tree(settings: Settings) -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned();
        let spec = config_file::from_toml("object-store.toml", STORE).unwrap();
        let spec_of_folder = config_file::from_toml("shop.toml", &shop()).unwrap();
        let of_folders = vec![OfFolder { spec: spec_of_folder, folder: "/home/anna/shop".into() }];
        let services = vec![ServiceFile { spec, text: STORE.to_owned() }];
        Tree { root, settings, settings_text: String::new(), services, of_folders }
    }

    fn shop() -> String {
        STORE.replacen("name = \"object-store\"", "name = \"shop\"", 1).replacen(
            "path_prefix = \"/\"",
            "path_prefix = \"/shop\"",
            1,
        )
    }

    fn new<'a>(name: &'a ServiceName, file: &'a str) -> NewService<'a> {
        NewService { name, file, version: Version::new(1), serving: None, again: false }
    }

    #[test]
    fn a_service_of_a_folder_that_cannot_be_read_is_not_replaced_by_one_of_its_name() {
        let tree = tree(Settings::default());
        let with = |name: &str, folder: &Path| {
            let name = name.parse().unwrap();
            Deployment::default().with_folder(&new(&name, "colour = 1"), folder, 3, now())
        };
        let of_anna = Path::new("/home/anna/shop");
        refuse_taken(&tree, &with("shop", of_anna)).unwrap();
        for (folder, told) in [(of_anna, "from /home/anna/shop: "), (by_api(), "by the API: ")] {
            let error = refuse_taken(&tree, &with("object-store", folder)).unwrap_err().to_string();
            assert!(error.contains(&format!("object-store is deployed {told}")), "{error}");
        }
    }

    #[tokio::test]
    async fn an_up_that_ends_well_says_nothing_of_what_was_deployed_from_folders() {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.state = state.path().to_owned();
        let tree = tree(settings);
        let steps = Steps {
            tree: &tree,
            recipes: Vec::new(),
            settings: &tree.settings,
            templates: TemplateStore::new(&tree.settings, HostRunner),
            programs: &Programs::new(&tree.settings).unwrap(),
            deployments: Deployments::new(state.path()),
        };
        let (store, shop_name) =
            (tree.services[0].spec.name.clone(), &tree.of_folders[0].spec.name);
        let deployment = Deployment::default()
            .with_folder(&new(shop_name, &shop()), Path::new("/home/anna/shop"), 3, now())
            .followed_by(&[new(&store, STORE)], 3, now());
        steps.served(deployment, true).await.unwrap();
        let deployed = steps.deployments.load().unwrap();
        let past = |name| deployed.kept(name).unwrap()[0].past;
        assert_eq!((past(&store), past(shop_name)), (Some(Past::Served), None));
    }
}
