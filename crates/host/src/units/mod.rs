//! Long-running programs, kept running by systemd where it is the host's init, and by a small
//! supervisor of our own elsewhere.

mod processes;
mod supervise;
mod supervisors;
mod systemd;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::command::{CommandError, HostRunner};
use crate::files::FileError;
use crate::lock::LockError;

/// How long a program may take to start or, once asked, to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program to keep running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name: `a-z`, `0-9` and `-`. Systemd knows it as `bellows-NAME`.
    pub name: &'static str,
    /// The absolute path of the program, and its arguments.
    pub command: Vec<String>,
}

impl Unit {
    /// Tells one command from another.
    fn digest(&self) -> String {
        digest(&self.command)
    }
}

fn digest(command: &[String]) -> String {
    let mut hash = Sha256::new();
    for word in command {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a unit's program runs, and whether something would start it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitStatus {
    /// The program runs, and something restarts it when it dies.
    Running {
        /// The program's process.
        pid: i32,
    },
    /// The program is down, and is being started again.
    Restarting,
    /// The program runs, but nothing would restart it: its supervisor was killed.
    Unsupervised {
        /// The program's process.
        pid: i32,
    },
    /// Neither the program nor anything that would start it runs.
    Stopped,
}

/// What [`Units::ensure_running`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ran with this command already.
    None,
    /// It was started, or started anew with another command.
    Started,
    /// It ran, and now something restarts it again.
    Adopted,
}

/// A program that could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// A command of systemd failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another supervisor of this unit is there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The supervisor could not be started.
    #[error("the supervisor `{program}` could not be started; build the project again")]
    Supervisor {
        /// Its program.
        program: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It does not come up.
    #[error("{name} did not start within {seconds} s; see {log}{tail}", seconds = PATIENCE.as_secs())]
    Start {
        /// The unit.
        name: &'static str,
        /// Where it writes.
        log: String,
        /// The end of what it wrote, behind a colon; empty when it wrote nothing.
        tail: String,
    },
    /// It does not go down.
    #[error("{name} still runs as {pids}, {seconds} s after it was killed", seconds = PATIENCE.as_secs())]
    Stop {
        /// The unit.
        name: String,
        /// Its processes.
        pids: String,
    },
}

/// The long-running programs of this host.
#[derive(Debug)]
pub struct Units {
    manager: Manager,
}

#[derive(Debug)]
enum Manager {
    Systemd(systemd::Systemd<HostRunner>),
    Supervisors(supervisors::Supervisors),
}

impl Units {
    /// Units of the installation whose run folder is `run`. `supervisor` is the command that calls
    /// [`supervise`]; the unit's name, `--` and its command are added. It runs in the root folder.
    pub fn of_host(run: &Path, supervisor: Vec<String>) -> Self {
        if Path::new("/run/systemd/system").is_dir() {
            Self { manager: Manager::Systemd(systemd::Systemd::new(HostRunner)) }
        } else {
            Self::with_own_supervisor(run, supervisor)
        }
    }

    /// Units that our own supervisor keeps running, whatever the host's init is.
    pub fn with_own_supervisor(run: &Path, supervisor: Vec<String>) -> Self {
        Self { manager: Manager::Supervisors(supervisors::Supervisors::new(run, supervisor)) }
    }

    /// Starts the unit unless it runs with this very command.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn ensure_running(&self, unit: &Unit) -> Result<Change, UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.ensure_running(unit).await,
            Manager::Supervisors(supervisors) => supervisors.ensure_running(unit).await,
        }
    }

    /// Stops the unit and starts it again.
    ///
    /// # Errors
    /// When it does not end or does not come up.
    pub async fn restart(&self, unit: &Unit) -> Result<(), UnitError> {
        self.stop(unit.name).await?;
        self.ensure_running(unit).await.map(drop)
    }

    /// Ends what would restart the unit, and then its program with all its processes. One that does
    /// not run is no error.
    ///
    /// # Errors
    /// When a process survives being killed.
    pub async fn stop(&self, name: &str) -> Result<(), UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.stop(name).await,
            Manager::Supervisors(supervisors) => supervisors.stop(name).await,
        }
    }

    /// Whether the unit's program runs, and whether something would start it again.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn status(&self, name: &str) -> Result<UnitStatus, UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.status(name).await,
            Manager::Supervisors(supervisors) => Ok(supervisors.status(name)),
        }
    }

    /// Where to read what the unit's program wrote: a command or a file.
    pub fn log(&self, name: &str) -> String {
        match &self.manager {
            Manager::Systemd(_) => format!("journalctl -u bellows-{name}"),
            Manager::Supervisors(supervisors) => supervisors.log(name).display().to_string(),
        }
    }
}

/// Runs `command` as the unit `name` and starts it again whenever it ends, for ever. This is what
/// the supervisor's process does.
///
/// # Errors
/// When another supervisor of this unit runs, or the run folder cannot be used.
pub fn supervise(
    run: &Path,
    name: &str,
    command: &[String],
) -> Result<std::convert::Infallible, UnitError> {
    supervise::supervise(&UnitFiles::new(run, name), command)
}

/// The files of a unit that our own supervisor runs.
#[derive(Debug, Clone)]
struct UnitFiles {
    folder: PathBuf,
    name: String,
}

impl UnitFiles {
    fn new(run: &Path, name: &str) -> Self {
        Self { folder: run.join("units"), name: name.to_owned() }
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn lock(&self) -> PathBuf {
        self.folder.join(format!("{}.lock", self.name))
    }

    /// What marks the unit's processes in their environment.
    fn mark(&self) -> String {
        self.folder.join(&self.name).display().to_string()
    }
}
