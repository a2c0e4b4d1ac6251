//! What an operator would want to know, told once when it begins and once when it ends, by webhooks and by mail.
//!
//! [`Episodes`] says from what is seen when something begins and ends; it is pure, as are the parts that it asks, one a
//! kind. The [`Notifier`] has a queue for each receiver, keeps over a restart what goes on and what waits, and sends.

mod at_maximum;
mod connect;
#[cfg(test)]
mod delivery_tests;
mod episodes;
mod failed_deploy;
mod full_disk;
mod kept;
mod mail;
mod message;
mod notifier;
mod queue;
mod receiver;
mod replacement;
mod retry;
mod send_error;
mod sentence;
mod sign;
#[cfg(test)]
mod tests;
mod webhook;

pub use episodes::{Episode, Episodes, Seen};
pub use full_disk::Room;
pub use message::{Change, FORMAT, Message};
pub use notifier::{Notifier, StartError};
pub use receiver::ReceiverError;
pub use retry::Outcome;
pub use sign::Evidence;
