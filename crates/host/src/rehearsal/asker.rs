//! Who asks an application: a thread that has entered its network namespace.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use application::HEALTH_PATHS;
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use super::Found;
use super::question::{ask, is_taken};
use super::verdict::{self, Answer};
use crate::listeners;

/// How soon it is looked again whether anybody listens: a look takes some 4 ms of CPU time.
const LOOK: Duration = Duration::from_millis(50);

/// How soon all paths are asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// What has come of asking.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is known by what it can serve.
    Found(Found),
    /// Nobody could connect, for this reason.
    Unreachable(String),
}

/// Whoever asks, until that is dropped.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) answer: oneshot::Receiver<io::Result<Asked>>,
    is_given_up: Arc<AtomicBool>,
}

impl Asker {
    /// Asks on this port in the network namespace of a process until the deadline.
    ///
    /// # Errors
    /// When the namespace cannot be opened: the process may have ended.
    pub(super) fn start(process: &Path, port: u16, deadline: Instant) -> io::Result<Self> {
        let namespace = File::open(process.join("ns/net"))?;
        // Ours, where the process ended in between and another has its number, or where it is not there yet.
        if namespace.metadata()?.ino() == File::open("/proc/self/ns/net")?.metadata()?.ino() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let is_given_up = Arc::new(AtomicBool::new(false));
        let (tell, answer) = oneshot::channel();
        let given_up = Arc::clone(&is_given_up);
        thread::Builder::new().name("rehearsal".to_owned()).spawn(move || {
            let entered = setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET);
            let is_over = || given_up.load(Ordering::Relaxed) || Instant::now() >= deadline;
            let asked = entered.map_err(io::Error::from).and_then(|()| ask_until(&is_over, port));
            // Nobody listens any more where it was given up.
            let _ = tell.send(asked);
        })?;
        Ok(Self { answer, is_given_up })
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }
}

/// Asks until it is known by what the application can serve, or until it is over.
fn ask_until(is_over: &impl Fn() -> bool, port: u16) -> io::Result<Asked> {
    let paths = HEALTH_PATHS.map(str::parse);
    let mut answers = [Answer::None; HEALTH_PATHS.len()];
    let mut was_taken = false;
    let mut problem = None;
    while !is_over() {
        problem = listeners::problem(port, &listeners::of_process(Path::new("/proc/thread-self"))?);
        if problem.is_some() {
            thread::sleep(LOOK);
            continue;
        }
        was_taken |= is_taken(port);
        for (path, answer) in paths.iter().zip(&mut answers) {
            if let (Ok(path), false) = (path, is_over()) {
                *answer = ask(port, path);
            }
        }
        if let Some(found) = verdict::found(&answers) {
            return Ok(Asked::Found(found));
        }
        thread::sleep(AGAIN);
    }
    let found = verdict::settled(&answers).or(was_taken.then_some(Found::Port));
    let silent = || format!("it listens on port {port} and takes no connection there");
    let unreachable = || Asked::Unreachable(problem.unwrap_or_else(silent));
    Ok(found.map_or_else(unreachable, Asked::Found))
}
