//! The long-running programs, HAProxy, the way out of instances, the scaler and the console: how each is started, kept
//! running and ended.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::accounts;
use host::command::{CommandLine, HostRunner, Runner};
use host::deployments::Deployments;
use host::haproxy::HaproxySettings;
use host::releases::{POLICIES, Releases, SCENARIOS};
use host::settings::Settings;
use host::units::{Change, HAPROXY, Limits, ListenSocket, Stop, Unit, UnitStatus, Units};
use nix::sys::signal::Signal;

use crate::progress::Outcome;

/// The names of the units that are programs of ours.
pub(crate) const EGRESS: &str = "egress";
pub(crate) const SCALER: &str = "scaler";
pub(crate) const CONSOLE: &str = "console";

/// The programs of an experiment, which runs as a job, by their names in a release.
pub(crate) const LOAD_GENERATOR: &str = "load-generator";
pub(crate) const REPORT: &str = "report";

/// What the console remembers, in its folder.
const HISTORY: &str = "history.sqlite";

/// The name of this program.
pub(crate) const BELLOWS: &str = "bellows";

/// Where system programs are beside `PATH`, which lacks some of these for some users.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// What the console may take: it needs some 10 MiB with 200 instances, five threads and 300 connections.
const CONSOLE_LIMITS: Limits = Limits { memory_mib: 256, tasks: 64, files: 2048 };

/// How long `down` lets requests end that are under way.
const DRAIN: Duration = Duration::from_secs(30);

/// How much of each log a message shows.
const LOG_LINES: usize = 8;

/// The long-running programs of one installation.
#[derive(Debug)]
pub(crate) struct Programs {
    units: Units,
    haproxy: Unit,
    egress: Unit,
    scaler: Unit,
    console: Unit,
    /// What the console alone writes to.
    console_folder: PathBuf,
    /// Whether a service that is deployed may reach something, so that the way out is to run.
    needs_egress: bool,
    /// What makes the host ready at each boot.
    boot: Vec<String>,
}

