//! What Bellows' programs say to each other, as plain data: no clock, no thread, no file, no network.
//!
//! A [`service`] is described by its file. Its [`instance`]s are in phases, and [`action`]s lead
//! from one phase to the next. Each turn of the control loop leaves a [`tick`]: what was observed,
//! the [`decision`] with its reasons, what was planned and done. [`status`] is what the scaler's API
//! says. Every value is checked when it is made, and an [`value::Invalid`] says what is allowed.

pub mod action;
pub mod bounds;
pub mod decision;
pub mod instance;
pub mod names;
pub mod paths;
pub mod policies;
pub mod service;
pub mod status;
pub mod tick;
pub mod time;
pub mod value;
