//! The drivers, one for each kind of request. A driver makes the request of an operation, and compares
//! the answer with what is expected.

pub(crate) mod http;
pub(crate) mod objects;
