//! `init`: the first process of an instance whose program is not one of this project's. It starts the
//! program as its service's file says, hands it the signals that it is sent, waits for every orphan,
//! carries what the program writes to the host, and ends as the program did.
//!
//! It runs as the user that the program runs as, in a system of which it knows nothing: it is static,
//! needs no file but its own, and no right.

mod builder;
mod lines;
mod output;
mod program;
mod release;
mod signals;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use builder::Builder;
use nix::unistd::Pid;
use output::Output;
use program::{Ended, Program};
use release::{Due, Release};
use signals::Signals;

/// The exit code where the release command did not end well, whatever its own was.
const NOT_RELEASED: u8 = 1;

/// What to start, as Bellows wrote it into the template.
const FILE: &str = "/etc/bellows/command.json";

/// The exit code where the program cannot be started, as a shell's.
const NOT_STARTED: u8 = 127;

/// The exit code where nobody waits for it any more.
const NOT_WAITED_FOR: u8 = 125;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| OsString::from(default));
    let (file, pipe) = (next(FILE), next(release::PIPE));
    let Ok(mut output) = Output::open() else {
        // There is nobody to tell.
        return ExitCode::from(NOT_STARTED);
    };
    match run(Path::new(&file), Path::new(&pipe), &mut output) {
        Ok(code) => code,
        Err(told) => {
            output.tell_last(&told);
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// Runs the program to its end, after the release command where that is due, and gives the code to end with.
fn run(file: &Path, pipe: &Path, output: &mut Output) -> Result<ExitCode, String> {
    let builder = Builder::at(Path::new(builder::PIPE))
        .map_err(|error| format!("{} cannot be opened: {error}", builder::PIPE))?;
    let program = Program::read(file)?;
    // Before the program is there, so that no signal is missed, its end among them.
    let signals = Signals::take().map_err(|error| format!("signals cannot be taken: {error}"))?;
    let mut watch = Watch { output, signals, builder };
    let mut due = Due::open(pipe);
    if let Some(due) = &mut due {
        let release = watch.release(&program);
        let told = match &release {
            Ok(release) => release.to_string(),
            Err(told) => told.clone(),
        };
        watch.output.tell_last(&told);
        let release = release.unwrap_or(Release::NotStarted);
        due.tell(release);
        if !release.is_well() {
            return Ok(ExitCode::from(NOT_RELEASED));
        }
    }
    let child = program.start(watch.output)?;
    let Some((ended, _)) = watch.wait_for(child, Asked::Child) else {
        return Ok(ExitCode::from(NOT_WAITED_FOR));
    };
    watch.output.tell_last(&format!("the program {ended}"));
    Ok(ended.exit_code())
}

/// Who is asked to end where this process is, and waited for then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// What was started: it looks after what it started itself.
    Child,
    /// All that runs here. The shell of a line `./migrate && ./seed` ends at once, and leaves a migration to be killed.
    Everybody,
}

/// What is looked at while something runs.
struct Watch<'a> {
    output: &'a mut Output,
    signals: Signals,
    builder: Builder,
}

impl Watch<'_> {
    /// Runs the release command to its end. Where the program has none, none failed.
    fn release(&mut self, program: &Program) -> Result<Release, String> {
        let Some(child) = program.start_release(self.output)? else {
            return Ok(Release::Ended(Ended::Exited(0)));
        };
        let ended = self.wait_for(child, Asked::Everybody);
        // No build has a release command.
        let (ended, is_asked_to_end) = ended.ok_or("nobody waits for it")?;
        Ok(if is_asked_to_end { Release::Stopped(ended) } else { Release::Ended(ended) })
    }

    /// Waits for what was started to end, hands it the signals that come meanwhile, and carries what it writes. Tells
    /// how it ended, and whether this process was asked to end; `None` where nobody waits for it any more.
    fn wait_for(&mut self, child: Pid, asked: Asked) -> Option<(Ended, bool)> {
        let (mut is_asked_to_end, mut has_ended) = (false, None);
        let ended = loop {
            if self.builder.is_gone() {
                return None;
            }
            self.output.wait([self.signals.as_fd()].into_iter().chain(self.builder.as_fd()));
            self.output.carry();
            for signal in self.signals.pending() {
                is_asked_to_end |= signals::asks_to_end(signal);
                signals::pass_on(signal, child);
                if asked == Asked::Everybody && signals::asks_to_end(signal) {
                    signals::ask_everybody();
                }
            }
            has_ended = has_ended.or(program::reap(child));
            let waits = asked == Asked::Everybody && is_asked_to_end;
            if let Some(ended) = has_ended.filter(|_| !waits || !program::has_children()) {
                break ended;
            }
        };
        self.output.carry();
        self.output.end();
        Some((ended, is_asked_to_end))
    }
}
