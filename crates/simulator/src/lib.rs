//! The same decisions as the scaler's, in virtual time.
//!
//! A [`Simulation`] is one service: the scaler's own `Controller::turn` on one side, and on the
//! other a plant that answers requests as the load balancer and the instances do. Everything random
//! follows from one seed: the same input gives the same bytes.

pub mod compare;
mod containers;
pub mod fleet_figures;
pub mod host_model;
pub mod input;
pub mod load;
mod moment;
mod plant;
pub mod run;
pub mod simulation;
mod spread;
mod tape;

pub use containers::Behaviour;
pub use fleet_figures::FleetFigures;
pub use host_model::HostModel;
pub use load::Load;
pub use run::{Outcome, RunError, Setup};
pub use simulation::{Detail, Simulation, SimulationError};
pub use spread::Spread;
