//! Runs other programs: never through a shell, never without a deadline, and with errors that say
//! what ran, how it ended, what it printed and what to do next.

mod fake;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub use fake::FakeRunner;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::trace;

/// How long a program may run when the caller does not say.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// How much of each output is kept. The rest is read and dropped, so that a talkative program
/// neither blocks nor fills the memory.
const OUTPUT_MAX_BYTES: usize = 256 * 1024;

/// How many lines of it an error shows, the last ones: a recipe may print thousands, and errors of
/// actions are kept with their ticks.
const SHOWN_LINES: usize = 20;

/// How long to read on once the program has ended. A daemon that it left behind (the monitor of a
/// container) may hold the pipe open for its whole life, so the end of the pipe is not waited for.
const DRAIN_GRACE: Duration = Duration::from_millis(100);

/// Where programs are looked for. The environment of the caller does not reach them.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether a program is where programs are looked for.
pub(crate) fn is_installed(program: &str) -> bool {
    SEARCH_PATH.split(':').any(|folder| Path::new(folder).join(program).is_file())
}

/// A program with its arguments, what it reads, and how long it may take.
#[derive(Debug, Clone)]
pub struct CommandLine {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Option<Vec<u8>>,
    held: Option<Arc<File>>,
    deadline: Duration,
}

impl CommandLine {
    /// A call of `program` without arguments and with the default deadline of 10 s.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            input: None,
            held: None,
            deadline: DEFAULT_DEADLINE,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        let arguments = arguments.into_iter().map(|a| a.as_ref().to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// Sets a variable in the program's environment, which otherwise holds only `PATH` and the
    /// plain locale.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let pair = (key.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.push(pair);
        self
    }

    /// What the program reads from its standard input, which otherwise is empty.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// A file that the program holds open, as its standard input: a lock on it lasts as long as the
    /// program does, also when this process is killed.
    #[must_use]
    pub fn holding(mut self, file: Arc<File>) -> Self {
        self.held = Some(file);
        self
    }

    /// How long the program may run before its whole process group is killed.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program.to_string_lossy())?;
        for argument in &self.arguments {
            let argument = argument.to_string_lossy();
            if argument.is_empty() || argument.contains(char::is_whitespace) {
                write!(f, " {argument:?}")?;
            } else {
                write!(f, " {argument}")?;
            }
        }
        Ok(())
    }
}

/// What a program that ended well has printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Its standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Its standard error; bytes that are not UTF-8 are replaced.
    pub stderr: String,
}

/// A program that did not do what it was called for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program could not be started.
    #[error("`{command}` could not be started; check that `{program}` is installed")]
    Start {
        /// The command as called.
        command: String,
        /// The program's name.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The program ended with a status other than 0.
    #[error("`{command}` ended with {status}{}", printed(.output))]
    Failed {
        /// The command as called.
        command: String,
        /// How it ended.
        status: String,
        /// What it printed.
        output: Box<Output>,
    },
    /// The program took too long and was killed with its whole process group.
    #[error("`{command}` was killed after {deadline:?}{}", printed(.output))]
    Deadline {
        /// The command as called.
        command: String,
        /// How long it was given.
        deadline: Duration,
        /// What it had printed.
        output: Box<Output>,
    },
    /// The program was started, but talking to it failed.
    #[error("lost contact with `{command}`; try again")]
    Lost {
        /// The command as called.
        command: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl CommandError {
    /// What the program printed on its standard error; empty when it was not started or lost.
    pub fn stderr(&self) -> &str {
        match self {
            Self::Failed { output, .. } | Self::Deadline { output, .. } => &output.stderr,
            Self::Start { .. } | Self::Lost { .. } => "",
        }
    }
}

/// The end of a message: what the program said, so that nobody has to run it again to know.
fn printed(output: &Output) -> String {
    let text = match output.stderr.trim() {
        "" => output.stdout.trim(),
        stderr => stderr,
    };
    let lines: Vec<&str> = text.lines().collect();
    match lines.len().checked_sub(SHOWN_LINES) {
        _ if text.is_empty() => ", and printed nothing".to_owned(),
        None | Some(0) => format!(": {text}"),
        Some(left_out) => format!(": ...\n{}", lines[left_out..].join("\n")),
    }
}

/// Something that runs programs: the host itself, or a script in tests.
pub trait Runner: Send + Sync {
    /// Runs a program to its end. A status other than 0 is an error.
    fn run(
        &self,
        command: &CommandLine,
    ) -> impl Future<Output = Result<Output, CommandError>> + Send;
}

impl<R: Runner> Runner for &R {
    fn run(
        &self,
        command: &CommandLine,
    ) -> impl Future<Output = Result<Output, CommandError>> + Send {
        (**self).run(command)
    }
}

/// Runs programs on this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostRunner;

impl Runner for HostRunner {
    async fn run(&self, command: &CommandLine) -> Result<Output, CommandError> {
        // Its arguments may say more than is anybody's business.
        trace::step(&command.program.to_string_lossy(), run(command)).await
    }
}

async fn run(command: &CommandLine) -> Result<Output, CommandError> {
    let mut child = spawn(command)?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let feed = feed(&mut child, command.input.clone());
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);

    let ended = tokio::time::timeout(command.deadline, child.wait()).await;
    if ended.is_err() {
        kill_group(group);
        // The leader is dead by now, or unkillable in the kernel: 1 s tells which.
        let _ = tokio::time::timeout(Duration::from_secs(1), child.wait()).await;
    }
    feed.abort();
    let output = Output { stdout: text(stdout).await, stderr: text(stderr).await };
    match ended {
        Err(_) => Err(CommandError::Deadline {
            command: command.to_string(),
            deadline: command.deadline,
            output: Box::new(output),
        }),
        Ok(Err(source)) => Err(CommandError::Lost { command: command.to_string(), source }),
        Ok(Ok(status)) if status.success() => Ok(output),
        Ok(Ok(status)) => Err(CommandError::Failed {
            command: command.to_string(),
            status: describe(status),
            output: Box::new(output),
        }),
    }
}

fn spawn(command: &CommandLine) -> Result<Child, CommandError> {
    let failed = |source| CommandError::Start {
        command: command.to_string(),
        program: command.program.to_string_lossy().into_owned(),
        source,
    };
    let stdin = match &command.held {
        Some(file) => Stdio::from(file.try_clone().map_err(failed)?),
        None if command.input.is_some() => Stdio::piped(),
        None => Stdio::null(),
    };
    Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LC_ALL", "C.UTF-8")
        .envs(command.environment.iter().map(|(key, value)| (key, value)))
        .current_dir("/")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)
}

