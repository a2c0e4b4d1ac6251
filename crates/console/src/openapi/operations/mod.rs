//! Every operation that the console serves.

mod experiments;
mod jobs;
mod login;
mod now;
mod past;
mod read;
mod set;

use serde_json::{Value, json};

use super::document::{Operation, Schemas};

/// All of them.
pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    [
        now::all(schemas),
        past::all(schemas),
        read::all(schemas),
        set::all(schemas),
        jobs::all(schemas),
        experiments::all(schemas),
        login::all(schemas),
    ]
    .concat()
}

/// A moment in milliseconds since 1970.
fn moment() -> Value {
    whole_number()
}

/// One of 64 bits.
fn whole_number() -> Value {
    json!({ "type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX })
}

/// How many of something.
fn limit(most: u32) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": most, "default": most })
}

/// A service, as an answer shows it.
fn service() -> Value {
    let status = crate::samples::service_feed("store", 1_000, &["bw-store-1-a"]).status;
    serde_json::to_value(status).expect("it is JSON")
}

/// A turn, as an answer shows it.
fn tick() -> Value {
    serde_json::to_value(crate::samples::tick("store", 1_000)).expect("it is JSON")
}
