//! The long-running programs, HAProxy and the scaler: how each is started, kept running and ended.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use host::command::{CommandLine, HostRunner, Runner};
use host::deployments::Deployments;
use host::settings::Settings;
use host::units::{Change, Unit, UnitStatus, Units};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::progress::Outcome;

/// The names of the units.
const HAPROXY: &str = "haproxy";
const SCALER: &str = "scaler";

/// Where system programs are beside `PATH`, which lacks some of these for some users.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// How long `down` lets requests end that are under way.
const DRAIN: Duration = Duration::from_secs(30);

/// Time between two looks at a program that ends.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How much of each log a message shows.
const LOG_LINES: usize = 8;

/// The long-running programs of one installation.
#[derive(Debug)]
pub(crate) struct Programs {
    units: Units,
    haproxy: Unit,
    scaler: Unit,
}

impl Programs {
    /// The programs of an installation with these settings.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let bellows = own_path()?;
        let run = &settings.paths.run;
        let supervisor = [&bellows, Path::new("supervise"), Path::new("--run"), run].map(text);
        let haproxy = host::haproxy::HaproxySettings::of_host(settings)?;
        let mut command = vec![text(find(&haproxy.program))];
        command.extend(haproxy.arguments());
        let settings_file = &Deployments::new(&settings.paths.state).settings_file();
        let scaler = [&folder()?.join(SCALER), Path::new("--settings"), settings_file].map(text);
        Ok(Self {
            units: Units::of_host(run, supervisor.into()),
            haproxy: Unit { name: HAPROXY, command },
            scaler: Unit { name: SCALER, command: scaler.into() },
        })
    }

    /// Makes sure that HAProxy runs, started anew when asked.
    pub(crate) async fn haproxy(&self, anew: bool) -> anyhow::Result<Outcome> {
        self.ensure(&self.haproxy, anew).await
    }

    /// Makes sure that the scaler runs, started anew when it was built anew.
    pub(crate) async fn scaler(&self) -> anyhow::Result<Outcome> {
        let built_anew = self.pid(SCALER).await?.is_some_and(is_replaced);
        self.ensure(&self.scaler, built_anew).await
    }

    async fn ensure(&self, unit: &Unit, anew: bool) -> anyhow::Result<Outcome> {
        let done = match self.units.ensure_running(unit).await? {
            Change::None if anew => {
                self.units.restart(unit).await?;
                "started anew"
            }
            Change::None => return Ok(Outcome::Unchanged),
            Change::Started => "started",
            Change::Adopted => "supervised again",
        };
        Ok(Outcome::Changed(done.to_owned()))
    }

    /// Ends the scaler, so that nothing is started any more.
    pub(crate) async fn stop_scaler(&self) -> anyhow::Result<Outcome> {
        self.stop(SCALER).await
    }

    /// Has HAProxy take no new connections and end those it has, for a bounded time, and ends it.
    pub(crate) async fn drain_and_stop_haproxy(&self) -> anyhow::Result<Outcome> {
        if let Some(pid) = self.pid(HAPROXY).await? {
            // It may have ended since; then there is nothing to drain.
            let _ = kill(Pid::from_raw(pid), Signal::SIGUSR1);
            let deadline = Instant::now() + DRAIN;
            // Whoever supervises it starts it again when it has ended: then it is another process.
            while self.pid(HAPROXY).await? == Some(pid) && Instant::now() < deadline {
                sleep(LOOK_INTERVAL).await;
            }
        }
        self.stop(HAPROXY).await
    }

    async fn stop(&self, name: &'static str) -> anyhow::Result<Outcome> {
        let ran = self.units.status(name).await? != UnitStatus::Stopped;
        self.units.stop(name).await?;
        Ok(Outcome::changed_if(ran, "stopped"))
    }

    async fn pid(&self, name: &str) -> anyhow::Result<Option<i32>> {
        Ok(pid(self.units.status(name).await?))
    }

    /// Both programs and how they are.
    pub(crate) async fn list(&self) -> anyhow::Result<[(&'static str, UnitStatus); 2]> {
        let status = async |name| anyhow::Ok((name, self.units.status(name).await?));
        Ok([status(HAPROXY).await?, status(SCALER).await?])
    }

    /// The last lines that both programs wrote, for a message.
    pub(crate) async fn last_lines(&self) -> String {
        let mut text = String::new();
        for name in [HAPROXY, SCALER] {
            let log = self.units.log(name);
            text.push_str(&format!("{log}:\n{}\n", tail(&log).await));
        }
        text
    }
}

/// The process of a program that runs.
pub(crate) fn pid(status: UnitStatus) -> Option<i32> {
    match status {
        UnitStatus::Running { pid } | UnitStatus::Unsupervised { pid } => Some(pid),
        UnitStatus::Restarting | UnitStatus::Stopped => None,
    }
}

/// The folder that holds this project's programs: that of this one.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    Ok(own_path()?.parent().unwrap_or(Path::new("/")).to_owned())
}

fn own_path() -> anyhow::Result<PathBuf> {
    env::current_exe()
        .context("the path of this program cannot be told; check that /proc is mounted")
}

/// Where programs are looked for.
pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from)).collect()
}

/// The absolute path of a program, or its name where it is not found.
pub(crate) fn find(program: impl AsRef<Path>) -> PathBuf {
    let candidates = search_path().into_iter().map(|folder| folder.join(&program));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| program.as_ref().to_owned())
}

/// Whether the process runs a program whose file has since been replaced.
fn is_replaced(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|file| file.to_string_lossy().ends_with(" (deleted)"))
}

/// The end of a log, which is a file or what a command prints.
async fn tail(log: &str) -> String {
    let text = if Path::new(log).is_absolute() {
        fs::read_to_string(log).unwrap_or_default()
    } else {
        let mut words = log.split(' ');
        let command = CommandLine::new(words.next().unwrap_or_default());
        let command = command.args(words).args(["--no-pager", "--lines=20"]);
        HostRunner.run(&command).await.map(|output| output.stdout).unwrap_or_default()
    };
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_absolute_path() {
        assert!(find("sh").is_absolute());
        assert_eq!(find("no-such-program"), Path::new("no-such-program"));
    }

    #[tokio::test]
    async fn the_end_of_a_log_is_shown() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        fs::write(log.path(), lines.join("\n")).unwrap();
        assert_eq!(tail(&log.path().display().to_string()).await, lines[12..].join("\n"));
        assert_eq!(tail("/does/not/exist").await, "");
    }

    #[test]
    fn this_programs_file_is_in_place() {
        assert!(!is_replaced(i32::try_from(std::process::id()).unwrap()));
    }
}