/// Writes the input from a task of its own, so that a program that prints before it has read all
/// of it does not wait for ever. A program that ends without reading everything is no error.
fn feed(child: &mut Child, input: Option<Vec<u8>>) -> JoinHandle<()> {
    let stdin = child.stdin.take();
    tokio::spawn(async move {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            let _ = stdin.write_all(&input).await;
        }
    })
}

/// Reads a pipe in a task of its own; the bytes come through a channel, so that what was read is
/// kept when the reading is given up.
fn collect(
    mut pipe: impl AsyncRead + Unpin + Send + 'static,
) -> (JoinHandle<()>, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let mut kept = 0;
        let mut buffer = vec![0; 8 * 1024];
        while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
            let room = OUTPUT_MAX_BYTES - kept;
            let part = &buffer[..read.min(room)];
            kept += part.len();
            if !part.is_empty() && sender.send(part.to_vec()).is_err() {
                return;
            }
        }
    });
    (task, receiver)
}

async fn text(
    pipe: Option<(JoinHandle<()>, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>)>,
) -> String {
    let Some((mut task, mut parts)) = pipe else {
        return String::new();
    };
    if tokio::time::timeout(DRAIN_GRACE, &mut task).await.is_err() {
        task.abort();
    }
    let mut bytes = Vec::new();
    while let Ok(part) = parts.try_recv() {
        bytes.extend(part);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn kill_group(group: Option<i32>) {
    if let Some(group) = group {
        // An error means that the whole group is gone already.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn output_and_input_pass_through() {
        let command = CommandLine::new("cat").input("hello");
        assert_eq!(HostRunner.run(&command).await.unwrap().stdout, "hello");
    }

    #[tokio::test]
    async fn a_failure_carries_command_status_and_output() {
        let command = CommandLine::new("ls").arg("/does not exist");
        let error = HostRunner.run(&command).await.unwrap_err().to_string();
        assert!(error.starts_with("`ls \"/does not exist\"` ended with status 2: ls: "), "{error}");
    }

    #[tokio::test]
    async fn a_failure_shows_the_end_of_a_long_output() {
        let command = CommandLine::new("sh").args(["-c", "seq 1000; false"]);
        let error = HostRunner.run(&command).await.unwrap_err().to_string();
        assert!(error.contains(" ended with status 1: ...\n981\n"), "{error}");
        assert!(error.ends_with("\n1000"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_program_says_what_to_install() {
        let error = HostRunner.run(&CommandLine::new("no-such-program")).await.unwrap_err();
        assert!(error.to_string().contains("check that `no-such-program` is installed"));
    }

    #[tokio::test]
    async fn past_the_deadline_the_whole_process_group_is_killed() {
        let started = Instant::now();
        // `timeout --foreground` leaves the grandchild in the same process group.
        let command = CommandLine::new("timeout")
            .args(["--foreground", "60", "sleep", "60.125"])
            .deadline(Duration::from_millis(200));
        let error = HostRunner.run(&command).await.unwrap_err();
        assert!(matches!(error, CommandError::Deadline { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(2));
        let alive = HostRunner.run(&CommandLine::new("pgrep").args(["-f", "^sleep 60.125$"])).await;
        assert!(alive.is_err(), "the grandchild outlived the deadline");
    }

    #[tokio::test]
    async fn a_daemon_that_keeps_the_pipe_does_not_hold_the_caller() {
        let started = Instant::now();
        let command = CommandLine::new("sh").args(["-c", "echo done; setsid sleep 2 &"]);
        assert_eq!(HostRunner.run(&command).await.unwrap().stdout, "done\n");
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn output_past_the_bound_is_read_and_dropped() {
        let command = CommandLine::new("head").args(["-c", "1000000", "/dev/zero"]);
        let output = HostRunner.run(&command).await.unwrap();
        assert_eq!(output.stdout.len(), OUTPUT_MAX_BYTES);
    }

    #[tokio::test]
    async fn the_callers_environment_does_not_leak() {
        let output = HostRunner.run(&CommandLine::new("env").env("A", "b")).await.unwrap();
        assert_eq!(output.stdout, format!("A=b\nLC_ALL=C.UTF-8\nPATH={SEARCH_PATH}\n"));
    }
}
