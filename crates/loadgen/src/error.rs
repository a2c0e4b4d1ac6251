//! Why a command of the generator was not carried out, or not all of it.

use config_file::{ConfigError, Invalid};
use model::hold::Hold;
use model::status::ServiceStatus;
use nix::errno::Errno;
use run::{ReadError, ResultsError};
use scaler_client::ScalerError;
use workload::{ScenarioError, TraceError};

use crate::interrupt;
use crate::stored_objects::ObjectsError;
use crate::target::TargetError;

/// Why a command was not carried out, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read, or holds what it may not.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trace is not a good one.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// An option is not allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The target cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The scenario is not a good one.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A limit that cannot be checked without the scaler.
    #[error(
        "limits.back_to_min = true needs the scaler's API: name it (--api http://HOST:PORT), or \
         set the limit to false"
    )]
    NeedsScaler,
    /// An operator holds the service at a number: what was measured would be that.
    #[error(
        "{service} is held at {ready} instances; `bellows scale {service} --auto` gives it back to its policy"
    )]
    Held {
        /// The service.
        service: String,
        /// The number.
        ready: u32,
    },
    /// The process may not open as many connections as the scenario wants in flight.
    #[error(
        "in_flight = {in_flight} needs {needed} open files and the limit is {limit}: lower it, or \
         raise the limit (`ulimit -n {needed}`)"
    )]
    TooFewFiles {
        /// The scenario's bound.
        in_flight: u64,
        /// What it takes.
        needed: u64,
        /// What may be had.
        limit: u64,
    },
    /// The limit on open files can be neither read nor set.
    #[error("the limit on open files cannot be changed")]
    FileLimit(#[from] Errno),
    /// The scaler is not there, or does not do what is asked.
    #[error(transparent)]
    Scaler(#[from] ScalerError),
    /// The service does not come to rest.
    #[error(
        "{service} did not come to rest within {limit_s} s, so no load was offered: {seen}. End \
         other load, or choose bounds and a policy under which it comes back"
    )]
    NotAtRest {
        /// The service.
        service: String,
        /// How long it had.
        limit_s: u64,
        /// What was seen last.
        seen: String,
    },
    /// The fleet does not become what it was set to.
    #[error(
        "{ready} instances are ready a minute after {wanted} were asked for: see `./just status` \
         and the scaler's log"
    )]
    Fleet {
        /// Instances asked for.
        wanted: u32,
        /// Instances ready.
        ready: u32,
    },
    /// The user ended it before its load, or before a calibration was whole.
    #[error("interrupted before the load: the objects stored so far are removed")]
    Interrupted,
    /// The objects could not be stored or removed.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// A thread could not be started.
    #[error("the generator's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The thread of the requests stopped half-way.
    #[error("the generator's thread broke down: its figures are lost")]
    BrokeDown,
    /// The machine is too slow or too busy for the load of a calibration.
    #[error(
        "one instance serves more than the generator could offer in time: calibrate when nothing \
         else runs on this machine"
    )]
    Generator,
    /// A calibration found no rate.
    #[error(
        "no rate could be found that one instance serves within the objective: is \
         capacity.requests_per_second = {0} anywhere near it, and does nothing else run here?"
    )]
    NotFound(f64),
    /// The results of several runs could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The results could not be written.
    #[error(transparent)]
    Write(#[from] ResultsError),
    /// What was set is not what it was.
    #[error(
        "what was changed could not be set back. Once the scaler answers, this does it:{commands}"
    )]
    Restore {
        /// The commands that do it, each on a line of its own.
        commands: String,
        /// Why.
        source: ScalerError,
    },
    /// The same, after an experiment had broken down.
    #[error("{restore} (the experiment itself had broken down)")]
    BrokenAndNotRestored {
        /// What to do.
        restore: Box<Error>,
        /// Why it broke down.
        source: Box<Error>,
    },
}

impl Error {
    /// Refuses a service that an operator holds at a number.
    pub(crate) fn where_held(status: &ServiceStatus) -> Result<(), Self> {
        let Some(Hold { ready, .. }) = status.hold else { return Ok(()) };
        Err(Self::Held { service: status.name.to_string(), ready })
    }

    /// The exit code that says it: 2 when the input is at fault, and nothing was changed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => interrupt::EXIT_CODE,
            Self::Config(_)
            | Self::Trace(_)
            | Self::Invalid(_)
            | Self::Scenario(_)
            | Self::Target(_)
            | Self::NeedsScaler
            | Self::Held { .. }
            | Self::TooFewFiles { .. } => 2,
            Self::Scaler(error) if error.is_bad_input() => 2,
            _ => 1,
        }
    }
}
