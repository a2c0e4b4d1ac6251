//! The programs of an experiment: the load generator, which may take long and is ended in order, and the report.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use host::experiments::{ExperimentFiles, USER};
use host::jobs::JobFiles;
use host::releases::{POLICIES, Releases, SCENARIOS};
use host::settings::Settings;
use host::units::{Limits, as_user};
use model::experiment::Experiment;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::programs::{LOAD_GENERATOR, REPORT};

/// What they may take: 4,096 requests in flight have a file each, and the load generator some 100 MiB.
const LIMITS: Limits = Limits { memory_mib: 1024, tasks: 256, files: 16_384 };

/// How long an experiment may take: what it set is put back before its token ends.
const LONGEST: Duration = Duration::from_secs(23 * 3_600);

/// Time between two looks whether somebody wants it to end.
const LOOK: Duration = Duration::from_millis(200);

/// How long it may take to end in order: a request under way has 10 s, and a scaler that is away 15.
const IN_ORDER: Duration = Duration::from_secs(120);

/// How long the report may take: a run of an hour takes some seconds.
const REPORT_TIME: Duration = Duration::from_secs(120);

/// The load of one experiment.
pub(super) struct Load<'a> {
    pub(super) settings: &'a Settings,
    pub(super) files: &'a ExperimentFiles,
    pub(super) asked: &'a Experiment,
    /// The secret of its token.
    pub(super) secret: &'a str,
}

impl Load<'_> {
    /// Offers the load until it is over, or somebody wants it to end.
    ///
    /// # Errors
    /// The load generator cannot be started.
    pub(super) async fn offer(&self, job: &JobFiles) -> anyhow::Result<ExitStatus> {
        let mut command = self.program(LOAD_GENERATOR)?;
        command.args(self.arguments()).env("BELLOWS_TOKEN", self.secret);
        let mut child = command.spawn().context("the load generator cannot be started")?;
        let begun = Instant::now();
        loop {
            if let Some(ended) = child.try_wait()? {
                return Ok(ended);
            }
            if job.is_interrupted() || begun.elapsed() > LONGEST {
                return end(child).await;
            }
            sleep(LOOK).await;
        }
    }

    /// Makes the report of what was measured.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) async fn report(&self) -> anyhow::Result<()> {
        let latest = self.files.results().join("latest");
        if !latest.exists() {
            return Ok(());
        }
        let mut command = self.program(REPORT)?;
        command.arg(latest).arg("--html-only").arg("--services").arg(self.files.services());
        let ended = timeout(REPORT_TIME, command.status()).await;
        let ended = ended.context("it takes too long")?.context("it cannot be started")?;
        ensure!(ended.success(), "the program ended with {ended}");
        Ok(())
    }

    fn program(&self, name: &str) -> anyhow::Result<Command> {
        let program = self.release().join(name);
        let mut command = Command::from(as_user(&program, USER, LIMITS)?);
        command.kill_on_drop(true);
        Ok(command)
    }

    fn release(&self) -> PathBuf {
        Releases::new(&self.settings.paths.state).current()
    }

    fn arguments(&self) -> Vec<String> {
        let Experiment { scenario, policy, runs, time_factor, seed } = self.asked;
        let (release, files) = (self.release(), self.files);
        let path = |path: PathBuf| path.display().to_string();
        let mut arguments = vec![
            "--with-parent".to_owned(),
            "experiment".to_owned(),
            scenario.to_string(),
            format!("--n={runs}"),
            format!("--time-factor={time_factor}"),
            format!("--results={}", path(files.results())),
            format!("--services={}", path(files.services())),
            format!("--scenarios={}", path(release.join(SCENARIOS))),
            format!("--policies={}", path(release.join(POLICIES))),
            format!("--target=http://{}", balancer(self.settings.listen.services.into())),
            format!("--api={}", path(self.settings.console_socket())),
        ];
        arguments.extend(policy.as_ref().map(|policy| format!("--policy={policy}")));
        arguments.extend(seed.map(|seed| format!("--seed={seed}")));
        arguments
    }
}

/// Where the load balancer is reached on this host.
fn balancer(mut listens: SocketAddr) -> SocketAddr {
    if listens.ip().is_unspecified() {
        listens.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    listens
}

/// Has it end in order: what was measured is kept, and what was set is put back.
async fn end(mut child: Child) -> anyhow::Result<ExitStatus> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid {
        kill(Pid::from_raw(pid), Signal::SIGINT).context("it cannot be told to end")?;
    }
    match timeout(IN_ORDER, child.wait()).await {
        Ok(ended) => Ok(ended?),
        Err(_) => {
            child.kill().await?;
            Ok(child.wait().await?)
        }
    }
}

#[cfg(test)]
mod tests {
    use host::experiments::Experiments;
    use model::job::JobId;

    use super::*;

    #[test]
    fn the_load_is_for_this_host_alone_and_is_told_by_files_of_the_release() {
        let settings = Settings::default();
        let files = Experiments::new("/e").of(JobId::new(1));
        let json = r#"{"scenario":"ramp","policy":"hpa-cpu","runs":2,"time_factor":0.5,"seed":7}"#;
        let asked = serde_json::from_str(json).unwrap();
        let load = Load { settings: &settings, files: &files, asked: &asked, secret: "hush" };
        insta::assert_snapshot!(load.arguments().join("\n"), @r"
        --with-parent
        experiment
        ramp
        --n=2
        --time-factor=0.5
        --results=/e/0000000000000001/results
        --services=/e/0000000000000001/services
        --scenarios=/var/lib/bellows/releases/current/loadgen/scenarios
        --policies=/var/lib/bellows/releases/current/loadgen/policies
        --target=http://127.0.0.1:8080
        --api=/run/bellows/console.sock
        --policy=hpa-cpu
        --seed=7
        ");
    }

    #[test]
    fn a_balancer_that_listens_everywhere_is_reached_on_loopback() {
        for (listens, reached) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("192.0.2.7:8080", "192.0.2.7:8080"),
            ("[::]:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(balancer(listens.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
