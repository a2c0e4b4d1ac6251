//! Offers load to a service in an open loop, checks every answer, and writes down what happened.
//!
//! *Open loop*: a request is due when the scenario says so, whether or not earlier ones have been
//! answered, and its latency counts from that moment. A generator that waits for answers asks
//! fewer questions of a slow service, and calls it fast.
//!
//! [`run`] is one run from the scenario's file to the folder of its results.

mod client;
mod content;
mod figures;
mod follow;
mod interrupt;
mod load;
mod model;
mod objects;
mod open_files;
mod outcome;
mod pacing;
mod pool;
mod progress;
mod run;
mod scaler;
mod scenario_file;
mod serving;
mod session;
mod target;

pub use interrupt::Interrupt;
pub use load::LoadError;
pub use objects::ObjectsError;
pub use open_files::OpenFilesError;
pub use report::ResultsError;
pub use run::{Ending, RunError, RunOptions, RunReport, run};
pub use scaler::{Scaler, ScalerError};
pub use scenario_file::{LoadedScenario, ScenarioFileError};
pub use target::{Target, TargetError};
