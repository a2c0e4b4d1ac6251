//! The boundary that the control loop sees, of which [`Haproxy`](super::Haproxy) is the real side.

use std::collections::BTreeSet;

use model::names::{ServiceName, Slot};

use super::backends::Backends;
use super::error::HaproxyError;
use super::stats::{Stats, StatsError};
use crate::settings::Membership;

/// How a change reached the running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It held the backends already.
    Unchanged,
    /// By this many commands on the admin socket.
    Commands(usize),
    /// By a reload, for which the master was asked this many times.
    Reload {
        /// More than 1 when an ask was lost.
        asks: u32,
    },
}

/// What the running process holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The generation of the configuration that its worker started with.
    pub generation: u64,
    /// How it came there.
    pub way: Way,
}

/// What the control loop needs of a load balancer.
pub trait LoadBalancer: Send + Sync {
    /// Brings the running process to `desired`, and returns when it holds that or something wanted
    /// later. Changes that arrive while one is under way go together with the next.
    ///
    /// # Errors
    /// It cannot be reached, or does not take the change. It goes on with what it held; a later
    /// call starts from whatever that is.
    fn apply(
        &self,
        desired: &Backends,
    ) -> impl Future<Output = Result<Applied, HaproxyError>> + Send;

    /// How changes reach the running process, from the next one on.
    fn set_membership(&self, membership: Membership);

    /// Reads the statistics, within 500 ms.
    ///
    /// # Errors
    /// They cannot be had or not be trusted: hold, and ask again.
    fn scrape(&self) -> impl Future<Output = Result<Stats, StatsError>> + Send;

    /// The workers that a reload has replaced and that still end what they have. What they know of
    /// the servers is from before that.
    ///
    /// # Errors
    /// The master process cannot be asked for its workers.
    fn old_workers(&self) -> impl Future<Output = Result<BTreeSet<u32>, HaproxyError>> + Send;

    /// The slots that old workers may send requests to, and by which services.
    ///
    /// # Errors
    /// A worker cannot be asked.
    fn known_to_old_workers(
        &self,
    ) -> impl Future<Output = Result<BTreeSet<(ServiceName, Slot)>, HaproxyError>> + Send;

    /// The draining servers that have nothing left to do: no request and no queue in `stats`, which
    /// were asked for after the drain took effect, and no old worker alive that may send to them.
    ///
    /// # Errors
    /// The master process cannot be asked for its workers.
    fn drained(
        &self,
        stats: &Stats,
    ) -> impl Future<Output = Result<BTreeSet<(ServiceName, Slot)>, HaproxyError>> + Send;
}
