//! The plant: the load balancer, and the instances as it sees them. It takes the load and says what
//! the load balancer's statistics would.

mod clients;
mod fluid;
mod outcomes;
mod requests;
mod rules;
mod server;
mod statistics;

use std::fmt;

use model::names::Slot;

pub(crate) use clients::Clients;
pub(crate) use fluid::FluidPlant;
pub(crate) use outcomes::Log;
pub(crate) use requests::RequestPlant;
pub(crate) use rules::Rules;
pub(crate) use statistics::Statistics;

use crate::moment::Moment;

/// A plant: one that looks at every request on its own, or one that takes those of a tenth of a
/// second as one amount.
pub(crate) trait Plant: fmt::Debug {
    /// Lets everything happen up to and at `to`.
    fn advance(&mut self, to: Moment, log: &mut Log);

    /// A new instance in `slot` is put in rotation.
    fn open(&mut self, slot: Slot, now: Moment);

    /// An instance that drained is put in rotation again.
    fn reopen(&mut self, slot: Slot, now: Moment);

    /// The instance in `slot` gets no new requests.
    fn drain(&mut self, slot: Slot);

    /// The instance in `slot` is gone. The load balancer tries its requests again elsewhere.
    fn remove(&mut self, slot: Slot, now: Moment);

    /// The load balancer's statistics.
    fn statistics(&self) -> Statistics;

    /// Requests that the instance in `slot` works on.
    fn in_flight_of(&self, slot: Slot) -> u32;

    /// When a closed load was over; unknown before, and of an open one.
    fn over_at(&self) -> Option<Moment>;

    /// When the instance in `slot` answered its first request; unknown where requests are not told
    /// apart.
    fn first_served(&self, slot: Slot) -> Option<Moment>;
}
