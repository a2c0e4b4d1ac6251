//! What is seen and remembered of the scaler, without rights.
//!
//! [`watch`] reads the scaler's feed; what comes of it goes to [`live`] readers and to the [`history`], as [`series`] and
//! [`events`]. [`api`] answers from all of these, and [`notify`] tells others what begins and what ends. What the console says is nobody's input: the scaler works the same
//! without it.

pub mod api;
pub mod events;
pub mod history;
pub mod live;
pub mod metrics;
pub mod notify;
pub mod samples;
pub mod series;
pub mod watch;
