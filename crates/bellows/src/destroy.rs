//! `bellows destroy`: a service that was deployed from a folder or by the API goes, with all that it has but its data, which goes where
//! that is said.

mod data;
mod left;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use command_line::terminal;
use explain::words::mib;
use host::build::Builds;
use host::command::HostRunner;
use host::deployments::{Deployment, Deployments};
use host::deploys::{DeployFiles, Deploys};
use host::files::remove_tree;
use host::id_ranges::IdRanges;
use host::lxc::container_states;
use host::network::Network;
use host::secrets::SecretStore;
use host::settings::{Settings, output_folder};
use model::access::Who;
use model::job::Stage;
use model::names::{InstanceName, ServiceName};
use model::service::ServiceSpec;
use tokio::time::{Instant, sleep};

use crate::ask::confirm;
use crate::clock::now;
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::job::Running;
use crate::operator;
use crate::programs::{Programs, needs_egress};
use crate::progress::{Outcome, Progress};
use crate::scaler::rollouts;
use crate::up::reaches::still_reached;
use crate::up::sweep;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// What the scaler may take beside the drain of the instances.
const SPARE: Duration = Duration::from_secs(20);

/// Removes a service: its instances leave as in a scale-in, and then its images, versions, secrets and caches go, and
/// `with_data` what it keeps on the host.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    yes: bool,
    with_data: bool,
) -> anyhow::Result<()> {
    require_root()?;
    let deployments = Deployments::new(&settings.paths.state);
    let now_deployed = deployments.load()?;
    if !now_deployed.names().any(|name| name == service) {
        return left::remove(settings, service, yes, with_data).await;
    }
    check_origin(service, &now_deployed)?;
    without(service, &now_deployed)?;
    check_reached(settings, service, &now_deployed).await?;
    let known = data::of(settings, service, &now_deployed)?;
    confirm(&question(service, if with_data { &known } else { &[] }), yes)?;
    let files = Deploys::new(&settings.paths.state).of(service);
    let _beginning = files.begin()?;
    let _lock = operator::lock(settings).await?;
    let asked = Asked { service, with_data, known: &known, who: operator::who_calls() };
    terminal::print_line(remove(settings, &files, asked).await?);
    Ok(())
}

/// The same for a job, to which somebody has said yes; gives what is left.
pub(crate) async fn carry_out(
    settings: &Settings,
    running: &mut Running,
    with_data: bool,
) -> anyhow::Result<String> {
    let service = &running.service()?;
    let files = Deploys::new(&settings.paths.state).of(service);
    running.enter(Stage::Removal)?;
    let deployed = Deployments::new(&settings.paths.state).load()?;
    if !deployed.names().any(|name| name == service) {
        return left::carry_out(settings, &files, with_data).await;
    }
    check_origin(service, &deployed)?;
    let known = data::of(settings, service, &deployed)?;
    let _lock = operator::lock_within(settings).await?;
    let who = running.job.who.clone();
    remove(settings, &files, Asked { service, with_data, known: &known, who }).await
}

/// What is to go, and at whose word.
struct Asked<'a> {
    service: &'a ServiceName,
    with_data: bool,
    /// Its data as it was when somebody said yes.
    known: &'a [PathBuf],
    who: Who,
}

/// Removes a service that is deployed, with the operators' lock; gives what is left of it.
async fn remove(
    settings: &Settings,
    files: &DeployFiles,
    Asked { service, with_data, known, who }: Asked<'_>,
) -> anyhow::Result<String> {
    let deployments = Deployments::new(&settings.paths.state);
    // Something may have changed while somebody thought about it.
    let before = deployments.load()?;
    let next = without(service, &before)?;
    check_reached(settings, service, &before).await?;
    let mut data = data::of(settings, service, &before)?;
    let spec =
        before.readable().services.into_iter().map(|it| it.spec).find(|it| it.name == *service);
    let mut progress = Progress::default();
    deployments.deploy(&next.clone().noted(&before, ("", ""), who, now()))?;
    progress.step("instances", gone(settings, service, spec.as_ref())).await?;
    progress.step("secrets", async { secrets(settings, service) }).await?;
    progress.step("versions", sweep::remove_unused(settings, &next)).await?;
    progress.step("ways", close_ways(settings, &next)).await?;
    progress.step("output", async { output(settings, service) }).await?;
    progress.step("cache", cache(settings, service)).await?;
    if with_data {
        // Of what came to be its data since somebody said yes, nobody has said it.
        let (said, unsaid): (Vec<_>, Vec<_>) = data.into_iter().partition(|it| known.contains(it));
        progress.step("data", data::remove(&said)).await?;
        data = unsaid;
    }
    files.remove_all()?;
    // What stays of its data keeps them.
    IdRanges::new(settings).forget(service)?;
    Ok(format!("{service} is gone.{}", data::told(settings, service, &data)))
}

