//! The job that somebody asked for, by `deploy` or by the API: it is carried out, and how it ended is written down.

use std::time::Instant;

use anyhow::Context as _;
use command_line::terminal;
use explain::words::mib;
use host::build::{Builds, Kept};
use host::command::HostRunner;
use host::deploys::Deploys;
use host::jobs::{Job, JobFiles, Jobs, Work};
use host::settings::Settings;
use host::trace;
use model::job::{JobId, Outcome, Stage};
use model::names::ServiceName;
use otlp::Traces;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock::now;
use crate::doctor::require_root;
use crate::{deploy, destroy, down, experiment, rollback};

/// A job that this process carries out.
pub(crate) struct Running {
    pub(crate) files: JobFiles,
    pub(crate) job: Job,
}

impl Running {
    /// Writes down that it is at this stage from now on.
    pub(crate) fn enter(&mut self, stage: Stage) -> anyhow::Result<()> {
        self.job.enter(stage, now());
        Ok(self.files.write(&self.job)?)
    }

    /// The service that it is of.
    pub(crate) fn service(&self) -> anyhow::Result<ServiceName> {
        self.job.service.clone().context("the job names no service: ask for it again")
    }
}

/// Carries out a job, and writes down how it ended.
pub(crate) async fn run(settings: &Settings, id: JobId) -> anyhow::Result<()> {
    require_root()?;
    // The leader of a session of its own does not get the terminal's SIGHUP.
    let _ = nix::unistd::setsid();
    let state = &settings.paths.state;
    let files = Jobs::new(state).of(id);
    let asked = files.read()?.with_context(|| format!("there is no job {id}"))?;
    // First, so that whoever sees this process at the job begins no other of its service.
    let of_service = match &asked.service {
        Some(service) if asked.work.holds_service() => {
            Some(Deploys::new(state).of(service).take().await?)
        }
        _ => None,
    };
    let process = files.take().await?;
    let mut running = Running { files, job: asked };
    anyhow::ensure!(running.job.outcome.is_none(), "job {id} has ended already");
    let outcome = carry_out(settings, &mut running).await;
    let ended = end(settings, running, outcome);
    drop((process, of_service));
    ended
}

async fn carry_out(settings: &Settings, running: &mut Running) -> Outcome {
    let begun = Instant::now();
    let is_build = matches!(running.job.work, Work::Deploy(_) | Work::Archive { .. });
    let result = traced(settings, running).await;
    if is_build && let Err(error) = bound_caches(settings).await {
        terminal::note(format_args!("  what builds keep is not bounded: {error:#}"));
    }
    match result {
        Ok(told) if is_build => {
            let verdict = format!("{told}, after {:.1} s", begun.elapsed().as_secs_f64());
            Outcome { is_well: true, verdict }
        }
        Ok(verdict) => Outcome { is_well: true, verdict },
        Err(error) => Outcome { is_well: false, verdict: told(&error) },
    }
}

/// Does it, and sends a trace of it where the settings want one. It is done without, too.
async fn traced(settings: &Settings, running: &mut Running) -> anyhow::Result<String> {
    let (kind, service) = (running.job.work.kind(), running.job.service.clone());
    let traces = begin_traces(settings);
    // Its state is that of a whole deploy, and is not to be moved from stack to stack.
    let work = Box::pin(work(settings, running));
    let result = trace::job(kind, service.as_ref(), work).await;
    tokio::task::spawn_blocking(|| traces.end()).await?;
    result
}

fn begin_traces(settings: &Settings) -> Traces {
    let Some(endpoint) = &settings.traces else { return Traces::default() };
    let traces = Traces::begin("job", endpoint.as_str()).unwrap_or_else(|error| {
        terminal::note(format_args!("  traces       {error}"));
        Traces::default()
    });
    tracing_subscriber::registry().with(traces.layer()).init();
    traces
}

/// Does what is asked for; gives what is so then.
async fn work(settings: &Settings, running: &mut Running) -> anyhow::Result<String> {
    match running.job.work.clone() {
        Work::Deploy(words) => deploy::carry_out(settings, running, words).await,
        Work::Archive { is_gzip, replaces } => {
            deploy::from_archive(settings, running, is_gzip, replaces).await
        }
        Work::Rollback { version, revision } => {
            rollback::carry_out(settings, running, version, revision).await
        }
        Work::File { file, replaces } => {
            deploy::from_file(settings, running, &file, &replaces).await
        }
        Work::Destroy { data } => destroy::carry_out(settings, running, data).await,
        Work::Stop => {
            running.enter(Stage::Removal)?;
            down::run(settings).await?;
            Ok("Bellows is down".to_owned())
        }
        Work::Experiment { asked, of_host } => {
            experiment::carry_out(settings, running, asked, of_host).await
        }
    }
}

