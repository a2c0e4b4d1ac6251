//! The object store: one pool of objects in one folder, served by any number of stateless
//! processes at the same time.
//!
//! [`store`] is the folder: synchronous, and the only place that touches files. [`http`] is the
//! service in front of it. What they share (ids, tags, conditions) has no I/O.

pub mod condition;
pub mod config;
pub mod escape;
pub mod http;
pub mod id;
pub mod limit;
pub mod store;
pub mod tag;
