//! The signals that the first process of an instance is sent, which the kernel keeps from it unless it
//! has a handler for them.
//!
//! Handlers end with an `exec`. Signals that are held back instead, to be read, would be held back from the
//! program as well.

use std::io::{self, PipeReader, Read, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

/// What is passed on, and that a process has ended, which is this one's own matter.
const SIGNALS: [Signal; 9] = [
    Signal::SIGCHLD,
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCONT,
];

/// The signals that have come.
#[derive(Debug)]
pub(crate) struct Signals {
    wake: PipeReader,
    come: Vec<(Signal, Arc<AtomicBool>)>,
}

impl Signals {
    /// Takes signals from now on.
    pub(crate) fn take() -> io::Result<Self> {
        let (wake, waker) = pipe()?;
        fcntl(&wake, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let mut come = Vec::new();
        for signal in SIGNALS {
            // In this order, so that who is woken finds what has come.
            let has_come = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal as i32, Arc::clone(&has_come))?;
            signal_hook::low_level::pipe::register(signal as i32, waker.try_clone()?)?;
            come.push((signal, has_come));
        }
        Ok(Self { wake, come })
    }

    /// Becomes readable with a signal.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Those that have come since the last time.
    pub(crate) fn pending(&mut self) -> impl Iterator<Item = Signal> {
        let mut bytes = [0; 64];
        while self.wake.read(&mut bytes).is_ok_and(|count| count > 0) {}
        let has_come = |come: &AtomicBool| come.swap(false, Ordering::Relaxed);
        self.come.iter().filter(move |(_, come)| has_come(come)).map(|(signal, _)| *signal)
    }
}

/// Whether a signal asks this process to end: LXC sends the first of these.
pub(crate) fn asks_to_end(signal: Signal) -> bool {
    matches!(signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT)
}

/// Asks all other processes of this system to end, as its first one: no other may.
pub(crate) fn ask_everybody() {
    if getpid() == Pid::from_raw(1) {
        // There may be none.
        let _ = kill(Pid::from_raw(-1), Signal::SIGTERM);
    }
}

/// Sends the program what this process was sent.
pub(crate) fn pass_on(signal: Signal, child: Pid) {
    if signal != Signal::SIGCHLD {
        // It may have ended meanwhile.
        let _ = kill(child, signal);
    }
}
