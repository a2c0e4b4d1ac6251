//! A service that is what its file says, by the API: of a shipped image, or with the image that it has.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail, ensure};
use host::command::HostRunner;
use host::deployments::{Deployment, Deployments, NewService, by_api};
use host::jobs::Replaced;
use host::lock::SharedLock;
use host::lxc::{Image, TemplateStore};
use host::secrets::SecretStore;
use host::settings::Settings;
use model::job::Stage;
use model::names::{ServiceName, TemplateName};
use model::service::ServiceSpec;
use model::version::Version;

use super::steps::{ensure, open_ways, rollout, serves, was_given_up};
use crate::clock::now;
use crate::error::BadInput;
use crate::job::Running;
use crate::operator;
use crate::progress::Progress;
use crate::release;
use crate::up::{images, together};

/// Has a service be what the file says; gives what serves then.
///
/// # Errors
/// With all that does not go with this host and the other services, before anything is made.
pub(crate) async fn from_file(
    settings: &Settings,
    running: &mut Running,
    file: &str,
    replaces: &Replaced,
) -> anyhow::Result<String> {
    let service = running.service()?;
    let spec: ServiceSpec = config_file::from_toml(format!("the file of {service}"), file)?;
    let made = make(settings, running, (&spec, file), replaces).await;
    let deployment = made.with_context(|| format!("{service} is not deployed"))?;
    let version = deployment.wanted(&service).map(|wanted| wanted.version);
    let version = version.context("the service is deployed")?;
    running.enter(Stage::Rollout)?;
    rollout(settings, &mut Progress::default(), &running.job, &spec, (&deployment, version))
        .await?;
    Ok(serves(settings, &spec, version))
}

async fn make(
    settings: &Settings,
    running: &mut Running,
    (spec, file): (&ServiceSpec, &str),
    replaces: &Replaced,
) -> anyhow::Result<Deployment> {
    let images = images::lock(settings);
    let _making = SharedLock::share_within(&images, operator::PATIENCE).await?;
    let deployments = Deployments::new(&settings.paths.state);
    let before = deployments.load()?;
    check_replaced(&before, &spec.name, replaces)?;
    check(settings, &before, spec, file)?;
    running.enter(Stage::Image)?;
    super::steps::give_ids(settings, spec).await?;
    let of = source(settings, &before, (spec, file)).await?;
    running.enter(Stage::Template)?;
    let _lock = operator::lock_within(settings).await?;
    let version = match of {
        Source::Version(version) => version,
        Source::Image(image) => {
            TemplateStore::new(settings, HostRunner).ensure(spec, &image).await?.version()
        }
    };
    // Something may have been deployed since.
    let before = deployments.load()?;
    check_replaced(&before, &spec.name, replaces)?;
    check(settings, &before, spec, file)?;
    let next = next(settings, &before, (spec, file), version).await?;
    let next = next.noted(&before, ("", ""), running.job.who.clone(), now());
    open_ways(settings, &before, spec).await?;
    deployments.deploy(&next)?;
    Ok(next)
}

/// Refuses to take the place of what was deployed since the file in force was read.
fn check_replaced(
    before: &Deployment,
    name: &ServiceName,
    replaces: &Replaced,
) -> anyhow::Result<()> {
    ensure!(
        replaces.is(before.file(name)),
        "the file of {name} was changed meanwhile: read it again, and send yours with its new ETag"
    );
    Ok(())
}

/// Refuses what does not go with this host and with what is deployed.
fn check(
    settings: &Settings,
    before: &Deployment,
    spec: &ServiceSpec,
    file: &str,
) -> anyhow::Result<()> {
    let problems = SecretStore::new(settings).problems(spec).into_iter().map(Into::into);
    BadInput(problems.collect()).or(())?;
    super::check::check_data(settings, before, spec)?;
    let new =
        NewService { name: &spec.name, file, version: Version::new(0), serving: None, again: true };
    let folder = owner(before, &spec.name)?;
    let next = before.clone().with_folder(&new, &folder, settings.versions_kept, now());
    together::check(settings, (&spec.name, "its file"), before, &next)
}

/// Whose the service is and stays: a folder's, or the API's.
fn owner(before: &Deployment, name: &ServiceName) -> anyhow::Result<PathBuf> {
    let of_folder = before.folders().find(|(taken, _)| *taken == name).map(|(_, folder)| folder);
    if of_folder.is_none() && before.names().any(|taken| taken == name) {
        bail!("services/{name}.toml describes {name}: change that file and run `bellows up`");
    }
    Ok(of_folder.unwrap_or(by_api()).to_owned())
}

/// What is deployed then.
async fn next(
    settings: &Settings,
    before: &Deployment,
    (spec, file): (&ServiceSpec, &str),
    version: Version,
) -> anyhow::Result<Deployment> {
    let (again, serving) = was_given_up(settings, &spec.name, version).await;
    let new = NewService { name: &spec.name, file, version, serving, again };
    let folder = owner(before, &spec.name)?;
    Ok(before.clone().with_folder(&new, &folder, settings.versions_kept, now()))
}

/// What the service is made of.
#[derive(Debug)]
enum Source {
    /// The version that it is already: what is new is in force without another one.
    Version(Version),
    /// This image.
    Image(Image),
}

