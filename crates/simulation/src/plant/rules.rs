//! What holds for every request.

use std::time::Duration;

use model::service::Capacity;

use crate::outcomes::Failure;
use crate::spread::Spread;

/// What holds for every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// What an instance takes on; its burst is 1 at least. The load balancer queues what is beyond
    /// its concurrency.
    pub(crate) capacity: Capacity,
    /// How long a request waits for its token before the instance refuses it.
    pub(crate) max_wait: Duration,
    /// A request's time in an instance that nothing holds up.
    pub(crate) service: Spread,
    /// CPU time that a request takes, of the time in the instance.
    pub(crate) cpu: Duration,
    /// The cores of the host, where instances wait for each other's; and how many one may use.
    pub(crate) cores: Option<u32>,
    pub(crate) cpus: f64,
    /// How long a request waits in the load balancer, be it for a place or for the first instance.
    pub(crate) queue_timeout: Duration,
    /// How long the client waits in all.
    pub(crate) client_timeout: Duration,
    /// Requests under way at most; what is due beyond it is dropped.
    pub(crate) in_flight: usize,
    /// The longest step of a plant in amounts.
    pub(crate) step: Duration,
}

impl Rules {
    /// How long a request that finds no place waits, and what it fails with then.
    pub(super) fn patience(&self) -> (Duration, Failure) {
        if self.client_timeout <= self.queue_timeout {
            (self.client_timeout, Failure::Timeout)
        } else {
            (self.queue_timeout, Failure::NoServer)
        }
    }
}
