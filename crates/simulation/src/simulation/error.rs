//! Why a simulation does not go on.

use model::value::Invalid;
use policy::check::Violation;

/// The simulation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The service gets no requests.
    #[error(transparent)]
    NoRequests(#[from] Invalid),
    /// Amounts have no threads that wait for answers.
    #[error("a closed load is simulated request by request: take detail=requests")]
    ClosedInAmounts,
    /// A plan does what none may: a fault of the policy or the planner.
    #[error("{seconds} s after the start of the load, a plan breaks a rule: {violation}")]
    Violation {
        /// When, in seconds.
        seconds: f64,
        /// Which rule.
        violation: Violation,
    },
    /// Two instances run of a service that has one at most.
    #[error("{seconds} s after the start of the load, two instances run where one may")]
    TwoRun {
        /// When, in seconds.
        seconds: f64,
    },
    /// A decision lies outside of the bounds.
    #[error(
        "{seconds} s after the start of the load, {ready} instances are decided on: allowed is {min} to {max}"
    )]
    OutOfBounds {
        /// When, in seconds.
        seconds: f64,
        /// How many.
        ready: u32,
        /// The lower bound.
        min: u32,
        /// The upper bound.
        max: u32,
    },
    /// Instances are added to a service of which the decision says that they cannot help.
    #[error(
        "{seconds} s after the start of the load, {ready} instances are decided on a full host: {most} could help"
    )]
    AddedInVain {
        /// When, in seconds.
        seconds: f64,
        /// How many.
        ready: u32,
        /// The most that might be.
        most: f64,
    },
}
