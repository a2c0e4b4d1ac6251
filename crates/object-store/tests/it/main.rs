//! The object store as its clients see it: the real program, over HTTP, on loopback.

#![allow(clippy::unwrap_used, reason = "in a test, to panic is to fail")]

mod conditions;
mod crash;
mod disk;
mod fields;
mod harness;
mod lifecycle;
mod limits;
mod listing;
mod malformed;
mod objects;
mod sharing;