/// Writes down how it ended. Where everything was taken down, the record went with it.
fn end(settings: &Settings, running: Running, outcome: Outcome) -> anyhow::Result<()> {
    let Running { files, mut job } = running;
    if files.read()?.is_none() {
        return Ok(());
    }
    // First, where the disk is full.
    let removed = files.remove_archive();
    let source = match &job.service {
        Some(service) if job.work.holds_service() => {
            Deploys::new(&settings.paths.state).of(service).remove_source()
        }
        _ => Ok(()),
    };
    (job.outcome, job.ended_at) = (Some(outcome), Some(now()));
    files.write(&job)?;
    Ok(removed.and(source)?)
}

/// Removes what builds keep above its bound; the verdict is the same with and without.
async fn bound_caches(settings: &Settings) -> anyhow::Result<()> {
    let pruned = Builds::new(settings, HostRunner).keep_within(settings.builds.caches_mib).await?;
    for Kept { service, bytes, .. } in pruned.removed {
        let told = mib(bytes);
        terminal::note(format_args!(
            "  caches       {told} of builds of {service} removed, for the bound builds.caches_mib"
        ));
    }
    Ok(())
}

/// The verdict on one that did not end well, in a line; what there is to be told beside it is written before.
fn told(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let (verdict, more) = text.split_once('\n').unwrap_or((&text, ""));
    if !more.is_empty() {
        terminal::note(more);
    }
    verdict.to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use host::jobs::Replaced;
    use model::access::Who;

    use super::*;

    fn settings(root: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.paths.state = root.join("state");
        settings.paths.run = root.join("run");
        settings.paths.lxc = root.join("lxc");
        settings
    }

    #[tokio::test]
    async fn a_job_that_fails_says_why_and_is_not_carried_out_twice() {
        let root = tempfile::tempdir().unwrap();
        let settings = settings(root.path());
        let jobs = Jobs::new(&settings.paths.state);
        let work = Work::Archive { is_gzip: true, replaces: false };
        let shop: ServiceName = "shop".parse().unwrap();
        let job = Job::new(jobs.draw(), Some(shop.clone()), work, Who::Up, now());
        let files = jobs.add(&job).unwrap();
        drop(Deploys::new(&settings.paths.state).of(&shop).begin().unwrap());
        std::fs::write(files.archive(), "no archive").unwrap();
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        run(&settings, job.id).await.unwrap();
        let ended = jobs.get(job.id, now()).unwrap().unwrap().status();
        let outcome = ended.outcome.unwrap();
        assert!(
            !outcome.is_well && outcome.verdict.contains("the archive cannot be read"),
            "{outcome:?}"
        );
        assert!(ended.ended_at.is_some() && !files.archive().exists());
        let again = run(&settings, job.id).await.unwrap_err().to_string();
        assert!(again.contains("has ended already"), "{again}");
        let none = run(&settings, JobId::new(1)).await.unwrap_err().to_string();
        assert!(none.contains("there is no job 0000000000000001"), "{none}");
    }

    #[tokio::test]
    async fn a_job_that_cannot_be_done_says_so_in_its_verdict() {
        let root = tempfile::tempdir().unwrap();
        let settings = settings(root.path());
        let jobs = Jobs::new(&settings.paths.state);
        let shop: ServiceName = "shop".parse().unwrap();
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        for (work, told) in [
            (Work::Rollback { version: None, revision: true }, "there is no service shop"),
            (
                Work::File { file: "name = \"shop\"".to_owned(), replaces: Replaced::Nothing },
                "the file of shop: ",
            ),
        ] {
            let job = Job::new(jobs.draw(), Some(shop.clone()), work, Who::Up, now());
            jobs.add(&job).unwrap();
            drop(Deploys::new(&settings.paths.state).of(&shop).begin().unwrap());
            run(&settings, job.id).await.unwrap();
            let outcome = jobs.get(job.id, now()).unwrap().unwrap().job.outcome.unwrap();
            assert!(!outcome.is_well && outcome.verdict.contains(told), "{outcome:?}");
        }
    }

    #[test]
    fn a_verdict_is_one_line() {
        assert_eq!(told(&anyhow::anyhow!("it failed\n  its words")), "it failed");
        assert_eq!(told(&anyhow::anyhow!("cause").context("it failed")), "it failed: cause");
    }
}
