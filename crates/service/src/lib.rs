//! What every server of the project shares at start-up: its configuration file, its log, its
//! exit code, the accept loop that drains on a signal, and the HTTP basics (errors, probes,
//! metrics). It knows no program.

pub mod config;
pub mod exit;
mod linger;
pub mod metrics;
pub mod probes;
pub mod problem;
pub mod server;
pub mod shutdown;
pub mod telemetry;
