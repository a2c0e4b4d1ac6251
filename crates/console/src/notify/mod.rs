//! What an operator would want to know, told once when it begins and once when it ends, by webhooks and by mail.
//!
//! [`Episodes`] says from what is seen when something begins and ends; it is pure, as are the parts that it asks, one a
//! kind.

mod at_maximum;
mod episodes;
mod failed_deploy;
mod full_disk;
mod message;
mod replacement;
mod sentence;
mod sign;
#[cfg(test)]
mod tests;

pub use episodes::{Episode, Episodes, Seen};
pub use full_disk::Room;
pub use message::{Change, FORMAT, Message};
pub use sign::Evidence;
