//! What is refused before anything is made of an application.

use std::fs;

use anyhow::anyhow;
use host::deployments::{Deployment, Deployments, NewService};
use host::secrets::SecretStore;
use host::settings::Settings;
use model::service::ServiceSpec;
use model::version::Version;

use super::application::Application;
use super::owner;
use crate::clock::now;
use crate::error::BadInput;
use crate::up::together;

/// Refuses what does not go with this host and with what is deployed, before anything is made of it.
pub(super) fn check(
    settings: &Settings,
    application: &Application,
    replaces: bool,
) -> anyhow::Result<()> {
    let Application { spec, folder, file, .. } = application;
    let before = Deployments::new(&settings.paths.state).load()?;
    owner::check(&before, &spec.name, folder, replaces).map_err(BadInput::new)?;
    check_data(settings, &before, spec)?;
    let problems = SecretStore::new(settings).problems(spec).into_iter().map(Into::into);
    BadInput(problems.collect()).or(())?;
    // Whichever version it becomes.
    let version = Version::new(0);
    let new = NewService { name: &spec.name, file, version, serving: None, again: true };
    let next = before.clone().with_folder(&new, folder, settings.versions_kept, now());
    together::check(settings, (&spec.name, &folder.display().to_string()), &before, &next)
}

/// Refuses a service that would find what another one left in a folder of the host: its own it may find again.
pub(super) fn check_data(
    settings: &Settings,
    before: &Deployment,
    spec: &ServiceSpec,
) -> anyhow::Result<()> {
    let deployed = before.deployed().unwrap_or_default();
    let own = deployed.iter().find(|it| it.spec.name == spec.name);
    let own = own.into_iter().flat_map(|it| it.versions.values().chain([&it.spec.instance]));
    let own: Vec<_> = own.flat_map(|instance| &instance.mounts).map(|it| &it.source).collect();
    let holds_something = |source: &str| {
        let entries = fs::read_dir(settings.paths.state.join(source));
        entries.is_ok_and(|mut entries| entries.next().is_some())
    };
    let mounts = spec.instance.mounts.iter().filter(|mount| !mount.shared);
    let others = mounts.filter(|mount| Some(mount.source.as_str()) != spec.own_folder());
    let found = others.filter(|it| !own.contains(&&it.source) && holds_something(&it.source));
    let problems = found.map(|mount| {
        anyhow!(
            "instance.mounts names {}, which holds data of before: name another folder, or say shared = true where \
             it is to have them",
            mount.source
        )
    });
    Ok(BadInput(problems.collect()).or(())?)
}
