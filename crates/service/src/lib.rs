//! What every server of the project shares at start-up: its log, its
//! exit code, the accept loop that drains on a signal, and the HTTP basics (errors, probes,
//! metrics). It knows no program.

pub mod bearer;
pub mod entity_tags;
pub mod exit;
pub mod form;
pub mod json_body;
mod linger;
pub mod listener;
pub mod metrics;
pub mod origin;
pub mod output;
pub mod path;
mod places;
pub mod probes;
pub mod problem;
pub mod program;
pub mod server;
pub mod shutdown;
mod socket;
pub mod telemetry;
mod watched;
mod wellformed;
