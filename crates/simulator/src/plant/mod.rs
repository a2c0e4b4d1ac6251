//! The plant: the load balancer, and the instances as it sees them. It takes the load and says what
//! the load balancer's statistics would.

mod clients;
mod fluid;
mod requests;
mod server;

use std::time::Duration;

use model::names::Slot;
use run::Recorder;

pub(crate) use clients::Clients;
pub(crate) use fluid::FluidPlant;
pub(crate) use requests::RequestPlant;

use crate::host_model::InstanceLimits;
use crate::moment::Moment;
use crate::spread::Spread;

/// A plant, by how closely it looks.
#[derive(Debug)]
pub(crate) enum Plant {
    /// Every request on its own.
    Requests(Box<RequestPlant>),
    /// Requests that come within a tenth of a second as one amount.
    Fluid(Box<FluidPlant>),
}

/// What holds for every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// What an instance takes on.
    pub(crate) limits: InstanceLimits,
    /// A request's time in an instance that nothing holds up.
    pub(crate) service: Spread,
    /// How long a request waits in the load balancer, be it for a place or for the first instance.
    pub(crate) queue_timeout: Duration,
    /// How long the client waits in all.
    pub(crate) client_timeout: Duration,
    /// Requests under way at most; what is due beyond it is dropped.
    pub(crate) in_flight: usize,
}

/// What the load balancer has counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Requests that came.
    pub(crate) arrivals: u64,
    /// Requests that an instance answered; a 429 of its own is an answer as well.
    pub(crate) served: u64,
    /// Requests that the load balancer answered 503.
    pub(crate) rejected: u64,
}

/// What the load balancer's statistics say at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) counters: Counters,
    /// Requests that wait.
    pub(crate) queued: u32,
    /// Requests that instances work on.
    pub(crate) in_flight: u32,
}

/// Where the outcomes go; its times count from the start of the load.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    pub(crate) recorder: &'a mut Recorder,
    pub(crate) load_start: Moment,
}

impl Log<'_> {
    fn ok(&mut self, due: Moment, done: Moment, many: u64) {
        self.recorder.ok(due.since(self.load_start), done.since(self.load_start), many);
    }

    fn failed(&mut self, due: Moment, done: Moment, failure: Failure, many: u64) {
        let (cause, rejected) = match failure {
            Failure::Timeout => ("timeout", false),
            Failure::Limited => ("status_429", true),
            Failure::NoServer => ("status_503", true),
        };
        let (due, done) = (due.since(self.load_start), done.since(self.load_start));
        self.recorder.failed(due, done, cause, rejected, many);
    }

    fn dropped(&mut self, due: Moment) {
        self.recorder.dropped(due.since(self.load_start), 1);
    }
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Failure {
    /// The client had waited long enough.
    Timeout,
    /// The instance had no token for it in time.
    Limited,
    /// The load balancer held it too long, for want of an instance or of a place in one.
    NoServer,
}

impl Rules {
    /// How long a request that finds no place waits, and what it fails with then.
    fn patience(&self) -> (Duration, Failure) {
        if self.client_timeout <= self.queue_timeout {
            (self.client_timeout, Failure::Timeout)
        } else {
            (self.queue_timeout, Failure::NoServer)
        }
    }
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
    pub(crate) fn figures(&self) -> Figures {
        each!(self, plant => plant.figures())
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
        let Figures { queued, in_flight, .. } = self.figures();
        queued == 0 && in_flight == 0
    }
}

/// Where a slot's server stands among those of a plant.
fn place(slot: Slot) -> usize {
    usize::from(slot.get())
}

/// A count as the statistics have it.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
