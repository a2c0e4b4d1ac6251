//! A service in virtual time, under the scaler's own decisions.
//!
//! A [`Simulation`] is one service: the scaler's own `Controller::turn` on one side, and on the
//! other a plant that answers requests as the load balancer and the instances do. Everything random
//! follows from one seed: the same arguments give the same bytes. Nothing here asks a clock, reads a
//! file or starts a thread.

mod containers;
pub mod host_model;
pub mod load;
mod moment;
mod outcomes;
mod plant;
pub mod preview;
mod simulation;
mod spread;
mod tape;

pub use containers::Behaviour;
pub use host_model::HostModel;
pub use load::Load;
pub use outcomes::{Failure, Outcomes};
pub use simulation::{Beginning, Detail, LEAD_IN, Simulation, SimulationError};
pub use spread::Spread;
