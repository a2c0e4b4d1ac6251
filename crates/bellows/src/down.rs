//! `bellows down`: removes what Bellows made and nothing else, from any half-made state.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use command_line::terminal;
use futures_util::future::join_all;
use host::build::Builds;
use host::command::HostRunner;
use host::deployments::Deployments;
use host::deploys::Deploys;
use host::files::file_error;
use host::id_map::IdMap;
use host::jobs::Jobs;
use host::lxc::{
    Containers, LxcContainers, TemplateStore, container_states, remove_layers, remove_profiles,
    remove_secrets, remove_shared_folder, shared_folders_below,
};
use host::network::Network;
use host::rehearsal::Rehearsals;
use host::settings::Settings;
use model::names::{InstanceName, ServiceName};
use model::service::ScaleIn;

use crate::doctor::require_root;
use crate::experiment;
use crate::operator;
use crate::programs::Programs;
use crate::progress::{Outcome, Progress};
use crate::secret;

/// Takes everything down in the order in which nothing is left that could make something anew.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    require_root()?;
    let _lock = operator::lock(settings).await?;
    // While one goes on, what is removed here would be made anew.
    Deploys::new(&settings.paths.state).remove_all()?;
    let programs = Programs::new(settings)?;
    let mut progress = Progress::default();
    // Its load is for what goes down, and what it set is put back while there is somebody to tell.
    progress.step("experiment", experiment::end(settings)).await?;
    progress.step("console", programs.remove_console()).await?;
    progress.step("scaler", programs.remove_scaler()).await?;
    progress.step("egress", programs.remove_egress()).await?;
    progress.step("haproxy", programs.remove_haproxy()).await?;
    progress.step("instances", instances(settings)).await?;
    progress.step("builds", builds(settings)).await?;
    progress.step("rehearsals", rehearsals(settings)).await?;
    progress.step("templates", templates(settings)).await?;
    progress.step("apparmor", async { apparmor() }).await?;
    progress.step("network", network(settings)).await?;
    progress.step("mounts", mounts(settings)).await?;
    progress.step("records", async { records(settings) }).await?;
    progress.step("id ranges", async { id_ranges(settings) }).await?;
    let run = &settings.paths.run;
    fs::remove_dir_all(run).map_err(file_error("remove", run))?;
    match progress.changes {
        0 => terminal::print_line("Bellows is down: nothing had to be removed."),
        _ => terminal::print_line(format_args!(
            "Bellows is down. Stored objects stay in {}.",
            objects(settings)
        )),
    }
    Ok(())
}

fn objects(settings: &Settings) -> String {
    settings.paths.state.join("objects").display().to_string()
}

async fn instances(settings: &Settings) -> anyhow::Result<Outcome> {
    if !settings.paths.lxc.exists() {
        return Ok(Outcome::Unchanged);
    }
    let containers = LxcContainers::new(settings)?;
    let graces = stop_graces(settings);
    let mut removed = 0;
    loop {
        // Looked for again until there are none: a launch that the scaler began before it ended may
        // only now show.
        let ours = instances_on_host(settings, &containers)?;
        if ours.is_empty() {
            return Ok(Outcome::changed_if(removed > 0, format!("{removed} removed")));
        }
        removed += ours.len();
        // Side by side, so that all of them take as long as the longest grace and not its sum.
        let stops = ours.iter().map(|instance| {
            let grace = graces.get(instance.service()).copied();
            containers.stop(instance, grace.unwrap_or(ScaleIn::DEFAULT_STOP_GRACE))
        });
        join_all(stops).await.into_iter().collect::<Result<Vec<()>, _>>()?;
    }
}

/// How long the instances of each service that is deployed may take to end. A deployment that cannot
/// be read is no reason to leave anything up.
fn stop_graces(settings: &Settings) -> BTreeMap<ServiceName, Duration> {
    let deployment = Deployments::new(&settings.paths.state).load();
    let services = deployment.map(|deployment| deployment.readable().services).unwrap_or_default();
    services
        .into_iter()
        .map(|service| (service.spec.name, service.spec.scale_in.stop_grace))
        .collect()
}

/// The instances that have a folder, and those of which only control groups are left.
fn instances_on_host(
    settings: &Settings,
    containers: &LxcContainers,
) -> anyhow::Result<Vec<InstanceName>> {
    let listed = container_states(&settings.paths.lxc)?;
    let mut ours: Vec<_> = listed.iter().filter_map(|(name, _)| name.parse().ok()).collect();
    ours.extend(containers.remnants()?);
    Ok(ours)
}

async fn templates(settings: &Settings) -> anyhow::Result<Outcome> {
    if !settings.paths.lxc.exists() {
        return Ok(Outcome::Unchanged);
    }
    let store = TemplateStore::new(settings, HostRunner);
    let ours = store.list()?;
    for template in &ours {
        store.remove(template).await?;
    }
    let drafts = store.remove_drafts()?;
    // The newest stay. Without a template, no other is of use.
    secret::sweep(settings)?;
    let count = ours.len() + drafts;
    Ok(Outcome::changed_if(count > 0, format!("{count} removed")))
}

/// Ends builds whose caller was killed, and removes what all of them kept for the next.
async fn builds(settings: &Settings) -> anyhow::Result<Outcome> {
    let removed = Builds::new(settings, HostRunner).remove_all().await?;
    Ok(Outcome::changed_if(removed > 0, format!("{removed} removed")))
}

/// Ends rehearsals whose caller was killed.
async fn rehearsals(settings: &Settings) -> anyhow::Result<Outcome> {
    let removed = Rehearsals::new(settings, HostRunner).remove_all().await?;
    Ok(Outcome::changed_if(removed > 0, format!("{removed} removed")))
}

/// The kernel forgets the instances' profile.
fn apparmor() -> anyhow::Result<Outcome> {
    Ok(Outcome::changed_if(remove_profiles()?, "profile removed"))
}

async fn network(settings: &Settings) -> anyhow::Result<Outcome> {
    let network = Network::new(settings, HostRunner);
    let made = network.exists()?;
    network.remove().await?;
    Ok(Outcome::changed_if(made, format!("bridge {} removed", settings.network.bridge)))
}

/// Undoes the mounts of layers that no template has, of what instances read their secrets from, and of shared
/// folders, whose content stays.
async fn mounts(settings: &Settings) -> anyhow::Result<Outcome> {
    let layers = remove_layers(&HostRunner, &settings.paths.lxc).await?;
    let folders = shared_folders_below(&settings.paths.state)?;
    for folder in &folders {
        remove_shared_folder(&HostRunner, folder).await?;
    }
    let secrets = remove_secrets(&HostRunner, &settings.paths.run).await?;
    let count = layers + folders.len() + usize::from(secrets);
    Ok(Outcome::changed_if(count > 0, format!("{count} undone")))
}

fn records(settings: &Settings) -> anyhow::Result<Outcome> {
    let removed = Deployments::new(&settings.paths.state).remove_all()?;
    Jobs::new(&settings.paths.state).remove_all()?;
    Ok(Outcome::changed_if(removed, "withdrawn"))
}

/// Takes back what `up` added for all services. A range that was there before stays.
fn id_ranges(settings: &Settings) -> anyhow::Result<Outcome> {
    let map = IdMap::of_host(&settings.paths.state, settings.id_map);
    Ok(Outcome::changed_if(map.remove()?, "taken back"))
}
