//! The supervisor's loop: starts a program, starts it again when it ends, and keeps its log short.

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Gid, Pid, Uid};
use signal_hook::consts::SIGHUP;

use super::processes::{COMMAND_MARK, PROGRAM_MARK, Process, SUPERVISOR_MARK, leaders, marked};
use super::sockets::{Held, ListenSocket};
use super::{Limits, UnitError, UnitFiles, digest};
use crate::accounts;
use crate::files::{FileError, file_error};
use crate::lock::Lock;

/// How often to look whether the program is alive.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// First pause before a program is started again, doubled as long as it ends at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A program that lived this long did not end at once.
const LIVED: Duration = Duration::from_secs(1);

/// A log past this size moves to `NAME.log.old`, whose content before is lost.
const LOG_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Keeps the program running for ever.
pub(super) fn supervise(
    files: UnitFiles,
    user: Option<&str>,
    limits: Option<Limits>,
    sockets: &[ListenSocket],
    command: &[String],
) -> Result<Infallible, UnitError> {
    // The leader of a session of its own does not get the terminal's SIGHUP. The call fails for a
    // process that is a leader already.
    let _ = nix::unistd::setsid();
    let account = user.map(Account::find).transpose()?;
    if let Some(limits) = limits {
        limits.set().map_err(|source| UnitError::Limits { limits, source })?;
    }
    let program_user = files.program_user(user);
    let make_way = Arc::default();
    signal_hook::flag::register(SIGHUP, Arc::clone(&make_way)).map_err(UnitError::Signals)?;
    let _lock = Lock::acquire(&files.lock())?;
    let held = Held::inherited(sockets);
    let digest = digest(user, limits, sockets, command);
    Supervisor { files, account, program_user, sockets, command, digest, held, make_way }.run()
}

/// Whom the program runs as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) user: Uid,
    pub(super) group: Gid,
}

impl Account {
    pub(super) fn find(name: &str) -> Result<Self, UnitError> {
        let found = accounts::user(name).zip(accounts::group(name));
        let (user, group) = found.ok_or_else(|| UnitError::User(name.to_owned()))?;
        Ok(Self { user, group })
    }
}

struct Supervisor<'a> {
    files: UnitFiles,
    /// Whom the program runs as; `None` for root.
    account: Option<Account>,
    /// Whose processes can be the program, beside root's.
    program_user: Option<Uid>,
    sockets: &'a [ListenSocket],
    command: &'a [String],
    digest: String,
    /// The open sockets; `None` until they can be had.
    held: Option<Held>,
    /// Whether another release is to take this one's place.
    make_way: Arc<AtomicBool>,
}

impl Supervisor<'_> {
    fn run(mut self) -> ! {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            if !self.watch_what_runs() {
                match self.start() {
                    Ok(mut child) => {
                        self.watch(|| matches!(child.try_wait(), Ok(Some(_)) | Err(_)));
                    }
                    Err(error) => self.note(&format!("the program could not be started: {error}")),
                }
            }
            // Children that outlived the program hold what it held.
            for left in self.programs() {
                left.signal(Signal::SIGTERM);
            }
            let lived = started.elapsed() > LIVED;
            pause = if lived { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            self.note(&format!("the program ended and is started again in {pause:?}"));
            sleep(pause);
            self.hand_over_if_asked();
        }
    }

    /// Watches a program that runs already, because the supervisor before made way or was killed, and
    /// says whether there was one: a second one would find its ports taken. A supervisor that was
    /// killed left its sockets to the program.
    fn watch_what_runs(&mut self) -> bool {
        let found = self.programs();
        let Some(program) = leaders(&found).next() else { return false };
        self.note(&format!("watching the running process {}", program.pid));
        if self.held.is_none() {
            self.held = Held::of_program(program.pid, self.sockets);
        }
        self.watch(|| !program.is_alive());
        // It may be a child of this process, which then is to learn of its end.
        let _ = waitpid(Pid::from_raw(program.pid), Some(WaitPidFlag::WNOHANG));
        true
    }

    /// The unit's processes.
    fn programs(&self) -> Vec<Process> {
        marked(PROGRAM_MARK, &self.files.mark(), self.program_user)
    }

    fn start(&mut self) -> io::Result<Child> {
        let [program, arguments @ ..] = self.command else {
            return Err(io::Error::other("there is no command"));
        };
        let held = match self.held.take() {
            Some(held) => held,
            None => Held::listen(self.sockets)?,
        };
        let held = self.held.insert(held);
        let log = self.files.open_log()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_remove(SUPERVISOR_MARK)
            .env(PROGRAM_MARK, self.files.mark())
            .env(COMMAND_MARK, &self.digest)
            .envs(held.variables())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        if let Some(Account { user, group }) = self.account {
            // Root's other groups go with it.
            command.uid(user.as_raw()).gid(group.as_raw());
        }
        command.spawn()
    }

    /// Waits until the program has ended.
    fn watch(&self, mut ended: impl FnMut() -> bool) {
        while !ended() {
            self.hand_over_if_asked();
            if let Err(error) = shorten(&self.files.log(), LOG_MAX_BYTES) {
                self.note(&error.to_string());
            }
            sleep(LOOK_INTERVAL);
        }
    }

    /// Executes the program that stands now where this one was started from, as this very process:
    /// the program that it supervises remains its child, and the sockets remain open.
    fn hand_over_if_asked(&self) {
        if !self.make_way.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut arguments = std::env::args_os();
        let Some(program) = arguments.next() else { return };
        let variables = self.held.iter().flat_map(Held::variables);
        let error = Command::new(program).args(arguments).envs(variables).exec();
        self.note(&format!("no other release could take over: {error}"));
    }

    /// A line of the supervisor's own in the program's log.
    fn note(&self, line: &str) {
        if let Ok(mut log) = self.files.open_log() {
            // A full disk is no reason to stop watching the program.
            let _ = writeln!(log, "bellows supervise {}: {line}", self.files.name);
        }
    }
}

/// Copies the log aside and empties it. The program has the file open for appending, so that it
/// writes on at the new end; what it writes between the two steps is lost. The copy has the log's mode.
fn shorten(log: &Path, max_bytes: u64) -> Result<(), FileError> {
    let length = fs::metadata(log).map_or(0, |data| data.len());
    if length <= max_bytes {
        return Ok(());
    }
    let old = log.with_extension("log.old");
    fs::copy(log, &old).map_err(file_error("write", &old))?;
    let file = OpenOptions::new().write(true).open(log).map_err(file_error("open", log))?;
    file.set_len(0).map_err(file_error("empty", log))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_past_its_bound_moves_aside() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.log");
        let mut program = OpenOptions::new().append(true).create(true).open(&log).unwrap();
        std::io::Write::write_all(&mut program, b"0123456789").unwrap();
        shorten(&log, 10).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "0123456789");
        shorten(&log, 9).unwrap();
        std::io::Write::write_all(&mut program, b"next").unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "next");
        assert_eq!(fs::read_to_string(folder.path().join("x.log.old")).unwrap(), "0123456789");
    }
}
