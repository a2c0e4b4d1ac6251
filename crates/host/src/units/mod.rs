//! Long-running programs, kept running by systemd where it is the host's init, and by a small
//! supervisor of our own elsewhere.

mod as_user;
mod confinement;
mod jobs;
mod limits;
mod pipes;
mod processes;
mod sockets;
mod supervise;
mod supervisors;
mod systemd;

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use as_user::as_user;
pub use jobs::start_job;
pub use limits::{Limits, LimitsError};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use sha2::{Digest, Sha256};
pub use sockets::{ListenAddress, ListenSocket, ListenSocketError, inherited};

use crate::accounts;
use crate::command::{CommandError, HostRunner};
use crate::files::{FileError, ensure_private_folder};
use crate::lock::LockError;

/// The name of the unit that is the load balancer, whose workers leave root behind.
pub const HAPROXY: &str = "haproxy";

/// Programs write of services what strangers are not told, by the scaler's API neither.
const LOG_MODE: u32 = 0o600;

/// How long a program may take to start or, once asked, to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program to keep running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name: `a-z`, `0-9` and `-`. Systemd knows it as `bellows-NAME`.
    pub name: &'static str,
    /// The absolute path of the program, and its arguments.
    pub command: Vec<String>,
    /// Whom it runs as, without any right of root; `None` for root.
    pub user: Option<&'static str>,
    /// What it listens on by sockets, and writes to by pipes, that outlive it.
    pub sockets: Vec<ListenSocket>,
    /// What it may take, where it runs as a user without rights; `None` for what the host grants.
    pub limits: Option<Limits>,
    /// The one folder that it writes to, where it runs as a user without rights.
    pub folder: Option<PathBuf>,
    /// How it is asked to end.
    pub stop: Stop,
}

/// How a program is asked to end, and how long it may take before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// What it is sent.
    pub signal: Signal,
    /// Its time.
    pub patience: Duration,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: Signal::SIGTERM, patience: PATIENCE }
    }
}

impl Unit {
    /// Tells one program from another, whoever keeps it running.
    fn digest(&self) -> String {
        digest(self.user, self.limits, &self.sockets, &self.command)
    }
}

