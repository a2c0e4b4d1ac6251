//! The load balancer: what it should hold, how the running HAProxy gets there without losing a
//! request, and what it counts.
//!
//! [`Haproxy`] is the real one and [`fake::FakeLoadBalancer`] one for tests. Users see
//! [`Backends`] go in, and [`Stats`] and drained slots come out.

mod admin;
mod behind;
mod counters;
mod drains;
mod error;
pub mod fake;
mod file;
mod membership;
mod model;
mod reload;
mod running;
mod scrape;
mod settings;
mod stats;
mod table;
mod template;

use std::collections::BTreeSet;

use ::model::names::{ServiceName, Slot};

pub use counters::{Increase, increase};
pub use error::HaproxyError;
pub use membership::{Applied, Haproxy, Way};
pub use model::{Backend, Backends, ModelError, Server, ServerState};
pub use settings::{AccountName, PlainPath, Settings, SettingsError};
pub use stats::{Counters, ServerStats, ServerStatus, ServiceStats, Stats, StatsError, Worker};
pub use template::HOLD;

use crate::settings::Membership;

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
