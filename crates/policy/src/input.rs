//! What a policy is told at one turn. "Not known" is a value of its own, never 0.

use std::time::Duration;

use model::bounds::Bounds;
use model::service::Capacity;
use model::tick::HostCpu;
use model::time::Timestamp;

use crate::load::OfferedLoad;

/// What a service is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Demand {
    /// Requests.
    Requests {
        /// Those offered up to now.
        offered: OfferedLoad,
        /// What one instance can do with them.
        capacity: Capacity,
    },
    /// Nothing that is counted.
    Uncounted,
}

/// Everything that the policies may base their advice on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyInput {
    /// The moment of the turn.
    pub now: Timestamp,
    /// What is asked for up to now.
    pub demand: Option<Demand>,
    /// Requests answered per second.
    pub served_rps: Option<f64>,
    /// Requests that instances work on.
    pub in_flight: Option<u32>,
    /// Requests that wait in the load balancer.
    pub queued: Option<u32>,
    /// CPU time that the instances in rotation and those that drain use together, in cores.
    pub cpu_cores: Option<f64>,
    /// The host's processors, and how much all that runs there uses of them.
    pub host_cpu: Option<HostCpu>,
    /// Instances in rotation.
    pub ready: u32,
    /// Instances that are being made.
    pub starting: u32,
    /// How many ready instances were decided on last; at the start, how many serve or are about to.
    pub current: u32,
    /// When that number changed last, as far as is known.
    pub changed_at: Option<Timestamp>,
    /// Share of CPU time that one instance is given, in cores.
    pub cpus: f64,
    /// How long an instance took of late from its clone to its first good health check.
    pub start_up: Option<Duration>,
    /// The bounds in force.
    pub bounds: Bounds,
}

impl PolicyInput {
    /// What one instance can do with requests.
    pub const fn capacity(&self) -> Option<Capacity> {
        match self.demand {
            Some(Demand::Requests { capacity, .. }) => Some(capacity),
            Some(Demand::Uncounted) | None => None,
        }
    }

    /// Requests per second that one instance serves, where somebody has said it.
    pub fn rate_of_an_instance(&self) -> Option<f64> {
        self.capacity()?.requests_per_second
    }

    /// CPU time that one instance can use, in cores: what it is given, and no more than the host has.
    pub fn cpus_of_an_instance(&self) -> f64 {
        let host = self.host_cpu.filter(|host| host.cores > 0);
        host.map_or(self.cpus, |host| self.cpus.min(f64::from(host.cores)))
    }

    /// CPU time that one instance can use whatever its program, in cores: what it may, and no more than one, since
    /// nobody knows whether a program has more than one thread that computes.
    pub fn cpus_of_a_thread(&self) -> f64 {
        self.cpus_of_an_instance().min(1.0)
    }

    /// Load offered, where each part of it can be true.
    pub fn offered(&self) -> Option<OfferedLoad> {
        let Some(Demand::Requests { offered: load, .. }) = self.demand else { return None };
        let parts = [load.mean_rps, load.burst_rps, load.queue_rps];
        parts.iter().all(|part| known(Some(*part)).is_some()).then_some(load)
    }

    /// Load offered in requests per second, all that speaks for it together.
    pub fn offered_rps(&self) -> Option<f64> {
        known(self.offered().map(|load| load.total_rps()))
    }

    /// Whether requests came within the last second, wait, or are being worked on.
    pub fn is_asked_for(&self) -> bool {
        let any = |figure: Option<f64>| figure.is_some_and(|figure| figure > 0.0);
        any(self.offered_rps()) || any(self.in_system())
    }

    /// Requests that wait or are being worked on.
    pub fn in_system(&self) -> Option<f64> {
        Some(f64::from(self.queued?) + f64::from(self.in_flight?))
    }
}

/// A figure that can be true: absurd ones (negative, infinite, not a number) are not known.
pub(crate) fn known(figure: Option<f64>) -> Option<f64> {
    figure.filter(|value| value.is_finite() && *value >= 0.0)
}
