//! What load to offer: the scenario's format, and the arrivals it unfolds into.
//!
//! Nothing here reads a file or a clock. A [`Scenario`] is parsed from text, or made of a [`Trace`]
//! of a real system, and becomes an [`OfferedLoad`]. An open load is a [`RateCurve`] in requests per
//! second; [`Arrivals`] streams its requests, each with the moment at which it is due. A closed load
//! is [`Stages`] of threads, each of which waits for an answer before it asks again. The same seed
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
//! "#;
//! let scenario = workload::Scenario::parse("tiny.toml", text)?;
//! let workload::OfferedLoad::Open(open) = scenario.offered(None)? else {
//!     panic!("phases are an open load")
//! };
//! let arrivals = workload::Arrivals::new(&scenario, open);
//! assert!((60..140).contains(&arrivals.count()));
//! # Ok::<(), workload::ScenarioError>(())
//! ```

mod arrivals;
mod format;
mod offered;
mod operation;
mod phases;
mod rate;
mod raw;
mod replay;
mod scenario;
mod stages;
mod trace;

pub use arrivals::{Arrival, Arrivals, DueTimes};
pub use format::ScenarioError;
pub use offered::{OfferedLoad, OpenLoad};
pub use operation::{KeyIndex, Operation, OperationSource};
pub use phases::{Pacing, Phase, Phases, RateUnit};
pub use rate::{RateCurve, Segment, Shape};
pub use replay::{PeakInstances, Replay, trace_name};
pub use scenario::{InstanceCapacity, Keys, Limits, Load, Mix, Scenario, Sizes, TimeFactor};
pub use stages::{Stage, Stages, ThreadDelays, ThreadRequests};
pub use trace::{
    Gaps, IntervalLength, IntervalOptionError, IntervalOptions, Intervals, Trace, TraceError,
};
