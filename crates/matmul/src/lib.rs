//! A service that works: each request multiplies two random matrices. It keeps nothing, so that one instance is as
//! good as another, and a request costs as much as its `n` says.
//!
//! [`product`] is the work, [`http`] the service in front of it.

pub mod config;
pub mod http;
pub mod product;
