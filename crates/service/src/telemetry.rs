//! The log: events of `tracing` to standard error, as text for people and as JSON for machines.

use std::io::IsTerminal;

use crate::output::Lossy;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

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

/// What beside the log is told of spans and events.
pub type Beside = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts the log of this process. `RUST_LOG` chooses what is logged, otherwise level `info`.
///
/// # Errors
/// `RUST_LOG` is no filter, or there is a log already.
pub fn init() -> Result<(), TelemetryError> {
    init_beside(None)
}

/// The same, with something that is told of all spans and events, whatever `RUST_LOG` says.
///
/// # Errors
/// As those of [`init`].
pub fn init_beside(beside: Option<Beside>) -> Result<(), TelemetryError> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(value) if !value.is_empty() => {
            EnvFilter::try_new(&value).map_err(|source| TelemetryError::Filter { value, source })?
        }
        _ => EnvFilter::new("info"),
    };
    let log = tracing_subscriber::fmt::layer().with_writer(Lossy::new);
    let log = if std::io::stderr().is_terminal() {
        log.boxed()
    } else {
        log.json().flatten_event(true).boxed()
    };
    let all = tracing_subscriber::registry().with(beside).with(log.with_filter(filter));
    all.try_init().map_err(TelemetryError::Twice)
}
