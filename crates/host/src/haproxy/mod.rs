//! The load balancer: what it should hold, how the running HAProxy gets there without losing a
//! request, and what it counts.
//!
//! [`Haproxy`] is the real one and [`fake::FakeLoadBalancer`] one for tests. Users see
//! [`Backends`] go in, and [`Stats`] and drained slots come out.

mod account;
mod admin;
mod answers;
mod backends;
mod certificate;
mod checks;
mod counters;
mod deferred_write;
mod drains;
mod error;
pub mod fake;
mod file;
mod limits;
mod lines;
mod load_balancer;
mod membership;
mod reach;
mod reload;
mod running;
mod scrape;
mod settings;
mod stats;
mod stats_csv;
mod template;

pub use account::Account;
pub use answers::{AnswerCounts, AnswersBySlot};
pub use backends::{Backend, Backends, BackendsError, Server, ServerState};
pub use certificate::{CertificateError, check_certificate};
pub use counters::{Increase, increase};
pub use error::HaproxyError;
pub use load_balancer::{Applied, LoadBalancer, Way};
pub use membership::{FollowError, Haproxy};
pub use reach::Reach;
pub use settings::{AccountName, HaproxySettings, HaproxySettingsError, PlainPath};
pub use stats::{
    Counters, Entrance, ServerStats, ServerStatus, ServiceStats, Stats, StatsError, Worker,
};
pub use template::HOLD;
