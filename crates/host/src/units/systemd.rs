//! Units on a host whose init is systemd: files that it reads at boot, or that are gone by then.

use std::fs;
use std::path::{Path, PathBuf};

use super::confinement::confinement;
use super::{
    Change, ListenAddress, ListenSocket, PATIENCE, Unit, UnitError, UnitStatus, pipes, sockets,
};
use crate::command::{CommandLine, Runner};
use crate::files::{file_error, replace_file};

/// Where systemd looks for units, first for those that outlive a boot.
const LASTING: &str = "/etc/systemd/system";
const UNTIL_BOOT: &str = "/run/systemd/system";

/// The number of a unit's first socket. The others follow it.
const FIRST_SOCKET: usize = 3;

/// What makes the host ready for the units after a boot.
const BOOT_STEP: &str = "bellows-boot.service";

#[derive(Debug)]
pub(super) struct Systemd<R> {
    runner: R,
    lasting: PathBuf,
    until_boot: PathBuf,
    /// Whether units are started at boot.
    at_boot: bool,
}

/// A file of a unit: its name and its text.
type UnitFile = (String, String);

impl<R: Runner> Systemd<R> {
    pub(super) fn of_host(runner: R) -> Self {
        Self { runner, lasting: LASTING.into(), until_boot: UNTIL_BOOT.into(), at_boot: true }
    }

    /// The same, which starts nothing at boot.
    pub(super) fn until_boot(self) -> Self {
        Self { at_boot: false, ..self }
    }

    pub(super) async fn ensure_running(&self, unit: &Unit) -> Result<Change, UnitError> {
        let files = unit_files(unit);
        let is_in_place = |(name, text): &UnitFile| {
            let paths = [&self.lasting, &self.until_boot].map(|folder| folder.join(name));
            paths.iter().any(|path| holds(path, text))
        };
        let status = self.status(unit.name).await?;
        let runs = matches!(status, UnitStatus::Running { .. } | UnitStatus::Restarting)
            && files.iter().all(is_in_place);
        if !runs {
            // Before the files say otherwise: whoever comes after us would take it for the new one.
            self.stop(unit).await?;
        }
        let changed = self.install(&files).await?;
        // Also where the last `up` was ended before it came to this.
        if changed || !runs {
            self.systemctl("daemon-reload", &[]).await?;
        }
        if self.at_boot {
            self.systemctl("enable", &names(unit)).await?;
        }
        if runs {
            return Ok(Change::None);
        }
        self.systemctl("start", &names(unit)).await?;
        Ok(Change::Started)
    }

    /// Has `command` make the host ready at each boot, before the units are started.
    pub(super) async fn ensure_boot_step(&self, command: &[String]) -> Result<(), UnitError> {
        if !self.at_boot {
            return self.remove_files(&self.lasting, &[BOOT_STEP.to_owned()]).await;
        }
        if self.install(&[(BOOT_STEP.to_owned(), boot_step(command))]).await? {
            self.systemctl("daemon-reload", &[]).await?;
        }
        Ok(())
    }

    pub(super) async fn stop(&self, unit: &Unit) -> Result<(), UnitError> {
        if let UnitStatus::Running { pid } = self.status(unit.name).await? {
            sockets::refuse(pid, &unit.sockets);
        }
        let command = systemctl("stop", &names(unit)).deadline(unit.stop.patience + PATIENCE * 2);
        self.run_on_loaded(command).await?;
        self.run_on_loaded(systemctl("reset-failed", &names(unit))).await
    }

    pub(super) async fn remove(&self, unit: &Unit) -> Result<(), UnitError> {
        self.stop(unit).await?;
        let names = names(unit);
        self.remove_files(&self.lasting, &names).await?;
        self.remove_files(&self.until_boot, &names).await
    }

