//! What is seen and remembered of the scaler, without rights.
//!
//! [`watch`] reads the scaler's feed, and [`answered`] what the load balancer tells; what comes of both goes to [`live`] readers and to the [`history`], as [`series`] and
//! [`events`]. [`api`] answers from all of these, and [`notify`] tells others what begins and what ends. What the console
//! says is nobody's input: the scaler works the same without it. What the scaler alone knows or does is passed on to it
//! [`upstream`], with the [`rights`] of whoever asks. What [`experiments`] left is read beside it. `pages` show it to people.

pub mod answered;
pub mod api;
pub mod events;
pub mod experiments;
pub mod history;
pub mod live;
pub mod metrics;
pub mod notify;
mod openapi;
mod pages;
mod recent;
pub mod rights;
pub mod samples;
pub mod series;
pub mod upstream;
pub mod watch;
