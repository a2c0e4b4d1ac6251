//! The program: what is started, and how it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use serde::Deserialize;

use crate::output::Output;

/// What to start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// Its path, or its name to look for on the `PATH`, and its arguments.
    command: Vec<String>,
    /// Its environment, whole.
    environment: BTreeMap<String, String>,
    /// The variables whose values are files: secrets, which are written down nowhere else.
    #[serde(default)]
    environment_files: BTreeMap<String, PathBuf>,
    working_folder: PathBuf,
    /// What is run before it in the first instance of a deploy, and its arguments.
    #[serde(default)]
    release: Option<Vec<String>>,
}

impl Program {
    /// Reads what to start.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Starts the program, whose outputs are `output`'s.
    pub(crate) fn start(&self, output: &mut Output) -> Result<Pid, String> {
        self.start_as("instance.command", &self.command, output)
    }

    /// Starts the release command in the same way, where there is one.
    pub(crate) fn start_release(&self, output: &mut Output) -> Result<Option<Pid>, String> {
        let start = |words: &Vec<String>| self.start_as("release", words, output);
        self.release.as_ref().map(start).transpose()
    }

    /// Starts what the service's file has as `key`.
    fn start_as(&self, key: &str, words: &[String], output: &mut Output) -> Result<Pid, String> {
        let folder = &self.working_folder;
        // The program inherits it. By itself its folder would be told as one that cannot be started.
        std::env::set_current_dir(folder).map_err(|error| not_entered(folder, &error))?;
        let (name, arguments) = words.split_first().ok_or_else(|| format!("{key} is empty"))?;
        let pipes = output.pipes().map_err(|error| format!("no pipe can be made: {error}"))?;
        let [stdout, stderr] = pipes.map(Stdio::from);
        let mut command = Command::new(name);
        command.args(arguments).env_clear().envs(&self.environment);
        for (variable, file) in &self.environment_files {
            command.env(variable, value_of(variable, file)?);
        }
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
        let child = child.map_err(|error| not_started(key, name, &error))?;
        i32::try_from(child.id()).map(Pid::from_raw).map_err(|error| error.to_string())
    }
}

fn not_entered(folder: &Path, error: &io::Error) -> String {
    let folder = folder.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            format!("{folder} is no folder of the image: mend instance.working_folder")
        }
        _ => format!(
            "{folder} cannot be entered by the program's user ({error}): mend its mode in the image, or \
             instance.user or instance.working_folder"
        ),
    }
}

/// What a file of a secret says, without the end of its last line, as a shell's `$(cat FILE)` has it.
fn value_of(variable: &str, file: &Path) -> Result<OsString, String> {
    let mut value = std::fs::read(file).map_err(|error| {
        format!("the secret for {variable}, {}, cannot be read: {error}", file.display())
    })?;
    value.pop_if(|last| *last == b'\n');
    if value.contains(&0) {
        return Err(format!(
            "the secret for {variable} has a NUL, which no variable can hold: have the program read {}",
            file.display()
        ));
    }
    Ok(OsString::from_vec(value))
}

fn not_started(key: &str, name: &str, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::NotFound => format!(
            "it, or the interpreter that its first line names, is not in the image: mend {key}"
        ),
        io::ErrorKind::PermissionDenied => {
            "it is not executable, or not for this user: mend its mode in the image, or instance.user"
                .to_owned()
        }
        io::ErrorKind::ArgumentListTooLong => {
            "arguments and environment are more than the kernel takes: have the program read large \
             secrets from their files"
                .to_owned()
        }
        _ => format!("mend {key}"),
    };
    format!("{name} cannot be started ({error}): {cure}")
}

/// How what was started ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal.
    Killed(Signal),
}

impl Ended {
    /// What a shell ends with.
    pub(crate) fn exit_code(self) -> ExitCode {
        let code = match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => 128 + signal as i32,
        };
        ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "ended with status {status}"),
            Self::Killed(signal) => write!(f, "was killed by {}", signal.as_str()),
        }
    }
}

/// Takes note of every process that has ended, orphans among them; tells how `child` did, if it has.
pub(crate) fn reap(child: Pid) -> Option<Ended> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                ended = Some(Ended::Exited(status));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                ended = Some(Ended::Killed(signal));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return ended,
            Ok(_) | Err(_) => {}
        }
    }
}

/// Whether any process is left that this one waits for: as the first one of its system, any at all.
pub(crate) fn has_children() -> bool {
    let looks = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, looks) != Err(Errno::ECHILD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_is_told_with_the_key_to_mend() {
        let told = |kind: io::ErrorKind| not_started("instance.command", "/bin/x", &kind.into());
        assert!(told(io::ErrorKind::NotFound).ends_with("mend instance.command"));
        assert!(told(io::ErrorKind::PermissionDenied).ends_with("or instance.user"));
    }

    #[test]
    fn an_end_is_told_in_words_and_as_a_shell_does_in_its_code() {
        assert_eq!(Ended::Exited(3).to_string(), "ended with status 3");
        assert_eq!(Ended::Killed(Signal::SIGKILL).to_string(), "was killed by SIGKILL");
        assert_eq!(Ended::Killed(Signal::SIGKILL).exit_code(), ExitCode::from(137));
    }
}