    /// Has nothing make the host ready at boots any more.
    pub(super) async fn remove_boot_step(&self) -> Result<(), UnitError> {
        let step = [BOOT_STEP.to_owned()];
        self.run_on_loaded(systemctl("stop", &step)).await?;
        self.remove_files(&self.lasting, &step).await?;
        self.remove_files(&self.until_boot, &step).await
    }

    pub(super) async fn status(&self, name: &str) -> Result<UnitStatus, UnitError> {
        let command = CommandLine::new("systemctl")
            .args(["show", &service(name)])
            .arg("--property=ActiveState,MainPID");
        Ok(parse(&self.runner.run(&command).await?.stdout))
    }

    /// Systemd itself, while it listens for the unit.
    pub(super) async fn keepers(&self, unit: &Unit) -> Vec<i32> {
        let is_active = systemctl("is-active", &[socket(unit.name)]);
        match !unit.sockets.is_empty() && self.runner.run(&is_active).await.is_ok() {
            true => vec![1],
            false => Vec::new(),
        }
    }

    /// Puts files in the folder where they belong, and takes them out of the other. Says whether there
    /// was anything to do: then systemd is to read them.
    async fn install(&self, files: &[UnitFile]) -> Result<bool, UnitError> {
        let (folder, other) = match self.at_boot {
            true => (&self.lasting, &self.until_boot),
            false => (&self.until_boot, &self.lasting),
        };
        let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        self.remove_files(other, &names).await?;
        if files.iter().all(|(name, text)| holds(&folder.join(name), text)) {
            return Ok(false);
        }
        fs::create_dir_all(folder).map_err(file_error("make", folder))?;
        for (name, text) in files {
            let file = folder.join(name);
            replace_file(&file, text, 0o644).map_err(file_error("write", &file))?;
        }
        Ok(true)
    }

    /// Removes files from a folder, and what would start them at boot.
    async fn remove_files(&self, folder: &Path, names: &[String]) -> Result<(), UnitError> {
        let there: Vec<_> = names.iter().filter(|name| folder.join(name).exists()).collect();
        if there.is_empty() {
            return Ok(());
        }
        if folder == self.lasting {
            self.systemctl("disable", names).await?;
        }
        for path in there.into_iter().map(|name| folder.join(name)) {
            fs::remove_file(&path).map_err(file_error("remove", &path))?;
        }
        self.systemctl("daemon-reload", &[]).await
    }

    async fn systemctl(&self, action: &str, names: &[String]) -> Result<(), UnitError> {
        self.runner.run(&systemctl(action, names).deadline(PATIENCE * 3)).await?;
        Ok(())
    }

    /// Runs a command that fails where systemd does not know a unit, which is no error.
    async fn run_on_loaded(&self, command: CommandLine) -> Result<(), UnitError> {
        match self.runner.run(&command).await {
            Err(error) if error.stderr().contains("not loaded") => Ok(()),
            result => Ok(result.map(drop)?),
        }
    }
}

fn systemctl(action: &str, names: &[String]) -> CommandLine {
    CommandLine::new("systemctl").args(["--quiet", action]).args(names)
}

fn service(name: &str) -> String {
    format!("bellows-{name}.service")
}

fn socket(name: &str) -> String {
    format!("bellows-{name}.socket")
}

/// The names of a unit's files. The sockets come first: systemd hands a program those alone that listen
/// when it is started.
fn names(unit: &Unit) -> Vec<String> {
    let socket = (!unit.sockets.is_empty()).then(|| socket(unit.name));
    socket.into_iter().chain([service(unit.name)]).collect()
}

fn holds(file: &Path, text: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|held| held == text)
}

fn unit_files(unit: &Unit) -> Vec<UnitFile> {
    let texts = (!unit.sockets.is_empty()).then(|| socket_text(unit));
    names(unit).into_iter().zip(texts.into_iter().chain([service_text(unit)])).collect()
}