fn digest(
    user: Option<&str>,
    limits: Option<Limits>,
    sockets: &[ListenSocket],
    command: &[String],
) -> String {
    let mut hash = Sha256::new();
    let user = user.map(|user| format!("--user={user}"));
    let limits = limits.map(|limits| format!("--limits={limits}"));
    let sockets = sockets.iter().map(ToString::to_string);
    for word in user.into_iter().chain(limits).chain(sockets).chain(command.iter().cloned()) {
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
    /// It ran and runs on, kept by another release of Bellows than before.
    HandedOver,
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
    /// There is no such user.
    #[error("there is no user `{0}`; run `up`, which makes it")]
    User(String),
    /// Another supervisor of this unit is there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The supervisor could not be started.
    #[error(
        "the supervisor `{program}` could not be started; run `up` again, and see that its folder is \
         not mounted noexec"
    )]
    Supervisor {
        /// Its program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A job could not be started.
    #[error("the job `{program}` could not be started; see that its folder is not mounted noexec")]
    Job {
        /// Its program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The supervisor of another release does not make way.
    #[error(
        "process {pid}, which supervises {name}, does not hand over to {program}; `kill -9 {pid}` and run this again"
    )]
    HandOver {
        /// The unit.
        name: &'static str,
        /// The supervisor.
        pid: i32,
        /// The program that is to take its place.
        program: String,
    },
    /// The limits of a unit cannot be set.
    #[error("the limits {limits} cannot be set; run this as root")]
    Limits {
        /// Those that were asked for.
        limits: Limits,
        /// What the operating system said.
        source: nix::Error,
    },
    /// The supervisor cannot be told of its successor.
    #[error("no signal can be waited for; look at the limits of this process")]
    Signals(#[source] io::Error),
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
    /// [`supervise`]; the unit's user, sockets and name, `--` and its command are added. It runs in the
    /// root folder.
    pub fn of_host(run: &Path, supervisor: Vec<String>) -> Self {
        if Path::new("/run/systemd/system").is_dir() {
            Self { manager: Manager::Systemd(systemd::Systemd::of_host(HostRunner)) }
        } else {
            Self::with_own_supervisor(run, supervisor)
        }
    }

    /// Units that our own supervisor keeps running, whatever the host's init is.
    pub fn with_own_supervisor(run: &Path, supervisor: Vec<String>) -> Self {
        Self { manager: Manager::Supervisors(supervisors::Supervisors::new(run, supervisor)) }
    }

    /// The same, of which a host whose init is systemd starts none at boot. Others start none anyway.
    #[must_use]
    pub fn until_boot(self) -> Self {
        let manager = match self.manager {
            Manager::Systemd(systemd) => Manager::Systemd(systemd.until_boot()),
            own => own,
        };
        Self { manager }
    }

    /// Has `command` run at each boot before the units are started, where units are started then.
    ///
    /// # Errors
    /// When systemd cannot be told.
    pub async fn ensure_boot_step(&self, command: &[String]) -> Result<(), UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.ensure_boot_step(command).await,
            Manager::Supervisors(_) => Ok(()),
        }
    }

    /// Starts the unit unless it runs with this very command. A supervisor of another release
    /// hands over to this one's, and the program runs on.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn ensure_running(&self, unit: &Unit) -> Result<Change, UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.ensure_running(unit).await,
            Manager::Supervisors(supervisors) => supervisors.ensure_running(unit).await,
        }
    }

    /// Ends what would restart the unit, has its sockets refuse who comes, and ends its program with
    /// all its processes. One that does not run is no error.
    ///
    /// # Errors
    /// When a process survives being killed.
    pub async fn stop(&self, unit: &Unit) -> Result<(), UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.stop(unit).await,
            Manager::Supervisors(supervisors) => supervisors.stop(unit).await,
        }
    }

    /// Undoes [`Units::ensure_boot_step`].
    ///
    /// # Errors
    /// When systemd cannot be told.
    pub async fn remove_boot_step(&self) -> Result<(), UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.remove_boot_step().await,
            Manager::Supervisors(_) => Ok(()),
        }
    }

    /// Stops the unit and removes what would start it at boot.
    ///
    /// # Errors
    /// When a process survives being killed, or a file cannot be removed.
    pub async fn remove(&self, unit: &Unit) -> Result<(), UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.remove(unit).await,
            Manager::Supervisors(supervisors) => supervisors.stop(unit).await,
        }
    }

    /// Whether the unit's program runs, and whether something would start it again.
    ///
    /// # Errors
    /// When systemd cannot be asked.
    pub async fn status(&self, unit: &Unit) -> Result<UnitStatus, UnitError> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.status(unit.name).await,
            Manager::Supervisors(supervisors) => Ok(supervisors.status(unit)),
        }
    }

    /// The processes that hold the unit's sockets while its program is away.
    pub async fn keepers(&self, unit: &Unit) -> Vec<i32> {
        match &self.manager {
            Manager::Systemd(systemd) => systemd.keepers(unit).await,
            Manager::Supervisors(supervisors) => supervisors.keepers(unit),
        }
    }

    /// Where to read what the unit's program wrote: a command or a file.
    pub fn log(&self, unit: &Unit) -> String {
        match &self.manager {
            Manager::Systemd(_) => format!("journalctl -u bellows-{}", unit.name),
            Manager::Supervisors(supervisors) => supervisors.log(unit.name).display().to_string(),
        }
    }
}

/// Runs `command` as the unit `name`, and as `user` where one is named, and starts it again whenever it ends,
/// for ever, with sockets that stay open meanwhile. This is what the supervisor's process does, which keeps to the
/// `limits` itself, so that the program has them from its beginning.
///
/// On SIGHUP the process executes anew the program that now stands where it was started from, which
/// takes over sockets and command as they are: this is how another release takes its place.
///
/// # Errors
/// When another supervisor of this unit runs, the run folder cannot be used, or there is no such user.
pub fn supervise(
    run: &Path,
    name: &str,
    user: Option<&str>,
    limits: Option<Limits>,
    sockets: &[ListenSocket],
    command: &[String],
) -> Result<std::convert::Infallible, UnitError> {
    supervise::supervise(UnitFiles::new(run, name), user, limits, sockets, command)
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

    /// Makes the folder, and closes one that an earlier release left open, with the logs in it.
    fn ensure_folder(&self) -> Result<(), FileError> {
        ensure_private_folder(&self.folder)
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// The log, to write on at its end.
    fn open_log(&self) -> io::Result<File> {
        let log = OpenOptions::new().append(true).create(true).mode(LOG_MODE).open(self.log())?;
        log.set_permissions(Permissions::from_mode(LOG_MODE))?;
        Ok(log)
    }

    fn lock(&self) -> PathBuf {
        self.folder.join(format!("{}.lock", self.name))
    }

    /// What marks the unit's processes in their environment.
    fn mark(&self) -> String {
        self.folder.join(&self.name).display().to_string()
    }

    /// Whose processes can be the unit's program, beside root's: the user's that it runs as, or that its workers
    /// run as. By the unit's name, so that a supervisor knows it which a release before this one started.
    fn program_user(&self, user: Option<&str>) -> Option<Uid> {
        let workers = (self.name == HAPROXY).then_some(accounts::LOAD_BALANCER);
        user.or(workers).and_then(accounts::user)
    }
}
