//! What load to offer: the scenario's format, and the arrivals it unfolds into.
//!
//! Nothing here reads a file or a clock. A [`Scenario`] is read from a file by its reader, or made of a
//! [`Trace`] of a real system, and becomes an [`OfferedLoad`]. An open load is a [`RateCurve`] in
//! requests per second; [`arrivals()`] streams its requests, each with the moment at which it is due. A
//! closed load is [`Stages`] of threads, each of which waits for an answer before it asks again. What
//! is asked for are [`Operations`]: on objects that are stored, or plain HTTP requests. The same seed
//! gives the same requests.
//!
//! ```
//! let text = r#"
//!     name = "tiny"
//!     service = "object-store"
//!     seed = 1
//!
//!     [[phases]]
//!     kind = "constant"
//!     duration_s = 2
//!     rate = 50
//!
//!     [[requests]]
//!     path = "/healthz"
//! "#;
//! let scenario: workload::Scenario = config_file::from_toml("tiny.toml", text)?;
//! let workload::OfferedLoad::Open(open) = scenario.offered(None)? else {
//!     panic!("phases are an open load")
//! };
//! let arrivals = workload::arrivals(&scenario.operations, scenario.seed, open);
//! assert!((60..140).contains(&arrivals.count()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrivals;
mod format;
mod http_request;
mod objects;
mod offered;
mod operation;
mod phases;
mod rate;
mod raw;
mod replay;
mod scenario;
mod stages;
mod time_factor;
mod trace;

pub use arrivals::{Arrival, DueTimes, arrivals};
pub use http_request::{HttpRequest, HttpSource};
pub use objects::{KeyIndex, ObjectOperation, ObjectSource, Objects, Sizes};
pub use offered::{InstanceCapacity, OfferedLoad, OpenLoad, ScenarioError};
pub use operation::{Operation, OperationSource, Operations};
pub use phases::{Pacing, Phase, Phases, RateUnit};
pub use rate::{RateCurve, Segment, Shape};
pub use raw::RawScenario;
pub use replay::{PeakInstances, Replay, trace_name};
pub use scenario::{Limits, Load, Scenario};
pub use stages::{Stage, Stages, ThreadDelays, ThreadRequests};
pub use time_factor::TimeFactor;
pub use trace::{
    Gaps, IntervalLength, IntervalOptionError, IntervalOptions, Intervals, Trace, TraceError,
};
