//! Ctrl-C, SIGTERM and the end of the terminal: the first one ends a run in order, a second Ctrl-C or
//! SIGTERM at once.

use std::io::{self, IsTerminal as _};

use command_line::terminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The exit code of a program that was interrupted, by convention 128 and the number of SIGINT.
pub(crate) const EXIT_CODE: u8 = 130;

/// A request to end the run.
#[derive(Debug, Clone)]
pub struct Interrupt {
    requested: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens for Ctrl-C, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// When the system does not let the process handle signals.
    pub fn listen() -> io::Result<Self> {
        let (mut ctrl_c, mut term) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut hang_up =
            if outlives_terminal() { None } else { Some(signal(SignalKind::hangup())?) };
        let (sender, requested) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                // A terminal that ends may say so twice, itself and through the shell.
                let is_person = tokio::select! {
                    _ = ctrl_c.recv() => true,
                    _ = term.recv() => true,
                    () = next(&mut hang_up) => false,
                };
                if !sender.send_replace(true) {
                    announce();
                } else if is_person {
                    std::process::exit(EXIT_CODE.into());
                }
            }
        });
        Ok(Self { requested })
    }

    /// One that comes when the sender of the pair says so, for programs that have the run as a part.
    pub fn manual() -> (watch::Sender<bool>, Self) {
        let (sender, requested) = watch::channel(false);
        (sender, Self { requested })
    }

    /// Whether it has come.
    pub(crate) fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until it comes.
    pub(crate) async fn requested(&mut self) {
        if self.requested.wait_for(|requested| *requested).await.is_err() {
            // The sender is gone: no interrupt can come any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Waits for the next signal, where it is listened for.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether the program was started to go on without its terminal, as by `nohup`: SIGHUP, the first
/// of all signals, is among those that it ignores.
fn outlives_terminal() -> bool {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status.is_ok_and(|status| status.sigign & 1 == 1)
}

fn announce() {
    // The terminal shows ^C, or a bar, where the cursor is.
    let start = if io::stderr().is_terminal() { "\n" } else { "" };
    terminal::note(format_args!(
        "{start}interrupted: ending in order; once more ends at once and leaves policy and bounds as \
         they are"
    ));
}
