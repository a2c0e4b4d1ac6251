//! The console as a program and its parts: the history on real disks, the scaler's feed, the API over HTTP.

#![allow(clippy::unwrap_used, reason = "in a test, to panic is to fail")]

mod answers;
mod api;
mod bad_input;
mod browser;
mod door;
mod experiments;
mod experiments_spoilt;
mod forward;
mod history;
mod host_page;
mod login;
mod machine;
mod monitoring;
mod notify;
mod openapi;
mod overview;
mod pages;
mod pages_of_versions;
mod policy;
mod preview;
mod scaler;
mod spoilt;
mod tried;
mod written;