/// The version of now where the file changes nothing that instances see. Who puts the same file again asks for it anew, as by a
/// deploy: this release may make another version of it, or there may be another image.
async fn source(
    settings: &Settings,
    before: &Deployment,
    (spec, file): (&ServiceSpec, &str),
) -> anyhow::Result<Source> {
    let unchanged = unchanged(settings, before, spec)?;
    if let Some(version) = unchanged.filter(|_| before.file(&spec.name) != Some(file)) {
        return Ok(Source::Version(version));
    }
    let deployed = before.readable().services.into_iter().find(|it| it.spec.name == spec.name);
    let Some(deployed) = deployed.filter(|it| it.spec.image == spec.image) else {
        return Ok(Source::Image(of_recipe(settings, spec).await?));
    };
    let version = deployed.wanted.version;
    let template = TemplateName::new(&spec.name, version);
    match (TemplateStore::new(settings, HostRunner).image(&template)?, unchanged) {
        (Some(image), _) => Ok(Source::Image(image)),
        _ if before.is_by_api(&spec.name) => Ok(Source::Image(of_recipe(settings, spec).await?)),
        (None, Some(version)) => Ok(Source::Version(version)),
        (None, None) => bail!(
            "its file changes what instances are given, and the image of version {version} is not known, since a release \
             before this one made it: deploy {0} again, and then put the file; what instances are not given, such as \
             bounds, policy and route, can be changed without",
            spec.name
        ),
    }
}

/// The version that is deployed, where instances of a new one would be given the same.
fn unchanged(
    settings: &Settings,
    before: &Deployment,
    spec: &ServiceSpec,
) -> anyhow::Result<Option<Version>> {
    let Some(version) = before.version_with(spec) else { return Ok(None) };
    let template = TemplateName::new(&spec.name, version);
    let is_as_if_new = TemplateStore::new(settings, HostRunner).is_as_if_new(&template, spec)?;
    Ok(is_as_if_new.then_some(version))
}

/// The image of the recipe that the file names.
async fn of_recipe(settings: &Settings, spec: &ServiceSpec) -> anyhow::Result<Image> {
    let recipe = release::recipe(&spec.image, settings).map_err(|error| {
        anyhow!(error).context(format!(
            "no image can be made of `{}`: use the name of a recipe that is shipped, such as object-store",
            spec.image.as_str()
        ))
    })?;
    recipe.check(&HostRunner, &spec.application).await?;
    ensure(&recipe, &images::folder(settings)).await
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::time::Timestamp;

    use super::*;

    #[test]
    fn a_service_stays_whose_it_is_and_a_files_is_left_to_that() {
        let (shop, store, new): (ServiceName, ServiceName, ServiceName) =
            ("shop".parse().unwrap(), "store".parse().unwrap(), "new".parse().unwrap());
        let service = |name| NewService {
            name,
            file: "",
            version: Version::new(1),
            serving: None,
            again: false,
        };
        let at = Timestamp::from_millis(1);
        let deployment = Deployment::default().followed_by(&[service(&store)], 3, at).with_folder(
            &service(&shop),
            Path::new("/home/anna/shop"),
            3,
            at,
        );
        let told = |name| owner(&deployment, name).map_err(|error| error.to_string());
        assert_eq!(told(&shop).unwrap(), Path::new("/home/anna/shop"));
        assert_eq!(told(&new).unwrap(), by_api());
        let changed = Replaced::File("another".to_owned());
        let refused = check_replaced(&deployment, &shop, &changed).unwrap_err().to_string();
        assert!(refused.starts_with("the file of shop was changed meanwhile"), "{refused}");
        assert!(check_replaced(&deployment, &shop, &Replaced::File(String::new())).is_ok());
        assert!(
            told(&store).unwrap_err().starts_with("services/store.toml describes store: change")
        );
    }

    /// A service that a folder deployed under a release that wrote down no image, and its file with this in the place of that.
    async fn put(old: &str, new: &str) -> Result<Version, String> {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.state = root.path().join("state");
        settings.paths.run = root.path().join("run");
        settings.paths.lxc = root.path().join("lxc");
        let now = include_str!("../../../../services/object-store.toml");
        let (name, version) = ("object-store".parse().unwrap(), Version::new(7));
        let template = settings.paths.lxc.join(TemplateName::new(&name, version).as_str());
        std::fs::create_dir_all(template).unwrap();
        let deployed = NewService { name: &name, file: now, version, serving: None, again: false };
        let folder = Path::new("/home/anna/store");
        let at = Timestamp::from_millis(1);
        let before = Deployment::default().with_folder(&deployed, folder, 3, at);
        assert!(now.contains(old), "{old}");
        let file = now.replacen(old, new, 1);
        let spec = config_file::from_toml("the file", &file).unwrap();
        match source(&settings, &before, (&spec, &file)).await {
            Ok(Source::Version(version)) => Ok(version),
            other => Err(format!("{other:?}")),
        }
    }

    #[tokio::test]
    async fn of_a_template_of_an_earlier_release_bounds_and_policy_change_without_another_version()
    {
        for (old, new) in [
            ("max = 10", "max = 20"),
            ("target_percent = 80", "target_percent = 60"),
            // Asked for once more.
            ("", ""),
        ] {
            assert_eq!(put(old, new).await, Ok(Version::new(7)), "{new}");
        }
        let told = put("memory_mib = 128", "memory_mib = 256").await.unwrap_err();
        let cure = "deploy object-store again, and then put the file; what instances are not given, such as bounds, \
                    policy and route, can be changed without";
        assert!(told.contains(cure), "{told}");
    }
}
