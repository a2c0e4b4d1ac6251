//! What Bellows decides, as pure functions: no clock, no thread, no file, no network.
//!
//! The daemon and the simulator call the same function, [`controller::Controller::turn`], with the
//! same types: what was [`controller::Seen`] of a service becomes an observation, that a
//! [`decision`], that a [`plan`], and all of it together a [`tick`].

pub mod advice;
pub mod backoff;
pub mod bounds;
pub mod check;
pub mod controller;
pub mod decision;
pub mod fleet;
pub mod load;
pub mod names;
pub mod paths;
pub mod patience;
pub mod plan;
pub mod policies;
pub mod reading;
pub mod rules;
pub mod slots;
pub mod spec;
pub mod status;
pub mod tick;
pub mod time;
pub mod window;

#[cfg(test)]
mod testing;
