//! Offers load to a service, checks every answer, and writes down what happened.
//!
//! In an *open loop* a request is due when the scenario says so, whether or not earlier ones have
//! been answered, and its latency counts from that moment. In a *closed loop*, which scenarios of
//! stages ask for, a request is due when its thread has the answer to the one before it: such a
//! generator asks fewer questions of a slow service, and calls it fast (coordinated omission).
//!
//! [`run`] is one run from the scenario's file to the folder of its results, [`experiment()`] one or
//! more of them under settings that are put back afterwards, and [`calibrate()`] finds out by many
//! short loads how much a service serves.

// `println!` panics when its reader is gone, which would be before settings are put back: see
// `command_line::terminal`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod alarms;
mod calibrate;
mod client;
mod dispatcher;
mod driver;
mod error;
mod experiment;
mod finished;
mod follow;
mod interrupt;
mod load;
mod machine;
mod measurements;
mod open_files;
mod outcome;
mod overrides;
mod pacing;
mod pool;
mod progress;
mod run;
mod run_report;
mod scenario_file;
mod serving;
mod session;
mod stored_objects;
mod target;
mod threads;

pub use ::run::ResultsError;
pub use calibrate::{CalibrateOptions, CalibrationReport, calibrate};
pub use error::Error;
pub use experiment::{Experiment, ExperimentReport, MAX_REPETITIONS, Memberships, experiment};
pub use interrupt::Interrupt;
pub use run::{RunOptions, run};
pub use run_report::{Ending, RunReport};
pub use scaler_client::{Scaler, ScalerError};
pub use scenario_file::{LoadedScenario, TraceOptions};
pub use stored_objects::ObjectsError;
pub use target::Target;