/// The sockets and pipes in their order, which is that of their numbers. `FreeBind` lets it listen on an address that the machine gets only later in its boot. Without
/// `TriggerLimitIntervalSec=0` systemd closes the sockets when many come while the program is away.
fn socket_text(unit: &Unit) -> String {
    let listen = |socket: &ListenSocket| match &socket.address {
        ListenAddress::Tcp(address) => format!("ListenStream={address}\n"),
        ListenAddress::Pipe(path) => format!("ListenFIFO={}\n", path.display()),
    };
    let mut listen: String = unit.sockets.iter().map(listen).collect();
    if unit.sockets.iter().any(|it| matches!(it.address, ListenAddress::Pipe(_))) {
        listen += &format!("SocketMode={:04o}\nSocketGroup={}\n", pipes::MODE, pipes::READERS);
    }
    format!(
        "[Unit]\nDescription=Bellows: where {name} listens\n\n\
         [Socket]\n{listen}Backlog=4096\nFreeBind=yes\nTriggerLimitIntervalSec=0\n\n\
         [Install]\nWantedBy=sockets.target\n",
        name = unit.name
    )
}

/// With `KillMode=mixed` a stop sends its signal to the program alone, and SIGKILL to the processes that
/// are left after it.
fn service_text(unit: &Unit) -> String {
    let numbered = unit.sockets.iter().zip(FIRST_SOCKET..);
    let variables: String = numbered
        .map(|(socket, number)| format!("Environment={}=fd@{number}\n", socket.variable))
        .collect();
    let requires = match unit.sockets.is_empty() {
        true => String::new(),
        false => format!("Requires={0}\nAfter={0}\n", socket(unit.name)),
    };
    format!(
        "[Unit]\nDescription=Bellows: {name}\n{requires}Wants={BOOT_STEP}\n\
         After=network.target {BOOT_STEP}\nStartLimitIntervalSec=0\n\n\
         [Service]\nExecStart={command}\n{variables}Restart=always\nRestartSec=100ms\n\
         KillMode=mixed\nKillSignal={signal}\nTimeoutStopSec={patience}\n{confinement}\n\
         [Install]\nWantedBy=multi-user.target\n",
        name = unit.name,
        command = command_text(&unit.command),
        signal = unit.stop.signal,
        patience = unit.stop.patience.as_secs(),
        confinement = unit.user.map(|user| confinement(unit, user)).unwrap_or_default(),
    )
}

fn boot_step(command: &[String]) -> String {
    format!(
        "[Unit]\nDescription=Bellows: makes the host ready after a boot\n\
         After=local-fs.target network.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={}\n",
        command_text(command)
    )
}

