//! `bellows deploy`: an application from its folder. What it is and what is made for it is told at once; the rest is a
//! job of its own, which goes on when whoever called is gone, and which this command follows to its verdict.

mod application;
mod complete;
mod follow;
mod health;
mod init;
mod job;
mod owner;
mod steps;

use std::fs::{self, File};
use std::io::{BufReader, Seek as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use host::deployments::{Deployment, Deployments, NewService};
use host::deploys::{Deploy, DeployFiles, Deploys, Stage};
use host::releases::Releases;
use host::secrets::SecretStore;
use host::settings::Settings;
use host::units::start_job;
use model::names::ServiceName;
use model::output::harmless;
use model::service::ServiceSpec;
use model::version::Version;

pub(crate) use self::init::run as init;
pub(crate) use self::job::run as run_job;

use self::application::Application;
use crate::clock::now;
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::operator::who_calls;
use crate::programs::BELLOWS;
use crate::run_folder;
use crate::scaler;
use crate::up::together;

/// Deploys an application, and waits until it serves or was gone back from.
pub(crate) async fn run(
    settings: &Settings,
    folder: &Path,
    name: Option<&ServiceName>,
) -> anyhow::Result<()> {
    require_root()?;
    let application = application::load(folder, name, &settings.sizes)?;
    tell(&application);
    check(settings, &application, name.is_some())?;
    scaler::client(settings)?
        .services()
        .await
        .context("nothing is up that could serve it: run `bellows up` first")?;
    let service = &application.spec.name;
    let files = Deploys::new(&settings.paths.state).of(service);
    let beginning = files.begin()?;
    if let Err(error) = lay_out(&application, &files) {
        files.remove_source()?;
        return Err(error);
    }
    let deploy = Deploy {
        service: service.clone(),
        folder: application.folder,
        file: application.file,
        says_health: application.says_health,
        command: application.command,
        replaces: name.is_some(),
        who: who_calls(),
        begun_at: now(),
        stage: Stage::Image,
        outcome: None,
    };
    files.write(&deploy)?;
    files.begin_log()?;
    start(settings, &deploy, &files).await?;
    follow::follow(&files, &deploy, beginning).await
}

/// Says what was found and chosen, and what stays out.
fn tell(application: &Application) {
    println!("{}", application.folder.display());
    let notes = application.notes.iter().map(ToString::to_string);
    let asked = asked(&application.spec).into_iter();
    for line in notes.chain(asked).chain(application.found.left_out.lines()) {
        println!("  {}", harmless(&line));
    }
}

/// What its own file asks of the host and of others, beside what every service gets.
fn asked(spec: &ServiceSpec) -> Vec<String> {
    let instance = &spec.instance;
    let list = |names: Vec<String>| names.join(", ");
    let egress = spec.egress.destinations().iter().map(ToString::to_string).collect();
    let mounts = instance.mounts.iter().map(|it| format!("{} at {}", it.source, it.target));
    let asked = [
        ("it may reach, beyond this host,", list(egress)),
        (
            "it may ask the services",
            list(instance.reaches.iter().map(ToString::to_string).collect()),
        ),
        (
            "it is told the secrets",
            list(instance.secrets.iter().map(|it| it.name.to_string()).collect()),
        ),
        ("it has folders of this host:", list(mounts.collect())),
    ];
    let told = asked.into_iter().filter(|(_, what)| !what.is_empty());
    told.map(|(told, what)| format!("{told} {what}.")).collect()
}

/// Refuses what does not go with this host and with what is deployed, before anything is made of it.
fn check(settings: &Settings, application: &Application, replaces: bool) -> anyhow::Result<()> {
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

/// Lays out what goes along of the application's folder where nobody changes it.
fn lay_out(application: &Application, files: &DeployFiles) -> anyhow::Result<()> {
    let Application { found, .. } = application;
    let mut archive: File =
        tempfile::tempfile().context("there is no room for a copy of the folder")?;
    ::application::pack(found, &archive)?;
    archive.rewind()?;
    let bounds = ::application::Bounds { entries: usize::MAX, bytes: u64::MAX };
    ::application::unpack(BufReader::new(archive), &files.source(), bounds)?;
    Ok(())
}

/// Starts the job, a program of the release in force.
async fn start(settings: &Settings, deploy: &Deploy, files: &DeployFiles) -> anyhow::Result<()> {
    run_folder::ensure(&settings.paths.run)?;
    let Deploy { service, begun_at, .. } = deploy;
    let program = Releases::new(&settings.paths.state).current().join(BELLOWS);
    let settings = Deployments::new(&settings.paths.state).settings_file();
    let [program, settings] = [program, settings].map(|path| path.display().to_string());
    let begun_at = begun_at.as_millis().to_string();
    let command = [&program, "--settings", &settings, "deploy-job", service.as_str(), &begun_at];
    let command = command.map(str::to_owned);
    Ok(start_job(&format!("deploy-{service}"), &command, &files.log()).await?)
}

/// Refuses a service that would find what another one left in a folder of the host: its own it may find again.
fn check_data(settings: &Settings, before: &Deployment, spec: &ServiceSpec) -> anyhow::Result<()> {
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
