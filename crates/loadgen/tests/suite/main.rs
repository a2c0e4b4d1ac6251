//! The generator as its users meet it: against stores that do wrong, scalers that play a script,
//! and on the command line, for runs and calibrations.

// A helper of tests may fail a test as the test itself may.
#![allow(clippy::unwrap_used)]

mod calibration;
mod closed;
mod command_line;
mod experiment;
mod fake_scaler;
mod fleet;
mod interrupts;
mod plain_http;
mod replay;
mod support;
mod verified_objects;