impl Programs {
    /// The programs of an installation with these settings, of the release in force.
    ///
    /// The commands of the scaler, the console and the way out name that release, so that another one starts them anew.
    /// HAProxy's names none: it runs on under another release.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let releases = Releases::new(&settings.paths.state);
        let bellows = releases.current().join(BELLOWS);
        let release = releases.in_force().unwrap_or(releases.current());
        let run = &settings.paths.run;
        let supervisor = [&bellows, Path::new("supervise"), Path::new("--run"), run].map(text);
        let settings_file = &Deployments::new(&settings.paths.state).settings_file();
        let scaler = [&release.join(SCALER), Path::new("--settings"), settings_file].map(text);
        let boot = [&bellows, Path::new("--settings"), settings_file, Path::new("boot")];
        Ok(Self {
            units: Units::of_host(run, supervisor.into()),
            haproxy: haproxy(settings)?,
            egress: egress(settings, &release),
            needs_egress: needs_egress(settings),
            scaler: Unit {
                name: SCALER,
                command: scaler.into(),
                user: None,
                sockets: Vec::new(),
                limits: None,
                folder: None,
                stop: Stop::default(),
            },
            console: console(settings, &release),
            console_folder: settings.console_folder(),
            boot: boot.map(text).into(),
        })
    }

    /// The same, of which none is started at boot.
    pub(crate) fn until_boot(self) -> Self {
        Self { units: self.units.until_boot(), ..self }
    }

    /// Makes sure that HAProxy runs.
    pub(crate) async fn haproxy(&self) -> anyhow::Result<Outcome> {
        self.units.ensure_boot_step(&self.boot).await?;
        self.ensure(&self.haproxy).await
    }

    /// Makes sure that the way out of this release runs where it is `needed`, and else that it does not.
    pub(crate) async fn egress(&self, needed: bool) -> anyhow::Result<Outcome> {
        match needed {
            true => self.ensure(&self.egress).await,
            false => self.remove_egress().await,
        }
    }

    /// Makes sure that the scaler of this release runs.
    pub(crate) async fn scaler(&self) -> anyhow::Result<Outcome> {
        self.ensure(&self.scaler).await
    }

    /// Makes sure that the console of this release runs, with a folder of its own. After the scaler: one of a release
    /// without a console has its port.
    pub(crate) async fn console(&self, settings: &Settings) -> anyhow::Result<Outcome> {
        accounts::ensure_folder_of(accounts::CONSOLE, &self.console_folder)?;
        if host::notify::write(settings)? {
            // It reads whom to tell when it starts.
            self.stop_console().await?;
        }
        self.ensure(&self.console).await
    }

    async fn ensure(&self, unit: &Unit) -> anyhow::Result<Outcome> {
        let done = match self.units.ensure_running(unit).await? {
            Change::None => return Ok(Outcome::Unchanged),
            Change::Started => "started",
            Change::Adopted => "supervised again",
            Change::HandedOver => "supervised by this release",
        };
        Ok(Outcome::Changed(done.to_owned()))
    }

    /// Ends the scaler, so that nothing is started any more.
    pub(crate) async fn stop_scaler(&self) -> anyhow::Result<()> {
        Ok(self.units.stop(&self.scaler).await?)
    }

    /// Ends the console, so that its port is free.
    pub(crate) async fn stop_console(&self) -> anyhow::Result<()> {
        Ok(self.units.stop(&self.console).await?)
    }

    /// Ends the scaler, also for the next boot.
    pub(crate) async fn remove_scaler(&self) -> anyhow::Result<Outcome> {
        self.remove(&self.scaler).await
    }

    /// Has HAProxy take no new connections and end those it has, for a bounded time, and ends it, also
    /// for the next boot.
    pub(crate) async fn remove_haproxy(&self) -> anyhow::Result<Outcome> {
        let outcome = self.remove(&self.haproxy).await?;
        self.units.remove_boot_step().await?;
        Ok(outcome)
    }

    /// Ends the way out, also for the next boot.
    pub(crate) async fn remove_egress(&self) -> anyhow::Result<Outcome> {
        self.remove(&self.egress).await
    }

    /// Ends the console, also for the next boot. What it remembers stays.
    pub(crate) async fn remove_console(&self) -> anyhow::Result<Outcome> {
        self.remove(&self.console).await
    }

    async fn remove(&self, unit: &Unit) -> anyhow::Result<Outcome> {
        let ran = self.units.status(unit).await? != UnitStatus::Stopped;
        self.units.remove(unit).await?;
        Ok(Outcome::changed_if(ran, "stopped"))
    }

    /// The programs that are to run, and how they are.
    pub(crate) async fn list(&self) -> anyhow::Result<Vec<(&'static str, UnitStatus)>> {
        let mut list = Vec::new();
        for unit in self.wanted() {
            list.push((unit.name, self.units.status(unit).await?));
        }
        Ok(list)
    }

    /// The units of the programs that are to run.
    fn wanted(&self) -> impl Iterator<Item = &Unit> {
        let egress = self.needs_egress.then_some(&self.egress);
        [&self.haproxy, &self.scaler, &self.console].into_iter().chain(egress)
    }

    /// The processes of the programs and of those who hold their sockets.
    pub(crate) async fn pids(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        for unit in [&self.haproxy, &self.scaler, &self.console, &self.egress] {
            pids.extend(self.units.status(unit).await.ok().and_then(pid));
            pids.extend(self.units.keepers(unit).await);
        }
        pids
    }

    /// The last lines that the programs wrote, for a message.
    pub(crate) async fn last_lines(&self) -> String {
        let mut text = String::new();
        for unit in self.wanted() {
            let log = self.units.log(unit);
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

/// HAProxy, which ends what it has under way before it ends.
fn haproxy(settings: &Settings) -> anyhow::Result<Unit> {
    let settings = HaproxySettings::of_host(settings)?;
    let mut command = vec![text(find(&settings.program))];
    command.extend(settings.arguments());
    let stop = Stop { signal: Signal::SIGUSR1, patience: DRAIN };
    Ok(Unit {
        name: HAPROXY,
        command,
        user: None,
        sockets: settings.sockets(),
        limits: None,
        folder: None,
        stop,
    })
}

/// The way out of instances, which has no rights: its socket is held for it.
fn egress(settings: &Settings, release: &Path) -> Unit {
    let (network, sources) = (&settings.network, settings.egress_sources());
    let command = [
        text(release.join(EGRESS)),
        format!("--listen={}", network.egress()),
        format!("--sources={}", sources.display()),
        format!("--subnet={}", network.subnet),
    ];
    let variable = host::egress::SOCKET.to_owned();
    Unit {
        name: EGRESS,
        command: command.into(),
        user: Some(accounts::EGRESS),
        sockets: vec![ListenSocket { variable, address: network.egress().into() }],
        limits: None,
        folder: None,
        stop: Stop::default(),
    }
}

/// The console, which has no rights: its socket is held for it, and it writes to one folder of its own.
fn console(settings: &Settings, release: &Path) -> Unit {
    let (api, folder) = (settings.listen.api, settings.console_folder());
    let command = [
        text(release.join(CONSOLE)),
        format!("--scaler={}", settings.console_socket().display()),
        format!("--listen={api}"),
        format!("--entrance={}", entrance(settings)),
        format!("--answers={}", settings.answers_pipe().display()),
        format!("--history={}", folder.join(HISTORY).display()),
        format!("--history-mib={}", settings.console.history_mib),
        format!("--notify={}", settings.notify_file().display()),
        format!("--experiments={}", settings.experiments_folder().display()),
        format!("--scenarios={}", release.join(SCENARIOS).display()),
        format!("--policies={}", release.join(POLICIES).display()),
    ];
    let hosts = settings.listen.api_hosts.iter().map(|host| format!("--host={host}"));
    let variable = host::console::SOCKET.to_owned();
    Unit {
        name: CONSOLE,
        command: command.into_iter().chain(hosts).collect(),
        user: Some(accounts::CONSOLE),
        sockets: vec![ListenSocket { variable, address: api.into() }],
        limits: Some(CONSOLE_LIMITS),
        folder: Some(folder),
        stop: Stop::default(),
    }
}

/// Where browsers reach services: by HTTPS where that is spoken.
fn entrance(settings: &Settings) -> String {
    match &settings.tls {
        Some(tls) => format!("https:{}", tls.listen.port()),
        None => format!("http:{}", settings.listen.services.port()),
    }
}

/// Whether a service that is deployed may reach something. One that cannot be read is told of elsewhere.
pub(crate) fn needs_egress(settings: &Settings) -> bool {
    let deployment = Deployments::new(&settings.paths.state).load();
    let services = deployment.map(|deployment| deployment.readable().services).unwrap_or_default();
    services.iter().any(|service| !service.spec.egress.is_none())
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

    #[test]
    fn the_way_out_runs_without_rights_on_a_socket_that_is_held_for_it() {
        let unit = egress(&Settings::default(), Path::new("/r"));
        insta::assert_snapshot!(unit.command.join(" "), @"/r/egress --listen=10.117.0.1:3128 --sources=/run/bellows/egress.json --subnet=10.117.0.0/22");
        assert_eq!(unit.user, Some("bellows-egress"));
        let sockets: Vec<String> = unit.sockets.iter().map(ToString::to_string).collect();
        assert_eq!(sockets, ["BELLOWS_EGRESS=10.117.0.1:3128"]);
    }

    #[test]
    fn the_console_runs_without_rights_on_a_socket_that_is_held_for_it_and_writes_to_one_folder() {
        let mut settings = Settings::default();
        settings.listen.api_hosts = vec!["bellows.example".to_owned()];
        let unit = console(&settings, Path::new("/r"));
        insta::assert_snapshot!(unit.command.join("\n"), @"
        /r/console
        --scaler=/run/bellows/console.sock
        --listen=127.0.0.1:8090
        --entrance=http:8080
        --answers=/run/bellows/answers.pipe
        --history=/var/lib/bellows/console/history.sqlite
        --history-mib=200
        --notify=/run/bellows/notify.json
        --experiments=/var/lib/bellows/experiments
        --scenarios=/r/loadgen/scenarios
        --policies=/r/loadgen/policies
        --host=bellows.example
        ");
        assert_eq!((unit.user, unit.limits), (Some("bellows"), Some(CONSOLE_LIMITS)));
        assert_eq!(unit.folder.as_deref(), Some(Path::new("/var/lib/bellows/console")));
        let sockets: Vec<String> = unit.sockets.iter().map(ToString::to_string).collect();
        assert_eq!(sockets, ["BELLOWS_CONSOLE=127.0.0.1:8090"]);
    }

    #[tokio::test]
    async fn the_end_of_a_log_is_shown() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        fs::write(log.path(), lines.join("\n")).unwrap();
        assert_eq!(tail(&log.path().display().to_string()).await, lines[12..].join("\n"));
        assert_eq!(tail("/does/not/exist").await, "");
    }
}
