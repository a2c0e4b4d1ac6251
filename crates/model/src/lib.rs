//! What Bellows' programs say to each other, as plain data: no clock, no thread, no file, no network.
//!
//! A [`service`] is described by its file. Its [`instance`]s are in phases, and [`action`]s lead
//! from one phase to the next. Each turn of the control loop leaves a [`tick`]: what was observed,
//! the [`decision`] with its reasons and its [`trail`], what was planned and done. [`status`] is what the scaler's API
//! says and [`feed`] what it tells as it happens, [`why_not`] what stands between a service and another number of instances, [`preview`] what another policy would have run,
//! [`job`] what the host does at somebody's request, [`experiment`] what it tries so, [`access`] who may do what there, [`login`] how a browser comes to a token, and [`egress`] what a service may reach beyond the host. Every value
//! is checked when it is made, and an [`value::Invalid`] says what is allowed.

/// Conversions that names and paths share: shown, and read back from, their one spelling.
macro_rules! is_text {
    ($($type:ty),*) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl TryFrom<String> for $type {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(checked: $type) -> Self {
                checked.as_str().to_owned()
            }
        }
    )*};
}

pub mod access;
pub mod action;
pub mod bounds;
pub mod caller;
pub mod cost;
pub mod decision;
pub mod egress;
pub mod experiment;
pub mod failure;
pub mod feed;
pub mod hold;
pub mod instance;
pub mod job;
pub mod login;
pub mod machine;
pub mod names;
pub mod network;
pub mod output;
pub mod paths;
pub mod policies;
pub mod preview;
pub mod refusal;
pub mod secrets;
pub mod service;
pub mod shell;
pub mod size;
pub mod status;
pub mod tick;
pub mod time;
pub mod trail;
pub mod value;
pub mod version;
pub mod watch;
pub mod why_not;
