//! The plant: the load balancer, and the instances as it sees them. It takes the load and says what
//! the load balancer's statistics would.

mod clients;
mod fluid;
mod outcomes;
mod processors;
mod requests;
mod rules;
mod server;

use std::fmt;
use std::time::Duration;

use model::names::Slot;
use model::watch::Answers;

pub(crate) use clients::Clients;
pub(crate) use fluid::FluidPlant;
pub(crate) use outcomes::Log;
pub(crate) use requests::RequestPlant;
pub(crate) use rules::Rules;

use crate::moment::Moment;

/// A plant: one that looks at every request on its own, or one that takes those of a step, a tenth
/// of a second say, as one amount.
pub(crate) trait Plant: fmt::Debug {
    /// Lets everything happen up to and at `to`.
    fn advance(&mut self, to: Moment, log: &mut Log);

    /// A new instance in `slot` is put in rotation.
    fn open(&mut self, slot: Slot, now: Moment);

    /// An instance that drained is put in rotation again.
    fn reopen(&mut self, slot: Slot, now: Moment);

    /// The instance in `slot` gets no new requests.
    fn drain(&mut self, slot: Slot);

    /// The instance in `slot` is stopped. What it works on is lost: an instance that is stopped in
    /// its time has nothing left.
    fn stop(&mut self, slot: Slot, now: Moment, log: &mut Log);

    /// The instance in `slot` has crashed. The load balancer tries its requests again elsewhere.
    fn remove(&mut self, slot: Slot, now: Moment);

    /// The load balancer's statistics, and what the instances have used.
    fn statistics(&self) -> Statistics;

    /// Requests that the instance in `slot` works on.
    fn in_flight_of(&self, slot: Slot) -> u32;

    /// From now on the instance in `slot` answers every second request with 500, where requests are told apart.
    fn fail_every_second(&mut self, slot: Slot);

    /// What the instance in `slot` has answered; unknown where requests are not told apart.
    fn answers_of(&self, slot: Slot) -> Option<Answers>;

    /// When a closed load was over; unknown before, and of an open one.
    fn over_at(&self) -> Option<Moment>;

    /// When the instance in `slot` answered its first request; unknown where requests are not told
    /// apart.
    fn first_served(&self, slot: Slot) -> Option<Moment>;
}

/// What the load balancer has counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Requests that came.
    pub(crate) arrivals: u64,
    /// Requests that an instance answered; a 429 of its own is an answer as well.
    pub(crate) served: u64,
    /// Requests that were answered 5xx, by the load balancer or by an instance.
    pub(crate) rejected: u64,
}

/// What the load balancer's statistics say at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) counters: Counters,
    /// Requests that wait.
    pub(crate) queued: u32,
    /// Requests that instances work on.
    pub(crate) in_flight: u32,
    /// CPU time that instances have used.
    pub(crate) cpu: Duration,
}

/// A count as the statistics have it.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