/// A command as systemd reads it, whatever characters it has.
fn command_text(command: &[String]) -> String {
    let quoted = |word: &String| {
        let word = word.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", word.replace('%', "%%").replace('$', "$$"))
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// `systemctl show` prints a line for each property, for units that it does not know too.
fn parse(text: &str) -> UnitStatus {
    let get = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let pid = get("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
    match (get("ActiveState"), pid) {
        (Some("active" | "reloading"), Some(pid)) => UnitStatus::Running { pid },
        (Some("active" | "reloading" | "activating"), _) => UnitStatus::Restarting,
        _ => UnitStatus::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Stop};
    use super::*;
    use crate::command::FakeRunner;
    use nix::sys::signal::Signal;
    use std::time::Duration;

    const STOPPED: &str = "MainPID=0\nActiveState=inactive\n";
    /// No process has this id.
    const RUNNING: &str = "MainPID=2147483647\nActiveState=active\n";

    fn unit() -> Unit {
        let sockets = ["A=127.0.0.1:8080", "B=127.0.0.1:8404", "C=/run/bellows/answers.pipe"];
        Unit {
            name: "haproxy",
            command: ["/usr/sbin/haproxy", "-W", "10%"].map(str::to_owned).to_vec(),
            user: None,
            sockets: sockets.map(|socket| socket.parse().unwrap()).to_vec(),
            limits: None,
            folder: None,
            stop: Stop { signal: Signal::SIGUSR1, patience: Duration::from_secs(30) },
        }
    }

    /// Systemd of which `systemctl show` says `shown`, with the folders of both kinds.
    fn systemd<'a>(
        runner: &'a FakeRunner,
        folder: &tempfile::TempDir,
        shown: &str,
    ) -> Systemd<&'a FakeRunner> {
        runner.answer("systemctl show", shown);
        let (lasting, until_boot) = (folder.path().join("etc"), folder.path().join("run"));
        Systemd { runner, lasting, until_boot, at_boot: true }
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_systemctl_shows_is_understood() {
        assert_eq!(parse("MainPID=812\nActiveState=active\n"), UnitStatus::Running { pid: 812 });
        assert_eq!(parse("MainPID=0\nActiveState=activating\n"), UnitStatus::Restarting);
        assert_eq!(parse(STOPPED), UnitStatus::Stopped);
    }

    #[tokio::test]
    async fn a_unit_is_started_now_and_at_boot_and_for_ever() {
        let (runner, folder) = (FakeRunner::default(), tempfile::tempdir().unwrap());
        let systemd = systemd(&runner, &folder, STOPPED);
        systemd.ensure_boot_step(&["/b/bellows".to_owned(), "boot".to_owned()]).await.unwrap();
        assert_eq!(systemd.ensure_running(&unit()).await.unwrap(), Change::Started);
        insta::assert_snapshot!(runner.calls().join("\n"), @"
        systemctl --quiet daemon-reload
        systemctl show bellows-haproxy.service --property=ActiveState,MainPID
        systemctl show bellows-haproxy.service --property=ActiveState,MainPID
        systemctl --quiet stop bellows-haproxy.socket bellows-haproxy.service
        systemctl --quiet reset-failed bellows-haproxy.socket bellows-haproxy.service
        systemctl --quiet daemon-reload
        systemctl --quiet enable bellows-haproxy.socket bellows-haproxy.service
        systemctl --quiet start bellows-haproxy.socket bellows-haproxy.service
        ");
        let text = |name: &str| fs::read_to_string(folder.path().join("etc").join(name)).unwrap();
        insta::assert_snapshot!(text("bellows-haproxy.socket"), @"
        [Unit]
        Description=Bellows: where haproxy listens

        [Socket]
        ListenStream=127.0.0.1:8080
        ListenStream=127.0.0.1:8404
        ListenFIFO=/run/bellows/answers.pipe
        SocketMode=0640
        SocketGroup=bellows
        Backlog=4096
        FreeBind=yes
        TriggerLimitIntervalSec=0

        [Install]
        WantedBy=sockets.target
        ");
        insta::assert_snapshot!(text("bellows-haproxy.service"), @r#"
        [Unit]
        Description=Bellows: haproxy
        Requires=bellows-haproxy.socket
        After=bellows-haproxy.socket
        Wants=bellows-boot.service
        After=network.target bellows-boot.service
        StartLimitIntervalSec=0

        [Service]
        ExecStart="/usr/sbin/haproxy" "-W" "10%%"
        Environment=A=fd@3
        Environment=B=fd@4
        Environment=C=fd@5
        Restart=always
        RestartSec=100ms
        KillMode=mixed
        KillSignal=SIGUSR1
        TimeoutStopSec=30

        [Install]
        WantedBy=multi-user.target
        "#);
        insta::assert_snapshot!(text("bellows-boot.service"), @r#"
        [Unit]
        Description=Bellows: makes the host ready after a boot
        After=local-fs.target network.target

        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart="/b/bellows" "boot"
        "#);
    }

    #[test]
    fn a_unit_of_a_user_without_rights_is_given_none() {
        let text = service_text(&Unit { user: Some("bellows-egress"), ..unit() });
        let (_, service) = text.split_once("TimeoutStopSec=30\n").unwrap();
        insta::assert_snapshot!(service, @"
        User=bellows-egress
        Group=bellows-egress
        NoNewPrivileges=yes
        CapabilityBoundingSet=
        AmbientCapabilities=
        ProtectSystem=strict
        ProtectHome=yes
        PrivateTmp=yes
        PrivateDevices=yes
        ProtectClock=yes
        ProtectControlGroups=yes
        ProtectHostname=yes
        ProtectKernelLogs=yes
        ProtectKernelModules=yes
        ProtectKernelTunables=yes
        ProtectProc=invisible
        RestrictNamespaces=yes
        RestrictRealtime=yes
        RestrictSUIDSGID=yes
        RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
        LockPersonality=yes
        MemoryDenyWriteExecute=yes
        SystemCallArchitectures=native
        SystemCallFilter=@system-service pidfd_getfd
        UMask=0077

        [Install]
        WantedBy=multi-user.target
        ");
    }

    #[test]
    fn a_unit_with_limits_and_a_folder_has_these_and_writes_nowhere_else() {
        let limits = Limits { memory_mib: 256, tasks: 64, files: 2048 };
        let folder = Some("/var/lib/bellows/console".into());
        let user = Some("bellows");
        let text = service_text(&Unit { user, limits: Some(limits), folder, ..unit() });
        let (_, service) = text.split_once("UMask=0077\n").unwrap();
        insta::assert_snapshot!(service, @"
        ReadWritePaths=/var/lib/bellows/console
        MemoryMax=256M
        MemorySwapMax=0
        TasksMax=64
        LimitNOFILE=2048
        LimitCORE=0

        [Install]
        WantedBy=multi-user.target
        ");
    }

    #[tokio::test]
    async fn a_unit_that_runs_with_this_command_is_left_alone_also_when_boots_shall_not_start_it() {
        let (runner, folder) = (FakeRunner::default(), tempfile::tempdir().unwrap());
        systemd(&runner, &folder, STOPPED).ensure_running(&unit()).await.unwrap();
        let runner = FakeRunner::default();
        let systemd = systemd(&runner, &folder, RUNNING);
        assert_eq!(systemd.ensure_running(&unit()).await.unwrap(), Change::None);
        let calls = runner.calls().join("\n");
        assert!(!calls.contains(" st") && !calls.contains("daemon-reload"), "{calls}");
        let systemd = systemd.until_boot();
        assert_eq!(systemd.ensure_running(&unit()).await.unwrap(), Change::None);
        assert_eq!(files(&folder.path().join("etc")), Vec::<String>::new());
        let moved = ["bellows-haproxy.service", "bellows-haproxy.socket"];
        assert_eq!(files(&folder.path().join("run")), moved);
        let calls = runner.calls().join("\n");
        assert!(calls.contains("disable") && !calls.contains("stop"), "{calls}");
    }

    #[tokio::test]
    async fn another_command_stops_the_unit_before_its_file_says_so() {
        let (runner, folder) = (FakeRunner::default(), tempfile::tempdir().unwrap());
        let systemd = systemd(&runner, &folder, RUNNING);
        systemd.ensure_running(&unit()).await.unwrap();
        let calls = runner.calls();
        let at = |word: &str| calls.iter().position(|call| call.contains(word)).unwrap();
        assert!(at("stop") < at("daemon-reload") && at("daemon-reload") < at(" start "));
    }

    #[tokio::test]
    async fn what_is_removed_leaves_no_file() {
        let (runner, folder) = (FakeRunner::default(), tempfile::tempdir().unwrap());
        let systemd = systemd(&runner, &folder, STOPPED);
        systemd.ensure_boot_step(&["/b/bellows".to_owned()]).await.unwrap();
        systemd.ensure_running(&unit()).await.unwrap();
        systemd.remove(&unit()).await.unwrap();
        systemd.remove(&unit()).await.unwrap();
        assert_eq!(files(&folder.path().join("etc")), ["bellows-boot.service"]);
        systemd.remove_boot_step().await.unwrap();
        systemd.remove_boot_step().await.unwrap();
        assert_eq!(files(&folder.path().join("etc")), Vec::<String>::new());
    }
}
