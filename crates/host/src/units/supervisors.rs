//! Units on a host without systemd: each has a supervisor process of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::processes::{COMMAND_MARK, PROGRAM_MARK, Process, SUPERVISOR_MARK, leaders, marked};
use super::{Change, PATIENCE, Stop, Unit, UnitError, UnitFiles, UnitStatus, sockets};
use crate::files::file_error;

/// How often to look whether something has started or ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How much of the log an error shows.
const TAIL_LINES: usize = 5;

#[derive(Debug)]
pub(super) struct Supervisors {
    run: PathBuf,
    supervisor: Vec<String>,
}

impl Supervisors {
    pub(super) fn new(run: &Path, supervisor: Vec<String>) -> Self {
        Self { run: run.to_owned(), supervisor }
    }

    pub(super) async fn ensure_running(&self, unit: &Unit) -> Result<Change, UnitError> {
        self.files(unit).ensure_folder()?;
        let (supervisors, programs) = self.processes(unit);
        let digest = unit.digest();
        if let [supervisor] = supervisors.as_slice()
            && supervisor.runs(&digest)
        {
            return self.hand_over(unit, supervisor).await;
        }
        let adopt = supervisors.is_empty()
            && leaders(&programs).count() == 1
            && programs.iter().all(|program| program.runs(&digest));
        if !adopt {
            self.stop(unit).await?;
        }
        self.start(unit)?;
        self.wait_until_running(unit).await?;
        Ok(if adopt { Change::Adopted } else { Change::Started })
    }

    /// Has a supervisor that runs another program than this release's make way for it.
    async fn hand_over(&self, unit: &Unit, supervisor: &Process) -> Result<Change, UnitError> {
        let program = self.supervisor.first().map(String::as_str).unwrap_or_default();
        let wanted = fs::canonicalize(program).ok();
        if supervisor.program() == wanted {
            return Ok(Change::None);
        }
        supervisor.signal(Signal::SIGHUP);
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if supervisor.program() == wanted {
                return Ok(Change::HandedOver);
            }
            sleep(LOOK_INTERVAL).await;
        }
        let (name, pid, program) = (unit.name, supervisor.pid, program.to_owned());
        Err(UnitError::HandOver { name, pid, program })
    }

    /// Supervisors first, and looks again after each round: what a supervisor had just started
    /// shows in the next.
    pub(super) async fn stop(&self, unit: &Unit) -> Result<(), UnitError> {
        let Stop { signal, patience } = unit.stop;
        let started = Instant::now();
        let mut asked: Vec<Process> = Vec::new();
        loop {
            let (supervisors, programs) = self.processes(unit);
            if supervisors.is_empty() && programs.is_empty() {
                return Ok(());
            }
            for supervisor in &supervisors {
                supervisor.signal(Signal::SIGKILL);
            }
            if started.elapsed() > patience + PATIENCE {
                let pids: Vec<String> = programs.iter().map(|it| it.pid.to_string()).collect();
                return Err(UnitError::Stop { name: unit.name.to_owned(), pids: pids.join(", ") });
            }
            if started.elapsed() > patience {
                programs.iter().for_each(|program| program.signal(Signal::SIGKILL));
            } else if supervisors.is_empty() {
                for leader in leaders(&programs) {
                    if !asked.contains(leader) {
                        sockets::refuse(leader.pid, &unit.sockets);
                        leader.signal(signal);
                        asked.push(leader.clone());
                    }
                }
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    pub(super) fn status(&self, unit: &Unit) -> UnitStatus {
        let (supervisors, programs) = self.processes(unit);
        let program = leaders(&programs).next().map(|program| program.pid);
        match (supervisors.is_empty(), program) {
            (false, Some(pid)) => UnitStatus::Running { pid },
            (false, None) => UnitStatus::Restarting,
            (true, Some(pid)) => UnitStatus::Unsupervised { pid },
            (true, None) => UnitStatus::Stopped,
        }
    }

    pub(super) fn keepers(&self, unit: &Unit) -> Vec<i32> {
        self.processes(unit).0.iter().map(|supervisor| supervisor.pid).collect()
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        UnitFiles::new(&self.run, name).log()
    }

    fn files(&self, unit: &Unit) -> UnitFiles {
        UnitFiles::new(&self.run, unit.name)
    }

    fn processes(&self, unit: &Unit) -> (Vec<Process>, Vec<Process>) {
        let files = self.files(unit);
        let (mark, user) = (files.mark(), files.program_user(unit.user));
        (marked(SUPERVISOR_MARK, &mark, None), marked(PROGRAM_MARK, &mark, user))
    }

    fn start(&self, unit: &Unit) -> Result<(), UnitError> {
        let files = self.files(unit);
        let [program, arguments @ ..] = self.supervisor.as_slice() else {
            let source = std::io::Error::other("no command was given");
            return Err(UnitError::Supervisor { program: String::new(), source });
        };
        let log = files.log();
        let output = || files.open_log().map_err(file_error("open", &log));
        Command::new(program)
            .args(arguments)
            .args(unit.user.map(|user| format!("--user={user}")))
            .args(unit.limits.map(|limits| format!("--limits={limits}")))
            .args(unit.sockets.iter().map(|socket| format!("--socket={socket}")))
            .arg(unit.name)
            .arg("--")
            .args(&unit.command)
            .env_clear()
            .env("PATH", crate::command::SEARCH_PATH)
            .env(SUPERVISOR_MARK, files.mark())
            .env(COMMAND_MARK, unit.digest())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .spawn()
            .map(drop)
            .map_err(|source| UnitError::Supervisor { program: program.clone(), source })
    }

    async fn wait_until_running(&self, unit: &Unit) -> Result<(), UnitError> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let UnitStatus::Running { .. } = self.status(unit) {
                return Ok(());
            }
            sleep(LOOK_INTERVAL).await;
        }
        let log = self.log(unit.name);
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        let tail = if tail.is_empty() { tail } else { format!(":\n{tail}") };
        Err(UnitError::Start { name: unit.name, log: log.display().to_string(), tail })
    }
}
