//! Which request a due arrival is. Each kind has a driver of its own in the load generator.

use std::sync::Arc;

use crate::http_request::{HttpRequest, HttpSource};
use crate::objects::{ObjectOperation, ObjectSource, Objects};

/// The requests that a scenario chooses from.
#[derive(Debug, Clone, PartialEq)]
pub enum Operations {
    /// Objects are stored, read and removed, and every answer is checked against what was stored.
    Objects(Objects),
    /// Plain HTTP requests, at least one, each with what is expected of its answer.
    Http(Vec<Arc<HttpRequest>>),
}

/// One request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// An operation on an object.
    Object(ObjectOperation),
    /// A plain HTTP request.
    Http(Arc<HttpRequest>),
}

/// Draws operations for ever, the same ones for the same seed.
#[derive(Debug, Clone)]
pub enum OperationSource {
    /// Operations on objects.
    Objects(ObjectSource),
    /// Plain HTTP requests.
    Http(HttpSource),
}

impl OperationSource {
    /// The operations that follow from `seed`. Their stream is apart from the arrivals' one, so that
    /// another mix leaves the due times as they are.
    pub fn new(operations: &Operations, seed: u64) -> Self {
        let seed = seed ^ 0x6f70_6572_6174_696f;
        match operations {
            Operations::Objects(objects) => Self::Objects(ObjectSource::new(objects, seed)),
            Operations::Http(requests) => Self::Http(HttpSource::new(requests, seed)),
        }
    }
}

impl Iterator for OperationSource {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        match self {
            Self::Objects(source) => Some(Operation::Object(source.draw())),
            Self::Http(source) => source.draw().map(Operation::Http),
        }
    }
}