/// What is to go.
fn question(service: &ServiceName, data: &[PathBuf]) -> String {
    let what = format!("{service} is to go, with its versions, secrets and caches");
    match data {
        [] => format!("{what}."),
        data => format!("{what}, AND ITS DATA in {}.", data::listed(data)),
    }
}

/// Refuses what a file of `services/` describes.
fn check_origin(service: &ServiceName, deployment: &Deployment) -> anyhow::Result<()> {
    deployment.kept(service).map_err(BadInput::new)?;
    if deployment.origin(service).is_some() {
        return Ok(());
    }
    Err(BadInput::new(anyhow!(
        "services/{service}.toml describes {service}: remove that file and run `bellows up`"
    ))
    .into())
}

/// The deployment without the service, which nobody may reach.
fn without(service: &ServiceName, before: &Deployment) -> anyhow::Result<Deployment> {
    let next = before.clone().without(service);
    let others = before.readable().services.into_iter().map(|it| it.spec);
    let reaching = others.filter(|spec| spec.instance.reaches.contains(service));
    let reaching: Vec<_> = reaching.map(|spec| spec.name.to_string()).collect();
    if !reaching.is_empty() {
        return Err(BadInput::new(anyhow!(
            "instance.reaches of {} names {service}: take it out there, and deploy that first",
            reaching.join(", ")
        ))
        .into());
    }
    match next.deployed() {
        Err(error) if before.deployed().is_ok() => Err(error.into()),
        // Whatever could not be used before holds up nobody.
        _ => Ok(next),
    }
}

/// Refuses to remove what instances that serve reach, be it that a file does not name it any more.
async fn check_reached(
    settings: &Settings,
    service: &ServiceName,
    before: &Deployment,
) -> anyhow::Result<()> {
    let deployed = before.readable().services;
    let kept = before.names().filter(|name| *name != service).collect();
    let told = still_reached(&deployed, &rollouts(settings).await, &kept);
    let told = told.into_iter().filter(|problem| problem.contains(service.as_str()));
    Ok(BadInput(told.map(|problem| anyhow!(problem)).collect()).or(())?)
}

/// Waits until the scaler has none of its instances any more.
async fn gone(
    settings: &Settings,
    service: &ServiceName,
    spec: Option<&ServiceSpec>,
) -> anyhow::Result<Outcome> {
    let leave = spec.map(|spec| spec.scale_in.drain_timeout + spec.scale_in.stop_grace);
    let deadline = Instant::now() + leave.unwrap_or_default() + SPARE;
    let mut left = instances(settings, service)?;
    let had = left.len();
    while !left.is_empty() {
        if Instant::now() > deadline {
            bail!(
                "{} of {service} are still there: see that the scaler runs (`bellows status`), and run this again",
                left.join(", ")
            );
        }
        sleep(PAUSE).await;
        left = instances(settings, service)?;
    }
    Ok(Outcome::changed_if(had > 0, format!("{had} drained and removed")))
}

fn instances(settings: &Settings, service: &ServiceName) -> anyhow::Result<Vec<String>> {
    let containers = container_states(&settings.paths.lxc)?.into_iter();
    let names = containers.filter_map(|(name, _)| name.parse::<InstanceName>().ok());
    Ok(names.filter(|name| name.service() == service).map(|name| name.to_string()).collect())
}

fn secrets(settings: &Settings, service: &ServiceName) -> anyhow::Result<Outcome> {
    let store = SecretStore::new(settings);
    let mut removed = 0;
    for secret in store.list(service)? {
        removed += usize::from(store.remove(service, &secret.name, None)?.is_some());
    }
    Ok(Outcome::changed_if(removed > 0, format!("{removed} removed")))
}

/// Removes what its builds keep.
async fn cache(settings: &Settings, service: &ServiceName) -> anyhow::Result<Outcome> {
    let bytes = Builds::new(settings, HostRunner).forget(service).await?;
    Ok(Outcome::changed_if(bytes > 0, format!("{} of its builds removed", mib(bytes))))
}

/// Removes what its instances wrote.
fn output(settings: &Settings, service: &ServiceName) -> anyhow::Result<Outcome> {
    let removed = remove_tree(&output_folder(&settings.paths.state).join(service.as_str()))?;
    Ok(Outcome::changed_if(removed, "removed"))
}

/// Closes the ways that were open for it alone.
async fn close_ways(settings: &Settings, next: &Deployment) -> anyhow::Result<Outcome> {
    let deployed = next.readable().services;
    let services = deployed.iter().map(|deployed| &deployed.spec);
    let changed = Network::new(settings, HostRunner).serving(services).ensure().await?;
    Programs::new(settings)?.egress(needs_egress(settings)).await?;
    Ok(Outcome::changed_if(changed, "closed"))
}
