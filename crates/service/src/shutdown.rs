//! The wish of the operator or of the container's manager that this process ends.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Installs handlers for SIGTERM and SIGINT at once and returns a future that waits for either.
///
/// A process with id 1, as in a container, has no default action for these signals: without the
/// handlers it would not end at all. Call this before the listener is announced, so that no signal
/// finds the process without them.
pub fn on_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "asked to end");
    })
}
