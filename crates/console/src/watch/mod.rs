//! The scaler, followed: what it tells goes to the memory of now, to live readers and to the history.

mod follow;
mod intake;
mod now;
#[cfg(test)]
mod tests;

pub use follow::Follower;
pub use intake::{Intake, Taken};
pub use now::{EVENTS, Now, Picture, Seen};
