//! Ctrl-C and SIGTERM: the first one ends a run in order, the second one at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The exit code of a program that was interrupted, by convention 128 and the number of SIGINT.
pub(crate) const EXIT_CODE: u8 = 130;

/// A request to end the run.
#[derive(Debug, Clone)]
pub struct Interrupt {
    requested: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens for Ctrl-C and SIGTERM.
    ///
    /// # Errors
    /// When the system does not let the process handle signals.
    pub fn listen() -> io::Result<Self> {
        let (mut ctrl_c, mut term) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, requested) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = ctrl_c.recv() => {}
                    _ = term.recv() => {}
                }
                if sender.send_replace(true) {
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
            // Nobody is left who could ask for it.
            std::future::pending::<()>().await;
        }
    }
}
