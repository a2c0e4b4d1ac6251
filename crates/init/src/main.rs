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
mod signals;

use std::path::Path;
use std::process::ExitCode;

use builder::Builder;
use output::Output;
use program::Program;
use signals::Signals;

/// What to start, as Bellows wrote it into the template.
const FILE: &str = "/etc/bellows/command.json";

/// The exit code where the program cannot be started, as a shell's.
const NOT_STARTED: u8 = 127;

/// The exit code where nobody waits for it any more.
const NOT_WAITED_FOR: u8 = 125;

fn main() -> ExitCode {
    let file = std::env::args_os().nth(1).unwrap_or_else(|| FILE.into());
    let Ok(mut output) = Output::open() else {
        // There is nobody to tell.
        return ExitCode::from(NOT_STARTED);
    };
    match run(Path::new(&file), &mut output) {
        Ok(code) => code,
        Err(told) => {
            output.tell_last(&told);
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// Runs the program to its end, and gives the code to end with.
fn run(file: &Path, output: &mut Output) -> Result<ExitCode, String> {
    let mut builder = Builder::at(Path::new(builder::PIPE))
        .map_err(|error| format!("{} cannot be opened: {error}", builder::PIPE))?;
    let program = Program::read(file)?;
    // Before the program is there, so that no signal is missed, its end among them.
    let mut signals =
        Signals::take().map_err(|error| format!("signals cannot be taken: {error}"))?;
    let child = program.start(output)?;
    let ended = loop {
        if builder.is_gone() {
            return Ok(ExitCode::from(NOT_WAITED_FOR));
        }
        output.wait([signals.as_fd()].into_iter().chain(builder.as_fd()));
        output.carry();
        for signal in signals.pending() {
            signals::pass_on(signal, child);
        }
        if let Some(ended) = program::reap(child) {
            break ended;
        }
    };
    output.carry();
    output.end();
    output.tell_last(&ended.to_string());
    Ok(ended.exit_code())
}
