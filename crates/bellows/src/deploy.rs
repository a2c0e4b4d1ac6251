//! `bellows deploy`: an application from its folder. What it is and what is made for it is told at once; the rest is a
//! job of its own, which goes on when whoever called is gone, and which this command follows to its verdict.

mod application;
mod complete;
mod follow;
mod health;
mod init;
mod job;
mod steps;

use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::Path;

use anyhow::Context as _;
use host::deployments::{Deployments, NewService};
use host::deploys::{Deploy, DeployFiles, Deploys, Stage};
use host::secrets::SecretStore;
use host::settings::Settings;
use host::units::start_job;
use model::names::ServiceName;
use model::version::Version;

pub(crate) use self::init::run as init;
pub(crate) use self::job::run as run_job;

use self::application::Application;
use crate::clock::now;
use crate::doctor::require_root;
use crate::error::BadInput;
use crate::operator::who_calls;
use crate::release;
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
    check(settings, &application)?;
    scaler::client(settings)?
        .services()
        .await
        .context("nothing is up that could serve it: run `bellows up` first")?;
    let service = &application.spec.name;
    let files = Deploys::new(&settings.paths.state).of(service);
    let beginning = files.begin()?;
    lay_out(&application, &files)?;
    let deploy = Deploy {
        service: service.clone(),
        folder: application.folder,
        file: application.file,
        says_health: application.says_health,
        command: application.command,
        who: who_calls(),
        begun_at: now(),
        stage: Stage::Image,
        outcome: None,
    };
    files.write(&deploy)?;
    files.begin_log()?;
    start(settings, service, &files).await?;
    follow::follow(&files, &deploy, beginning).await
}

/// Says what was found and chosen, and what stays out.
fn tell(application: &Application) {
    println!("{}", application.folder.display());
    application.notes.iter().for_each(|note| println!("  {note}"));
    application.found.left_out.lines().for_each(|line| println!("  {line}"));
}

/// Refuses what does not go with this host and with what is deployed, before anything is made of it.
fn check(settings: &Settings, application: &Application) -> anyhow::Result<()> {
    let Application { spec, folder, file, .. } = application;
    let before = Deployments::new(&settings.paths.state).load()?;
    let is_others = before.names().any(|name| *name == spec.name)
        && !before.folders().any(|(name, _)| *name == spec.name);
    if is_others {
        let name = &spec.name;
        return Err(BadInput::new(anyhow::anyhow!(
            "services/{name}.toml describes a service of this name: name this one with --name"
        ))
        .into());
    }
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
async fn start(
    settings: &Settings,
    service: &ServiceName,
    files: &DeployFiles,
) -> anyhow::Result<()> {
    run_folder::ensure(&settings.paths.run)?;
    let program = release::own_path()?.display().to_string();
    let settings = Deployments::new(&settings.paths.state).settings_file();
    let settings = settings.display().to_string();
    let command = [&program, "--settings", &settings, "deploy-job", service.as_str()];
    let command = command.map(str::to_owned);
    Ok(start_job(&format!("deploy-{service}"), &command, &files.log()).await?)
}
