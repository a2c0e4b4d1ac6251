//! The drivers: one for each kind of request. A driver makes the requests of an operation, and judges
//! what is answered.

pub(crate) mod http;
pub(crate) mod objects;
