//! `init`: the first process of an instance whose program is not one of this project's. It starts the
//! program as its service's file says, hands it the signals that it is sent, waits for every orphan,
//! carries what the program writes to the host, and ends as the program did.
//!
//! It runs as the user that the program runs as, in a system of which it knows nothing: it is static,
//! needs no file but its own, and no right.

mod lines;
mod output;
mod program;
mod release;
mod signals;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

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
    let program = Program::read(file)?;
    // Before the program is there, so that no signal is missed, its end among them.
    let mut signals =
        Signals::take().map_err(|error| format!("signals cannot be taken: {error}"))?;
    if let Some(due) = Due::open(pipe) {
        let release = release(&program, output, &mut signals);
        let told = match &release {
            Ok(release) => release.to_string(),
            Err(told) => told.clone(),
        };
        output.tell_last(&told);
        let release = release.unwrap_or(Release::NotStarted);
        due.tell(release);
        if !release.is_well() {
            return Ok(ExitCode::from(NOT_RELEASED));
        }
    }
    let child = program.start(output)?;
    let (ended, _) = wait_for(child, output, &mut signals);
    output.tell_last(&format!("the program {ended}"));
    Ok(ended.exit_code())
}

/// Runs the release command to its end. Where the program has none, none failed.
fn release(
    program: &Program,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<Release, String> {
    let Some(child) = program.start_release(output)? else {
        return Ok(Release::Ended(Ended::Exited(0)));
    };
    let (ended, is_asked_to_end) = wait_for(child, output, signals);
    Ok(if is_asked_to_end { Release::Stopped(ended) } else { Release::Ended(ended) })
}

/// Waits for what was started to end, hands it the signals that come meanwhile, and carries what it writes. Tells how
/// it ended, and whether this process was asked to end.
fn wait_for(child: Pid, output: &mut Output, signals: &mut Signals) -> (Ended, bool) {
    let mut is_asked_to_end = false;
    let ended = loop {
        output.wait(signals.as_fd());
        output.carry();
        for signal in signals.pending() {
            is_asked_to_end |= signals::asks_to_end(signal);
            signals::pass_on(signal, child);
        }
        if let Some(ended) = program::reap(child) {
            break ended;
        }
    };
    output.carry();
    output.end();
    (ended, is_asked_to_end)
}
