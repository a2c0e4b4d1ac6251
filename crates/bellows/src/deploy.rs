//! `bellows deploy`: an application from its folder. What it is and what is made for it is told at once; the rest is a
//! job of its own, which goes on when whoever called is gone, and which this command follows to its verdict.

mod application;
mod check;
mod complete;
mod follow;
mod health;
mod init;
mod job;
mod owner;
mod steps;
mod told;

use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::Path;

use anyhow::Context as _;
use host::deployments::Deployments;
use host::deploys::{Deploy, DeployFiles, Deploys, Stage};
use host::releases::Releases;
use host::settings::Settings;
use host::units::start_job;
use model::names::ServiceName;

pub(crate) use self::init::run as init;
pub(crate) use self::job::run as run_job;

use self::application::Application;
use crate::clock::now;
use crate::doctor::require_root;
use crate::operator::who_calls;
use crate::programs::BELLOWS;
use crate::run_folder;
use crate::scaler;

/// Deploys an application, and waits until it serves or was gone back from.
pub(crate) async fn run(
    settings: &Settings,
    folder: &Path,
    name: Option<&ServiceName>,
) -> anyhow::Result<()> {
    require_root()?;
    let application = application::load(folder, name, &settings.sizes)?;
    told::tell(&application);
    check::check(settings, &application, name.is_some())?;
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
