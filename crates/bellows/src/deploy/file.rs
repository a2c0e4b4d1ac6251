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
    let image = image(settings, &before, spec).await?;
    running.enter(Stage::Template)?;
    let _lock = operator::lock_within(settings).await?;
    let template = TemplateStore::new(settings, HostRunner).ensure(spec, &image).await?;
    // Something may have been deployed since.
    let before = deployments.load()?;
    check_replaced(&before, &spec.name, replaces)?;
    check(settings, &before, spec, file)?;
    let next = next(settings, &before, (spec, file), template.version()).await?;
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

/// The image of the version that was deployed last, where the file names the same; else that of a recipe.
async fn image(
    settings: &Settings,
    before: &Deployment,
    spec: &ServiceSpec,
) -> anyhow::Result<Image> {
    let deployed = before.readable().services.into_iter().find(|it| it.spec.name == spec.name);
    let templates = TemplateStore::new(settings, HostRunner);
    if let Some(deployed) = deployed.filter(|it| it.spec.image == spec.image) {
        let template = TemplateName::new(&spec.name, deployed.wanted.version);
        if let Some(image) = templates.image(&template)? {
            return Ok(image);
        }
        if !before.is_by_api(&spec.name) {
            bail!(
                "the image of version {} is not known, since a release before this one made it: deploy {} again",
                deployed.wanted.version,
                spec.name
            );
        }
    }
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
}
