//! The same decisions as the scaler's, in virtual time: what is simulated is found, read, run and compared here, and what
//! comes of it is written as a run. The plants and the loop are in crate `simulation`.

pub mod compare;
pub mod fleet_figures;
pub mod input;
pub mod run;

pub use fleet_figures::FleetFigures;
pub use run::{Outcome, RunError, Setup};
