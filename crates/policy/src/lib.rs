//! What Bellows decides, as pure functions: no clock, no thread, no file, no network.
//!
//! The daemon and the simulator call the same function, [`controller::Controller::turn`], with the
//! same types: what was observed of a service becomes a [`PolicyInput`](input::PolicyInput), from
//! which its [`policies`] form an [`advice`]. [`decide`] turns that into a decision, unless an operator holds a number; [`rollout`] says
//! which version new instances are of, [`watch`] whether a new one does worse, [`plan`] leads from the [`fleet`] to both, [`check`] holds the
//! plan to its rules, and all of it is kept as a tick. From that, [`why_not`] says what stands between
//! the service and another number of instances. The [`ledger`] says what the instances that there were came to.

pub mod advice;
pub mod backoff;
pub mod check;
pub mod controller;
pub mod decide;
mod exact;
pub mod fleet;
mod hold;
pub mod input;
pub mod ledger;
pub mod load;
pub mod memory;
pub mod memory_pool;
pub mod patience;
pub mod plan;
pub mod policies;
pub mod recording;
pub mod rollout;
pub mod rules;
mod saturation;
pub mod slots;
mod steady;
pub mod terms;
pub mod watch;
pub mod why_not;
pub mod window;

#[cfg(test)]
mod testing;
