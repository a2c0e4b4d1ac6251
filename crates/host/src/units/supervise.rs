//! The supervisor's loop: starts a program, starts it again when it ends, and keeps its log short.

use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::processes::{COMMAND_MARK, PROGRAM_MARK, SUPERVISOR_MARK, leaders, marked};
use super::{UnitError, UnitFiles, digest};
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

/// Keeps the program running for ever. One that already runs, because the supervisor before was
/// killed, is watched first: a second one would find its ports taken.
pub(super) fn supervise(files: &UnitFiles, command: &[String]) -> Result<Infallible, UnitError> {
    // The leader of a session of its own does not get the terminal's SIGHUP. The call fails for a
    // process that is a leader already.
    let _ = nix::unistd::setsid();
    let _lock = Lock::acquire(&files.lock())?;
    let mut pause = FIRST_PAUSE;
    loop {
        let found = marked(PROGRAM_MARK, &files.mark());
        if let Some(program) = leaders(&found).next() {
            note(files, &format!("watching the running process {}", program.pid));
            watch(files, || !program.is_alive());
        }
        let started = Instant::now();
        match start(files, command) {
            Ok(mut child) => watch(files, || matches!(child.try_wait(), Ok(Some(_)) | Err(_))),
            Err(error) => note(files, &format!("the program could not be started: {error}")),
        }
        // Children that outlived the program hold its ports.
        for left in marked(PROGRAM_MARK, &files.mark()) {
            left.signal(Signal::SIGTERM);
        }
        pause =
            if started.elapsed() > LIVED { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        note(files, &format!("the program ended and is started again in {pause:?}"));
        sleep(pause);
    }
}

fn start(files: &UnitFiles, command: &[String]) -> std::io::Result<Child> {
    let [program, arguments @ ..] = command else {
        return Err(std::io::Error::other("there is no command"));
    };
    let log = OpenOptions::new().append(true).create(true).open(files.log())?;
    Command::new(program)
        .args(arguments)
        .env_remove(SUPERVISOR_MARK)
        .env(PROGRAM_MARK, files.mark())
        .env(COMMAND_MARK, digest(command))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

/// Waits until the program has ended.
fn watch(files: &UnitFiles, mut ended: impl FnMut() -> bool) {
    while !ended() {
        if let Err(error) = shorten(&files.log(), LOG_MAX_BYTES) {
            note(files, &error.to_string());
        }
        sleep(LOOK_INTERVAL);
    }
}

/// Copies the log aside and empties it. The program has the file open for appending, so that it
/// writes on at the new end; what it writes between the two steps is lost.
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

/// A line of the supervisor's own in the program's log.
fn note(files: &UnitFiles, line: &str) {
    use std::io::Write;
    let open = |path: &Path| -> std::io::Result<File> {
        OpenOptions::new().append(true).create(true).open(path)
    };
    if let Ok(mut log) = open(&files.log()) {
        // A full disk is no reason to stop watching the program.
        let _ = writeln!(log, "bellows supervise {}: {line}", files.name);
    }
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
