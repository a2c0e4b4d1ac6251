//! Units on a host whose init is systemd: transient units, gone with the next boot as everything
//! else in `/run`.

use super::processes::COMMAND_MARK;
use super::{Change, PATIENCE, Unit, UnitError, UnitStatus};
use crate::command::{CommandLine, Runner};

#[derive(Debug)]
pub(super) struct Systemd<R> {
    runner: R,
}

impl<R: Runner> Systemd<R> {
    pub(super) fn new(runner: R) -> Self {
        Self { runner }
    }

    pub(super) async fn ensure_running(&self, unit: &Unit) -> Result<Change, UnitError> {
        let shown = self.show(unit.name).await?;
        let same = shown.command.as_deref() == Some(&unit.digest());
        if same && matches!(shown.status, UnitStatus::Running { .. } | UnitStatus::Restarting) {
            return Ok(Change::None);
        }
        self.stop(unit.name).await?;
        self.runner.run(&start_command(unit)).await?;
        Ok(Change::Started)
    }

    pub(super) async fn stop(&self, name: &str) -> Result<(), UnitError> {
        let service = service(name);
        for action in ["stop", "reset-failed"] {
            let command = CommandLine::new("systemctl").args([action, &service]);
            match self.runner.run(&command.deadline(PATIENCE * 2)).await {
                // Systemd forgets a transient unit when it has ended.
                Err(error) if error.stderr().contains("not loaded") => {}
                result => drop(result?),
            }
        }
        Ok(())
    }

    pub(super) async fn status(&self, name: &str) -> Result<UnitStatus, UnitError> {
        Ok(self.show(name).await?.status)
    }

    async fn show(&self, name: &str) -> Result<Shown, UnitError> {
        let command = CommandLine::new("systemctl")
            .args(["show", &service(name)])
            .arg("--property=ActiveState,MainPID,Environment");
        Ok(parse(&self.runner.run(&command).await?.stdout))
    }
}

fn service(name: &str) -> String {
    format!("bellows-{name}.service")
}

/// The command that makes the unit. With `KillMode=mixed` a stop sends SIGTERM to the program alone,
/// and SIGKILL to the processes that are left after it.
fn start_command(unit: &Unit) -> CommandLine {
    CommandLine::new("systemd-run")
        .arg(format!("--unit={}", service(unit.name)))
        .args(["--collect", "--quiet"])
        .arg(format!("--setenv={COMMAND_MARK}={}", unit.digest()))
        .args(["--property=Restart=always", "--property=RestartSec=100ms"])
        .args(["--property=StartLimitIntervalSec=0", "--property=KillMode=mixed"])
        .arg(format!("--property=TimeoutStopSec={}", PATIENCE.as_secs()))
        .arg("--")
        .args(&unit.command)
}

#[derive(Debug, PartialEq, Eq)]
struct Shown {
    status: UnitStatus,
    command: Option<String>,
}

/// `systemctl show` prints a line for each property, for units that it does not know too.
fn parse(text: &str) -> Shown {
    let get = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let pid = get("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
    let status = match (get("ActiveState"), pid) {
        (Some("active" | "reloading"), Some(pid)) => UnitStatus::Running { pid },
        (Some("active" | "reloading" | "activating"), _) => UnitStatus::Restarting,
        _ => UnitStatus::Stopped,
    };
    let command = get("Environment").and_then(|all| {
        all.split(' ').find_map(|pair| pair.strip_prefix(COMMAND_MARK)?.strip_prefix('='))
    });
    Shown { status, command: command.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::FakeRunner;

    fn unit() -> Unit {
        let command = ["/usr/sbin/haproxy", "-W"].map(str::to_owned).to_vec();
        Unit { name: "haproxy", command }
    }

    #[test]
    fn what_systemctl_shows_is_understood() {
        let running = "MainPID=812\nEnvironment=BELLOWS_COMMAND=abc\nActiveState=active\n";
        let shown = Shown { status: UnitStatus::Running { pid: 812 }, command: Some("abc".into()) };
        assert_eq!(parse(running), shown);
        let waiting = parse("MainPID=0\nEnvironment=\nActiveState=activating\n");
        assert_eq!(waiting.status, UnitStatus::Restarting);
        let unknown = parse("MainPID=0\nEnvironment=\nActiveState=inactive\n");
        assert_eq!(unknown, Shown { status: UnitStatus::Stopped, command: None });
    }

    #[tokio::test]
    async fn a_unit_is_started_so_that_systemd_restarts_it_for_ever() {
        let runner = FakeRunner::default();
        runner.answer("systemctl show", "MainPID=0\nEnvironment=\nActiveState=inactive\n");
        let systemd = Systemd::new(&runner);
        assert_eq!(systemd.ensure_running(&unit()).await.unwrap(), Change::Started);
        insta::assert_snapshot!(runner.calls().join("\n"), @"
        systemctl show bellows-haproxy.service --property=ActiveState,MainPID,Environment
        systemctl stop bellows-haproxy.service
        systemctl reset-failed bellows-haproxy.service
        systemd-run --unit=bellows-haproxy.service --collect --quiet --setenv=BELLOWS_COMMAND=99465fe08442d558 --property=Restart=always --property=RestartSec=100ms --property=StartLimitIntervalSec=0 --property=KillMode=mixed --property=TimeoutStopSec=10 -- /usr/sbin/haproxy -W
        ");
    }

    #[tokio::test]
    async fn a_unit_that_runs_with_this_command_is_left_alone() {
        let runner = FakeRunner::default();
        let digest = unit().digest();
        let shown =
            format!("MainPID=9\nEnvironment=BELLOWS_COMMAND={digest}\nActiveState=active\n");
        runner.answer("systemctl show", &shown);
        let systemd = Systemd::new(&runner);
        assert_eq!(systemd.ensure_running(&unit()).await.unwrap(), Change::None);
        assert_eq!(runner.calls().len(), 1);
    }
}
