//! Finds processes by a mark in their environment, which the kernel keeps for as long as they live
//! and their children inherit. A file with a process id would go stale; this cannot.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, geteuid};
use procfs::process::{Stat, all_processes};

/// The bits of a mode by which a program runs as its owner or its group.
const SET_IDS: u32 = 0o6000;

/// Marks a supervisor with its unit.
pub(super) const SUPERVISOR_MARK: &str = "BELLOWS_SUPERVISOR";

/// Marks a unit's program and its children with the unit.
pub(super) const PROGRAM_MARK: &str = "BELLOWS_UNIT";

/// The digest of the unit's command, in supervisors and programs.
pub(super) const COMMAND_MARK: &str = "BELLOWS_COMMAND";

/// A process that was alive when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    /// When it started, in the kernel's clock ticks since boot. Ids of processes are used again:
    /// with this one names one process only.
    started: u64,
    command: Option<OsString>,
}

impl Process {
    /// Whether this very process, and no later one of the same id, is alive.
    pub(super) fn is_alive(&self) -> bool {
        let stat = procfs::process::Process::new(self.pid).and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.starttime == self.started && is_alive(&stat))
    }

    /// Whether it was started for a command with this digest.
    pub(super) fn runs(&self, digest: &str) -> bool {
        self.command.as_deref() == Some(digest.as_ref())
    }

    /// The file of the program that it runs, as it is called now.
    pub(super) fn program(&self) -> Option<PathBuf> {
        procfs::process::Process::new(self.pid).and_then(|process| process.exe()).ok()
    }

    /// Sends a signal to this very process.
    pub(super) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may have ended since, which is no error.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// All processes that are alive and have `mark=value` in their environment, in the order of their
/// ids. Those that end while they are read are left out, and those of others than root and `user`: anybody can
/// set a mark, the root of an instance is an id of its own on the host, and a set-uid program such as `su` is
/// root's and keeps the environment of whoever calls it.
pub(super) fn marked(mark: &str, value: &str, user: Option<Uid>) -> Vec<Process> {
    let trusted = [Some(geteuid()), user];
    let is_ours = |process: &procfs::process::Process| {
        process.uid().is_ok_and(|uid| trusted.contains(&Some(Uid::from_raw(uid))))
            && !is_set_uid(process)
    };
    let processes = all_processes().into_iter().flatten().flatten().filter(is_ours);
    let mut found: Vec<_> =
        processes.filter_map(|process| read(&process, mark.as_ref(), value.as_ref())).collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Those of the processes whose parent is not among them.
pub(super) fn leaders(processes: &[Process]) -> impl Iterator<Item = &Process> {
    processes.iter().filter(|process| !processes.iter().any(|other| other.pid == process.parent))
}

/// Whether it runs a program that gives others' rights to whoever calls it.
fn is_set_uid(process: &procfs::process::Process) -> bool {
    // What the link leads to, also when the file has been removed since.
    let program = fs::metadata(format!("/proc/{}/exe", process.pid()));
    program.is_ok_and(|program| program.mode() & SET_IDS != 0)
}

fn read(process: &procfs::process::Process, mark: &OsStr, value: &OsStr) -> Option<Process> {
    let mut environment = process.environ().ok()?;
    if environment.get(mark)? != value {
        return None;
    }
    let stat = process.stat().ok().filter(is_alive)?;
    Some(Process {
        pid: stat.pid,
        parent: stat.ppid,
        started: stat.starttime,
        command: environment.remove(OsStr::new(COMMAND_MARK)),
    })
}

/// A zombie, which is dead and which nobody has waited for, holds no port and no file.
fn is_alive(stat: &Stat) -> bool {
    !matches!(stat.state, 'Z' | 'X')
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::accounts;

    #[test]
    fn processes_are_found_by_their_mark_with_their_children() {
        let value = format!("test-{}", std::process::id());
        let mut child = Command::new("timeout")
            .args(["5", "sleep", "5"])
            .env("TEST_MARK", &value)
            .env(COMMAND_MARK, "abc")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let both = || marked("TEST_MARK", &value, None).len() == 2;
        for _ in 0..200 {
            if both() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let found = marked("TEST_MARK", &value, None);
        assert_eq!(found.len(), 2);
        let leader = leaders(&found).next().unwrap().clone();
        assert_eq!(leader.pid, i32::try_from(child.id()).unwrap());
        assert!(leader.runs("abc") && !leader.runs("abd"));
        leader.signal(Signal::SIGKILL);
        found[1].signal(Signal::SIGKILL);
        // Dead already, though nobody has waited for it.
        for _ in 0..200 {
            if !leader.is_alive() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(!leader.is_alive());
        child.wait().unwrap();
        assert!(!leader.is_alive());
    }

    /// By a program: a copy of ours is open for writing in every process that another test starts meanwhile, until
    /// that runs its program, and what is open for writing cannot be run ("Text file busy").
    fn copy_sleep(to: &Path) {
        assert!(Command::new("cp").arg("/usr/bin/sleep").arg(to).status().unwrap().success());
    }

    #[test]
    fn a_mark_that_somebody_else_sets_counts_for_nothing() {
        let value = format!("foreign-{}", std::process::id());
        let sleep = |uid| {
            let mut sleep = Command::new("sleep");
            sleep.arg("5").env("TEST_MARK", &value).uid(uid).spawn().unwrap()
        };
        // 1,000,000 is the root of an instance; HAProxy's workers leave root behind, and count where they are
        // the unit's.
        let balancer = accounts::user(accounts::LOAD_BALANCER).expect("haproxy is installed");
        let mut children: Vec<_> = [0, balancer.as_raw(), 1_000_000, 65_534].map(sleep).into();
        let folder = tempfile::tempdir().unwrap();
        let set_uid = folder.path().join("sleep");
        copy_sleep(&set_uid);
        std::fs::set_permissions(&set_uid, std::fs::Permissions::from_mode(0o4755)).unwrap();
        let called = Command::new(set_uid).arg("5").env("TEST_MARK", &value).spawn().unwrap();
        children.push(called);
        let ours: Vec<i32> =
            children[..2].iter().map(|child| i32::try_from(child.id()).unwrap()).collect();
        let found = |user| -> Vec<i32> {
            marked("TEST_MARK", &value, user).iter().map(|process| process.pid).collect()
        };
        let mut all = found(Some(balancer));
        for _ in 0..200 {
            if all.len() >= ours.len() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
            all = found(Some(balancer));
        }
        let of_root = found(None);
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(all, ours);
        assert_eq!(of_root, ours[..1]);
    }

    #[test]
    fn a_program_whose_name_is_not_utf_8_is_found_as_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(OsStr::from_bytes(b"sl\xff"));
        copy_sleep(&program);
        let value = format!("odd-{}", std::process::id());
        let mut child = Command::new(program).arg("5").env("TEST_MARK", &value).spawn().unwrap();
        let is_found = || marked("TEST_MARK", &value, None).iter().any(Process::is_alive);
        assert!((0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            is_found()
        }));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
