//! `bellows deploy`: an application from its folder. What it is and what is made for it is told at once; the rest is a
//! job of its own, which goes on when whoever called is gone, and which this command follows to its verdict.

mod application;
mod archive;
mod check;
mod complete;
mod file;
mod follow;
mod health;
mod init;
mod owner;
mod steps;
mod told;

use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::Path;

use anyhow::Context as _;
use host::deploys::{DeployFiles, Deploys};
use host::jobs::{DeployWords, HostJobs, Job, Jobs, StartJobs as _, Work};
use host::settings::Settings;
use model::names::ServiceName;

pub(crate) use self::archive::from_archive;
pub(crate) use self::file::from_file;
pub(crate) use self::init::run as init;

use self::application::Application;
use self::steps::Steps;
use crate::clock::now;
use crate::doctor::require_root;
use crate::job::Running;
use crate::operator::who_calls;
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
    let words = DeployWords {
        folder: application.folder,
        file: application.file,
        says_health: application.says_health,
        command: application.command,
        replaces: name.is_some(),
    };
    let jobs = Jobs::new(&settings.paths.state);
    let id = jobs.draw();
    let job = Job::new(id, Some(service.clone()), Work::Deploy(words), who_calls(), now());
    let job_files = jobs.add(&job)?;
    run_folder::ensure(&settings.paths.run)?;
    if let Err(error) = HostJobs::new(&settings.paths.state).start(id, &job_files).await {
        job_files.remove()?;
        return Err(error.into());
    }
    follow::follow(&job_files, &job, beginning).await
}

/// Carries out a deploy whose files are laid out; gives what serves then.
pub(crate) async fn carry_out(
    settings: &Settings,
    running: &mut Running,
    words: DeployWords,
) -> anyhow::Result<String> {
    let service = running.service()?;
    let files = Deploys::new(&settings.paths.state).of(&service);
    Steps::new(settings, &files, running, words).take().await
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
