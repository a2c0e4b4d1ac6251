//! Finds processes by a mark in their environment, which the kernel keeps for as long as they live
//! and their children inherit. A file with a process id would go stale; this cannot.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
    /// When it started, in the kernel's ticks since boot. With the id it names one process only.
    started: u64,
    command: Option<String>,
}

impl Process {
    /// Whether this very process, and no later one of the same id, is alive.
    pub(super) fn is_alive(&self) -> bool {
        read_stat(self.pid).is_some_and(|stat| stat.started == self.started)
    }

    /// Whether it was started for a command with this digest.
    pub(super) fn runs(&self, digest: &str) -> bool {
        self.command.as_deref() == Some(digest)
    }

    /// Sends a signal to this very process.
    pub(super) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            // It may have ended since, which is no error.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// All processes with `mark=value` in their environment, in the order of their ids.
pub(super) fn marked(mark: &str, value: &str) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<Process> = pids.filter_map(|pid| read(pid, mark, value)).collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// Of some processes, those whose parent is none of them.
pub(super) fn leaders(processes: &[Process]) -> impl Iterator<Item = &Process> {
    processes.iter().filter(|process| !processes.iter().any(|other| other.pid == process.parent))
}

fn read(pid: i32, mark: &str, value: &str) -> Option<Process> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let get = |key: &str| {
        environment.split(|byte| *byte == 0).find_map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            pair.strip_prefix(key)?.strip_prefix('=').map(str::to_owned)
        })
    };
    if get(mark)? != value {
        return None;
    }
    let stat = read_stat(pid)?;
    Some(Process { pid, parent: stat.parent, started: stat.started, command: get(COMMAND_MARK) })
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    started: u64,
}

fn read_stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The parent and the start of a process that is alive. A dead one that nobody has waited for is
/// gone for every purpose here.
fn parse_stat(text: &str) -> Option<Stat> {
    // The program's name is in brackets and may hold brackets and blanks itself.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some(Stat { parent: fields.get(1)?.parse().ok()?, started: fields.get(19)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_is_no_trap() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0";
        assert_eq!(parse_stat(text), Some(Stat { parent: 7, started: 98765 }));
        assert_eq!(parse_stat(&text.replace(") S ", ") Z ")), None);
        assert_eq!(parse_stat("42 (a"), None);
    }

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
        let both = || marked("TEST_MARK", &value).len() == 2;
        for _ in 0..200 {
            if both() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let found = marked("TEST_MARK", &value);
        assert_eq!(found.len(), 2);
        let leader = leaders(&found).next().unwrap().clone();
        assert_eq!(leader.pid, i32::try_from(child.id()).unwrap());
        assert!(leader.runs("abc") && !leader.runs("abd"));
        leader.signal(Signal::SIGKILL);
        found[1].signal(Signal::SIGKILL);
        child.wait().unwrap();
        assert!(!leader.is_alive());
    }
}
