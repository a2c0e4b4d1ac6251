//! The plant: the load balancer, and the instances as it sees them. It takes the load and says what
//! the load balancer's statistics would.

mod clients;
mod fluid;
mod outcomes;
mod requests;
mod rules;
mod server;
mod statistics;

use model::names::Slot;

pub(crate) use clients::Clients;
pub(crate) use fluid::FluidPlant;
pub(crate) use outcomes::Log;
pub(crate) use requests::RequestPlant;
pub(crate) use rules::Rules;
pub(crate) use statistics::Statistics;

use crate::moment::Moment;

/// A plant, by how closely it looks.
#[derive(Debug)]
pub(crate) enum Plant {
    /// Every request on its own.
    Requests(Box<RequestPlant>),
    /// Requests that come within a tenth of a second as one amount.
    Fluid(Box<FluidPlant>),
}

/// Calls the method of whichever plant it is.
macro_rules! each {
    ($plant:expr, $inner:ident => $call:expr) => {
        match $plant {
            Plant::Requests($inner) => $call,
            Plant::Fluid($inner) => $call,
        }
    };
}

impl Plant {
    /// Lets everything happen up to and at `to`.
    pub(crate) fn advance(&mut self, to: Moment, log: &mut Log) {
        each!(self, plant => plant.advance(to, log));
    }

    /// A new instance in `slot` is put in rotation.
    pub(crate) fn open(&mut self, slot: Slot, now: Moment) {
        each!(self, plant => plant.open(slot, now));
    }

    /// An instance that drained is put in rotation again.
    pub(crate) fn reopen(&mut self, slot: Slot, now: Moment) {
        each!(self, plant => plant.reopen(slot, now));
    }

    /// The instance in `slot` gets no new requests.
    pub(crate) fn drain(&mut self, slot: Slot) {
        each!(self, plant => plant.drain(slot));
    }

    /// The instance in `slot` is gone. The load balancer tries its requests again elsewhere.
    pub(crate) fn remove(&mut self, slot: Slot, now: Moment) {
        match self {
            Self::Requests(plant) => plant.remove(slot, now),
            Self::Fluid(plant) => plant.remove(slot),
        }
    }

    /// The load balancer's statistics.
    pub(crate) fn statistics(&self) -> Statistics {
        each!(self, plant => plant.statistics())
    }

    /// Requests that the instance in `slot` works on.
    pub(crate) fn in_flight_of(&self, slot: Slot) -> u32 {
        each!(self, plant => plant.in_flight_of(slot))
    }

    /// When a closed load was over; unknown before, and of an open one.
    pub(crate) fn over_at(&self) -> Option<Moment> {
        match self {
            Self::Requests(plant) => plant.over_at(),
            Self::Fluid(_) => None,
        }
    }

    /// When the instance in `slot` answered its first request; unknown where requests are not told
    /// apart.
    pub(crate) fn first_served(&self, slot: Slot) -> Option<Moment> {
        match self {
            Self::Requests(plant) => plant.first_served(slot),
            Self::Fluid(_) => None,
        }
    }

    /// Whether no request waits or is worked on.
    pub(crate) fn is_idle(&self) -> bool {
        let Statistics { queued, in_flight, .. } = self.statistics();
        queued == 0 && in_flight == 0
    }
}
