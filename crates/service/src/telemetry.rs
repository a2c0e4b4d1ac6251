//! The log: events of `tracing` to standard error, as text for people and as JSON for machines.

use std::io::IsTerminal;

use crate::output::Lossy;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// The variable that replaces the filter of the log, for example `RUST_LOG=debug,hyper=info`.
pub const FILTER_VARIABLE: &str = EnvFilter::DEFAULT_ENV;

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The variable holds no filter.
    #[error(
        "the variable {FILTER_VARIABLE} = {value:?} is no log filter: give a level such as \"info\", or \"module=level\" pairs"
    )]
    Filter {
        /// What the variable holds.
        value: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log already.
    #[error("the log was started twice: call telemetry::init once, from main")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts the log of this process. `RUST_LOG` chooses what is logged, otherwise level `info`.
pub fn init() -> Result<(), TelemetryError> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(value) if !value.is_empty() => {
            EnvFilter::try_new(&value).map_err(|source| TelemetryError::Filter { value, source })?
        }
        _ => EnvFilter::new("info"),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Lossy::new);
    let started = if std::io::stderr().is_terminal() {
        log.finish().try_init()
    } else {
        log.json().flatten_event(true).finish().try_init()
    };
    started.map_err(TelemetryError::Twice)
}
